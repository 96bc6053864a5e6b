"""What `kernels: portable` costs, and whether an older processor's kernels give the same bits.

    python benchmarks/portable.py

Every training runs in a process of its own: in float, then at 4 bits, on recordings of
sim-gestures. `instructions` says what the libraries use and what the kernels are compiled for.
"""

import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from measuring import Row, in_uniform_4, samples, say, section, spikformer
from one_job import RECIPE

from hetspike.data.samples import Samples
from hetspike.study.instructions import PORTABLE
from hetspike.training.loop import fit

# of the year 2013, with AVX2 and without AVX-512
HASWELL = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma"}
INSTRUCTIONS = {"fastest": {}, "portable": PORTABLE, "portable, Haswell": PORTABLE | HASWELL}


def train(recordings: int) -> None:
    """Train in float and at 4 bits; print CPU seconds and a digest of all weights."""
    torch.set_num_threads(1)
    given = samples("sim-gestures", recordings)
    validation = Samples(given.frames[:11], given.labels[:11])
    model = spikformer()
    fit(model, given, validation, RECIPE, seed=0)  # compiles or loads the kernels
    start = time.process_time()
    digest = hashlib.sha256()
    for each in (model, in_uniform_4(model)):
        fit(each, given, validation, RECIPE, seed=0)
        for weights in each.state_dict().values():
            digest.update(weights.contiguous().numpy().tobytes())
    print(json.dumps({"seconds": time.process_time() - start, "digest": digest.hexdigest()}))


def measure(*, recordings: int, rounds: int) -> list[Row]:
    """Train under each kind of instructions in turn."""
    found: dict[str, list[Row]] = {name: [] for name in INSTRUCTIONS}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(rounds):
            say(f"round {turn + 1} of {rounds}")
            for name, variables in INSTRUCTIONS.items():
                cache = {"NUMBA_CACHE_DIR": folder} if "NUMBA_CPU_NAME" in variables else {}
                run = subprocess.run(
                    [sys.executable, "-c", f"import portable; portable.train({recordings})"],
                    cwd=Path(__file__).parent,
                    env=os.environ | variables | cache,
                    stdout=subprocess.PIPE,
                    check=True,
                )
                found[name].append(json.loads(run.stdout))
    return [
        {
            "instructions": name,
            "seconds": statistics.median(run["seconds"] for run in runs),
            "digests": sorted({run["digest"] for run in runs}),
        }
        for name, runs in found.items()
    ]


if __name__ == "__main__":
    section(measure, recordings=330, rounds=3)
