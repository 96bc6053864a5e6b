"""Jobs that are forked from a server: what they say, and that none outlives who asked for it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from projects import ROOT

SCRIPTS = ROOT / "workflow/scripts"
SCRIPT = """
import os, time
def main(*, input, say):
    from hetspike.errors import UserError
    say("here")
    match open(input["what"]).read():
        case "right":
            say(f"child of {os.getppid()}")
        case "wrong":
            raise UserError("no such thing")
        case "broken":
            1 / 0
        case _:
            time.sleep(60)
"""
JOB = """
class Named(dict):
    __getattr__ = dict.__getitem__

class Job:
    rule, wildcards = "a_rule", ["0"]

    def __init__(self, what):
        self.input = Named(code=["a_script.py"], what=what)
        self.log = [f"{what}.log"]
"""
LAUNCH = """
import sys
from a_job import Job
import job
status = job.by_server(Job(sys.argv[1]))
sys.exit(99 if status is None else status)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("jobs")
    for name, content in (("a_script", SCRIPT), ("a_job", JOB), ("launch", LAUNCH)):
        (folder / f"{name}.py").write_text(content)
    return folder


def surroundings(folder: Path) -> dict[str, Any]:
    paths = {"PYTHONPATH": f"{folder}:{SCRIPTS}", "HETSPIKE_JOB_SERVER": str(folder / "jobs")}
    return {"env": os.environ | paths, "cwd": folder, "text": True}


@contextmanager
def serving(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A server that has no networks to prepare. What it and its jobs say lies in `said`."""
    (folder / "jobs").unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener, (folder / "said").open("w") as said:
        listener.bind(str(folder / "jobs"))
        listener.listen()
        process = subprocess.Popen(
            [sys.executable, SCRIPTS / "job_server.py", str(listener.fileno()), "[]"],
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=subprocess.STDOUT,
            pass_fds=[listener.fileno()],
            **surroundings(folder),
        )
    with process:
        yield process


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[subprocess.Popen[str]]:
    with serving(folder) as process:
        yield process


def launched(folder: Path, what: str) -> subprocess.Popen[str]:
    """What Snakemake starts for a job."""
    (folder / what).write_text(what)
    return subprocess.Popen(
        [sys.executable, "launch.py", what], stderr=subprocess.PIPE, **surroundings(folder)
    )


def forked(process: subprocess.Popen[str], launcher: subprocess.Popen[str]) -> psutil.Process:
    """The child of a server that does a launcher's job, once it runs; others may be ending."""
    asked = psutil.Process(launcher.pid).create_time()
    for _ in range(600):
        for child in psutil.Process(process.pid).children():
            with suppress(psutil.NoSuchProcess):
                if child.create_time() >= asked:
                    return child
        time.sleep(0.1)
    raise AssertionError("no job was forked")


def test_a_job_is_a_child_of_the_server_and_ends_as_any_other(server, folder):
    ends = {what: launched(folder, what).wait() for what in ("right", "wrong", "broken")}
    assert ends == {"right": 0, "wrong": 1, "broken": 1}
    said = (folder / "said").read_text()
    assert f"a_rule 0: child of {server.pid}, 0 s\n" in said
    assert "\nhetspike: a_rule 0: no such thing\n" in said
    assert "ZeroDivisionError" in said


def test_a_job_that_is_killed_is_named(server, folder):
    launcher = launched(folder, "long")
    forked(server, launcher).kill()
    assert launcher.wait() == 1
    assert launcher.stderr
    line = "hetspike: a_rule 0: its process was killed: was memory short?\n"
    assert launcher.stderr.read() == line


def test_a_job_ends_with_the_process_that_asked_for_it(server, folder):
    launcher = launched(folder, "long")
    job = forked(server, launcher)
    launcher.kill()
    assert psutil.wait_procs([job], timeout=20) == ([job], [])


def test_a_job_whose_code_is_newer_than_the_server_runs_by_itself(server, folder):
    later = time.time() + 10
    os.utime(folder / "a_script.py", (later, later))
    assert launched(folder, "right").wait() == 99


def test_a_job_ends_with_snakemake(folder):
    os.utime(folder / "a_script.py", (0, 0))
    with serving(folder) as process:
        launcher = launched(folder, "long")
        job = forked(process, launcher)
        assert process.stdin
        process.stdin.close()
        assert psutil.wait_procs([job], timeout=20) == ([job], [])
        assert launcher.wait() == 1


def test_without_a_server_a_job_runs_by_itself(folder):
    (folder / "jobs").unlink()
    assert launched(folder, "right").wait() == 99
    with socket.socket(socket.AF_UNIX) as listener:  # of one that has ended
        listener.bind(str(folder / "jobs"))
    assert launched(folder, "right").wait() == 99
