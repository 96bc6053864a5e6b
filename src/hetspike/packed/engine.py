"""An integer engine for packed networks: additions, shifts and comparisons.

The accumulator acc of a layer sums levels as integers, in units of the smallest level. In the float
network, a channel has the gain a and the shift b, and its neuron has the threshold h:

    x = a acc + b        v += (x - v) / 2        s = [v >= h]        v = (1 - s) v

The engine computes the same with u = v / a, B = b / a and H = h / a in fixed point:

    u += (acc + B - u) >> 1        s = [u >= H]        u = (1 - s) u

So spikes are not multiplied and potentials are not scaled. Where a is negative, the levels change
their sign. Float16 numbers a and b have few bits, so a potential is often exactly equal to its
threshold. Therefore H is below h / a by the largest sum of the rounding errors of u: a neuron also
fires if u is too small only by rounding.

Multiplications remain for integers above 1 and uniform weights, as the energy view `ops` charges
them. The logits are the accumulators of the classifier, times a float scale per class.

Sums are computed by floating-point units, which are exact for integers up to 2^24 (float32) or
2^53 (float64). A layer uses the faster type that is exact for its largest sum, and a sum that is
too large for both is refused. In float32 the kernels of `kernels.products` add the levels of the
inputs that are not 0. Spikes and their sums are bytes; in memory, their channels are last.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from spikingjelly.activation_based import neuron
from torch import Tensor, nn
from torch.nn.functional import conv1d, conv2d, linear

from hetspike.data.frames import LARGEST_COUNT
from hetspike.data.samples import StoredFrames, at_once
from hetspike.errors import UserError
from hetspike.inspection.counting import count, count_bytes, weights_per_input
from hetspike.inspection.layers import quantizable_layers
from hetspike.kernels.integers import fire
from hetspike.kernels.layers import Synapses
from hetspike.kernels.spikes import given
from hetspike.networks import load
from hetspike.networks.spiking import unknown_layer
from hetspike.packed.folding import BatchNorm
from hetspike.packed.packing import Packed, PackedLayer, network_of
from hetspike.quantization.levels import SCHEMES

FRACTION = 24  # fraction bits of a potential; fewer if the sums are wide
POTENTIAL_BITS = 61  # of int64: a difference of two potentials needs one more bit, its sign another
EXACT_BITS = 53
EXACT = {torch.float32: 2**24, torch.float64: 2**EXACT_BITS}  # all integers up to here are exact
BATCH = 100


class Count(NamedTuple):
    """Operations of one layer, or of the attention products of a module: mean per recording."""

    layer: str
    multiplications: float
    shifts: float
    additions: float


@dataclass
class Tally:
    """Pairs of a weight and an integer above 1 (macs), and all other pairs (acs)."""

    macs: int = 0
    acs: int = 0


class Fixed(NamedTuple):
    """The shift and threshold of neurons, in units of 2^-fraction of an accumulator's unit."""

    fraction: Tensor
    shift: Tensor
    threshold: Tensor


def fixed_point(gain: Tensor, bias: Tensor, threshold: float, largest: float) -> Fixed:
    """Compute shift and threshold of neurons whose input is gain * acc + bias, acc <= largest.

    The magnitude of a potential is at most that of its largest input, which bounds its width. B is
    rounded once and the potential is rounded down at every step, so it is less than 1.5 units too
    small.
    """
    top = largest + (bias / gain).abs()
    fraction = (POTENTIAL_BITS - top.log2().ceil()).clamp(0, FRACTION)
    unit = gain / 2**fraction
    # a threshold above all potentials may have any value above them
    reached = (threshold / unit - 0.5).floor().clamp(max=2.0 ** (POTENTIAL_BITS + 1))
    return Fixed(fraction.long(), (bias / unit).round().long(), reached.long())


