"""What a trained model does on the test split: its predictions and its measured operations."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from spikingjelly.activation_based.op_counter import (
    ACCounter,
    BaseCounter,
    DispatchCounterMode,
    MACCounter,
)
from torch import nn

from hetspike.cost import FLOAT_BITS
from hetspike.names import FLOAT
from hetspike.quantizer import Assignment, quantizable_layers
from hetspike.train import Samples, logits_of

aten = torch.ops.aten
SYNAPTIC = {aten.convolution.default: 0, aten.mm.default: 0, aten.addmm.default: 1}  # op -> input
ATTENTION = {aten.bmm.default: 0}
BATCH = 150  # the counters look at every operation in Python: fewer and larger ones


class Operation(NamedTuple):
    """One row of the cost model: a layer, or the attention products of a module.

    macs and acs are mean counts per recording over all T steps, as the field counts them: the
    first layer, which sees event counts, multiplies wherever the frames are not spikes; every
    later layer accumulates once for each weight that a non-zero input meets, also where that input
    is a small integer or a mean.
    """

    layer: str
    scheme: str
    bits: int
    weights: int
    macs: float
    acs: float


def _as_spikes(rule: Callable[..., int], position: int) -> Callable[..., int]:
    """A counting rule that sees the operation's input as spikes: non-zero or not."""

    def count(args: tuple, kwargs: dict, out: Any) -> int:
        return rule((*args[:position], args[position].ne(0), *args[position + 1 :]), kwargs, out)

    return count


def predict_and_count(
    model: nn.Module, samples: Samples, assignment: Assignment
) -> tuple[list[int], list[Operation]]:
    """Predicted classes [R] and the operations that they took, from one pass over the samples.

    `model` holds plain weights (`quantizer.freeze`); `assignment` says what they were stored as.
    The counting is SpikingJelly's; batch norm and residual additions are left out.
    """
    macs, acs = MACCounter(), ACCounter()
    macs.rules = {op: macs.rules[op] for op in SYNAPTIC}
    acs.rules = {op: _as_spikes(acs.rules[op], at) for op, at in SYNAPTIC.items()} | {
        op: acs.rules[op] for op in ATTENTION
    }
    with DispatchCounterMode([macs, acs]):
        predictions = logits_of(model, samples, BATCH).argmax(1).tolist()

    def per_recording(counter: BaseCounter, module: str, ops: Iterable) -> float | None:
        """Mean count of these operations inside a module; None where it has none."""
        counts = counter.get_counts().get(f"{type(model).__name__}.{module}", {})
        found = [counts[op] for op in ops if op in counts]
        return sum(found) / len(predictions) if found else None

    operations: list[Operation] = []
    for name, layer in quantizable_layers(model).items():
        scheme, bits = assignment.get(name, (FLOAT, FLOAT_BITS))
        multiplied = 0.0 if operations else per_recording(macs, name, SYNAPTIC) or 0.0
        accumulated = 0.0 if multiplied else per_recording(acs, name, SYNAPTIC) or 0.0
        weights = layer.weight.numel()
        operations.append(Operation(name, scheme, bits, weights, multiplied, accumulated))
    for name, module in model.named_modules():
        counted = per_recording(acs, name, ATTENTION) if name else None
        inside = [
            per_recording(acs, f"{name}.{child}", ATTENTION) for child, _ in module.named_children()
        ]
        if counted is not None and all(each is None for each in inside):
            operations.append(Operation(f"{name}: attention", "", 0, 0, 0.0, counted))
    return predictions, operations
