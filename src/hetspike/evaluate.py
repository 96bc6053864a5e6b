"""What a trained model does on the test split: its predictions and its measured operations.

Pairs of an input and a weight are counted by SpikingJelly; what else the costs depend on (how many
inputs are not zero, which are no spikes, how large they get) is seen by hooks on the same pass.
"""

import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from spikingjelly.activation_based import neuron
from spikingjelly.activation_based.op_counter import ACCounter, DispatchCounterMode
from torch import Tensor, nn

from hetspike.energy import NEURONS, OTHER, PRODUCTS, SYNAPSES
from hetspike.names import FLOAT
from hetspike.quantizer import Assignment, quantizable_layers
from hetspike.samples import Samples
from hetspike.sizes import FLOAT_BITS, NUMBER_BITS
from hetspike.train import logits_of

aten = torch.ops.aten
SYNAPTIC = {aten.convolution.default: 0, aten.mm.default: 0, aten.addmm.default: 1}  # op -> input
ATTENTION = aten.bmm.default
FINEST = 16  # bits after the point that an input may have
BATCH = 150  # every operation passes through Python: fewer and larger ones


class Operation(NamedTuple):
    """One row of the cost model, a layer's synapses, a module's attention or a layer of neurons.

    What is counted is counted for a recording, over all T steps, as a mean over the recordings.

    scheme, bits  of the weights
    weights       how many there are
    numbers       what else is stored for the layer (scales, biases), number_bits each
    fan_in        inputs of one accumulator
    inputs        values that come in; for neurons: updates of a potential
    active        inputs that are not zero; for neurons: spikes
    not_binary    inputs that are neither 0 nor 1
    value_bits    width of the largest input; of attention: of its largest sum
    outputs       accumulators, or potentials, that are kept from step to step
    dense         pairs of an input and a weight; 0 for attention
    macs, acs     pairs whose input is not zero (of attention: whose two values are not), MACs
                  where some input of the layer is neither 0 nor 1, ACs where all are
    """

    layer: str
    kind: str
    scheme: str = ""
    bits: int = 0
    weights: int = 0
    numbers: int = 0
    number_bits: int = 0
    fan_in: int = 0
    inputs: float = 0.0
    active: float = 0.0
    not_binary: float = 0.0
    value_bits: int = 0
    outputs: float = 0.0
    dense: float = 0.0
    macs: float = 0.0
    acs: float = 0.0


@dataclass
class Seen:
    """What passed a place of the network so far."""

    values: int = 0
    active: int = 0
    not_binary: int = 0
    largest: float = 0.0
    fraction: int = 0  # bits after the point
    outputs: int = 0

    def look(self, x: Tensor, output: Tensor) -> None:
        nonzero = int(x.count_nonzero())
        others = nonzero - int((x == 1).count_nonzero())
        self.values += x.numel()
        self.active += nonzero
        self.not_binary += others
        self.outputs += output.numel()
        if others:
            self.largest = max(self.largest, float(x.abs().max()))
            while self.fraction < FINEST and bool((x * 2**self.fraction).frac().any()):
                self.fraction += 1
        elif nonzero:
            self.largest = max(self.largest, 1.0)

    @property
    def bits(self) -> int:
        """Width of the largest value in fixed point, without a sign."""
        return math.ceil(self.largest * 2**self.fraction).bit_length()


class CounterMode(DispatchCounterMode):
    """SpikingJelly's mode, which hands operations to counters, without those that none counts.

    It writes down the name of each of these, which takes longer than most of them take to run: of
    thousands in a batch only convolutions and products have a rule.
    """

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: Any = None
    ) -> Any:
        if any(counter.has_rule(func) for counter in self.counters):
            return super().__torch_dispatch__(func, types, args, kwargs)
        return func(*args, **(kwargs or {}))


class Pairs(ACCounter):
    """SpikingJelly's count of what meets a weight, for inputs that are not zero.

    Spikes or not: an integer counts once. Of attention's products it keeps the largest as well.
    """

    def __init__(self) -> None:
        super().__init__()
        rules = ACCounter().rules
        spikes = {op: _as_spikes(rules[op], at) for op, at in SYNAPTIC.items()}
        self.rules = {**spikes, ATTENTION: _where_both_are_active}
        self.largest: dict[str, int] = defaultdict(int)

    def count(
        self,
        func: Any,
        args: tuple,
        kwargs: dict,
        out: Any,
        active_modules: set[nn.Module] | None = None,
        parent_names: set[str] | None = None,
    ) -> int:
        if func is ATTENTION:
            top = int(out.max())
            for scope in parent_names or ():
                self.largest[scope] = max(self.largest[scope], top)
        return super().count(func, args, kwargs, out, active_modules, parent_names)


