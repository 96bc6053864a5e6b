"""CPU seconds of one step of 32 recordings: ours, stock SpikingJelly's, Brevitas', a supernet's.

    python benchmarks/steps.py

One process and one thread; steps of all kinds in turn. The network is the Spikformer of the default
study; stock SpikingJelly's has its pools elsewhere, so it is compared with ours of the same pools.
"""

import time

import torch
from measuring import (
    CANDIDATES,
    Row,
    Step,
    by_modules,
    in_turn,
    in_uniform_4,
    inference,
    middle,
    mixed,
    samples,
    section,
    spikformer,
    training,
)
from peers import of_brevitas, stock, supernet
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from hetspike.inspection.layers import quantizable_layers

TWO_POOLS = (False, False, True, True)  # SpikingJelly's at patch_size 4
PEAK = 2048  # rows and columns of the matrices whose product measures the peak


def steps(batch: tuple[Tensor, Tensor]) -> dict[tuple[str, str], Step]:
    """Return a step for each task, and each way to do it."""
    frames, _ = batch
    model, answer = stock()
    idle, idle_answer = stock()
    return {
        ("float training, pools of stock", "stock SpikingJelly"): training(model, batch, answer),
        ("float training, pools of stock", "modules"): training(
            by_modules(spikformer(pools=TWO_POOLS)), batch
        ),
        ("float training, pools of stock", "kernels"): training(spikformer(pools=TWO_POOLS), batch),
        ("float training", "modules"): training(by_modules(spikformer()), batch),
        ("float training", "kernels"): training(spikformer(), batch),
        ("QAT, 4 bits", "Brevitas"): training(of_brevitas(), batch),
        ("QAT, 4 bits", "modules"): training(by_modules(in_uniform_4(spikformer())), batch),
        ("QAT, 4 bits", "kernels"): training(in_uniform_4(spikformer()), batch),
        ("search, 8 candidates", "supernet"): training(supernet(spikformer()), batch),
        ("search, 8 candidates", "kernels: dnas, weights"): training(
            mixed(spikformer(), None, CANDIDATES), batch
        ),
        ("search, 8 candidates", "kernels: dnas, logits"): training(
            mixed(spikformer(), 1.0, CANDIDATES), batch
        ),
        ("inference, pools of stock", "stock SpikingJelly"): inference(idle, frames, idle_answer),
        ("inference, pools of stock", "kernels"): inference(spikformer(pools=TWO_POOLS), frames),
        ("inference", "modules"): inference(by_modules(spikformer()), frames),
        ("inference", "kernels"): inference(spikformer(), frames),
    }


def dense_flop(step: Step) -> int:
    """Return the operations of a step as if nothing were zero."""
    with FlopCounterMode(display=False) as counter:  # a mode, under which the modules run
        step()
    return counter.get_total_flops()


def share_not_zero(frames: Tensor) -> float:
    """Return the share of the inputs of layers that are not zero, of all layers together."""
    model, counted = spikformer(), torch.zeros(2)

    def count(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        counted.add_(torch.tensor([float(inputs[0].count_nonzero()), inputs[0].numel()]))

    for each in quantizable_layers(model).values():
        each.register_forward_hook(count)
    with torch.no_grad():
        model(frames)
    active, every = counted.tolist()
    return active / every


def measure(*, rounds: int) -> list[Row]:
    """Time steps of training, QAT, search and inference."""
    batch = samples("sim-gestures", 32).batch(torch.arange(32))
    matrix = torch.rand(PEAK, PEAK)
    kinds = steps(batch)
    peak = "", "matrix product"
    taken = in_turn(kinds | {peak: lambda: matrix @ matrix}, rounds, time.thread_time)
    fastest = 2 * PEAK**3 / min(taken.pop(peak))
    found = []
    for (task, kind), seconds in taken.items():
        flop = dense_flop(kinds[task, kind])
        row = {"task": task, "kind": kind, **middle(seconds), "flop": flop}
        found.append(row | {"share": flop / row["seconds"] / fastest})
    about = {"task": "", "kind": "peak", "flop_a_second": fastest}
    return [*found, about | {"not_zero": share_not_zero(batch[0])}]


if __name__ == "__main__":
    section(measure, rounds=15)
