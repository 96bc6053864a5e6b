"""Folding of batch norms into the layers before them, where the network's output stays the same.

A batch norm is folded if

    every input of the norm is the unchanged output of a layer
    no other operation reads the parameters of the norm or of the layer
    the norm acts on the channels of the layer's output

Forward passes show which operation reads which tensor, and the last condition is also checked on
random inputs of the layer. Other norms stay as they are. If a norm can be folded but another
operation also uses the layer's output, UserError is raised.
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
OTHERS = ""  # the reader of a tensor that is neither a layer nor a norm
NOBODY = OTHERS, None
BUSY = 4  # upper bound, not reached, of the events per pixel in `busy`
TOLERANCE = 1e-7  # relative to the largest output, in double precision


class Affine(NamedTuple):
    """A function of each channel of a layer's products: gain * x + shift, both [C]."""

    gain: Tensor
    shift: Tensor


class _Uses(TorchDispatchMode):
    """A record of which layers, norms and other operations read which tensors in forward passes."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.layers = quantizable_layers(model)
        self.norms = {name: m for name, m in model.named_modules() if isinstance(m, BatchNorm)}
        self.owners: dict[int, set[str]] = {}  # storage -> layers and norms with a tensor in it
        for name, module in (self.layers | self.norms).items():
            for tensor in (*module.parameters(), *module.buffers()):
                self.owners.setdefault(_storage(tensor), set()).add(name)
        self.running: list[str] = []  # layers and norms that are running, the innermost last
        self.outputs: dict[int, tuple[str, Tensor]] = {}  # storage -> layer and its output
        self.readers: dict[str, set[str]] = defaultdict(set)  # layer -> readers of its outputs
        self.sources: dict[str, set[str]] = defaultdict(set)  # norm -> layers whose outputs it read
        self.inputs: dict[str, Tensor] = {}  # layer -> one of its inputs
        self.shared: set[str] = set()  # layers and norms whose own tensors others read

    def follow(self, model: nn.Module, example: Tensor) -> None:
        """Record one pass."""
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
                self._read(answers(model, example))  # the caller of the network reads its output
        finally:
            self.outputs.clear()
            for hook in hooks:
                hook.remove()

    def __torch_dispatch__(
        self, operation: Any, types: Any, arguments: Any = (), named: Any = None
    ) -> Any:
        for each in tree_leaves((arguments, named)):
            if isinstance(each, Tensor):
                self._read(each)
        return operation(*arguments, **(named or {}))

    def _begin(self, name: str, x: Tensor | None = None, *_: Any) -> None:
        if name in self.norms:
            layer, output = self.outputs.get(_storage(x), NOBODY) if x is not None else NOBODY
            self.sources[name].add(layer if output is x else OTHERS)
        elif x is not None:
            self.inputs[name] = x
        self.running.append(name)

    def _end(self, name: str, output: Tensor) -> None:
        self.running.remove(name)
        if name in self.layers:
            self.outputs[_storage(output)] = name, output

    def _read(self, tensor: Tensor) -> None:
        storage = _storage(tensor)
        if storage in self.outputs:
            running_norms = [name for name in self.running if name in self.norms]
            self.readers[self.outputs[storage][0]].add((*running_norms, OTHERS)[0])
        owners = self.owners.get(storage, set())
        if owners.isdisjoint(self.running):
            self.shared |= owners


def _storage(tensor: Tensor) -> int:
    """Return the address of a tensor's storage, which its views share."""
    return tensor.untyped_storage().data_ptr()


