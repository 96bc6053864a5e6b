"""A process that has imported what jobs need and forks them: `python job_server.py FD NETWORKS`.

The imports of a job (torch, SpikingJelly, compiled kernels) take longer than many jobs do. A study
has hundreds of jobs, so they are imported once. A forked job is a process of its own, as any other.

It listens on the socket FD. It ends with its standard input, and that ends with Snakemake, in
whatever way; so do the jobs that it forked. A job also ends with the process that asked for it.
NETWORKS are the settings of the networks of the study, as JSON, whose kernels are loaded.
"""

import contextlib
import json
import os
import pickle
import select
import signal
import socket
import sys
import threading
import time
import traceback
from functools import partial
from importlib import import_module
from typing import Any

from job import RUNS, by_itself

SCRIPTS = (  # those that most jobs run
    *("train_float", "train_quantized", "train_linear", "score_candidates", "search_assignment"),
    *("pack_network", "evaluate_test", "make_frames"),
)


def prepare(networks: list[dict[str, Any]]) -> None:
    """Import what jobs need, and load the kernels of these networks."""
    for module in ("snakemake.script", *SCRIPTS):
        import_module(module)
    from hetspike.networks import network_settings
    from hetspike.study.warm import warm_up

    warm_up(map(network_settings, networks), partial(print, flush=True))


def serve(listener: socket.socket, started: float) -> None:
    """Fork a job for every connection, until the standard input ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Snakemake decides what an interruption ends
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in ready:
            return
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            answer(connection, started)
        connection.close()


def answer(connection: socket.socket, started: float) -> None:
    """Run the job that a connection asks for, and end the process."""
    status = 1
    try:
        with connection.makefile("rb") as stream:
            executable, snakemake = pickle.load(stream)
        changed = max(map(os.path.getmtime, snakemake.input.code)) >= started
        if executable == sys.executable and not changed:  # else it runs by itself, as it is now
            connection.sendall(RUNS)
            threading.Thread(target=end_with, args=[connection], daemon=True).start()
            by_itself(snakemake)
            status = 0
    except SystemExit as error:  # an error of one line
        print(error, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        with contextlib.suppress(OSError):
            connection.sendall(bytes([status]))
        os._exit(status)


def end_with(connection: socket.socket) -> None:
    """End the process when the one that asked for its job ends, or Snakemake."""
    select.select([connection, sys.stdin], [], [])
    os._exit(1)


if __name__ == "__main__":
    now = time.time()
    with socket.socket(fileno=int(sys.argv[1])) as inherited:
        prepare(json.loads(sys.argv[2]))
        serve(inherited, now)
