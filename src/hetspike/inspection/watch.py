"""A trace of a forward pass: every operation, sorted and counted.

`Watch` sees every operation of PyTorch that a network runs [TorchDispatchMode]. It knows which
tensors are activations, made from the frames, and which are constants, made from parameters or
from nothing, and sorts operations by what they do with activations:

    weighed     meets weights: a product with a constant, matrix, convolution or element by element
    multiplied  a product of two activations, as attention has
    free        moves, compares or adds, or scales by a number or by one for each channel, as batch
                norm does; all that neurons do between their inputs and their spikes
    uncounted   anything else: it is named, since what it costs is not known
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any, Self

import torch
from spikingjelly.activation_based import neuron
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

from hetspike.inspection.counting import Multiplied, Seen, Weighed, count_products, weights_met

ACTIVATION = None  # the origin of a tensor; that of a constant: names of parameters
NOTHING: frozenset[str] = frozenset()

# operations by their name in aten, without the underscores at its ends
MATRICES = {  # position of the left matrix; the right one follows
    **dict.fromkeys(("mm", "bmm", "mv", "dot", "vdot"), 0),
    **dict.fromkeys(("addmm", "baddbmm", "addbmm", "addmv", "addmm_activation"), 1),
}
ELEMENTWISE = {"mul": 0, "addcmul": 1}  # position of the first factor
DIVISIONS = ("div", "true_divide")
NORMS = ("native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm")
# what only moves values, or makes constants
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
# and scales by numbers that no activation decides, once a sum or a channel
ADDS = """
    adaptive_avg_pool2d adaptive_avg_pool3d add avg_pool1d avg_pool2d avg_pool3d bincount
    bitwise_left_shift bitwise_right_shift cumsum index_add leaky_relu lshift mean nansum
    native_batch_norm_legit_no_training neg prelu_kernel rshift rsub scatter_add sub sum
