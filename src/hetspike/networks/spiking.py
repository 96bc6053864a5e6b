"""Parts of spiking networks: SpikingJelly's modules, or the kernels where they do the same.

The forward of a network begins with `x = spikes_of(self, frames)` and goes on with these parts. A
part that is given a tensor runs SpikingJelly's modules, which define what it computes. A part that
is given `Spikes` runs the kernels, which compute the same on a CPU, several times faster. Where
they do not know a module's settings, that module runs by itself, and a line at debug level says so.
Names in a state_dict do not depend on it.
"""

import logging
from collections.abc import Callable
from typing import Any, cast

import torch
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import Tensor, nn
from torch.nn.modules import module as hooks
from torch.nn.utils.parametrize import type_before_parametrizations
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

from hetspike.errors import UserError
from hetspike.kernels import layers, spikes
from hetspike.kernels.reports import OBSERVER, unseen
from hetspike.kernels.spikes import Neuron, Spikes
from hetspike.kernels.vectors import LANES

Activity = Tensor | Spikes  # [T, B, C, ...]
log = logging.getLogger(__name__)


def spikes_of(network: nn.Module, frames: Tensor) -> Activity:
    """Reset the network's neurons and return its frames [T, B, C, H, W] as its parts take them.

    They stay a tensor where something wants to see what happens between the parts: hooks, modes of
    PyTorch, gradients of the frames, another device or precision. The observer to whom the parts
    report is none of these.
    """
    functional.reset_net(network)
    if reason := _onlooker(network, frames):
        log.debug("SpikingJelly's modules run: %s", reason)
        return frames
    return spikes.given(frames)


def _onlooker(network: nn.Module, frames: Tensor) -> str | None:
    """Say why SpikingJelly's modules must run, if they must."""
    if type(frames) is not Tensor or frames.device.type != "cpu" or frames.dtype != torch.float32:
        return "the frames are no float32 on a CPU"
    if frames.requires_grad:
        return "the frames have a gradient"
    if torch.is_autocast_enabled("cpu"):
        return "autocast"
    observer = OBSERVER.get()
    modes = [mode for mode in _get_current_dispatch_mode_stack() if mode is not observer]
    if modes or torch._C._len_torch_function_stack():
        return "a mode of PyTorch sees every operation"
    if torch._C._autograd._top_saved_tensors_default_hooks(True):
        return "a hook on what the backward pass needs"
    kinds = "_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"
    if any(getattr(hooks, f"_global{kind}") for kind in kinds):
        return "a hook on all modules"
    for name, module in network.named_modules():
        of_module = [hook for kind in kinds for hook in getattr(module, kind).values()]
        others = [hook for hook in of_module if getattr(hook, "__self__", hook) is not observer]
        if module is not network and others:
            return f"a hook on {name}"
    return None


class Firing(nn.Sequential):
    """A layer, its batch norm or what `packed.folding` leaves of it, and its neurons."""

    def forward(self, x: Activity) -> Activity:
        if not isinstance(x, Spikes):
            return super().forward(x)
        synapses, norm, lif = cast(tuple[Any, Any, Any], tuple(self))
        reason = unknown_layer(synapses, biased=_is_folded(norm))
        if reason := reason or _unknown_norm(norm, x) or _unknown_neuron(lif):
            return _by_itself(super().forward, reason, x)
        weight, stride, padding = synapses.weight, synapses.stride[0], synapses.padding[0]
        with unseen() as observer:
            gamma, beta, statistics = _norm(norm, synapses)
            behind = gamma, beta, statistics, _neuron(lif)
            fired = layers.fire(x, weight, stride, padding, *behind)
            if observer:
                observer.see_layer(synapses, weight, x.channels_first, fired.channels_first)
                observer.see_neurons(lif, fired.channels_first)
        return fired


class MaxPool2d(layer.MaxPool2d):
    """Max-pool of spikes, 3x3 with stride 2 and padding 1.

    Its name is SpikingJelly's, because packed files name the class.
    """

    def __init__(self) -> None:
        super().__init__(3, stride=2, padding=1, step_mode="m")

    def forward(self, x: Activity) -> Activity:
        if not isinstance(x, Spikes):
            return super().forward(x)
        if not x.binary or x.values.shape[-1] % min(LANES):
            return _by_itself(super().forward, "a pool of sums, or its channels", x, like=x)
        return spikes.pool(x)