def predict_and_count(
    model: nn.Module, samples: Samples, assignment: Assignment
) -> tuple[list[int], list[Operation]]:
    """Predicted classes [R] and the operations that they took, from one pass over the samples.

    `model` holds plain weights (`packing.unpack`); `assignment` says what they are stored as.
    Residual additions, pools and means are left out, as the field does.
    """
    pairs = Pairs()
    layers = quantizable_layers(model)
    neurons = {
        name: each for name, each in model.named_modules() if isinstance(each, neuron.BaseNode)
    }
    seen: dict[str, Seen] = defaultdict(Seen)
    hooks = [
        layer.register_forward_hook(
            lambda _, inputs, output, name=name: seen[name].look(inputs[0], output)
        )
        for name, layer in layers.items()
    ]
    hooks += [
        each.register_forward_hook(
            lambda _, inputs, output, name=name: seen[name].look(output, output)
        )
        for name, each in neurons.items()
    ]
    try:
        with CounterMode([pairs]):
            predictions = logits_of(model, samples, BATCH).argmax(1).tolist()
    finally:
        for hook in hooks:
            hook.remove()
    recordings, steps = samples.frames.shape[:2]

    counts = pairs.get_counts()

    def scope(module: str) -> str:
        return f"{type(model).__name__}.{module}"

    def met(module: str, *ops: Any) -> float | None:
        """Pairs a recording in these operations of a module; None where it has none."""
        found = [count for op, count in counts.get(scope(module), {}).items() if op in ops]
        return sum(found) / recordings if found else None

    operations = []
    for name, layer in layers.items():
        passed = seen[name]
        active_pairs = met(name, *SYNAPTIC)
        assert active_pairs is not None, (
            f"{name} never ran, or multiplies by an uncounted operation"
        )
        channels = layer.weight.shape[0]
        quantized = name in assignment
        scheme, bits = assignment.get(name, (FLOAT, FLOAT_BITS))
        operations.append(
            Operation(
                layer=name,
                kind=SYNAPSES,
                scheme=scheme,
                bits=bits,
                weights=layer.weight.numel(),
                numbers=channels * ((layer.bias is not None) + quantized),
                number_bits=NUMBER_BITS if quantized else FLOAT_BITS,
                fan_in=layer.weight.numel() // channels,
                inputs=passed.values / recordings,
                active=passed.active / recordings,
                not_binary=passed.not_binary / recordings,
                value_bits=passed.bits,
                outputs=passed.outputs / recordings / steps,
                dense=passed.outputs / recordings * (layer.weight.numel() // channels),
                macs=active_pairs if passed.not_binary else 0.0,
                acs=0.0 if passed.not_binary else active_pairs,
            )
        )
    for name, module in model.named_modules():
        multiplied = met(name, ATTENTION) if name else None
        inside = [met(f"{name}.{child}", ATTENTION) for child, _ in module.named_children()]
        if multiplied is not None and all(each is None for each in inside):
            operations.append(
                Operation(
                    f"{name}: attention",
                    PRODUCTS,
                    *(("", 0) if assignment else (FLOAT, FLOAT_BITS)),
                    value_bits=pairs.largest[scope(name)].bit_length(),
                    acs=multiplied,
                )
            )
    for name in neurons:
        passed = seen[name]
        operations.append(
            Operation(
                name,
                NEURONS,
                inputs=passed.values / recordings,
                active=passed.active / recordings,
                value_bits=1,
                outputs=passed.outputs / recordings / steps,
            )
        )
    inside_layers = sum(p.numel() for layer in layers.values() for p in layer.parameters())
    if others := sum(p.numel() for p in model.parameters()) - inside_layers:
        operations.append(Operation("other", OTHER, numbers=others, number_bits=FLOAT_BITS))
    return predictions, operations


def _as_spikes(rule: Callable[..., int], position: int) -> Callable[..., int]:
    """A counting rule that sees the operation's input as spikes: non-zero or not.

    And weights that are never 0 or 1, since of two sets of spikes it would count the coincidences.
    """

    def count(args: tuple, kwargs: dict, out: Any) -> int:
        before, (x, weight, *others) = args[:position], args[position:]
        return rule((*before, x != 0, torch.full_like(weight, 2.0), *others), kwargs, out)

    return count


def _where_both_are_active(args: tuple, kwargs: dict, out: Any) -> int:
    """Pairs of two non-zero values in a batched product [B, M, K] @ [B, K, N]."""
    left, right = args[0].ne(0), args[1].ne(0)
    return int((left.sum(1) * right.sum(2)).sum())
