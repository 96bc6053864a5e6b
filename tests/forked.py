"""Processes that are forked, not started anew: Snakemake, `hetspike`, and the jobs of a study.

A server imports what such processes import and forks a child for each. The child has a folder, an
environment and outputs of its own and goes the whole way of a command line, from its `main` on, in
a tenth of the time. Servers of jobs import the libraries alone: the project's own package is
imported by each job, as it lies there.
"""

import gc
import hashlib
import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

LIBRARIES = (
    *("torch", "torch._dynamo", "spikingjelly.activation_based.functional", "pandas"),
    *("spikingjelly.activation_based.layer", "spikingjelly.activation_based.neuron"),
    *("scipy.stats", "matplotlib.figure", "matplotlib.backends.backend_agg", "yaml"),
    *("pydantic", "safetensors.torch", "snakemake.script"),
)
IMPORTS = {
    "job": LIBRARIES,
    "hetspike": ("hetspike.cli",),
    "snakemake": (
        *("snakemake.cli", "smart_open", "hetspike.documents", "hetspike.study.study"),
        *("snakemake.assets", "snakemake.report.html_reporter.data.packages"),
        *("snakemake.script", "snakemake.storage", "snakemake.workflow"),
    ),
}
OWNER = "FORKED_FOR"  # the process without which servers end, and the folder of their sockets
# read as a process or a library starts: every setting of these variables has servers of its own
AT_START = (
    "OMP_",
    "MKL_",
    "OPENBLAS_",
    "GLIBC_",
    "TORCH",
    "ATEN_",
    "ONEDNN_",
    "NPY_",
    "PYTHONHASH",
)


# In a server


class Starting:
    """The module `sys`, but for what Snakemake starts the script of a job with."""

    executable = f"{sys.executable} -I -S {os.path.abspath(__file__)} job"

    def __getattr__(self, name: str) -> Any:
        return getattr(sys, name)


def run_snakemake() -> None:
    sys.modules["snakemake.script"].sys = Starting()  # type: ignore[attr-defined]
    sys.modules["snakemake.cli"].main()


def run_job() -> None:
    import runpy

    sys.path[:0] = [os.path.dirname(sys.argv[0]), *os.environ["PYTHONPATH"].split(":")]
    runpy.run_path(sys.argv[0], run_name="__main__")


RUNS: dict[str, Callable[[], None]] = {
    "job": run_job,
    "hetspike": lambda: sys.modules["hetspike.cli"].main(),
    "snakemake": run_snakemake,
}


def search_plugins_once() -> None:
    import pkgutil
    import tokenize

    found = [*pkgutil.iter_modules()]  # by every look for plugins; it takes longer than all else
    pkgutil.iter_modules = lambda path=None, prefix="": iter(found)
    with open(__file__, "rb") as file:  # the expressions of the tokenizer
        list(tokenize.tokenize(file.readline))


def become(run: Callable[[], None], connection: socket.socket, files: list[int], asked: Any) -> int:
    """The child: end as the interpreter does, but for clearing all that memory."""
    import atexit
    import threading
    import traceback

    for number, file in zip((0, 1, 2), (os.open(os.devnull, os.O_RDONLY), *files), strict=True):
        os.dup2(file, number)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    sys.argv = asked["argv"]
    signal.alarm(asked["seconds"])  # kills one that hangs
    code: Any = 0
    try:
        run()
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    connection.sendall(b"%d" % (code if isinstance(code, int) else code is not None))
    os._exit(0)


def serve(kind: str, address: str) -> None:
    for name in IMPORTS[kind]:
        import_module(name)
    if kind == "snakemake":
        search_plugins_once()
    owner = int(os.environ[OWNER].partition(":")[0])
    gc.collect()
    gc.freeze()
    children = set()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{address}.new")
        listener.listen(64)
        listener.settimeout(2)
        os.rename(f"{address}.new", address)
        while True:
            children -= {child for child in children if os.waitpid(child, os.WNOHANG)[0]}
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                if not os.path.exists(f"/proc/{owner}"):
                    shutil.rmtree(os.path.dirname(address), ignore_errors=True)
                    return
                continue
            connection.setblocking(True)
            asked, files, *_ = socket.recv_fds(connection, 2**20, 2)
            while not asked.endswith(b"\n"):
                asked += connection.recv(2**20)
            child = os.fork()
            if child == 0:
                listener.close()
                become(RUNS[kind], connection, files, json.loads(asked))
            children.add(child)
            connection.close()
            for file in files:
                os.close(file)


# In who asks


def ask(
    kind: str, argv: list[str], *, cwd: str, env: dict[str, str], files: list[int], seconds: int
) -> int:
    """Run one as a child of the server for such an environment -> its exit code."""
    import fcntl

    loaded = {name: env[name] for name in sorted(env) if name.startswith(AT_START)}
    digest = hashlib.md5(json.dumps(loaded).encode()).hexdigest()
    address = os.path.join(env[OWNER].partition(":")[2], f"{kind}-{digest[:8]}")
    with open(f"{address}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(address):
            start(kind, address, env)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        asked = {"argv": argv, "cwd": cwd, "env": env, "seconds": seconds}
        socket.send_fds(connection, [json.dumps(asked).encode() + b"\n"], files)
        answer = connection.recv(16)
    return int(answer) if answer else -signal.SIGKILL  # which is whatever ended it


def start(kind: str, address: str, env: dict[str, str]) -> None:
    import subprocess
    import time

    own = {name: value for name, value in env.items() if name != "PYTHONPATH"}
    command = [sys.executable, __file__, "serve", kind, address]
    with open(f"{address}.log", "wb") as log:
        server = subprocess.Popen(
            command, env=own, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
            start_new_session=True,
        )  # fmt: skip
    while not os.path.exists(address):
        if server.poll() is not None:
            with open(f"{address}.log") as log:
                sys.exit(f"a server of {kind} ended: {log.read()}")
        time.sleep(0.02)


if __name__ == "__main__":
    _, first, *rest = sys.argv
    if first == "serve":
        serve(*rest)
    else:
        env = dict(os.environ)
        sys.exit(ask(first, rest, cwd=os.getcwd(), env=env, files=[1, 2], seconds=1200))
