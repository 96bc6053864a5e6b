"""The steps of a study as functions for a user's own spiking network.

Networks take frames [T, B, C, H, W] and return logits [B, classes]. The functions here reset the
neurons before every batch. `hetspike.fit` does not: its networks must reset their own neurons.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

import pandas as pd
import torch
from spikingjelly.activation_based import functional
from torch import Tensor, nn

from hetspike.cost.energy import energies
from hetspike.cost.operations import Operation, predict_and_count
from hetspike.cost.sizes import stored_bits
from hetspike.data.samples import Samples
from hetspike.errors import UserError
from hetspike.inspection.contract import check, check_layers, check_weights, device_of
from hetspike.inspection.layers import quantizable_layers
from hetspike.packed.engine import Count, Engine
from hetspike.packed.packing import read
from hetspike.quantization.quantizer import Assignment, Choice, boundary_choices, choices, freeze
from hetspike.search import SEARCHES, search
from hetspike.search.space import Space
from hetspike.settings import SearchSettings, SensitivitySettings

# as in the default study: the paper's two schemes, and the settings of fisher and sensitivity
CANDIDATES: Mapping[str, Iterable[int]] = {"uniform": (2, 3, 4, 6, 8), "pot": (3, 4, 5)}
GRADIENTS = SensitivitySettings(recordings=384, batch_size=16)
BOUNDARY_LAYERS = ("searched", "8-bit", "float")
DEFAULT_SETTINGS = {type(settings): settings for settings in (SearchSettings(), GRADIENTS)}


def choose(
    model: nn.Module,
    train: Samples,
    *,
    budget: float,
    candidates: Mapping[str, Iterable[int]] = CANDIDATES,
    method: str = "fisher",
    settings: SearchSettings | None = None,
    boundary_layers: Literal["searched", "8-bit", "float"] = "searched",
    seed: int = 0,
) -> dict[str, Choice]:
    """Search a scheme and bits for every layer of a trained float model, within a budget.

    budget           the largest mean number of stored bits per quantized weight
    candidates       scheme -> widths in bits that a layer may have
    method           a name in `search.SEARCHES`
    settings         an object of the settings class that `search.SEARCHES` names for the method;
                     only dnas, which trains, has no default
    boundary_layers  how the layers that run first and last are stored: "searched" like the others,
                     "8-bit" or "float"

    Raises UserError for an unknown method or scheme, for settings of another method, for a budget
    that no assignment of the candidates keeps, and for a network or recordings that do not keep to
    `inspection.contract`.
    """
    if method not in SEARCHES:
        raise UserError(f"unknown method '{method}': use one of {', '.join(SEARCHES)}")
    settings = settings or DEFAULT_SETTINGS.get(SEARCHES[method])
    if not isinstance(settings, SEARCHES[method]):
        raise UserError(
            f"method '{method}' needs settings of its own: give a "
            f"hetspike.settings.{SEARCHES[method].__name__}"
        )
    if boundary_layers not in BOUNDARY_LAYERS:
        raise UserError(
            f"unknown boundary_layers '{boundary_layers}': use one of {', '.join(BOUNDARY_LAYERS)}"
        )
    check_weights(model)
    model = _at_rest(model).to(device_of(train))
    check(model, train, "training recordings")
    check_layers(model, train)
    example, _ = train.batch(torch.arange(1))
    boundary = boundary_choices(model, boundary_layers, example)
    space = Space.of(model, choices(candidates), boundary)
    return search(method, model, train, space, budget, settings=settings, seed=seed)


def measure(model: nn.Module, samples: Samples, assignment: Assignment) -> pd.DataFrame:
    """Measure what every operation of a network stores and costs on recordings, one row each.

    model       a network as `hetspike.unpack` returns it. Quantizers are replaced by the weights
                that they compute. Batch norms that are left count as float numbers, in row `other`
    assignment  how the layers are stored. Layers without an entry are in float, and so are all
                weights outside `nn.Conv1d`, `nn.Conv2d` and `nn.Linear`

    Layers are in the order of execution. An operation that is not counted, for example a softmax,
    has a row of the kind `uncounted` whose energy is NaN, and a warning names it. A warning also
    names a layer that never ran.

    Columns: the fields of `cost.operations.Operation`, per recording; stored_bits, of weights,
    scales and biases together; and one column for each view in `cost.energy.ENERGY_VIEWS`, in
    picojoules per recording (bits_linear: in bits). The functions of `cost.sizes`, such as
    `effective_bits`, take this table.

    Raises UserError if the assignment names a layer that the model does not have, and for a
    network or recordings that do not keep to `inspection.contract`.
    """
    check_weights(model)
    layers = quantizable_layers(model)
    if unknown := [name for name in assignment if name not in layers]:
        raise UserError(f"assignment names layer '{unknown[0]}': the model has {', '.join(layers)}")
    model = _at_rest(model).to(device_of(samples))
    check(model, samples, labelled=False)
    _, operations = predict_and_count(model, samples, assignment)
    table = pd.DataFrame(operations, columns=Operation._fields)
    return table.assign(stored_bits=stored_bits(table)).join(energies(table))


def run(data: bytes, frames: Tensor) -> tuple[Tensor, list[Count]]:
    """Run a packed network on integers; return classes [R] and the operations per recording.

    data    content of a file that `hetspike.pack` or the command line wrote
    frames  event counts [R, T, C, H, W]

    Raises UserError if the file is damaged, if its network is not one of `hetspike.networks` that
    runs on integers, if it has layers in float, and if the frames are not event counts.
    """
    engine = Engine(read(data))
    check_counts(frames, engine.model)
    return engine.run(frames)


def check_counts(frames: Tensor, model: nn.Module) -> None:
    """Raise UserError unless frames are event counts [R, T, C, H, W], with the model's C."""
    channels = next(iter(quantizable_layers(model).values())).weight.shape[1]
    if frames.dim() != 5 or frames.shape[2] != channels or not frames.numel():
        raise UserError(
            f"frames of shape {list(frames.shape)}: the network takes [R, T, {channels}, H, W], "
            "at least one recording"
        )
    whole = not frames.is_floating_point() or bool((frames % 1 == 0).all())
    if not whole or bool((frames < 0).any()):
        raise UserError("frames are no event counts: give whole numbers from 0 on")


def _at_rest(model: nn.Module) -> nn.Module:
    """Copy a model with plain weights; the copy resets its neurons before every batch."""
    copied = freeze(model)
    copied.register_forward_pre_hook(lambda module, _: functional.reset_net(module))
    return copied
