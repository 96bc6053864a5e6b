"""Everything of a study on one HTML page: tables, figures, rules, settings, machine and times."""

import json
import os
import platform
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import yaml
from jobs import job, seconds_of, write_text
from reading import read_json

from hetspike.atomic import intact
from hetspike.errors import UserError
from hetspike.results.flow import Edge, drawing
from hetspike.results.report import Content, Table, page

PACKAGES = (
    *("hetspike", "torch", "spikingjelly", "tonic", "numpy", "scipy", "pandas", "scikit-learn"),
    *("scikit-image", "matplotlib", "safetensors", "pydantic", "snakemake", "dvc"),
)


def as_yaml(config: dict[str, Any]) -> str:
    """Short lines, and what stands in several places written out in each."""
    written_out = json.loads(json.dumps(config))
    return yaml.safe_dump(written_out, sort_keys=False, default_flow_style=None)


def rule_edges() -> list[Edge]:
    """Which rule takes from which, as Snakemake says it of this configuration."""
    with TemporaryDirectory() as folder:
        study = Path(folder) / "study.yaml"
        study.write_text(as_yaml(snakemake.config))
        files = ["--snakefile", snakemake.params.snakefile, "--configfile", study]
        command = [sys.executable, "-m", "snakemake", "--rulegraph", "dot", *files]
        run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        raise UserError(f"`snakemake --rulegraph` failed: {run.stderr.strip()}")
    names = dict(re.findall(r'(\d+)\[label = "(\w+)"', run.stdout))
    arrows = re.findall(r"(\d+) -> (\d+)", run.stdout)
    return [(names[maker], names[taker]) for maker, taker in arrows]


def machine() -> dict[str, str]:
    model = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    gpu = {"GPU": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}
    return {
        "Processor": model[1] if model else platform.machine(),
        "Cores": str(os.cpu_count()),
        **gpu,
        "Memory": f"{memory / 2**30:.1f} GiB",
        "System": platform.freedesktop_os_release()["PRETTY_NAME"],
        "Kernel": platform.release(),
    }


with job(snakemake) as say:
    tables = read_json(snakemake.input.tables)
    content = Content(
        study=snakemake.params.study,
        tables={name: Table(**table) for name, table in tables.items()},
        figures={path.stem: intact(path) for path in map(Path, snakemake.input.figures)},
        workflow=drawing(rule_edges()),
        configuration=as_yaml(snakemake.config),
        software={"Python": platform.python_version()} | {name: version(name) for name in PACKAGES},
        machine=machine(),
        seconds={
            rule: [took for log in logs if (took := seconds_of(Path(log))) is not None]
            for rule, logs in snakemake.params.logs.items()
        },
    )
    write_text(snakemake.output[0], page(content))
    say(f"{len(content.tables)} tables, {len(content.figures)} figures")
