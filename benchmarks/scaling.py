"""Time and memory of training against the size of everything, beside the law that one expects.

    python benchmarks/scaling.py

Each point is a process of its own. A law is a power of the size: 1 is linear, 0 is constant.
"""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from measuring import Row, say, section

ONE_JOB = Path(__file__).parent / "one_job.py"
READY = 20  # seconds after which jobs that run side by side begin
FEW = {"batch": 2, "recordings": 0, "steps": 1}  # loads what a job needs
CORES = len(os.sched_getaffinity(0))


class Factor(NamedTuple):
    """What grows, and the laws that one expects of it.

    option  of `one_job`, that has the values
    kind    of a job
    """

    name: str
    option: str
    values: list[int]
    time_law: float
    memory_law: float
    kind: str = "float"


FACTORS = [
    Factor("time steps", "frames", [1, 2, 4, 8, 16], 1, 1),
    # a dense product has W x W weights; what is kept for the way back has W channels. The first
    # convolution has W / 8, of which the kernels take multiples of 8
    Factor("width", "width", [64, 128, 192, 256], 2, 1),
    Factor("blocks", "depth", [1, 2, 4, 8], 1, 1),
    # an epoch; the frames are bytes, and few beside what a batch needs
    Factor("recordings", "recordings", [125, 250, 500, 1000], 1, 0),
    # dnas mixes weights, which are few; a supernet mixes what layers compute
    Factor("candidates, dnas", "candidates", [2, 4, 8], 0, 0, "dnas"),
    Factor("candidates, supernet", "candidates", [2, 4, 8], 1, 1, "supernet"),
    Factor("jobs side by side", "", [n for n in (1, 2, 4, 8, 16, 32) if n <= CORES], 0, 1),
]


def run(*jobs: dict[str, Any]) -> Row:
    """Run jobs one after the other in a process of their own; return the row of the last."""
    command = [sys.executable, str(ONE_JOB), json.dumps(jobs)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def together(jobs: int, options: dict[str, Any]) -> Row:
    """Run equal jobs side by side: their mean time, and all their memory."""
    with ThreadPoolExecutor(jobs) as threads:
        starts = {"starts": time.time() + READY}
        found = list(threads.map(run, [FEW] * jobs, [options | starts] * jobs))
    means = {name: sum(each[name] for each in found) / jobs for name in found[0]}
    return means | {"memory": jobs * means["memory"], "peak": jobs * means["peak"]}


def options_of(factor: Factor, value: int) -> dict[str, Any]:
    """Return the options of the job at a value."""
    options = {"kind": factor.kind} | ({factor.option: value} if factor.option else {})
    # heads stay as wide as in the default study
    return options | ({"heads": value // 16} if factor.option == "width" else {})


def measure(*, rounds: int, points: int) -> list[Row]:
    """Time jobs of every size."""
    sizes = [(factor, value) for factor in FACTORS for value in factor.values[:points]]
    say("kernels of all sizes")  # compiled here, where nobody measures the memory
    run(*(options_of(factor, value) | FEW for factor, value in sizes))
    found = []
    for factor, value in sizes:
        say(f"{factor.name}: {value}")
        options = options_of(factor, value)
        if not factor.option:
            row = together(value, options | {"steps": 4 * rounds})
        else:
            steps = 1 if factor.option == "recordings" else rounds
            row = run(options | FEW, options | {"steps": steps})
        laws = {"time_law": factor.time_law, "memory_law": factor.memory_law}
        found.append({"factor": factor.name, "value": value, **row, **laws})
    return found


if __name__ == "__main__":
    section(measure, rounds=7, points=9)
