"""Batch norms folded into the layers before them, where that changes nothing.

A norm is folded if every tensor that it takes is the output of a layer as it is, if nobody else
reads its tensors or the layer's, and if it acts on that output channel by channel. All of that is
seen on forward passes, in which every operation is asked which tensors it takes, and tried on
random inputs of the layer, whatever the example holds. Other norms stay as they are. A layer whose
output is used by more than the norm to be folded is refused.
"""

import copy
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from spikingjelly.activation_based import functional
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from hetspike.errors import UserError
from hetspike.inspection.layers import Synapses, quantizable_layers

BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d
OTHERS = ""  # whoever is neither a layer nor a norm
NOBODY = OTHERS, None
BUSY = 4  # events a pixel, fewer than so many
TOLERANCE = 1e-7  # of the largest output in double precision


class Affine(NamedTuple):
    """What follows a layer's products, channel by channel: gain * x + shift, each [C]."""

    gain: Tensor
    shift: Tensor


class _Uses(TorchDispatchMode):
    """The uses of tensors in forward passes of a model."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.layers = quantizable_layers(model)
        self.norms = {name: m for name, m in model.named_modules() if isinstance(m, BatchNorm)}
        self.owners: dict[int, set[str]] = {}  # memory -> layers and norms with a tensor there
        for name, module in (self.layers | self.norms).items():
            for tensor in (*module.parameters(), *module.buffers()):
                self.owners.setdefault(_place(tensor), set()).add(name)
        self.running: list[str] = []  # layers and norms at work, the innermost last
        self.made: dict[int, tuple[str, Tensor]] = {}  # memory -> a layer and its output, kept
        self.takers: dict[str, set[str]] = defaultdict(set)  # layer -> who took its outputs
        self.sources: dict[str, set[str]] = defaultdict(set)  # norm -> whose outputs it took
        self.inputs: dict[str, Tensor] = {}  # layer -> one of its inputs
        self.read: set[str] = set()  # layers and norms whose own tensors others took

    def follow(self, model: nn.Module, example: Tensor) -> None:
        """See one pass."""
        hooks = [
            hook
            for name, module in (self.layers | self.norms).items()
            for hook in (
                module.register_forward_pre_hook(lambda _, x, name=name: self._begin(name, *x)),
                module.register_forward_hook(lambda _, x, y, name=name: self._end(name, y)),
            )
        ]
        try:
            with self:
                self._take(answers(model, example))  # whoever called the network takes that
        finally:
            self.made.clear()
            for hook in hooks:
                hook.remove()

    def __torch_dispatch__(
        self, operation: Any, types: Any, arguments: Any = (), named: Any = None
    ) -> Any:
        for each in tree_leaves((arguments, named)):
            if isinstance(each, Tensor):
                self._take(each)
        return operation(*arguments, **(named or {}))

    def _begin(self, name: str, x: Tensor | None = None, *_: Any) -> None:
        if name in self.norms:
            layer, output = self.made.get(_place(x), NOBODY) if x is not None else NOBODY
            self.sources[name].add(layer if output is x else OTHERS)
        elif x is not None:
            self.inputs[name] = x
        self.running.append(name)

    def _end(self, name: str, output: Tensor) -> None:
        self.running.remove(name)
        if name in self.layers:
            self.made[_place(output)] = name, output

    def _take(self, tensor: Tensor) -> None:
        place = _place(tensor)
        if place in self.made:
            norms_at_work = [name for name in self.running if name in self.norms]
            self.takers[self.made[place][0]].add((*norms_at_work, OTHERS)[0])
        owners = self.owners.get(place, set())
        if owners.isdisjoint(self.running):
            self.read |= owners


def _place(tensor: Tensor) -> int:
    """Where the memory of a tensor begins, and that of all its views."""
    return tensor.untyped_storage().data_ptr()


def batch_norms_after(model: nn.Module, example: Tensor) -> dict[str, str]:
    """Layer -> the batch norm behind it that can be folded, in a model of plain weights.

    example  input of the model, frames [T, B, C, H, W] for a Spikformer; a busier one is made
             beside it, since an example may leave a network silent

    Raises UserError where the output of such a layer is used by more than the norm.
    """
    uses = _Uses(model)
    for each in (example, busy(example)):
        uses.follow(model, each)
    after = {
        layer: norm
        for norm, sources in uses.sources.items()
        if OTHERS not in sources and uses.read.isdisjoint({norm, *sources})
        if all(_folds(uses.layers[x], uses.norms[norm], uses.inputs.get(x)) for x in sources)
        for layer in sources
    }
    for layer, norm in after.items():
        if uses.takers[layer] != {norm}:
            raise UserError(
                f"the output of layer {layer} is used by more than the batch norm behind it "
                f"({norm}), which cannot be folded then: give that norm a layer of its own"
            )
    return dict(sorted(after.items()))


def busy(example: Tensor) -> Tensor:
    """Return another example of the same shape, with events all over."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(BUSY, example.shape, generator=generator).float()


