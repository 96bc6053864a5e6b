"""Packing: a trained network as a file, weights at their width, batch norms folded.

The container is safetensors, the tensors of a quantized layer of C channels and n weights of b bits

    <layer>.codes   uint8 [ceil(n b / 8)]   b bits a weight in the order of the weight tensor, most
                                            significant bit first: the sign, then in b - 1 bits the
                                            index of the magnitude among the scheme's, ascending
    <layer>.numbers float16 [2, C]          scales, what a magnitude of 1 stands for, and biases,
                                            batch norm included in both

so that uniform is stored as sign and magnitude, PoT as sign and exponent code (0 for zero), binary
as its sign. Layers in float keep <layer>.weight and <layer>.bias as float32, and everything that is
no synapse its own name. `packed.header.PackedHeader` is what the header says in JSON.
"""

import copy
import json
from collections.abc import Mapping
from types import NoneType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from hetspike.errors import UserError, shortened
from hetspike.inspection.layers import Synapses, quantizable_layers
from hetspike.packed.checkpoint import skeleton
from hetspike.packed.codes import from_bits, size_of, to_bits
from hetspike.packed.container import check_finite
from hetspike.packed.folding import (
    Affine,
    BatchNorm,
    affine,
    answers,
    batch_norms_after,
    check_folded,
    fold,
    without,
)
from hetspike.packed.header import SHOWN, PackedHeader, Stored, header, read_as, write
from hetspike.packed.traits import check_traits, traits
from hetspike.quantization.levels import SCHEMES
from hetspike.quantization.quantizer import Choice, Quantizer, freeze

EXAMPLES = 8  # recordings are enough of an example for `pack`
# by how much float16 may change a number: in proportion, and below what it resolves; a weight is up
# to 127 scales
ROUNDING, SMALLEST = 2.0**-10, 2.0**-18


class PackedLayer(NamedTuple):
    """One quantized layer as it is stored; codes lie unpacked, one a weight."""

    choice: Choice
    negative: Tensor  # bool [C, ...]
    magnitude: Tensor  # int64 [C, ...], its index among the scheme's
    scale: Tensor  # float16 [C]
    bias: Tensor  # float16 [C]

    @property
    def weight(self) -> Tensor:
        """Return the weights of the file, float32 [C, ...]."""
        magnitudes = torch.tensor(SCHEMES[self.choice.scheme].levels(self.choice.bits).magnitudes)
        levels = magnitudes[self.magnitude] * torch.where(self.negative, -1.0, 1.0)
        return self.scale.float().view(-1, *(1,) * (levels.dim() - 1)) * levels


class Packed(NamedTuple):
    """A file's content: its header, its quantized layers, and all other tensors by name."""

    header: PackedHeader
    layers: dict[str, PackedLayer]
    others: dict[str, Tensor]

    @property
    def about(self) -> dict[str, Any]:
        """Return all entries of the header, with those of the caller of `pack`."""
        said = self.header.model_dump(mode="json")
        return said | said.pop("about")

    @property
    def assignment(self) -> dict[str, Choice]:
        """Return the choice of each quantized layer."""
        return {name: layer.choice for name, layer in self.layers.items()}

    @property
    def has_float_weights(self) -> bool:
        """Return whether any layer was left in float."""
        return any(each.dim() > 1 for each in self.others.values())


