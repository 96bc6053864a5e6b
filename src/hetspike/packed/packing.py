"""Packing: writing a trained network to a file with weights at their bit width.

Batch norms are folded. The file is a safetensors container. A quantized layer of C channels and n
weights of b bits has two tensors:

    <layer>.codes    uint8 [ceil(n b / 8)]  b bits per weight in the order of the weight tensor,
                                            most significant bit first: the sign, then b - 1 bits
                                            for the index among the scheme's ascending magnitudes
    <layer>.numbers  float16 [2, C]         scales (the value of a magnitude of 1) and biases, both
                                            with the batch norm folded in

So uniform is stored as sign and magnitude, PoT as sign and exponent code (0 for zero), and binary
as a sign. Layers in float have <layer>.weight and <layer>.bias as float32. All other tensors keep
their names. `packed.header.PackedHeader` defines the header.
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
from hetspike.packed.header import SHOWN, PackedHeader, Stored, make_header, read_as, write
from hetspike.packed.traits import check_traits, traits
from hetspike.quantization.levels import SCHEMES
from hetspike.quantization.quantizer import Choice, Quantizer, freeze

EXAMPLES = 8  # number of recordings that suffice as the example of `pack`
# largest relative and absolute changes by float16; the second includes that a weight is up to 127
# scales
ROUNDING, SMALLEST = 2.0**-10, 2.0**-18


class PackedLayer(NamedTuple):
    """One quantized layer of a file, with the sign and the index of each weight."""

    choice: Choice
    negative: Tensor  # bool [C, ...]
    magnitude: Tensor  # int64 [C, ...], index among the scheme's magnitudes
    scale: Tensor  # float16 [C]
    bias: Tensor  # float16 [C]

    @property
    def weight(self) -> Tensor:
        """Return the weights of the file, float32 [C, ...]."""
        magnitudes = torch.tensor(SCHEMES[self.choice.scheme].levels(self.choice.bits).magnitudes)
        levels = magnitudes[self.magnitude] * torch.where(self.negative, -1.0, 1.0)
        return self.scale.float().view(-1, *(1,) * (levels.dim() - 1)) * levels


class Packed(NamedTuple):
    """The content of a file: its header, its quantized layers, and all other tensors by name."""

    header: PackedHeader
    layers: dict[str, PackedLayer]
    others: dict[str, Tensor]

    @property
    def about(self) -> dict[str, Any]:
        """Return all entries of the header, including those of the caller of `pack`."""
        entries = self.header.model_dump(mode="json")
        return entries | entries.pop("about")

    @property
    def assignment(self) -> dict[str, Choice]:
        """Return the choice of each quantized layer."""
        return {name: layer.choice for name, layer in self.layers.items()}

    @property
    def has_float_weights(self) -> bool:
        """Return whether any layer was left in float."""
        return any(tensor.dim() > 1 for tensor in self.others.values())


def pack(
    model: nn.Module,
    example: Tensor,
    *,
    network: Mapping[str, Any] | None = None,
    classes: int | None = None,
    **about: Any,
) -> bytes:
    """Pack a model with quantizers, usually a trained one; return the bytes of the file.

    example  one input of the model. On it, and on one of its shape with more events, `folding`
             finds the batch norms and checks that folding does not change the outputs
    network  architecture and settings, if the model is one of `hetspike.networks`; with `classes`,
             the network can then be built from the file alone
    about    more entries of the header, in JSON types

    Raises UserError if the file would not contain the network that the model computes.
    """
    for name in PackedHeader.model_fields.keys() & about.keys():
        raise UserError(f"the header has an entry '{name}' of its own: give yours another name")
    check_packable(model)
    plain = _with_all_buffers(freeze(model)).cpu()
    example = example.detach().cpu().float()
    expected = answers(plain, example)
    norms = batch_norms_after(plain, example)
    # double precision, so that rounding is no reason to refuse a fold
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
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in folded.state_dict().items()
        if name.rpartition(".")[0] not in aliases
    }
    stored: dict[str, Stored] = {}
    for name, layer in quantizable_layers(model).items():
        if quantizer := _quantizer(layer):
            stored[name] = Stored(*quantizer.choice, tuple(tensors.pop(f"{name}.weight").shape))
            tensors.pop(f"{name}.bias", None)
            for part, tensor in _stored(layer, quantizer, affines[name]).items():
                if f"{name}.{part}" in tensors:
                    raise UserError(f"layer {name} has a tensor '{part}': give it another name")
                tensors[f"{name}.{part}"] = tensor
            if not tensors[f"{name}.numbers"].isfinite().all():
                raise UserError(f"layer {name} has a scale or bias beyond the range of float16")
    header = make_header(
        PackedHeader,
        **{"network": network, "classes": classes, "layers": stored, "about": _as_json(about)},
        folded=sorted({*norms.values()}),
        traits=traits(folded),
        agreement=(0, 0),
    )
    packed = read(write(header, tensors))
    unpacked = _filled(packed, plain.float())
    _check_numbers(unpacked, folded)
    if network is not None:
        network_of(packed)
    agreement = _agreement(answers(unpacked, example), expected)
    return write(header.model_copy(update={"agreement": agreement}), tensors)


def check_packable(model: nn.Module) -> None:
    """Raise UserError if a file cannot contain a layer as it is; the message names the layer."""
    for name, module in model.named_modules():
        if parametrize.is_parametrized(module):
            parts: Any = module.parametrizations
            kinds = [type(each).__name__ for part in parts.values() for each in part]
            if not _quantizer(module) or len(kinds) > 1:
                raise UserError(
                    f"layer {name} has the parametrizations {', '.join(kinds)}: a file holds the "
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
    for name, value in model.state_dict().items():
        layer, parametrized, part = name.partition(".parametrizations.")
        part = part.removesuffix(".original").rpartition(".")[2]
        state[f"{layer}.{part}" if parametrized else name] = value
    check_finite({name: value for name, value in state.items() if isinstance(value, Tensor)})


def _quantizer(layer: Any) -> Quantizer | None:
    """Return the quantizer of a layer's weight, or None."""
    if not parametrize.is_parametrized(layer, "weight"):
        return None
    first = layer.parametrizations.weight[0]
    return first if isinstance(layer, Synapses) and isinstance(first, Quantizer) else None