"""
FREE = frozenset(f"{MOVES} {COMPARES} {ADDS}".split())


class Watch(TorchDispatchMode):
    """Counts what a model does when it is called; frames are its arguments.

    What it finds stands under the names of modules, in the order of execution.

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
        self.uncounted: dict[tuple[str, str], int] = {}  # module and operation: values
        self.numbers = dict(model.named_parameters()) | dict(model.named_buffers())
        self._model = model
        self._names = {each: name for name, each in model.named_modules()}
        self._origins: dict[int, frozenset[str] | None] = {}  # of a storage, by its address
        self._modules: list[nn.Module] = []  # that are at work, the innermost last
        self._executed = 0

    def __enter__(self) -> Self:
        self._origins = {_place(p): frozenset({name}) for name, p in self.numbers.items()}
        with ExitStack() as stack:
            for module in self._names:
                before = module.register_forward_pre_hook(self._begin)
                after = module.register_forward_hook(self._end, always_call=True)
                stack.callback(before.remove)
                stack.callback(after.remove)
            # in parts that are known, instead of in one operation
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
            stack.callback(
                torch.backends.mha.set_fastpath_enabled, torch.backends.mha.get_fastpath_enabled()
            )
            torch.backends.mha.set_fastpath_enabled(False)
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
            seen = self.neurons.setdefault(self._names[module], Seen())
            seen.look(output, output.numel())

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # to be skipped by it, torch imports its whole compiler: seconds

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        origin = self._origin([*_tensors(args), *_tensors(kwargs.values())])
        name = _name(func)
        before = args
        if name in ELEMENTWISE and func._schema.is_mutable:  # factors that it writes over
            before = tuple(self._copy(x) if isinstance(x, Tensor) else x for x in args)
        out = func(*args, **kwargs)
        self._set_origin(out, NOTHING if name == "lift_fresh" else origin)  # torch.tensor(...)
        if self._modules and origin is ACTIVATION and not func.is_view and name not in FREE:
            self._sort(name, before, out)
        return out

    def _sort(self, name: str, args: tuple, out: Any) -> None:
        """What an operation on activations counts as."""
        known = not any(x.is_complex() for x in _tensors(args))
        if known and name in MATRICES:
            at = MATRICES[name]
            self._matrices(args[at], args[at + 1], out)
        elif known and name == "convolution":
            self._convolution(out, *args)
        elif any(isinstance(module, neuron.BaseNode) for module in self._modules):
            pass
        elif known and name in ELEMENTWISE:
            at = ELEMENTWISE[name]
            self._elements(args[at], args[at + 1], out)
        elif known and name in DIVISIONS and not self._is_activation(args[1]):
            self._elements(args[0], args[1], out)
        elif not (name in NORMS and not args[5]):  # in evaluation
            values = sum(x.numel() for x in _tensors(args) if self._is_activation(x))
            key = self._inside(), name
            self.uncounted[key] = self.uncounted.get(key, 0) + values

    def _matrices(self, left: Tensor, right: Tensor, out: Tensor) -> None:
        """Matrices or vectors, or batches of them."""
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
            how = (None, stride, padding, dilation, transposed, output_padding, groups)

            def met_in(masks: Tensor, kernels: Tensor) -> int:
                return int(torch.convolution(masks.double(), kernels.double(), *how).sum())

            self._multiply(x, weight, out, met_in)
            return
        met = weights_met(
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
        # beyond the borders, too, as the field counts
        dense = x.numel() * weight[0].numel() if transposed else out.numel() * fan_in
        self._weigh(x, weight, out, met, fan_in=fan_in, dense=dense)

    def _elements(self, x: Any, other: Any, out: Tensor) -> None:
        """Element by element; scaled by a number, or by one for each place of an axis: free."""
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
        met: int | Tensor,
        *,
        fan_in: int,
        dense: int | None = None,
    ) -> None:
        """Each value of x meets so many weights; fewer at borders, which `dense` does not see."""
        origins = self._origins.get(_place(weight), NOTHING) or NOTHING
        row = self.weighed.setdefault(self._owner(origins), Weighed())
        row.weigh(x, met, out.numel())
        row.dense += x.numel() * int(met) if dense is None else dense
        row.fan_in = max(row.fan_in, fan_in)
        row.made_from |= origins
        if not origins:
            row.constants = max(row.constants, weight.numel())
        self._executed += 1
        row.last = self._executed

    def _multiply(
        self, left: Tensor, right: Tensor, out: Tensor, pairs: Callable[[Tensor, Tensor], int]
    ) -> None:
        self.multiplied.setdefault(self._inside(), Multiplied()).multiply(left, right, out, pairs)

    def _owner(self, origins: frozenset[str]) -> str:
        """The module whose weights these are: that at work, or the home of most of the numbers."""
        if not origins:
            return self._inside()
        most = max(sorted(origins), key=lambda name: self.numbers[name].numel())
        place = _place(self.numbers[most])
        if any(_place(p) == place for p in self._modules[-1].parameters(recurse=False)):
            return self._inside()  # it may share them with another
        # a parametrized weight lies in a module of its own, inside of the layer
        home = most.partition(".parametrizations.")[0]
        return home if home != most else most.rpartition(".")[0]

    def _inside(self) -> str:
        """The innermost module that is at work."""
        return self._names[self._modules[-1]]

    def _origin(self, tensors: list[Tensor]) -> frozenset[str] | None:
        """Of what is made from these: an activation if one of them is."""
        found = [self._origins.get(_place(x), NOTHING) for x in tensors]
        if any(each is ACTIVATION for each in found):
            return ACTIVATION
        return NOTHING.union(*(each for each in found if each))

    def _set_origin(self, made: Any, origin: frozenset[str] | None) -> None:
        for x in _tensors([made]):
            self._origins[_place(x)] = origin

    def _copy(self, x: Tensor) -> Tensor:
        copied = x.clone()
        self._set_origin(copied, self._origin([x]))
        return copied

    def _is_activation(self, x: Any) -> bool:
        return isinstance(x, Tensor) and self._origins.get(_place(x), NOTHING) is ACTIVATION


@cache
def _name(func: Any) -> str:
    """Of an operation, whatever it writes to: 'mul' of aten::mul.Tensor and aten::mul_.Scalar."""
    return str(func._schema.name).rpartition("::")[2].strip("_")


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    """Those among arguments or results, lists of them included."""
    for each in values:
        if isinstance(each, Tensor):
            yield each
        elif isinstance(each, list | tuple):
            yield from _tensors(each)


def _place(x: Tensor) -> int:
    """What a tensor, its views and its slices have in common."""
    return x.untyped_storage().data_ptr() if x.layout is torch.strided else id(x)
