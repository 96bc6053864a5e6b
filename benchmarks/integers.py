"""Bytes of packed files, and seconds of the integer engine, against the float network.

    python benchmarks/integers.py

The network is trained for two epochs first, so that its neurons fire as those of a trained one do.
"""

import io
import time
from functools import partial

import torch
from measuring import (
    CLASSES,
    NETWORK,
    Row,
    Step,
    by_modules,
    in_turn,
    middle,
    samples,
    section,
    spikformer,
)
from one_job import RECIPE

from hetspike.data.samples import Samples
from hetspike.inspection.inference import logits_of
from hetspike.inspection.layers import copied
from hetspike.packed.engine import Engine
from hetspike.packed.packing import EXAMPLES, pack, read
from hetspike.quantization.quantizer import Choice, quantize, single_scheme
from hetspike.training.loop import fit

CHOICES = [("uniform", 8), ("uniform", 4), ("uniform", 3), ("pot", 3), ("uniform", 2)]
RECORDINGS = 300  # that run on the engine


def measure(*, recordings: int, rounds: int) -> list[Row]:
    """Time the engine and the float network on the same recordings, and weigh their files."""
    train = samples("sim-gestures", recordings)
    tested = Samples(train.frames[:RECORDINGS], train.labels[:RECORDINGS])
    model = spikformer()
    fit(model, train, tested, RECIPE.model_copy(update={"epochs": 2}), seed=0)
    example = tested.frames[:EXAMPLES].transpose(0, 1).float()
    state = io.BytesIO()
    torch.save(model.state_dict(), state)
    modules = by_modules(copied(model))
    kinds: dict[str, Step] = {
        "float, modules": partial(logits_of, modules, tested),
        "float, kernels": partial(logits_of, model, tested),
    }
    sizes = dict.fromkeys(kinds, len(state.getvalue()))
    network = {"architecture": "spikformer", **NETWORK}
    for scheme, bits in CHOICES:
        quantized = quantize(model, single_scheme(model, Choice(scheme, bits), {}))
        data = pack(quantized, example, network=network, classes=CLASSES)
        engine = Engine(read(data))
        name = f"integers, {scheme} at {bits} bits"
        kinds[name] = partial(engine.run, tested.frames)
        sizes[name] = len(data)
    taken = in_turn(kinds, rounds, time.process_time)
    count = len(tested.labels)
    return [
        {"kind": name, **middle(taken[name]), "bytes": sizes[name], "recordings": count}
        for name in kinds
    ]


if __name__ == "__main__":
    section(measure, recordings=1000, rounds=3)
