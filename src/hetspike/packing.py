"""A trained network as a file to ship: weights at their layer's width, batch norm folded.

The container is safetensors, the tensors of a quantized layer of C channels and n weights of b bits

    <layer>.codes   uint8 [ceil(n b / 8)]   b bits a weight in the order of the weight tensor, most
                                            significant bit first: the sign, then in b - 1 bits the
                                            index of the magnitude among the scheme's, ascending
    <layer>.scale   float16 [C]             what a magnitude of 1 stands for, batch norm included
    <layer>.bias    float16 [C]

so that uniform is stored as sign and magnitude, PoT as sign and exponent code (0 for zero), binary
as its sign. Layers in float keep <layer>.weight and <layer>.bias as float32, and everything that is
no synapse its own name. The header's key `hetspike` says in JSON what the file holds: `format`,
`layers` (scheme, bits and shape of the quantized ones), `folded` (the batch norms that are gone),
`digest` (SHA-256 of all the rest), and what the caller adds.
"""

import copy
import hashlib
import json
import math
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.torch import load as tensors_of
from safetensors.torch import save
from spikingjelly.activation_based import functional
from torch import Tensor, nn
from torch.nn.utils import parametrize

from hetspike.checkpoint import skeleton
from hetspike.container import KEY, METADATA, opened, said_by
from hetspike.errors import UserError
from hetspike.levels import SCHEMES
from hetspike.quantizer import Choice, Quantizer, Synapses, freeze, quantizable_layers

FORMAT = 1
EXAMPLES = 8  # recordings are enough of an example for `pack`
RESERVED = {"format", "layers", "folded", "digest"}
BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d


class Affine(NamedTuple):
    """What follows a layer's products, channel by channel: gain * x + shift, each [C]."""

    gain: Tensor
    shift: Tensor


class PackedLayer(NamedTuple):
    """One quantized layer as it is stored; codes lie unpacked, one a weight."""

    choice: Choice
    negative: Tensor  # bool [C, ...]
    magnitude: Tensor  # int64 [C, ...], its index among the scheme's
    scale: Tensor  # float16 [C]
    bias: Tensor  # float16 [C]

    @property
    def weight(self) -> Tensor:
        """The weights that the file stands for, float32 [C, ...]."""
        magnitudes = torch.tensor(SCHEMES[self.choice.scheme].levels(self.choice.bits).magnitudes)
        levels = magnitudes[self.magnitude] * torch.where(self.negative, -1.0, 1.0)
        return self.scale.float().view(-1, *(1,) * (levels.dim() - 1)) * levels


class Packed(NamedTuple):
    """A file's content: its header, its quantized layers, and all other tensors by name."""

    about: dict[str, Any]
    layers: dict[str, PackedLayer]
    others: dict[str, Tensor]

    @property
    def assignment(self) -> dict[str, Choice]:
        """What each quantized layer is stored as."""
        return {name: layer.choice for name, layer in self.layers.items()}

    @property
    def has_float_weights(self) -> bool:
        """Whether a layer was left in float, or the whole network."""
        return any(each.dim() > 1 for each in self.others.values())


def batch_norms_after(model: nn.Module, example: Tensor) -> dict[str, str]:
    """Layer -> the batch norm that takes its output as it is, seen on one forward pass.

    example  input of the model, frames [T, B, C, H, W] for a Spikformer
    """
    layers = quantizable_layers(model)
    norms = {name: each for name, each in model.named_modules() if isinstance(each, BatchNorm)}
    made: dict[int, tuple[str, Tensor]] = {}  # the tensors are kept: an id is not used again
    after: dict[str, str] = {}

    def remember(name: str, output: Tensor) -> None:
        made[id(output)] = name, output

    def follow(name: str, x: Tensor) -> None:
        layer, _ = made.get(id(x), ("", x))
        if layer and layers[layer].weight.shape[0] == norms[name].num_features:
            after[layer] = name

    hooks = [
        layer.register_forward_hook(lambda _, inputs, output, name=name: remember(name, output))
        for name, layer in layers.items()
    ] + [
        norm.register_forward_pre_hook(lambda _, inputs, name=name: follow(name, inputs[0]))
        for name, norm in norms.items()
    ]
    try:
        _answers(model, example)
    finally:
        for hook in hooks:
            hook.remove()
    return after