class IntegerLayer:
    """One layer: its levels as integers, and the gain and bias of its accumulators."""

    def __init__(self, layer: PackedLayer, module: nn.Conv1d | nn.Conv2d | nn.Linear) -> None:
        magnitudes, unit = SCHEMES[layer.choice.scheme].levels(layer.choice.bits).integers
        gain, self.bias = layer.scale.double() * unit, layer.bias.double()
        # where the gain is 0, or far smaller than the bias, the weights have no effect
        alive = gain.abs() * 2.0 ** (POTENTIAL_BITS - 1) > self.bias.abs()
        sign = (gain.sign() * alive).view(-1, *(1,) * (layer.magnitude.dim() - 1))
        levels = torch.tensor(magnitudes, dtype=torch.float64)[layer.magnitude]
        self.levels = sign * torch.where(layer.negative, -levels, levels)
        self.gain = torch.where(alive, gain.abs(), 1.0)
        self.choice = layer.choice
        self.module = module
        self.heaviest = int(self.levels.abs().flatten(1).sum(1).max())
        self.exact(LARGEST_COUNT)

    def fixed(self, threshold: float, largest: int) -> Fixed:
        """Compute shift and threshold [C] of the neurons, for inputs up to `largest`."""
        largest = max(LARGEST_COUNT, largest)  # the same for all frames of uint8
        return fixed_point(self.gain, self.bias, threshold, self.heaviest * largest)

    def exact(self, largest: int) -> torch.dtype:
        """Return a type that is exact for sums of inputs up to `largest`, or raise UserError."""
        top = self.heaviest * largest
        for dtype, limit in EXACT.items():
            if top <= limit:
                return dtype
        raise UserError(
            f"a sum of {top.bit_length()} bits, more than the engine's {EXACT_BITS}: give "
            f"{self.choice.scheme} fewer than {self.choice.bits} bits"
        )

    def accumulate(self, x: Tensor, largest: int) -> Tensor:
        """Compute sums of levels [T, B, ..., C] for inputs [T, B, C_in, ...] up to `largest`."""
        dtype = self.exact(largest)
        levels, module = self.levels.to(dtype), self.module
        if isinstance(module, nn.Linear):
            return linear(x.to(dtype), levels)
        if dtype is torch.float32 and not unknown_layer(module, biased=True):
            return Synapses(given(x), levels, module.stride[0], int(module.padding[0])).product()
        convolve: Any = conv2d if isinstance(module, nn.Conv2d) else conv1d
        sums = convolve(x.flatten(0, 1).to(dtype), levels, None, module.stride, module.padding)
        return sums.movedim(1, -1).contiguous().unflatten(0, x.shape[:2])

    def weights_per_input(self, inputs: Sequence[int], outputs: Sequence[int]) -> int | Tensor:
        """Return the number of weights per input, for axes of one input and output [C, ...]."""
        match self.module:
            case nn.Linear(out_features=outputs_each):
                return outputs_each
            case nn.Conv1d() | nn.Conv2d():
                return weights_per_input(
                    inputs[1:],
                    outputs[1:],
                    self.module.weight.shape,
                    stride=self.module.stride,
                    padding=[int(each) for each in self.module.padding],
                    dilation=self.module.dilation,
                    groups=self.module.groups,
                )


def check_runnable(model: nn.Module) -> None:
    """Raise UserError if the engine does not run a module exactly; the message names it."""
    for name, module in model.named_modules():
        if isinstance(module, BatchNorm):
            raise UserError(f"batch norm {name} is in float: the engine runs networks without one")
        if isinstance(module, neuron.BaseNode) and not (
            type(module) is neuron.LIFNode
            and (module.tau, module.decay_input, module.v_reset) == (2.0, True, 0.0)
        ):
            raise UserError(
                f"neuron {name} is none that the engine runs: LIFNode with tau 2.0, decay_input "
                "and v_reset 0.0, whose leak is one shift"
            )


def runs_on_integers(packed: Packed) -> bool:
    """Return whether the engine runs a file: a known architecture without layers in float."""
    network = packed.header.network
    known = network is not None and load(network.architecture).integer_logits is not None
    return known and not packed.has_float_weights


