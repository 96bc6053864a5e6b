"""Functions for a user's own spiking network: what the workflow of a study does, without files.

Networks take frames [T, B, C, H, W] and return logits [B, classes]. The functions here reset
neurons that keep a state before every batch; `hetspike.fit` takes networks that reset their own.
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
from hetspike.search import SEARCHES, load
from hetspike.search.space import Space
from hetspike.settings import SearchSettings, SensitivitySettings

# as in the study: the paper's two schemes, and what its searches by gradients look at
CANDIDATES: Mapping[str, Iterable[int]] = {"uniform": (2, 3, 4, 6, 8), "pot": (3, 4, 5)}
GRADIENTS = SensitivitySettings(recordings=384, batch_size=16)
BOUNDARY_LAYERS = ("searched", "8-bit", "float")
SETTINGS = {type(each): each for each in (SearchSettings(), GRADIENTS)}


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
    """Search a scheme and bits for every layer of a trained float model, under a budget.

    budget           mean stored bits a quantized weight, at most
    candidates       what a layer may take, scheme -> widths in bits
    method           a name of `search.SEARCHES`
    settings         of that search, its class there; needed for dnas, which trains
    boundary_layers  whether the layers that run first and last are searched, at 8 bits, or in float

    Raises UserError for an unknown method or scheme, settings that are not the method's, a budget
    that the candidates cannot keep, and a network or recordings that `contract` refuses.
    """
    if method not in SEARCHES:
        raise UserError(f"unknown method '{method}': use one of {', '.join(SEARCHES)}")
    settings = settings or SETTINGS.get(SEARCHES[method])
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
    space = Space.of(model, choices(candidates), budget, boundary)
    return load(method)(model, train, space, settings=settings, seed=seed)


def measure(model: nn.Module, samples: Samples, assignment: Assignment) -> pd.DataFrame:
    """Measure what every operation of a network stores and costs, a row each, on recordings.

    model       as `hetspike.unpack` leaves it; quantizers are frozen, batch norms that remain count
                as float numbers, in the row `other`
    assignment  what the layers are stored as; layers that are not named are float, and so are all
                weights outside of `nn.Conv1d`, `nn.Conv2d` and `nn.Linear`

    Layers stand in the order of execution. An operation that is not counted, a softmax for example,
    has a row of kind `uncounted` and no known energy (NaN), and a warning names it, as
    one does a layer that never ran.

    Columns: those of `cost.operations.Operation`, counted for a recording; stored_bits, of weights,
    scales and biases together; and a column for each of `cost.energy.ENERGY_VIEWS`, picojoules a
    recording (bits_linear: bits). `cost.sizes.effective_bits` and its neighbours take the table.

    Raises UserError when the assignment names a layer that the model does not have, and for a
    network or recordings that `contract` refuses.
    """
    check_weights(model)
    layers = quantizable_layers(model)
    if strange := [name for name in assignment if name not in layers]:
        raise UserError(f"assignment names layer '{strange[0]}': the model has {', '.join(layers)}")
    model = _at_rest(model).to(device_of(samples))
    check(model, samples, labelled=False)
    _, operations = predict_and_count(model, samples, assignment)
    table = pd.DataFrame(operations, columns=Operation._fields)
    return table.assign(stored_bits=stored_bits(table)).join(energies(table))


def run(data: bytes, frames: Tensor) -> tuple[Tensor, list[Count]]:
    """Run a packed network on integers: classes [R], and the operations of a recording.

    data    content of the file, from `hetspike.pack` or the command line
    frames  event counts [R, T, C, H, W]

    Raises UserError where the file is damaged, not a Spikformer of ours, or has layers in float,
    and where the frames are no event counts.
    """
    engine = Engine(read(data))
    check_counts(frames, engine.model)
    return engine.run(frames)


def check_counts(frames: Tensor, model: nn.Module) -> None:
    """Raise UserError unless frames are event counts [R, T, C, H, W], C as the model takes."""
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
    """Copy a model with plain weights; its neurons are reset before every batch."""
    copied = freeze(model)
    copied.register_forward_pre_hook(lambda module, _: functional.reset_net(module))
    return copied