@torch.no_grad()
def _answers(model: nn.Module, example: Tensor) -> Tensor:
    """Output of the model in evaluation mode, from neurons at rest."""
    was_training = model.training
    functional.reset_net(model)
    output = model.eval()(example)
    functional.reset_net(model)
    model.train(was_training)
    return output


def _affine(layer: Synapses, norm: nn.Module | None) -> Affine:
    """The layer's bias and the batch norm behind it as one gain and shift per channel."""
    channels = layer.weight.new_ones(layer.weight.shape[0])
    bias = 0 * channels if layer.bias is None else layer.bias.detach()
    if norm is None:
        return Affine(channels, bias)
    assert isinstance(norm, BatchNorm)
    if norm.running_mean is None or norm.running_var is None:
        raise UserError("a batch norm without running statistics cannot be folded: track them")
    gain = (norm.running_var + norm.eps).rsqrt()
    if norm.affine:
        gain = gain * norm.weight.detach()
    shift = gain * (bias - norm.running_mean)
    return Affine(gain, shift + norm.bias.detach() if norm.affine else shift)


def _folded(model: nn.Module, affines: dict[str, Affine], norms: dict[str, str]) -> nn.Module:
    """A copy of a model of plain weights in which these layers do what their batch norms did."""
    model = copy.deepcopy(model)
    layers = quantizable_layers(model)
    for name, (gain, shift) in affines.items():
        layer = layers[name]
        gain = gain.view(-1, *(1,) * (layer.weight.dim() - 1))
        layer.weight = nn.Parameter(gain * layer.weight.detach())
        if name in norms or layer.bias is not None:
            layer.bias = nn.Parameter(shift)
    for norm in norms.values():
        model.set_submodule(norm, nn.Identity())
    return model


def pack(model: nn.Module, example: Tensor, **about: Any) -> bytes:
    """The file of a model with quantized layers, as `quantize` and a training left it.

    example  one input of the model: on it the batch norms are found, and with them folded the model
             must answer as before
    about    what else the header shall say, JSON: `network` and `classes` build a Spikformer again

    Raises UserError where the model, once packed, would be another one.
    """
    assert not RESERVED & about.keys(), "the header says these itself"
    norms = batch_norms_after(model, example)
    # in double precision: what folding rounds away is no reason to refuse it
    plain = freeze(model).double()
    modules = dict(plain.named_modules())
    affines = {
        name: _affine(layer, modules[norms[name]] if name in norms else None)
        for name, layer in quantizable_layers(plain).items()
    }
    folded = _folded(plain, affines, norms)
    if not torch.allclose(_answers(plain, example.double()), _answers(folded, example.double())):
        raise UserError(
            "with its batch norms folded the network does not answer as before: is the output of a "
            "layer used by more than the batch norm behind it?"
        )
    tensors = {
        name: value.float() if value.is_floating_point() else value
        for name, value in folded.state_dict().items()
    }
    quantized: dict[str, tuple] = {}
    for name, layer in quantizable_layers(model).items():
        if parametrize.is_parametrized(layer, "weight"):
            parametrization: Any = layer.parametrizations.weight  # type: ignore[union-attr]
            quantizer, original = parametrization[0], parametrization.original.detach()
            assert isinstance(quantizer, Quantizer)
            quantized[name] = (*quantizer.choice, list(original.shape))
            scale, bias = affines[name].gain * quantizer.scale.detach(), affines[name].shift
            del tensors[f"{name}.weight"]
            tensors[f"{name}.codes"] = to_bits(*quantizer.codes(original), quantizer.choice.bits)
            tensors[f"{name}.scale"], tensors[f"{name}.bias"] = scale.half(), bias.half()
            if not all(tensors[f"{name}.{each}"].isfinite().all() for each in ("scale", "bias")):
                raise UserError(f"layer {name} has a scale or bias beyond the range of float16")
    data = _sealed(tensors, about | {"layers": quantized, "folded": sorted(set(norms.values()))})
    unpack(data, into=model)
    return data


def unpack(data: bytes, *, into: nn.Module) -> nn.Module:
    """The network of a file with plain weights: a copy of `into`, a module of the same structure.

    Raises UserError where the file is none of ours, damaged, or of another network.
    """
    return _filled(read(data), into)


