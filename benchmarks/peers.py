"""What others offer for the same steps: stock SpikingJelly, Brevitas, a supernet of branches."""

from collections.abc import Callable

import torch
from brevitas import nn as quantized
from brevitas.core.scaling import ScalingImplType
from brevitas.quant import Int8WeightPerChannelFloat
from measuring import CANDIDATES, CLASSES, NETWORK, SIDE, T, by_modules, spikformer
from spikingjelly.activation_based import functional, layer
from spikingjelly.activation_based.model.spikformer import Spikformer as StockSpikformer
from torch import Tensor, nn
from torch.nn.functional import conv1d, conv2d, gumbel_softmax, linear

from hetspike.inspection.layers import Synapses, quantizable_layers
from hetspike.quantization.quantizer import Choice, Quantizer


def stock() -> tuple[nn.Module, Callable[[Tensor], Tensor]]:
    """Return SpikingJelly's own Spikformer, and how it answers."""
    torch.manual_seed(0)
    model = StockSpikformer(
        T=T,
        in_channels=2,
        img_size_h=SIDE,
        img_size_w=SIDE,
        patch_size=4,
        num_classes=CLASSES,
        embed_dims=NETWORK["width"],
        num_heads=NETWORK["heads"],
        mlp_ratio=NETWORK["mlp_ratio"],
        depths=NETWORK["depth"],
    ).train()

    def answer(frames: Tensor) -> Tensor:
        functional.reset_net(model)
        logits = model(frames)
        return logits.mean(0) if logits.dim() == 3 else logits

    return model, answer


class _Weights(Int8WeightPerChannelFloat):
    bit_width = 4
    scaling_impl_type = ScalingImplType.PARAMETER_FROM_STATS


def of_brevitas() -> nn.Module:
    """Return our network with Brevitas' layers: 4 bits, a learned scale for each channel."""
    model = spikformer()
    for name, each in quantizable_layers(model).items():
        if isinstance(each, nn.Linear):
            other = quantized.QuantLinear(
                each.in_features, each.out_features, bias=True, weight_quant=_Weights
            )
        else:
            kind = quantized.QuantConv1d if isinstance(each, nn.Conv1d) else quantized.QuantConv2d
            sizes = each.in_channels, each.out_channels, each.kernel_size[0]
            other = kind(*sizes, padding=each.padding[0], bias=False, weight_quant=_Weights)
        other.weight.data.copy_(each.weight.data)
        fits = other if isinstance(each, nn.Linear) else layer.SeqToANNContainer(other)
        _replace(model, name, fits)
    return by_modules(model).train()


class Branches(nn.Module):
    """A layer with a convolution for each candidate: the textbook's supernet."""

    def __init__(self, of: Synapses, candidates: tuple[Choice, ...]) -> None:
        super().__init__()
        self.weight, self.bias, self.of = of.weight, of.bias, [of]
        self.quantizers = nn.ModuleList(Quantizer(of.weight, each) for each in candidates)
        self.logits = nn.Parameter(torch.zeros(len(candidates)))

    def forward(self, x: Tensor) -> Tensor:
        (of,) = self.of
        weights = gumbel_softmax(self.logits, tau=1.0)
        flat = x if isinstance(of, nn.Linear) else x.flatten(0, 1)
        mixed = torch.zeros(())
        for weight, quantizer in zip(weights, self.quantizers, strict=True):
            if isinstance(of, nn.Linear):
                given = linear(flat, quantizer(self.weight), self.bias)
            else:
                product = conv1d if isinstance(of, nn.Conv1d) else conv2d
                given = product(flat, quantizer(self.weight), padding=of.padding)
            mixed = mixed + weight * given
        return mixed if isinstance(of, nn.Linear) else mixed.unflatten(0, x.shape[:2])


def supernet(model: nn.Module, candidates: tuple[Choice, ...] = CANDIDATES) -> nn.Module:
    """Give every layer of the network a branch for each candidate."""
    for name, each in quantizable_layers(model).items():
        _replace(model, name, Branches(each, candidates))
    return by_modules(model)


def _replace(model: nn.Module, name: str, by: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, by)
