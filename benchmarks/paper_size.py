"""Seconds and memory of a training step of the paper's network, config/paper.yaml, on one core.

python benchmarks/paper_size.py
"""

from pathlib import Path

from measuring import Row, say, section
from scaling import run

from hetspike.data.events.catalogue import extent
from hetspike.documents import read_mapping
from hetspike.settings import PASSES_WITH_GRADIENT
from hetspike.study.estimate import Job, passes
from hetspike.study.study import Study, parse_study

PAPER = Path(__file__).parents[1] / "config/paper.yaml"
SIDE = 128  # of the sensor
KINDS = {"float, modules": "modules", "float, kernels": "float", "QAT at 4 bits, kernels": "qat"}


def measure(*, rounds: int, batch: int) -> list[Row]:
    """Time steps of the paper's network."""
    study = parse_study(read_mapping(str(PAPER)))
    plan = study.datasets["cifar10-dvs"]
    network = plan.network.model_dump(exclude={"architecture"})
    found = []
    for name, kind in KINDS.items():
        say(name)
        size = network | {"kind": kind, "frames": plan.framing.steps, "side": SIDE}
        # one recording first, which compiles the kernels of this size
        row = run(size | {"batch": 1, "steps": 1}, size | {"batch": batch, "steps": rounds})
        found.append({"kind": name, **row, "batch": batch})
    seconds = next(row["seconds"] for row in found if row["kind"] == "float, kernels")
    a_pass = seconds / batch / PASSES_WITH_GRADIENT
    return [*found, {"kind": "study", "hours": passes_of(study) * a_pass / 3600}]


def passes_of(study: Study) -> float:
    """Return the passes of all jobs of a study."""
    total = 0.0
    for dataset, plan in study.datasets.items():
        jobs = [Job("train_float", dataset), Job("evaluate", dataset)]
        jobs += [Job("quantize", dataset, row.name) for row in study.rows[1:]]
        jobs += [Job("search", dataset, row.name) for row in study.rows if row.searched]
        counts = extent(dataset, plan.source)
        assert counts is not None, "published"
        total += sum(passes(study, job, counts) for job in jobs)
    return len(study.seeds) * total


if __name__ == "__main__":
    section(measure, rounds=2, batch=16)
