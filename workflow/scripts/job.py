"""A job of a rule: `main` of the first of its files of code, in a moment where a server is there.

What is imported here costs every job its time, so no more than this is.
"""

import os
import pickle
import socket
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from jobs import described, run

ADDRESS = "HETSPIKE_JOB_SERVER"
RUNS = b"r"  # the server says that it runs a job, before the byte that is its exit status


def by_server(snakemake: Any) -> int | None:
    """Have the server run a job; return its exit status, or None where no server can run it."""
    if not (address := os.environ.get(ADDRESS)):
        return None
    with socket.socket(socket.AF_UNIX) as server:
        try:
            server.connect(address)
            server.sendall(pickle.dumps((sys.executable, snakemake)))
            if server.recv(1) != RUNS:
                return None
        except OSError:
            return None
        if not (status := server.recv(1)):
            raise SystemExit(
                f"hetspike: {described(snakemake)}: its process was killed: was memory short?"
            )
    return status[0]


def by_itself(snakemake: Any) -> None:
    run(import_module(Path(snakemake.input.code[0]).stem).main, snakemake)


if "snakemake" in globals():
    if (status := by_server(snakemake)) is None:  # type: ignore[name-defined]  # Snakemake puts it here
        by_itself(snakemake)  # type: ignore[name-defined]
    elif status:
        sys.exit(status)
