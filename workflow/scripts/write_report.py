"""Everything of a study on one HTML page: tables, figures, rules, settings, machine and times."""

import json
import os
import platform
import re
from importlib.metadata import version
from pathlib import Path

import torch
import yaml
from jobs import Named, Say, seconds_of, write_text
from reading import read_json

from hetspike.atomic import intact
from hetspike.results.findings import Finding
from hetspike.results.flow import drawing
from hetspike.results.report import Content, Table, page

PACKAGES = (
    *("hetspike", "torch", "spikingjelly", "tonic", "numpy", "scipy", "pandas", "scikit-learn"),
    *("matplotlib", "safetensors", "pydantic", "snakemake", "dvc"),
)


def as_yaml(config: Named) -> str:
    """Short lines, and what stands in several places written out in each."""
    written_out = json.loads(json.dumps(config))
    return yaml.safe_dump(written_out, sort_keys=False, default_flow_style=None)


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


def main(*, input: Named, output: Named, params: Named, config: Named, say: Say) -> None:
    shown = read_json(input["shown"])
    content = Content(
        study=params["study"],
        findings=[Finding(**each) for each in shown["findings"]],
        tables={name: Table(**table) for name, table in shown["tables"].items()},
        figures={path.stem: intact(path) for path in map(Path, input["figures"])},
        workflow=drawing(params["edges"]),
        configuration=as_yaml(config),
        software={"Python": platform.python_version()} | {name: version(name) for name in PACKAGES},
        machine=machine(),
        seconds={
            rule: [took for log in logs if (took := seconds_of(Path(log))) is not None]
            for rule, logs in params["logs"].items()
        },
    )
    write_text(output["page"], page(content))
    say(f"{len(content.tables)} tables, {len(content.figures)} figures")