def attend(
    q: Activity, k: Activity, v: Activity, heads: int, scale: float, lif: nn.Module
) -> Activity:
    """Return the spikes of scale (q k^T) v, head by head; q, k and v are [T, B, D, N]."""

    def by_modules(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        # [T, B, D, N] -> [T, B, h, D/h, N]: the channels of a head stay together
        q, k, v = (each.unflatten(2, (heads, -1)) for each in (q, k, v))
        attention = q.transpose(-2, -1) @ k  # [T, B, h, N, N]
        met = v @ attention.transpose(-2, -1) * scale  # [T, B, h, D/h, N]
        return lif(met.flatten(2, 3))

    if not (isinstance(q, Spikes) and isinstance(k, Spikes) and isinstance(v, Spikes)):
        return by_modules(*cast(tuple[Tensor, Tensor, Tensor], (q, k, v)))
    if reason := _unknown_neuron(lif):
        return _by_itself(by_modules, reason, q, k, v)
    if q.values.shape[-1] // heads not in LANES or not (q.binary and k.binary and v.binary):
        return _by_itself(by_modules, "sums, or the width of heads", q, k, v)
    with unseen() as observer:
        fired = spikes.attend(q, k, v, heads, scale, _neuron(lif))
        if observer:
            observer.see_attention(q.channels_first, k.channels_first, v.channels_first, heads)
            observer.see_neurons(lif, fired.channels_first)
    return fired


def tokens(x: Activity) -> Activity:
    """Make tokens [T, B, C, N] of images [T, B, C, H, W]."""
    return x.flatten() if isinstance(x, Spikes) else x.flatten(3)


def mean_of_tokens(x: Activity) -> Tensor:
    """Return the mean over tokens: [T, B, C, N] -> [T, B, C]."""
    return x.mean() if isinstance(x, Spikes) else x.mean(3)


def _by_itself(
    forward: Callable[..., Tensor], reason: str, *given: Spikes, like: Spikes | None = None
) -> Spikes:
    """Run modules on tensors, between parts that do not."""
    log.debug("SpikingJelly's modules run: %s", reason)
    return spikes.entered(forward(*(each.tensor() for each in given)), like)


def unknown_layer(synapses: Any, *, biased: bool) -> str | None:
    """Name what the kernels do not know of a layer; it has a bias where its norm is folded."""
    kind = type_before_parametrizations(synapses)
    if kind is layer.Conv1d:
        plain = synapses.kernel_size == (1,) and synapses.stride == (1,) and not synapses.padding[0]
    else:
        sizes = (getattr(synapses, each, ()) for each in ("kernel_size", "stride", "padding"))
        plain = kind is layer.Conv2d and all(len({*each}) == 1 for each in sizes)
        plain = plain and not isinstance(synapses.padding, str)
    known = (
        plain
        and {*synapses.dilation, synapses.groups} == {1}
        and synapses.padding_mode == "zeros"
        and (synapses.bias is not None) == biased
        and synapses.step_mode == "m"
        and synapses.out_channels % min(LANES) == 0
    )
    return None if known else f"{synapses}"


def _is_folded(norm: Any) -> bool:
    return type(norm) is nn.Identity


def _unknown_norm(norm: Any, x: Spikes) -> str | None:
    if _is_folded(norm):
        return None
    kind = type_before_parametrizations(norm)
    known = (
        kind in (layer.BatchNorm1d, layer.BatchNorm2d)
        and norm.affine
        and norm.track_running_stats
        and norm.momentum is not None
        and norm.step_mode == "m"
        and norm.weight.dtype == torch.float32
    )
    if known and norm.training and x.values.shape[:-1].numel() == 1:
        return "one value a channel"
    return None if known else f"{norm}"


def _unknown_neuron(lif: Any) -> str | None:
    known = (
        type(lif) is neuron.LIFNode
        and not isinstance(lif.v, Tensor)  # a potential that modules left
        and lif.v_reset == 0
        and lif.decay_input
        and lif.detach_reset
        and lif.step_mode == "m"
        and not lif.store_v_seq
        and type(lif.surrogate_function) is surrogate.Sigmoid
        and lif.surrogate_function.spiking
    )
    return None if known else f"{lif}"


def _norm(norm: Any, synapses: Any) -> tuple[Tensor, Tensor, layers.Norm]:
    """Return gain, shift and statistics. Where the norm is folded, the shift is the bias."""
    if _is_folded(norm):
        zeros, ones = torch.zeros(synapses.out_channels), torch.ones(synapses.out_channels)
        still = layers.Norm(zeros, ones, zeros, momentum=0.0, epsilon=0.0, learns=False)
        return ones, synapses.bias, still
    statistics = norm.running_mean, norm.running_var, norm.num_batches_tracked
    how = norm.momentum, norm.eps, norm.training
    return norm.weight, norm.bias, layers.Norm(*statistics, *how)


def _neuron(lif: Any) -> Neuron:
    """Return the settings of neurons. Their potential is 0 now and not known afterwards.

    Raises UserError for neurons that have run before since `spikes_of` reset them.
    """
    if lif.v is None:
        raise UserError("neurons run twice in one forward: give each place neurons of its own")
    lif.v = None
    return Neuron(1 / lif.tau, lif.v_threshold, lif.surrogate_function.alpha)
