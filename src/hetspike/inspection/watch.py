"""A count of every operation in a forward pass, sorted by kind.

`Watch` receives every operation of PyTorch that a network runs [TorchDispatchMode]. It tracks which
tensors are activations (computed from the frames) and which are constants (computed from parameters
or from nothing). It sorts the operations on activations:

    weighed     a product with a constant: a matrix product, a convolution, or element by element
    multiplied  a product of two activations, as in attention
    free        moves, comparisons and additions; scaling by one number, or by one per channel as in
                batch norm; all operations inside neurons
    uncounted   all others: their cost is not known, so they are listed by name

Kernels compute on arrays, which PyTorch does not see. The parts of networks that run them report
their products and neurons to `Watch` (`kernels.reports`), and the values that they pass on are
activations. So whatever else a network does, before, between and behind its parts, is an operation
of PyTorch and is sorted as in any other network: no network has to state that it consists of parts.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any, Self

import torch
from spikingjelly.activation_based import neuron
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

from hetspike.inspection.counting import (
    Multiplied,
    Seen,
    Weighed,
    count_products,
    weights_per_input,
)
from hetspike.kernels.reports import OBSERVER

# the origin of a tensor: ACTIVATION, or the names of the parameters from which it was computed
ACTIVATION = None
NOTHING: frozenset[str] = frozenset()

# operations by their name in aten, without the underscores at its ends
MATRICES = {  # position of the left matrix; the right one follows
    **dict.fromkeys(("mm", "bmm", "mv", "dot", "vdot"), 0),
    **dict.fromkeys(("addmm", "baddbmm", "addbmm", "addmv", "addmm_activation"), 1),
}
ELEMENTWISE = {"mul": 0, "addcmul": 1}  # position of the first factor
DIVISIONS = ("div", "true_divide")
NORMS = ("native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm")
# operations that only move values, or make constants
MOVES = """
    alias arange as_strided cat channel_shuffle clone col2im constant_pad_nd copy detach diag_embed
    embedding empty empty_like empty_strided eye fill flip full full_like gather im2col index
    index_copy index_fill index_put index_select lift lift_fresh linspace local_scalar_dense
    masked_fill masked_scatter masked_select native_channel_shuffle new_empty new_empty_strided
    new_full new_ones new_zeros nonzero ones ones_like pixel_shuffle pixel_unshuffle put
    reflection_pad1d reflection_pad2d reflection_pad3d repeat repeat_interleave replication_pad1d
    replication_pad2d replication_pad3d reshape_alias resize roll rot90 scalar_tensor scatter
    select_scatter set slice_scatter squeeze stack t take to_copy transpose tril triu unsafe_index
    unsafe_index_put unsafe_split unsafe_split_with_sizes unsafe_view unsqueeze upsample_nearest1d
    upsample_nearest2d upsample_nearest3d upsample_nearest_exact1d upsample_nearest_exact2d
    upsample_nearest_exact3d where zero zeros zeros_like
"""
COMPARES = """
    abs adaptive_max_pool2d adaptive_max_pool3d all amax amin aminmax and any argmax argmin argsort
    bitwise_and bitwise_not bitwise_or bitwise_xor bucketize ceil clamp clamp_max clamp_min
    count_nonzero cummax cummin eq equal floor fmax fmin frac ge gt hardtanh heaviside is_nonzero
    isfinite isinf isnan kthvalue le logical_and logical_not logical_or logical_xor lt max
    max_pool1d max_pool2d max_pool2d_with_indices max_pool3d max_pool3d_with_indices maximum median
    min minimum mode nan_to_num ne or relu round searchsorted sgn sign signbit sort threshold topk
    trunc xor
"""
# additions, and scaling by numbers that do not depend on activations, once per sum or channel
ADDS = """
    adaptive_avg_pool2d adaptive_avg_pool3d add avg_pool1d avg_pool2d avg_pool3d bincount
    bitwise_left_shift bitwise_right_shift cumsum index_add leaky_relu lshift mean nansum
    native_batch_norm_legit_no_training neg prelu_kernel rshift rsub scatter_add sub sum
