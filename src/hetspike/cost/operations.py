"""Operations of a network, counted on recordings, and its predictions from the same pass."""

import math
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from torch import Tensor, nn

from hetspike.cost.kinds import NEURONS, OTHER, PRODUCTS, SYNAPSES, UNCOUNTED
from hetspike.cost.sizes import FLOAT_BITS, NUMBER_BITS
from hetspike.data.samples import Samples
from hetspike.inspection.counting import Seen, Weighed
from hetspike.inspection.inference import logits_of
from hetspike.inspection.layers import Synapses, quantizable_layers
from hetspike.inspection.watch import Watch
from hetspike.names import FLOAT
from hetspike.quantization.quantizer import Assignment, Choice

BATCH = 150  # large, since every operation of a batch costs time in Python
IN_FLOAT = Choice(FLOAT, FLOAT_BITS)


class Operation(NamedTuple):
    """One row of the cost model; `kind` is one of those in `cost.kinds`.

    Counts are per recording, over all T steps, as a mean over the recordings.

    scheme, bits  of the weights
    weights       number of stored weights
    numbers       number of scales and biases that the layer stores, of number_bits each
    fan_in        inputs per accumulator
    inputs        values that enter; for neurons: updates of potentials; for uncounted operations:
                  values of all activations
    active        inputs that are not zero; for neurons: spikes
    not_binary    inputs that are neither 0 nor 1
    value_bits    width of the largest input; for products: of their largest sum
    outputs       accumulators or potentials per step
    dense         pairs of an input and a weight; 0 for products
    macs          pairs whose input is neither 0 nor 1; for products: pairs without a 0 or a 1
    acs           pairs whose input is 1; for products: pairs without a 0 and with a 1
    shared        weights that the layer uses and an earlier row stores
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
    shared: int = 0


class Stored:
    """The numbers of a network that earlier rows have counted, so that each is counted once."""

    def __init__(self) -> None:
        self.counted: set[tuple[int, Choice]] = set()

    def add(self, numbers: Iterable[Tensor | None], choice: Choice = IN_FLOAT) -> int:
        """Count numbers that are stored as `choice`; return how many had not been counted as such.

        A number that is stored as two choices counts twice.
        """
        sizes = {(id(each), choice): each.numel() for each in numbers if each is not None}
        new = sum(size for key, size in sizes.items() if key not in self.counted)
        self.counted |= sizes.keys()
        return new

    def left(self, numbers: Iterable[Tensor]) -> int:
        """Return how many of these numbers have not been counted as any choice."""
        counted = {number for number, _ in self.counted}
        return sum(each.numel() for each in numbers if id(each) not in counted)


def predict_and_count(
    model: nn.Module, samples: Samples, assignment: Assignment, watch: Watch | None = None
) -> tuple[list[int], list[Operation]]:
    """Predict classes [R] and count the operations, in one pass over the samples.

    `model` has plain weights, as from `packed.packing.unpack`. `assignment` is how they are stored.
    `watch` is a new `Watch` of the model, for callers that take more from the pass.
    Parts of a network that run kernels report what they compute, so they need no slower pass.
    Rows of one kind are in the order of execution. A layer that never ran comes after the others,
    with its stored numbers and no operations, and a warning names it.

    Residual additions, pools, means, batch norms and scaling by constants are left out, as in the
    papers of the field. Any other operation that is not counted has its own row of the kind
    `cost.kinds.UNCOUNTED` with NaN for its counts, and a warning names it.
    """
    with watch or Watch(model) as seen:
        predictions = logits_of(model, samples, BATCH).argmax(1).tolist()
    operations = list(_rows(model, seen, assignment, *samples.frames.shape[:2]))
    if unused := [name for name in quantizable_layers(model) if name not in seen.weighed]:
        warnings.warn(f"layers that never ran: {', '.join(unused)}", stacklevel=2)
    if unknown := [row.layer for row in operations if row.kind == UNCOUNTED]:
        warnings.warn(
            f"not counted, and missing in every energy: {', '.join(unknown)}", stacklevel=2
        )
    return predictions, operations


def _rows(
    model: nn.Module, seen: Watch, assignment: Assignment, recordings: int, steps: int
) -> Iterator[Operation]:
    """Yield rows for synapses, products, neurons, uncounted operations, and other numbers."""

    def label(module: str) -> str:
        return module or type(model).__name__

    layers, modules, stored = quantizable_layers(model), dict(model.named_modules()), Stored()
    unused = {name: Weighed() for name in layers if name not in seen.weighed}
    for name, passed in (seen.weighed | unused).items():
        if name in layers:
            row = _layer(layers[name], assignment.get(name), stored)
        else:
            row = _weights_in_float(modules[name], passed, seen.numbers, stored)
        yield _with_inputs(row, passed, recordings, steps)._replace(
            layer=label(name),
            not_binary=passed.not_binary / recordings,
            value_bits=passed.bits,
            dense=passed.dense / recordings,
            macs=passed.macs / recordings,
            acs=passed.acs / recordings,
        )
    for name, products in seen.multiplied.items():
        yield Operation(
            f"{label(name)}: attention",
            PRODUCTS,
            *(("", 0) if assignment and products.whole else IN_FLOAT),
            value_bits=products.bits,
            macs=products.macs / recordings,
            acs=products.acs / recordings,
        )
    for name, spikes in seen.neurons.items():
        row = Operation(label(name), NEURONS, value_bits=1)
        yield _with_inputs(row, spikes, recordings, steps)
    for (name, operation), values in seen.uncounted.items():
        row = Operation(f"{label(name)}: {operation}", UNCOUNTED, macs=math.nan, acs=math.nan)
        yield row._replace(inputs=values / recordings)
    if others := stored.left(model.parameters()):
        yield Operation("other", OTHER, numbers=others, number_bits=FLOAT_BITS)


def _with_inputs(row: Operation, passed: Seen, recordings: int, steps: int) -> Operation:
    """Add the inputs per recording, and the outputs per step, to a row."""
    return row._replace(
        inputs=passed.values / recordings,
        active=passed.active / recordings,
        outputs=passed.outputs / recordings / steps,
    )


def _layer(layer: Synapses, choice: Choice | None, stored: Stored) -> Operation:
    """Make the row of a convolution or linear layer with its stored numbers.

    A quantized layer stores one scale per channel.
    """
    form = Choice(*choice) if choice else IN_FLOAT
    channels, size = layer.weight.shape[0], layer.weight.numel()
    plain = layer._parameters.get("weight")  # None: computed from other parameters
    weights = size if plain is None else stored.add([plain], form)
    biases = stored.add([layer.bias], form)
    stored.add(layer.parameters(), form)
    return Operation(
        "",
        SYNAPSES,
        *form,
        weights=weights,
        numbers=channels * ((layer.bias is not None) + 1) if choice else biases,
        number_bits=NUMBER_BITS if choice else FLOAT_BITS,
        fan_in=size // channels,
        shared=size - weights,
    )


def _weights_in_float(
    module: nn.Module, passed: Weighed, numbers: Mapping[str, Tensor], stored: Stored
) -> Operation:
    """Make the row of any other module that multiplies by weights: they are always in float."""
    used = [numbers[name] for name in sorted(passed.made_from)]
    weights = stored.add(used)
    return Operation(
        "",
        SYNAPSES,
        *IN_FLOAT,
        weights=weights + passed.constants,
        numbers=stored.add(
            p for name, p in module.named_parameters(recurse=False) if "bias" in name
        ),
        number_bits=FLOAT_BITS,
        fan_in=passed.fan_in,
        shared=sum(each.numel() for each in used) - weights,
    )