class Engine:
    """A packed network that runs on integers. Raises UserError if it cannot."""

    def __init__(self, packed: Packed) -> None:
        self.model = network_of(packed)
        assert packed.header.network is not None, "network_of"
        architecture = packed.header.network.architecture
        integer_logits = load(architecture).integer_logits
        if integer_logits is None:
            raise UserError(f"a {architecture} does not run on integers: `measure` it instead")
        self.integer_logits = integer_logits
        check_runnable(self.model)
        synapses = quantizable_layers(self.model)
        if missing := [name for name in synapses if name not in packed.layers]:
            raise UserError(
                f"layer {missing[0]} is in float, without integers to run on: quantize every layer"
            )
        self.layers: dict[nn.Module, IntegerLayer] = {
            synapses[name]: IntegerLayer(layer, synapses[name])
            for name, layer in packed.layers.items()
        }
        self.names = {module: name for name, module in self.model.named_modules()}
        self.tallies: dict[nn.Module, Tally] = defaultdict(Tally)

    def run(self, frames: Tensor | StoredFrames) -> tuple[Tensor, list[Count]]:
        """Return classes [R] for event counts [R, T, C, H, W], and operations per recording."""
        self.tallies = defaultdict(Tally)
        size = at_once(frames, BATCH)
        batches = (frames[start : start + size] for start in range(0, len(frames), size))
        classes = torch.cat(
            [self.logits(_integers(batch).transpose(0, 1)).argmax(1) for batch in batches]
        )
        return classes, [self._count(module, len(frames)) for module in self.tallies]

    def logits(self, x: Tensor) -> Tensor:
        """Event counts [T, B, C, H, W], integers -> logits [B, classes], float64."""
        return self.integer_logits(self.model, self, x)

    def classify(self, head: nn.Module, x: Tensor) -> Tensor:
        """Spikes or their sums [T, B, C, N] -> logits [B, classes] of their mean over T and N."""
        layer, steps, tokens = self.layers[head], len(x), x.shape[3]
        # the sum over tokens replaces their mean, so the value of a spike at all tokens is N
        spikes = x.sum(3)
        sums = self._accumulate(head, spikes, _largest(spikes), spike=tokens)
        sums = sums.long().sum(0)  # [B, classes]
        return sums * layer.gain / (steps * tokens) + layer.bias

    def _accumulate(self, module: nn.Module, x: Tensor, largest: int, *, spike: int = 1) -> Tensor:
        """Accumulate and count: [T, B, C_in, ...] up to `largest` -> [T, B, ..., C].

        spike  the input that counts as a spike; other inputs that are not 0 count as MACs
        """
        layer, tally = self.layers[module], self.tallies[module]
        sums = layer.accumulate(x, largest)
        channels_first = sums.shape[-1], *sums.shape[2:-1]
        weights, x = layer.weights_per_input(x.shape[2:], channels_first), x.flatten(0, 1)
        if x.dtype is torch.uint8 and spike == 1:
            active, macs = (count_bytes(x)[0] * weights).view(2, -1).sum(1).tolist()
        else:
            active, macs = (count(each, weights) for each in (x != 0, (x != 0) & (x != spike)))
        tally.macs += macs
        tally.acs += active - macs
        return sums

    def spikes(self, stage: nn.Module, x: Tensor) -> Tensor:
        """Run a layer and its neurons; the batch norm between them is folded into both."""
        assert isinstance(stage, nn.Sequential)
        module, _, lif = stage
        assert isinstance(lif, neuron.LIFNode)
        largest = _largest(x)
        fixed = self.layers[module].fixed(lif.v_threshold, largest)
        return self._fire(self._accumulate(module, x, largest), lif, fixed)

    def _fire(self, sums: Tensor, lif: nn.Module, fixed: Fixed) -> Tensor:
        """Accumulators [T, B, ..., C] -> spikes [T, B, C, ...]: 0 or 1, in bytes."""
        assert isinstance(lif, neuron.LIFNode)
        spikes = torch.empty(sums.shape, dtype=torch.uint8)
        fraction, shift, threshold = (
            each.expand(sums.shape[2:]).flatten().numpy() for each in fixed
        )
        fire(sums.flatten(2).numpy(), fraction, shift, threshold, spikes.flatten(2).numpy())
        return spikes.movedim(-1, 2)

    def pool(self, pool: nn.Module, x: Tensor) -> Tensor:
        """Run a max-pool on spikes or their sums."""
        binary = x.dtype is torch.uint8 and _largest(x) <= 1
        return pool(given(x, binary=binary)).channels_first

    def attend(
        self,
        attention: nn.Module,
        spikes: tuple[Tensor, Tensor, Tensor],
        lif: nn.Module,
        scale: float,
    ) -> Tensor:
        """Run (q k^T) v * scale and its neurons; return spikes [T, B, h C, N].

        attention  the module whose operations are counted
        spikes     q, k and v, each [T, B, h, C, N]
        """
        q, k, v = (each.float() for each in spikes)
        scores = q.transpose(-2, -1) @ k  # [T, B, h, N, N]: number of channels where both spike
        sums = (v @ scores.transpose(-2, -1)).flatten(2, 3).movedim(2, -1).contiguous()
        # a spike of v is added for each score of its token that is not 0
        added = (v.sum(-2) * (scores != 0).sum(-2)).sum(dtype=torch.float64)
        self.tallies[attention].acs += int(scores.sum(dtype=torch.float64) + added)
        assert isinstance(lif, neuron.LIFNode)
        gain = torch.tensor(scale, dtype=torch.float64)
        fixed = fixed_point(gain, torch.zeros_like(gain), lif.v_threshold, EXACT[torch.float32])
        return self._fire(sums, lif, fixed)

    def _count(self, module: nn.Module, recordings: int) -> Count:
        tally, name = self.tallies[module], self.names[module]
        macs, acs = tally.macs / recordings, tally.acs / recordings
        if module not in self.layers:
            return Count(f"{name}: attention", 0.0, 0.0, acs)
        scheme, bits = self.layers[module].choice
        return Count(name, *SCHEMES[scheme].arithmetic(bits, macs=macs, acs=acs))


def _integers(frames: Tensor) -> Tensor:
    """Return frames of whole numbers as bytes, or as int64 where they may not fit."""
    return frames if frames.dtype is torch.uint8 else frames.long()


def _largest(x: Tensor) -> int:
    """Return the largest value [T, B, C, ...]."""
    return int(x.movedim(2, -1).max())  # bytes are found faster in the order of memory
