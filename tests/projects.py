"""Copies of the project that run, the command lines in them, and what the project published."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import forked
import pytest
import yaml

from hetspike.documents import read

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = ("Snakefile", "config", "environment.yml", "profiles", "src", "workflow")
SMOKE: dict[str, Any] = yaml.safe_load((ROOT / "config/smoke.yaml").read_text())
REAL = ROOT / "../shared/events"  # recordings that are not part of the project

# also for whichever test comes first to the shared study, and those that wait for it
long_run = pytest.mark.timeout(1200)


def shipped(name: str) -> dict[str, Any]:
    """The configuration of a study; one without datasets adds to that of the stand-ins."""
    study, base = (read(ROOT / f"config/{each}.yaml") for each in (name, "stand-ins"))
    return study if "datasets" in study else base | study


def copy_project(source: Path, folder: Path, *names: str) -> Path:
    """The named files and folders, by default all of a project that can run; times are kept."""
    folder.mkdir()
    for name in names or PROJECT:
        copy = shutil.copytree if (source / name).is_dir() else shutil.copy2
        copy(source / name, folder / name)
    # compiled kernels, in a folder that numba names after the one of their sources
    kernels = folder.resolve() / "src/hetspike/kernels"
    for compiled in kernels.glob("__pycache__/kernels-*/kernels_*"):
        digest = hashlib.sha1(str(kernels).encode()).hexdigest()
        compiled.rename(compiled.with_name(f"kernels_{digest}"))
    return folder


@cache
def served() -> str:
    """For whom servers of forked processes run, and the folder of their sockets: they remove it."""
    return f"{os.getpid()}:{tempfile.mkdtemp(prefix='forked-')}"


def forked_run(
    kind: str, *arguments: str, cwd: Path, one_output: bool = False, **env: str
) -> subprocess.CompletedProcess[str]:
    """A process that is forked from one that has imported what it imports."""
    with (
        tempfile.TemporaryFile("w+", errors="backslashreplace") as out,
        tempfile.TemporaryFile("w+", errors="backslashreplace") as err,
    ):
        code = forked.ask(
            kind,
            [kind, *arguments],
            cwd=str(cwd),
            env=os.environ | env | {forked.OWNER: served()},
            files=[out.fileno(), (out if one_output else err).fileno()],
            seconds=600,
        )
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess([*arguments], code, out.read(), err.read())


def snakemake(project: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """A command line of Snakemake in a project; `stdout` holds both outputs."""
    path = str(project / "src")
    return forked_run("snakemake", *arguments, cwd=project, one_output=True, PYTHONPATH=path, **env)


def snakemake_anew(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The same as processes of their own: as a user starts it, on the project's own package."""
    return subprocess.run(
        [sys.executable, "-m", "snakemake", *arguments],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(project / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def output_of(project: Path, *arguments: str) -> str:
    run = snakemake(project, *arguments)
    assert run.returncode == 0, run.stdout
    return run.stdout


def write_study(project: Path, study: dict[str, Any]) -> str:
    (project / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    return "study.yaml"


def results(project: Path) -> dict[str, str]:
    """Result file -> md5, logs and report excepted: they tell the time that jobs took."""
    paths = (path for path in (project / "results").rglob("*") if path.is_file())
    names = {path: path.relative_to(project / "results").as_posix() for path in paths}
    return {
        name: hashlib.md5(path.read_bytes()).hexdigest()
        for path, name in sorted(names.items())
        if "logs" not in path.parts and not path.name.startswith("report.html")
    }


def run_smoke(project: Path, cores: int, *targets: str) -> Path:
    """The smoke study. Sets have another order in each run, as in processes of their own."""
    study = ("--configfile", "config/smoke.yaml")
    done = snakemake(project, "--cores", str(cores), *targets, *study, PYTHONHASHSEED=str(cores))
    assert done.returncode == 0, done.stdout
    return project


def once_for_all(
    folders: pytest.TempPathFactory, worker_id: str, name: str, make: Callable[[Path], Path]
) -> Path:
    """A project that the first of the test processes makes. Copy it before you change it."""
    own = folders.getbasetemp()
    shared = own if worker_id == "master" else own.parent
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / name).exists():
            make(folders.mktemp(name) / "project").rename(shared / name)
    return shared / name


def planned(project: Path, study: str = "config/smoke.yaml") -> dict[str, int]:
    """Rule -> number of jobs that a dry run lists."""
    listing = output_of(project, "--dry-run", "--configfile", study)
    jobs = {rule: int(n) for rule, n in re.findall(r"^(\w+) +(\d+)$", listing, re.MULTILINE)}
    assert jobs or "Nothing to be done" in listing
    return {rule: n for rule, n in jobs.items() if rule not in ("all", "total")}


def complaint(project: Path, study: dict[str, Any], *arguments: str) -> str:
    """The one line that a failing run has for its user, among the last that it prints."""
    run = snakemake(
        project, "--cores", "1", *arguments, "--configfile", write_study(project, study)
    )
    assert run.returncode != 0, run.stdout
    assert "Traceback" not in run.stdout
    lines = run.stdout.splitlines()
    (line,) = {line for line in lines if line.startswith("hetspike: ")}
    assert lines[-5:].count(line) == 1
    return line


def small_study(dataset: str, **source: Any) -> dict[str, Any]:
    """One dataset, one seed, one epoch."""
    plan = deepcopy(SMOKE["datasets"]["sim-gestures"]) | {"source": source}
    recipe = SMOKE["float_training"] | {"epochs": 1, "warmup_epochs": 0}
    return SMOKE | {"datasets": {dataset: plan}, "seeds": [0], "float_training": recipe}


def published(stage: str) -> dict[str, bytes]:
    """What a stage of dvc.yaml published, by name, from the in-repository store."""
    contents = {}
    for out in yaml.safe_load((ROOT / "dvc.lock").read_text())["stages"][stage]["outs"]:
        stored = ROOT / "dvcstore/files/md5" / out["md5"][:2] / out["md5"][2:]
        contents[out["path"]] = stored.read_bytes()
        assert hashlib.md5(contents[out["path"]]).hexdigest() == out["md5"]
    return contents


COMMAND = Path(sys.executable).with_name("hetspike")


def hetspike(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A command line of `hetspike`."""
    return forked_run("hetspike", *arguments, cwd=cwd)