def batch_norms_after(model: nn.Module, example: Tensor) -> dict[str, str]:
    """Return layer -> the batch norm after it that can be folded, for a model of plain weights.

    example  an input of the model, frames [T, B, C, H, W] for a Spikformer. A second input with
             more events is made, since neurons may not spike on the example

    Raises UserError if another operation than the norm also uses the output of such a layer.
    """
    uses = _Uses(model)
    for frames in (example, busy(example)):
        uses.follow(model, frames)
    after = {
        layer: norm
        for norm, sources in uses.sources.items()
        if OTHERS not in sources and uses.shared.isdisjoint({norm, *sources})
        if all(_folds(uses.layers[x], uses.norms[norm], uses.inputs.get(x)) for x in sources)
        for layer in sources
    }
    for layer, norm in after.items():
        if uses.readers[layer] != {norm}:
            raise UserError(
                f"the output of layer {layer} is used by more than the batch norm behind it "
                f"({norm}), which cannot be folded then: give that norm a layer of its own"
            )
    return dict(sorted(after.items()))


def busy(example: Tensor) -> Tensor:
    """Return random event counts of the shape of the example, with events at most pixels."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(BUSY, example.shape, generator=generator).float()


@torch.no_grad()
def answers(model: nn.Module, example: Tensor) -> Tensor:
    """Return the output of the model in evaluation mode; neurons are reset before and after."""
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
    """Return whether folding the norm into the layer keeps the output, for random inputs."""
    assert isinstance(norm, BatchNorm)
    if like is None or layer.weight.shape[0] != norm.num_features:
        return False
    layer, norm = copy.deepcopy(layer).double(), copy.deepcopy(norm).double().eval()
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(like.shape, generator=generator, dtype=torch.float64)
    wanted = norm(layer(x))
    fold(layer, affine(layer, norm))
    return same(layer(x), wanted)


def same(output: Tensor, expected: Tensor) -> bool:
    """Return whether outputs in double precision differ only by rounding."""
    return torch.allclose(output, expected, rtol=0, atol=TOLERANCE * float(expected.abs().max()))


def affine(layer: Synapses, norm: nn.Module | None = None) -> Affine:
    """Return the layer's bias and the batch norm after it as one gain and one shift per channel."""
    ones = layer.weight.new_ones(layer.weight.shape[0])
    bias = 0 * ones if layer.bias is None else layer.bias.detach()
    if norm is None:
        return Affine(ones, bias)
    assert isinstance(norm, BatchNorm)
    if norm.running_mean is None or norm.running_var is None:
        raise UserError("a batch norm without running statistics cannot be folded: track them")
    gain = (norm.running_var + norm.eps).rsqrt()
    if norm.affine:
        gain = gain * norm.weight.detach()
    shift = gain * (bias - norm.running_mean)
    return Affine(gain, shift + norm.bias.detach() if norm.affine else shift)


def fold(layer: Synapses, after: Affine) -> None:
    """Fold the gain and the shift of `affine` into a layer of plain weights, in place."""
    gain = after.gain.view(-1, *(1,) * (layer.weight.dim() - 1))
    layer.weight = nn.Parameter(gain * layer.weight.detach())
    layer.bias = nn.Parameter(after.shift)


def without(model: nn.Module, norms: Iterable[str]) -> nn.Module:
    """Replace these norms of the model by identities, in place and under all their names."""
    removed = [model.get_submodule(name) for name in norms]
    for name, module in list(model.named_modules(remove_duplicate=False)):
        if any(module is norm for norm in removed):
            model.set_submodule(name, nn.Identity())
    return model


def check_folded(plain: nn.Module, folded: nn.Module, example: Tensor) -> None:
    """Raise UserError unless both networks, in double precision, return the same outputs.

    The inputs are the example and `busy(example)`.
    """
    for frames in (example.double(), busy(example).double()):
        expected = answers(plain, frames)
        try:
            output = answers(folded, frames)
        except Exception as error:  # a user's forward that reads a removed norm may raise anything
            names = {id(module): name for name, module in folded.named_modules()}
            place = names.get(id(getattr(error, "obj", None)), "one of them")
            raise UserError(
                f"with its batch norms folded the network does not run ({error}): code besides "
                f"them reads {place}"
            ) from None
        if not same(output, expected):
            raise UserError("with its batch norms folded the network does not answer as before")