def pack(
    model: nn.Module,
    example: Tensor,
    *,
    network: Mapping[str, Any] | None = None,
    classes: int | None = None,
    **about: Any,
) -> bytes:
    """Pack a model with quantized layers, as `quantize` and a training left it.

    example  one input of the model: on it, and on a busier one of its shape, the batch norms are
             found, and with them folded the model must answer as before
    network  architecture and settings of a network of `hetspike.networks`, which the file then
             builds again, with `classes`
    about    what else the header shall say, JSON

    Raises UserError where the file would not hold what the model computes.
    """
    for name in PackedHeader.model_fields.keys() & about.keys():
        raise UserError(f"the header says '{name}' itself: give what you say another name")
    check_packable(model)
    plain = _all_kept(freeze(model)).cpu()
    example = example.detach().cpu().float()
    wanted = answers(plain, example)
    norms = batch_norms_after(plain, example)
    # in double precision: what folding rounds away is no reason to refuse it
    plain = plain.double()
    affines = {
        name: affine(layer, plain.get_submodule(norms[name]) if name in norms else None)
        for name, layer in quantizable_layers(plain).items()
    }
    folded = copy.deepcopy(plain)
    for name, layer in quantizable_layers(folded).items():
        if name in norms:
            fold(layer, affines[name])
    without(folded, norms.values())
    check_folded(plain, folded, example)

    aliases = _aliases(folded)
    tensors = {
        name: each.float() if each.is_floating_point() else each
        for name, each in folded.state_dict().items()
        if name.rpartition(".")[0] not in aliases
    }
    stored: dict[str, Stored] = {}
    for name, layer in quantizable_layers(model).items():
        if quantizer := _quantizer(layer):
            stored[name] = Stored(*quantizer.choice, tuple(tensors.pop(f"{name}.weight").shape))
            tensors.pop(f"{name}.bias", None)
            for part, each in _stored(layer, quantizer, affines[name]).items():
                if f"{name}.{part}" in tensors:
                    raise UserError(f"layer {name} has a tensor '{part}': give it another name")
                tensors[f"{name}.{part}"] = each
            if not tensors[f"{name}.numbers"].isfinite().all():
                raise UserError(f"layer {name} has a scale or bias beyond the range of float16")
    said = header(
        PackedHeader,
        **{"network": network, "classes": classes, "layers": stored, "about": _as_json(about)},
        folded=sorted({*norms.values()}),
        traits=traits(folded),
        agreement=(0, 0),
    )
    packed = read(write(said, tensors))
    unpacked = _filled(packed, plain.float())
    _check_numbers(unpacked, folded)
    if network is not None:
        network_of(packed)
    agreement = _agreement(answers(unpacked, example), wanted)
    return write(said.model_copy(update={"agreement": agreement}), tensors)


def check_packable(model: nn.Module) -> None:
    """Raise UserError that names a layer which a file does not hold as the network has it."""
    for name, module in model.named_modules():
        if parametrize.is_parametrized(module):
            parts: Any = module.parametrizations
            found = [type(each).__name__ for part in parts.values() for each in part]
            if not _quantizer(module) or len(found) > 1:
                raise UserError(
                    f"layer {name} has the parametrizations {', '.join(found)}: a file holds the "
                    "levels of one Quantizer; make what the others compute the layer's own with "
                    "torch.nn.utils.parametrize.remove_parametrizations"
                )
        elif isinstance(module, Synapses | BatchNorm):
            own = (module.weight, module.bias)
            if not all(isinstance(each, nn.Parameter | NoneType) for each in own):
                raise UserError(
                    f"layer {name} computes its weight or bias from others before each pass: make "
                    "it the layer's own, as torch.nn.utils.prune.remove does"
                )
    state = {}
    for name, each in model.state_dict().items():
        layer, parametrized, part = name.partition(".parametrizations.")
        part = part.removesuffix(".original").rpartition(".")[2]
        state[f"{layer}.{part}" if parametrized else name] = each
    check_finite({name: each for name, each in state.items() if isinstance(each, Tensor)})


def _quantizer(layer: Any) -> Quantizer | None:
    """What quantizes a layer's weight, if anything does."""
    if not parametrize.is_parametrized(layer, "weight"):
        return None
    first = layer.parametrizations.weight[0]
    return first if isinstance(layer, Synapses) and isinstance(first, Quantizer) else None


def _stored(layer: Any, quantizer: Quantizer, after: Affine) -> dict[str, Tensor]:
    """The parts of a quantized layer in a file."""
    original = layer.parametrizations.weight.original.detach()
    negative, index = (each.cpu() for each in quantizer.codes(original))
    scale = after.gain * quantizer.scale.detach().cpu()
    return {
        "codes": to_bits(negative, index, quantizer.choice.bits),
        "numbers": torch.stack([scale, after.shift]).half(),
    }