@torch.no_grad()
def answers(model: nn.Module, example: Tensor) -> Tensor:
    """Return the output of the model in evaluation mode, from reset neurons."""
    functional.reset_net(model)
    output = model.eval()(example)
    functional.reset_net(model)
    if not isinstance(output, Tensor):
        raise UserError(
            f"the network returns a {type(output).__name__}: pack one that returns logits alone"
        )
    return output


@torch.no_grad()
def _folds(layer: Synapses, norm: nn.Module, like: Tensor | None) -> bool:
    """Whether the norm is a gain and a shift of the layer's channels, tried on random inputs."""
    assert isinstance(norm, BatchNorm)
    if like is None or layer.weight.shape[0] != norm.num_features:
        return False
    layer, norm = copy.deepcopy(layer).double(), copy.deepcopy(norm).double().eval()
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(like.shape, generator=generator, dtype=torch.float64)
    wanted = norm(layer(x))
    fold(layer, affine(layer, norm))
    return same(layer(x), wanted)


def same(found: Tensor, wanted: Tensor) -> bool:
    """Whether outputs in double precision differ by what rounding does, and no more."""
    return torch.allclose(found, wanted, rtol=0, atol=TOLERANCE * float(wanted.abs().max()))


def affine(layer: Synapses, norm: nn.Module | None = None) -> Affine:
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


def fold(layer: Synapses, after: Affine) -> None:
    """Fold the batch norm that follows into a layer of plain weights."""
    gain = after.gain.view(-1, *(1,) * (layer.weight.dim() - 1))
    layer.weight = nn.Parameter(gain * layer.weight.detach())
    layer.bias = nn.Parameter(after.shift)


def without(model: nn.Module, norms: Iterable[str]) -> nn.Module:
    """Replace these norms of the model by identities, under all their names."""
    gone = [model.get_submodule(name) for name in norms]
    for name, module in list(model.named_modules(remove_duplicate=False)):
        if any(module is each for each in gone):
            model.set_submodule(name, nn.Identity())
    return model


def check_folded(plain: nn.Module, folded: nn.Module, example: Tensor) -> None:
    """Raise UserError unless both, in double precision, answer alike, to a busy example as well."""
    for each in (example.double(), busy(example).double()):
        wanted = answers(plain, each)
        try:
            found = answers(folded, each)
        except Exception as error:  # whatever a foreign forward raises that looks for a norm
            names = {id(module): name for name, module in folded.named_modules()}
            place = names.get(id(getattr(error, "obj", None)), "one of them")
            raise UserError(
                f"with its batch norms folded the network does not run ({error}): code besides "
                f"them reads {place}"
            ) from None
        if not same(found, wanted):
            raise UserError("with its batch norms folded the network does not answer as before")
