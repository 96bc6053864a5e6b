"""The event-data Spikformer (Zhou et al. 2023, arXiv 2209.15425).

It is built from SpikingJelly's multi-step neurons and layers. The letters of shapes:

    T time steps   B batch   C channels   H, W image   N = H*W tokens   D width   h heads

    frames [T, B, 2, H, W]
      -> PatchSplitting   four times conv3x3-BN-LIF, each with an optional max-pool after it,
                          then x + LIF(BN(conv3x3(x))), the position encoding
      -> depth x Block    x + SSA(x), then x + MLP(x)
      -> mean over tokens -> linear head -> mean over T
    logits [B, classes]

The residual stream adds spikes to spikes, so the inputs of q, k, v and fc1 are small integers
instead of spikes. The cost model charges multiplications or shifts for integers above 1.
"""

from collections.abc import Sequence
from typing import Any

from spikingjelly.activation_based import layer, neuron, surrogate
from torch import Tensor, nn

from hetspike.networks import Architecture
from hetspike.networks.spiking import (
    Activity,
    Firing,
    MaxPool2d,
    attend,
    mean_of_tokens,
    spikes_of,
    tokens,
)

ATTENTION_SCALE = 0.25
ATTENTION_THRESHOLD = 0.5


def lif(threshold: float = 1.0) -> neuron.LIFNode:
    """Make leaky integrate-and-fire neurons with tau 2.

    v += (x - v) / 2; s = H(v - threshold), with H the unit step; v = v (1 - s)

    The sigmoid surrogate has alpha 4 and the reset passes no gradient, as in the original code.
    """
    return neuron.LIFNode(
        tau=2.0,
        v_threshold=threshold,
        surrogate_function=surrogate.Sigmoid(alpha=4.0),
        detach_reset=True,
        step_mode="m",
    )


def conv_bn_lif(channels_in: int, channels_out: int) -> Firing:
    """3x3 convolution, batch norm, LIF: [T, B, C_in, H, W] -> [T, B, C_out, H, W]."""
    return Firing(
        layer.Conv2d(channels_in, channels_out, 3, padding=1, bias=False, step_mode="m"),
        layer.BatchNorm2d(channels_out, step_mode="m"),
        lif(),
    )


def token_bn_lif(channels_in: int, channels_out: int) -> Firing:
    """1x1 convolution of tokens, batch norm, LIF: [T, B, C_in, N] -> [T, B, C_out, N]."""
    return Firing(
        layer.Conv1d(channels_in, channels_out, 1, bias=False, step_mode="m"),
        layer.BatchNorm1d(channels_out, step_mode="m"),
        lif(),
    )


class PatchSplitting(nn.Module):
    """Frames [T, B, 2, H, W] -> tokens [T, B, D, N]; N = H*W / 4^(number of pools)."""

    def __init__(self, in_channels: int, width: int, pools: Sequence[bool]) -> None:
        super().__init__()
        channels = [in_channels, width // 8, width // 4, width // 2, width]
        stages: list[nn.Module] = []
        for stage, pool in enumerate(pools):
            stages.append(conv_bn_lif(channels[stage], channels[stage + 1]))
            if pool:  # after the LIF, as in the event-data original
                stages.append(MaxPool2d())
        self.stages = nn.Sequential(*stages)
        self.position = conv_bn_lif(width, width)

    def forward(self, x: Activity) -> Activity:
        x = self.stages(x)
        x = x + self.position(x)
        return tokens(x)  # [T, B, D, H, W] -> [T, B, D, N]


class SpikingSelfAttention(nn.Module):
    """SSA: LIF((q k^T) v * scale), then a projection. Spikes are not negative, so no softmax."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = token_bn_lif(width, width)
        self.k = token_bn_lif(width, width)
        self.v = token_bn_lif(width, width)
        self.attention_lif = lif(ATTENTION_THRESHOLD)
        self.projection = token_bn_lif(width, width)

    def forward(self, x: Activity) -> Activity:
        q, k, v = (each(x) for each in (self.q, self.k, self.v))
        return self.projection(attend(q, k, v, self.heads, ATTENTION_SCALE, self.attention_lif))


class Block(nn.Module):
    """x + SSA(x), then x + MLP(x) on [T, B, D, N]; the hidden width of the MLP is mlp_ratio D."""

    def __init__(self, width: int, heads: int, mlp_ratio: int) -> None:
        super().__init__()
        self.attention = SpikingSelfAttention(width, heads)
        self.fc1 = token_bn_lif(width, width * mlp_ratio)
        self.fc2 = token_bn_lif(width * mlp_ratio, width)

    def forward(self, x: Activity) -> Activity:
        x = x + self.attention(x)
        return x + self.fc2(self.fc1(x))


class Spikformer(nn.Module):
    """Frames [T, B, 2, H, W] -> logits [B, classes]."""

    def __init__(
        self,
        classes: int,
        *,
        width: int = 256,
        depth: int = 2,
        heads: int = 16,
        mlp_ratio: int = 4,
        pools: Sequence[bool] = (True, True, True, True),
        in_channels: int = 2,
    ) -> None:
        super().__init__()
        self.patch = PatchSplitting(in_channels, width, pools)
        self.blocks = nn.Sequential(*(Block(width, heads, mlp_ratio) for _ in range(depth)))
        self.head = layer.Linear(width, classes, step_mode="m")

    def forward(self, frames: Tensor) -> Tensor:
        x = self.blocks(self.patch(spikes_of(self, frames)))  # [T, B, D, N]
        return self.head(mean_of_tokens(x)).mean(0)  # [B, classes]


def layer_names(layers: list[str]) -> list[tuple[str, str]]:
    """Return the part of the network and the short name of each layer, in order.

    >>> layer_names(["patch.stages.0.0", "patch.stages.2.0", "blocks.0.attention.q.0", "head"])
    [('patch', 'conv1'), ('patch', 'conv2'), ('block 1', 'q'), ('', 'head')]
    """
    convolutions = [layer for layer in layers if ".stages." in layer]
    names = []
    for layer_name in layers:
        first, *inner = [word for word in layer_name.split(".") if not word.isdigit()]
        last = "proj" if inner and inner[-1] == "projection" else (inner or [first])[-1]
        if layer_name in convolutions:
            names.append((first, f"conv{convolutions.index(layer_name) + 1}"))
        elif first == "blocks":
            names.append((f"block {int(layer_name.split('.')[1]) + 1}", last))
        else:
            names.append((first if inner else "", last))
    return names


def integer_logits(model: Spikformer, engine: Any, x: Tensor) -> Tensor:
    """Run the network on an integer engine: event counts [T, B, 2, H, W] -> logits [B, classes]."""
    for stage in model.patch.stages:
        x = engine.spikes(stage, x) if isinstance(stage, nn.Sequential) else engine.pool(stage, x)
    x = (x + engine.spikes(model.patch.position, x)).flatten(3)
    for block in model.blocks:
        assert isinstance(block, Block)
        attention = block.attention
        q, k, v = (
            engine.spikes(each, x).unflatten(2, (attention.heads, -1))
            for each in (attention.q, attention.k, attention.v)
        )
        attended = engine.attend(attention, (q, k, v), attention.attention_lif, ATTENTION_SCALE)
        x = x + engine.spikes(attention.projection, attended)
        x = x + engine.spikes(block.fc2, engine.spikes(block.fc1, x))
    return engine.classify(model.head, x)


ARCHITECTURE = Architecture(Spikformer, layer_names, integer_logits)