def _as_json(about: dict[str, Any]) -> Any:
    """What is said, as it will be read."""
    try:
        return json.loads(json.dumps(about, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(f"a header cannot say this in JSON: {error}") from None


def _check_numbers(unpacked: nn.Module, folded: nn.Module) -> None:
    """Raise UserError that names a layer whose numbers in the file are not the network's."""
    found = quantizable_layers(unpacked)
    for name, layer in quantizable_layers(folded).items():
        for part in ("weight", "bias"):
            own, other = getattr(layer, part), getattr(found[name], part)
            if own is None:  # the file's is 0 then
                continue
            if not bool(((own - other).abs() <= ROUNDING * own.abs() + SMALLEST).all()):
                raise UserError(
                    f"layer {name} would compute with other numbers than the network once packed: "
                    "its quantizer does not say what it does"
                )


def _agreement(found: Tensor, wanted: Tensor) -> tuple[int, int]:
    """On how many recordings two outputs [B, ...] are largest in one place, and of how many."""
    first, second = (torch.atleast_2d(each).flatten(1).argmax(1) for each in (found, wanted))
    alike = first == second
    return int(alike.sum()), len(alike)


def _all_kept(model: nn.Module) -> nn.Module:
    """The model itself; its state has all buffers, also those that are made to be left out."""
    for module in model.modules():
        for name, buffer in module.named_buffers(recurse=False):
            module.register_buffer(name, buffer)
    return model


def _aliases(model: nn.Module) -> dict[str, str]:
    """Further names of modules that have several -> their first."""
    first = {module: name for name, module in model.named_modules()}
    every = model.named_modules(remove_duplicate=False)
    return {name: first[module] for name, module in every if name != first[module]}


def unpack(data: bytes, *, into: nn.Module) -> nn.Module:
    """Unpack a file into a copy of `into`, a module of the same structure.

    Raises UserError where the file is none of ours, damaged, or of another network.
    """
    return _filled(read(data), into)


def network_of(packed: Packed) -> nn.Module:
    """Build the network of a file, with plain weights. Raises UserError where it has none."""
    return _filled(packed, skeleton(packed.header))


def load_packed(data: bytes) -> tuple[nn.Module, Packed]:
    """Load the network of a file, with plain weights, and all that the file holds.

    Raises UserError where the file is none of ours, damaged, or does not say how to build it.
    """
    packed = read(data)
    return network_of(packed), packed


def _filled(packed: Packed, into: nn.Module) -> nn.Module:
    """A copy of `into` with what a file holds, each tensor with memory of its own."""
    model = _all_kept(freeze(into))
    device = next((each.device for each in model.parameters()), torch.device("cpu"))
    modules = dict(model.named_modules())
    for name in (*packed.layers, *packed.header.folded):
        if name not in modules:
            raise UserError(f"the packed network has a layer {name}, which this network lacks")
    for name in packed.header.folded:
        if not isinstance(modules[name], BatchNorm | nn.Identity):
            raise UserError(f"the packed network has a batch norm {name}, which is none in this")
    without(model, packed.header.folded)
    state = dict(packed.others)
    for name, stored in packed.layers.items():
        state |= {f"{name}.weight": stored.weight, f"{name}.bias": stored.bias.float()}
    for name, layer in quantizable_layers(model).items():
        if f"{name}.bias" in state and layer.bias is None:
            layer.bias = nn.Parameter(layer.weight.new_zeros(layer.weight.shape[0]))
    own, aliases = model.state_dict(), _aliases(model)
    for name in own:
        module, _, part = name.rpartition(".")
        first = f"{aliases[module]}.{part}" if module in aliases else name
        if first in state:
            state[name] = state[first].to(own[name].dtype).clone()
    try:
        model.load_state_dict(state, assign=True)
    except RuntimeError as error:
        problem = shortened(str(error).splitlines()[-1].strip(), SHOWN)
        raise UserError(f"the packed network is not the one to unpack into: {problem}") from None
    check_traits(model, packed.header.traits)
    return model if device.type == "meta" else model.to(device)


def read(data: bytes) -> Packed:
    """Read a file. Raises UserError where it is foreign, damaged or cut short."""
    said, tensors = read_as(PackedHeader, data)
    layers = {}
    for name, each in said.layers.items():
        wanted = [(torch.uint8, size_of(each.shape, each.bits)), (torch.float16, 2, each.shape[0])]
        parts = [tensors.pop(f"{name}.{part}", torch.empty(0)) for part in ("codes", "numbers")]
        if [(part.dtype, *part.shape) for part in parts] != wanted:
            raise UserError(f"layer {name} does not lie in the file as its header tells")
        codes, (scale, bias) = parts
        negative, index = from_bits(codes, each.shape, each.bits)
        choice = Choice(each.scheme, each.bits)
        if index.max() >= len(SCHEMES[choice.scheme].levels(choice.bits).magnitudes):
            raise UserError(f"layer {name} has codes that {choice.scheme} does not have")
        layers[name] = PackedLayer(choice, negative, index, scale, bias)
    return Packed(said, layers, tensors)