"""
FREE = frozenset(f"{MOVES} {COMPARES} {ADDS}".split())


class Watch(TorchDispatchMode):
    """A counter of the operations of a model that is called with frames.

    Its dictionaries have the names of modules as keys, in the order of execution.

    >>> model = nn.Sequential(nn.Linear(2, 3), nn.Softmax(-1))
    >>> with torch.no_grad(), Watch(model) as seen:
    ...     _ = model(torch.tensor([[1.0, 0.5]]))
    >>> seen.weighed["0"].acs, seen.weighed["0"].macs, dict(seen.uncounted)
    (3, 3, {('1', 'softmax'): 3})
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.weighed: dict[str, Weighed] = {}
        self.multiplied: dict[str, Multiplied] = {}
        self.neurons: dict[str, Seen] = {}
        self.uncounted: dict[tuple[str, str], int] = {}  # (module, operation) -> values
        self.numbers = dict(model.named_parameters()) | dict(model.named_buffers())
        self._model = model
        self._names = {module: name for name, module in model.named_modules()}
        self._origins: dict[int, frozenset[str] | None] = {}  # address of a storage -> origin
        self._modules: list[nn.Module] = []  # modules that are running, the innermost last
        self._executed = 0

    def __enter__(self) -> Self:
        self._origins = {_storage(p): frozenset({name}) for name, p in self.numbers.items()}
        with ExitStack() as stack:
            for module in self._names:
                before = module.register_forward_pre_hook(self._begin)
                after = module.register_forward_hook(self._end, always_call=True)
                stack.callback(before.remove)
                stack.callback(after.remove)
            # attention runs as its matrix products and its softmax, not as one operation
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
            stack.callback(
                torch.backends.mha.set_fastpath_enabled, torch.backends.mha.get_fastpath_enabled()
            )
            torch.backends.mha.set_fastpath_enabled(False)
            stack.callback(OBSERVER.reset, OBSERVER.set(self))
            super().__enter__()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        with self._stack:
            super().__exit__(*error)

    def _begin(self, module: nn.Module, inputs: tuple) -> None:
        if module is self._model:
            self._set_origin(inputs, ACTIVATION)
        self._modules.append(module)

    def _end(self, module: nn.Module, inputs: tuple, output: Any) -> None:
        self._modules.pop()
        if isinstance(module, neuron.BaseNode) and isinstance(output, Tensor):
            self.see_neurons(module, output)

    # the methods of `kernels.reports.Observer`

    def see_activation(self, values: Tensor) -> None:
        self._set_origin(values, ACTIVATION)

    def see_layer(self, synapses: nn.Module, weight: Tensor, x: Tensor, spikes: Tensor) -> None:
        self._modules.append(synapses)
        x, spikes = x.flatten(0, 1), spikes.flatten(0, 1)
        stride, padding, dilation = synapses.stride, synapses.padding, synapses.dilation
        self._convolution(spikes, x, weight, None, stride, padding, dilation, False, (), 1)
        self._modules.pop()

    def see_attention(self, q: Tensor, k: Tensor, v: Tensor, heads: int) -> None:
        products = self.multiplied.setdefault(self._inside(), Multiplied())
        products.attend(q.flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1), heads)

    def see_neurons(self, neurons: nn.Module, spikes: Tensor) -> None:
        seen = self.neurons.setdefault(self._names[neurons], Seen())
        seen.look(spikes.flatten(0, 1), spikes.numel())

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # True would make torch import its compiler, which takes seconds

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        origin = self._origin([*_tensors(args), *_tensors(kwargs.values())])
        name = _name(func)
        before = args
        if name in ELEMENTWISE and func._schema.is_mutable:  # the operation overwrites a factor
            before = tuple(self._copy(x) if isinstance(x, Tensor) else x for x in args)
        out = func(*args, **kwargs)
        self._set_origin(out, NOTHING if name == "lift_fresh" else origin)  # torch.tensor(...)
        if self._modules and origin is ACTIVATION and not func.is_view and name not in FREE:
            self._sort(name, before, out)
        return out

    def _sort(self, name: str, args: tuple, out: Any) -> None:
        """Count an operation on activations under its kind."""
        known = not any(x.is_complex() for x in _tensors(args))
        if known and name in MATRICES:
            left = MATRICES[name]
            self._matrices(args[left], args[left + 1], out)
        elif known and name == "convolution":
            self._convolution(out, *args)
        elif any(isinstance(module, neuron.BaseNode) for module in self._modules):
            pass
        elif known and name in ELEMENTWISE:
            first = ELEMENTWISE[name]
            self._elements(args[first], args[first + 1], out)
        elif known and name in DIVISIONS and not self._is_activation(args[1]):
            self._elements(args[0], args[1], out)
        elif not (name in NORMS and not args[5]):  # a batch norm in evaluation mode is free
            values = sum(x.numel() for x in _tensors(args) if self._is_activation(x))
            key = self._inside(), name
            self.uncounted[key] = self.uncounted.get(key, 0) + values

    def _matrices(self, left: Tensor, right: Tensor, out: Tensor) -> None:
        """Count a product of matrices or vectors, or of batches of them."""
        if right.dim() == 1:
            right = right[:, None]
        if left.dim() == 1:
            left = left[None]
        if not self._is_activation(right):
            self._weigh(left, right, out, right.shape[-1], fan_in=right.shape[-2])
        elif not self._is_activation(left):
            self._weigh(right, left, out, left.shape[-2], fan_in=left.shape[-1])
        else:
            self._multiply(left, right, out, count_products)

    def _convolution(self, out: Tensor, x: Tensor, weight: Tensor, *args: Any) -> None:
        _, stride, padding, dilation, transposed, output_padding, groups = args
        if self._is_activation(weight):
            options = (None, stride, padding, dilation, transposed, output_padding, groups)

            def pairs(masks: Tensor, kernels: Tensor) -> int:
                return int(torch.convolution(masks.double(), kernels.double(), *options).sum())

            self._multiply(x, weight, out, pairs)
            return
        weights = weights_per_input(
            x.shape[2:],
            out.shape[2:],
            weight.shape,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            transposed=transposed,
        )
        fan_in = weight.numel() // out.shape[1]
        # includes the padding, as papers of the field count
        dense = x.numel() * weight[0].numel() if transposed else out.numel() * fan_in
        self._weigh(x, weight, out, weights, fan_in=fan_in, dense=dense)

    def _elements(self, x: Any, other: Any, out: Tensor) -> None:
        """Count a product element by element; scaling by a number or a vector is free."""
        if not self._is_activation(x):
            x, other = other, x
        if self._is_activation(other):
            self._multiply(x, other, out, lambda a, b: int((a & b).count_nonzero()))
        elif isinstance(other, Tensor) and other.numel() > max(other.shape, default=1):
            self._weigh(x, other, out, out.numel() // max(x.numel(), 1), fan_in=1)

    def _weigh(
        self,
        x: Tensor,
        weight: Tensor,
        out: Tensor,
        weights: int | Tensor,
        *,
        fan_in: int,
        dense: int | None = None,
    ) -> None:
        """Count products with constants.

        weights  number of weights per value of x, as for `counting.count`
        dense    number of pairs, padding included; None: `weights` for each value
        """
        origins = self._origins.get(_storage(weight), NOTHING) or NOTHING
        row = self.weighed.setdefault(self._owner(origins), Weighed())
        row.weigh(x, weights, out.numel())
        row.dense += x.numel() * int(weights) if dense is None else dense
        row.fan_in = max(row.fan_in, fan_in)
        row.made_from |= origins
        if not origins:
            sizes = zip(weight.shape, weight.stride(), strict=True)
            stored = math.prod(size for size, stride in sizes if stride)  # others are expanded
            row.constants = max(row.constants, stored)
        self._executed += 1
        row.last = self._executed

    def _multiply(
        self, left: Tensor, right: Tensor, out: Tensor, pairs: Callable[[Tensor, Tensor], int]
    ) -> None:
        self.multiplied.setdefault(self._inside(), Multiplied()).multiply(left, right, out, pairs)

    def _owner(self, origins: frozenset[str]) -> str:
        """Return the name of the module that owns weights with these origins.

        It is the running module, or the module of the parameter with most numbers.
        """
        if not origins:
            return self._inside()
        largest = max(sorted(origins), key=lambda name: self.numbers[name].numel())
        storage = _storage(self.numbers[largest])
        if any(_storage(p) == storage for p in self._modules[-1].parameters(recurse=False)):
            return self._inside()  # which may share the parameter with another module
        # a parametrized weight is in a module inside the layer
        layer = largest.partition(".parametrizations.")[0]
        return layer if layer != largest else largest.rpartition(".")[0]

    def _inside(self) -> str:
        """Return the name of the innermost running module."""
        return self._names[self._modules[-1]]

    def _origin(self, tensors: list[Tensor]) -> frozenset[str] | None:
        """Return the origin of a result of these tensors: ACTIVATION if one of them is one."""
        origins = [self._origins.get(_storage(x), NOTHING) for x in tensors]
        if any(origin is ACTIVATION for origin in origins):
            return ACTIVATION
        return NOTHING.union(*(origin for origin in origins if origin))

    def _set_origin(self, results: Any, origin: frozenset[str] | None) -> None:
        for x in _tensors([results]):
            self._origins[_storage(x)] = origin

    def _copy(self, x: Tensor) -> Tensor:
        copied = x.clone()
        self._set_origin(copied, self._origin([x]))
        return copied

    def _is_activation(self, x: Any) -> bool:
        return isinstance(x, Tensor) and self._origins.get(_storage(x), NOTHING) is ACTIVATION


@cache
def _name(func: Any) -> str:
    """Return an operation's base name: 'mul' for aten::mul.Tensor and aten::mul_.Scalar."""
    return str(func._schema.name).rpartition("::")[2].strip("_")


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    """Yield the tensors among arguments or results, also those in lists."""
    for each in values:
        if isinstance(each, Tensor):
            yield each
        elif isinstance(each, list | tuple):
            yield from _tensors(each)


def _storage(x: Tensor) -> int:
    """Return a number that a tensor shares with its views and slices: its storage's address."""
    return x.untyped_storage().data_ptr() if x.layout is torch.strided else id(x)