def _stored(layer: Any, quantizer: Quantizer, after: Affine) -> dict[str, Tensor]:
    """Return the two tensors of a quantized layer in a file."""
    original = layer.parametrizations.weight.original.detach()
    negative, index = (each.cpu() for each in quantizer.codes(original))
    scale = after.gain * quantizer.scale.detach().cpu()
    return {
        "codes": to_bits(negative, index, quantizer.choice.bits),
        "numbers": torch.stack([scale, after.shift]).half(),
    }


def _as_json(about: dict[str, Any]) -> Any:
    """Return `about` as it is when it is read from a file. Raises UserError if it is not JSON."""
    try:
        return json.loads(json.dumps(about, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(f"this entry of the header is not JSON: {error}") from None


def _check_numbers(unpacked: nn.Module, folded: nn.Module) -> None:
    """Raise UserError if a layer has other weights or biases in the file than in the network."""
    layers_of_file = quantizable_layers(unpacked)
    for name, layer in quantizable_layers(folded).items():
        for part in ("weight", "bias"):
            own, stored = getattr(layer, part), getattr(layers_of_file[name], part)
            if own is None:  # then the bias in the file is 0
                continue
            if not bool(((own - stored).abs() <= ROUNDING * own.abs() + SMALLEST).all()):
                raise UserError(
                    f"layer {name} would compute with other numbers than the network once packed: "
                    "its quantizer is not the function that its scheme and scale describe"
                )


def _agreement(output: Tensor, expected: Tensor) -> tuple[int, int]:
    """Return how many recordings two outputs [B, ...] classify alike, and how many there are."""
    first, second = (torch.atleast_2d(each).flatten(1).argmax(1) for each in (output, expected))
    alike = first == second
    return int(alike.sum()), len(alike)


def _with_all_buffers(model: nn.Module) -> nn.Module:
    """Make all buffers of a model persistent, in place, so that its state dict has them."""
    for module in model.modules():
        for name, buffer in module.named_buffers(recurse=False):
            module.register_buffer(name, buffer)
    return model


def _aliases(model: nn.Module) -> dict[str, str]:
    """Return other name -> first name, for modules that have several names."""
    first = {module: name for name, module in model.named_modules()}
    every = model.named_modules(remove_duplicate=False)
    return {name: first[module] for name, module in every if name != first[module]}


def unpack(data: bytes, *, into: nn.Module) -> nn.Module:
    """Unpack a file into a copy of `into`, a module of the same structure.

    Raises UserError if the file is not one of hetspike, is damaged, or is of another network.
    """
    return _filled(read(data), into)


def network_of(packed: Packed) -> nn.Module:
    """Build the network of a file, with plain weights. Raises UserError if it is a user's own."""
    return _filled(packed, skeleton(packed.header))


def load_packed(data: bytes) -> tuple[nn.Module, Packed]:
    """Load a file; return its network with plain weights, and its whole content.

    Raises UserError if the file is not one of hetspike or is damaged, and if its network is a
    user's own, which `unpack` needs a module for.
    """
    packed = read(data)
    return network_of(packed), packed


def _filled(packed: Packed, into: nn.Module) -> nn.Module:
    """Return a copy of `into` with the tensors of a file; no two tensors share memory."""
    model = _with_all_buffers(freeze(into))
    device = next((weight.device for weight in model.parameters()), torch.device("cpu"))
    modules = dict(model.named_modules())
    for name in (*packed.layers, *packed.header.folded):
        if name not in modules:
            raise UserError(f"the packed network has a layer {name}, which this network lacks")
    for name in packed.header.folded:
        if not isinstance(modules[name], BatchNorm | nn.Identity):
            raise UserError(
                f"the packed network has a batch norm {name}, which is another module in this one"
            )
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
    """Read a file. Raises UserError if the file is not one of hetspike or is damaged."""
    header, tensors = read_as(PackedHeader, data)
    layers = {}
    for name, (scheme, bits, shape) in header.layers.items():
        expected = [(torch.uint8, size_of(shape, bits)), (torch.float16, 2, shape[0])]
        parts = [tensors.pop(f"{name}.{part}", torch.empty(0)) for part in ("codes", "numbers")]
        if [(part.dtype, *part.shape) for part in parts] != expected:
            raise UserError(f"layer {name} is not stored in the file as its header states")
        codes, (scale, bias) = parts
        negative, index = from_bits(codes, shape, bits)
        choice = Choice(scheme, bits)
        if index.max() >= len(SCHEMES[choice.scheme].levels(choice.bits).magnitudes):
            raise UserError(f"layer {name} has codes that {choice.scheme} does not have")
        layers[name] = PackedLayer(choice, negative, index, scale, bias)
    return Packed(header, layers, tensors)
