"""Operations of a network, counted on recordings, and the predictions of the same pass."""

import math
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from torch import Tensor, nn

from hetspike.cost.energy import NEURONS, OTHER, PRODUCTS, SYNAPSES, UNCOUNTED
from hetspike.cost.sizes import FLOAT_BITS, NUMBER_BITS
from hetspike.data.samples import Samples
from hetspike.inspection.counting import Seen, Weighed
from hetspike.inspection.inference import logits_of
from hetspike.inspection.layers import Synapses, quantizable_layers
from hetspike.inspection.watch import Watch
from hetspike.names import FLOAT
from hetspike.quantization.quantizer import Assignment, Choice

BATCH = 150  # every operation passes through Python: fewer and larger ones
IN_FLOAT = Choice(FLOAT, FLOAT_BITS)


class Operation(NamedTuple):
    """One row of the cost model: synapses, products of activations, neurons, or what is stored.

    What is counted is counted for a recording, over all T steps, as a mean over the recordings.

    scheme, bits  of the weights
    weights       how many are stored
    numbers       what else is stored for the layer (scales, biases), number_bits each
    fan_in        inputs of one accumulator
    inputs        values that come in; for neurons: updates of a potential; uncounted: all there is
    active        inputs that are not zero; for neurons: spikes
    not_binary    inputs that are neither 0 nor 1
    value_bits    width of the largest input; of products: of their largest sum
    outputs       accumulators, or potentials, that are kept from step to step
    dense         pairs of an input and a weight; 0 for products
    macs          pairs whose input is neither 0 nor 1; of products: whose two values are
    acs           pairs whose input is 1; of products: all others whose two values are not 0
    shared        weights that an earlier row stores
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
    """Numbers of a network that earlier rows have counted: each is stored once."""

    def __init__(self) -> None:
        self.counted: set[tuple[int, Choice]] = set()

    def add(self, numbers: Iterable[Tensor | None], choice: Choice = IN_FLOAT) -> int:
        """Return how many of these no row has counted; what is stored in two ways counts twice."""
        found = {(id(each), choice): each.numel() for each in numbers if each is not None}
        new = sum(count for key, count in found.items() if key not in self.counted)
        self.counted |= found.keys()
        return new

    def left(self, numbers: Iterable[Tensor]) -> int:
        """Return how many of these no row has counted in any way."""
        counted = {number for number, _ in self.counted}
        return sum(each.numel() for each in numbers if id(each) not in counted)


def predict_and_count(
    model: nn.Module, samples: Samples, assignment: Assignment
) -> tuple[list[int], list[Operation]]:
    """Predict classes [R] and count the operations, in one pass over the samples.

    `model` holds plain weights (`packed.packing.unpack`); `assignment` says how they are stored.
    Rows of a kind stand in the order of execution. A layer that never ran stands behind the others,
    with what it stores and no operation; a warning names it.

    Residual additions, pools, means, batch norms and scaling by constants are left out, as the
    field does. Any other operation that is not counted has a row of its own, of the kind
    `cost.energy.UNCOUNTED`, with NaN for its counts; a warning names it.
    """
    with Watch(model) as seen:
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
    """Synapses, products, neurons, what is not counted, and what is stored beside them."""

    def called(module: str) -> str:
        return module or type(model).__name__

    layers, modules, stored = quantizable_layers(model), dict(model.named_modules()), Stored()
    unused = {name: Weighed() for name in layers if name not in seen.weighed}
    for name, passed in (seen.weighed | unused).items():
        if name in layers:
            row = _layer(layers[name], assignment.get(name), stored)
        else:
            row = _weights_in_float(modules[name], passed, seen.numbers, stored)
        yield _passing(row, passed, recordings, steps)._replace(
            layer=called(name),
            not_binary=passed.not_binary / recordings,
            value_bits=passed.bits,
            dense=passed.dense / recordings,
            macs=passed.macs / recordings,
            acs=passed.acs / recordings,
        )
    for name, products in seen.multiplied.items():
        yield Operation(
            f"{called(name)}: attention",
            PRODUCTS,
            *(("", 0) if assignment and products.whole else IN_FLOAT),
            value_bits=products.bits,
            macs=products.macs / recordings,
            acs=products.acs / recordings,
        )
    for name, spikes in seen.neurons.items():
        row = Operation(called(name), NEURONS, value_bits=1)
        yield _passing(row, spikes, recordings, steps)
    for (name, operation), values in seen.uncounted.items():
        row = Operation(f"{called(name)}: {operation}", UNCOUNTED, macs=math.nan, acs=math.nan)
        yield row._replace(inputs=values / recordings)
    if others := stored.left(model.parameters()):
        yield Operation("other", OTHER, numbers=others, number_bits=FLOAT_BITS)


def _passing(row: Operation, passed: Seen, recordings: int, steps: int) -> Operation:
    """A row with what passed it in a recording; of outputs what is kept from step to step."""
    return row._replace(
        inputs=passed.values / recordings,
        active=passed.active / recordings,
        outputs=passed.outputs / recordings / steps,
    )


def _layer(layer: Synapses, choice: Choice | None, stored: Stored) -> Operation:
    """What a convolution or linear layer stores; quantized, a scale a channel."""
    form = Choice(*choice) if choice else IN_FLOAT
    channels, size = layer.weight.shape[0], layer.weight.numel()
    plain = layer._parameters.get("weight")  # None: made from others when it is asked for
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
    """What any other module stores that multiplies by weights, which no assignment names."""
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