def _filled(packed: Packed, into: nn.Module) -> nn.Module:
    """A copy of `into` with what a file holds."""
    model = freeze(into)
    layers = quantizable_layers(model)
    modules = dict(model.named_modules())
    wrong = [name for name in (*packed.layers, *packed.about["folded"]) if name not in modules]
    if wrong:
        raise UserError(f"the packed network has a layer {wrong[0]}, which this network lacks")
    for name in packed.about["folded"]:
        model.set_submodule(name, nn.Identity())
    state = dict(packed.others)
    for name, layer in packed.layers.items():
        state |= {f"{name}.weight": layer.weight, f"{name}.bias": layer.bias.float()}
    for name, module in layers.items():
        if f"{name}.bias" in state and module.bias is None:
            module.bias = nn.Parameter(torch.zeros(module.weight.shape[0]))
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        problem = str(error).splitlines()[-1].strip()
        raise UserError(f"the packed network is not the one to unpack into: {problem}") from None
    return model


def load_packed(data: bytes) -> tuple[nn.Module, Packed]:
    """The Spikformer of a file with plain weights, and all that the file holds.

    Raises UserError where the file is none of ours, damaged, or of another kind of network.
    """
    packed = read(data)
    return _filled(packed, skeleton(packed.about)), packed


def read(data: bytes) -> Packed:
    """What a file holds. Raises UserError where it is none of ours, damaged or cut short."""
    header, content = opened(data)
    about = said_by(header)
    if about.get("format") != FORMAT:
        raise UserError(
            f"no packed network of format {FORMAT}: pack a trained one with `hetspike pack`, or "
            "use the version of hetspike that wrote it"
        )
    if about.pop("digest", None) != _digest(header, about, content):
        raise UserError("the packed network is damaged (its checksum differs): get it again")
    tensors = tensors_of(data)
    layers = {}
    for name, (scheme, bits, shape) in about["layers"].items():
        if scheme not in SCHEMES:
            raise UserError(
                f"layer {name} has the scheme '{scheme}', unknown here: use one of "
                f"{', '.join(SCHEMES)}, or the version of hetspike that wrote it"
            )
        scale, bias = tensors.pop(f"{name}.scale"), tensors.pop(f"{name}.bias")
        negative, index = from_bits(tensors.pop(f"{name}.codes"), shape, bits)
        layers[name] = PackedLayer(Choice(scheme, bits), negative, index, scale, bias)
    return Packed(about, layers, tensors)


def _sealed(tensors: dict[str, Tensor], about: dict[str, Any]) -> bytes:
    """The bytes of a file whose header says all of `about`, with a checksum over everything."""
    about = json.loads(json.dumps({"format": FORMAT, **about}))  # as it will be read
    header, content = opened(save(tensors, {KEY: json.dumps(about)}))
    digest = _digest(header, about, content)
    return save(tensors, {KEY: json.dumps({**about, "digest": digest})})


def _digest(header: dict[str, Any], about: dict[str, Any], content: bytes) -> str:
    """SHA-256 of what the file holds: names, types and shapes, what it says, and the tensors."""
    tensors = {name: each for name, each in header.items() if name != METADATA}
    said = json.dumps([tensors, about], sort_keys=True)
    return hashlib.sha256(said.encode() + content).hexdigest()


def to_bits(negative: Tensor, index: Tensor, bits: int) -> Tensor:
    """Signs and indices [...] as a string of bits in bytes, uint8 [ceil(n b / 8)].

    >>> to_bits(torch.tensor([True, False]), torch.tensor([1, 2]), 3).tolist()  # 101 010 00
    [168]
    """
    codes = (negative.long() << (bits - 1) | index).flatten().numpy()
    places = np.arange(bits - 1, -1, -1)
    return torch.from_numpy(np.packbits((codes[:, None] >> places & 1).astype(np.uint8)))


def from_bits(packed: Tensor, shape: list[int], bits: int) -> tuple[Tensor, Tensor]:
    """Signs (bool) and indices (int64) [shape] of a string of bits: what `to_bits` was given."""
    count = math.prod(shape)
    digits = np.unpackbits(packed.numpy(), count=count * bits).reshape(count, bits)
    index = digits[:, 1:] @ (1 << np.arange(bits - 2, -1, -1))
    return (
        torch.from_numpy(digits[:, 0].astype(bool)).view(shape),
        torch.from_numpy(index.astype(np.int64)).view(shape),
    )
