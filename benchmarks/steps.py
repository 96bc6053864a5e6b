"""CPU seconds of one training step: ours, stock SpikingJelly's, Brevitas' and a supernet's.

    python benchmarks/steps.py 15

One process, one thread; steps of all kinds in turn, medians of their thread CPU time. The network
is the Spikformer of the default study, the batch random frames, 12 % of them events. Wants brevitas
beside what the lock holds; without it its rows are left out.
"""

import statistics
import sys
import time
from collections.abc import Callable

import torch
from spikingjelly.activation_based import functional, layer
from spikingjelly.activation_based.model.spikformer import Spikformer as StockSpikformer
from torch import Tensor, nn
from torch.nn.functional import conv1d, conv2d, cross_entropy, gumbel_softmax, linear
from torch.nn.utils import parametrize

from hetspike.inspection.layers import quantizable_layers
from hetspike.networks.spikformer import Spikformer
from hetspike.quantization.quantizer import Choice, Quantizer, choices, quantize, single_scheme
from hetspike.search.dnas import MixedWeight

STEPS, BATCH, SIZE, CLASSES = 4, 32, 32, 10
NETWORK = {"width": 64, "depth": 2, "heads": 4, "pools": (True, True, True, False)}
TWO_POOLS = (False, False, True, True)  # those of SpikingJelly's at patch_size 4
CANDIDATES = choices({"uniform": [2, 3, 4, 6, 8], "pot": [3, 4, 5]})
UNIFORM_4 = Choice("uniform", 4)

Step = Callable[[], object]


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    frames = torch.rand(STEPS, BATCH, 2, SIZE, SIZE, generator=generator)
    more = torch.poisson(torch.full_like(frames, 0.8), generator=generator)
    return (frames < 0.12) * (1 + more), torch.randint(CLASSES, (BATCH,), generator=generator)


FRAMES, LABELS = batch()


def spikformer(pools: tuple[bool, ...] = NETWORK["pools"]) -> nn.Module:
    torch.manual_seed(0)
    return Spikformer(CLASSES, **{**NETWORK, "pools": pools}).train()


def by_modules(model: nn.Module) -> nn.Module:
    """Keep a network from the kernels: a hook wants to see its modules at work."""
    next(model.children()).register_forward_hook(lambda *_: None)
    return model


def uniform_4() -> nn.Module:
    model = spikformer()
    return quantize(model, single_scheme(model, UNIFORM_4, {})).train()


def training(model: nn.Module, answer: Callable[[Tensor], Tensor] | None = None) -> Step:
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, fused=True)

    def step() -> None:
        loss = cross_entropy((answer or model)(FRAMES), LABELS, label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def inference(model: nn.Module) -> Step:
    return torch.no_grad()(lambda: model.eval()(FRAMES))


def stock() -> Step:
    model = StockSpikformer(
        T=STEPS,
        in_channels=2,
        img_size_h=SIZE,
        img_size_w=SIZE,
        patch_size=4,
        num_classes=CLASSES,
        embed_dims=NETWORK["width"],
        num_heads=NETWORK["heads"],
        mlp_ratio=4,
        depths=NETWORK["depth"],
    ).train()

    def answer(frames: Tensor) -> Tensor:
        functional.reset_net(model)
        logits = model(frames)
        return logits.mean(0) if logits.dim() == 3 else logits

    return training(model, answer)


def brevitas_qat() -> Step:
    """Our network with Brevitas' layers: 4 bits, a learned scale for each channel."""
    from brevitas import nn as quantized
    from brevitas.core.scaling import ScalingImplType
    from brevitas.quant import Int8WeightPerChannelFloat

    class Weights(Int8WeightPerChannelFloat):
        bit_width = 4
        scaling_impl_type = ScalingImplType.PARAMETER_FROM_STATS

    model = spikformer()
    for name, each in quantizable_layers(model).items():
        if isinstance(each, nn.Linear):
            other = quantized.QuantLinear(
                each.in_features, each.out_features, bias=True, weight_quant=Weights
            )
        else:
            kind = quantized.QuantConv1d if isinstance(each, nn.Conv1d) else quantized.QuantConv2d
            sizes = each.in_channels, each.out_channels, each.kernel_size[0]
            other = kind(*sizes, padding=each.padding[0], bias=False, weight_quant=Weights)
        other.weight.data.copy_(each.weight.data)
        parent, _, last = name.rpartition(".")
        fits = other if isinstance(each, nn.Linear) else layer.SeqToANNContainer(other)
        setattr(model.get_submodule(parent), last, fits)
    return training(by_modules(model).train())


def dnas(*, of_logits: bool) -> Step:
    model = spikformer()
    mixtures = []
    for each in quantizable_layers(model).values():
        mixtures.append(MixedWeight(each.weight, CANDIDATES))
        mixtures[-1].temperature = 1.0 if of_logits else None
        parametrize.register_parametrization(each, "weight", mixtures[-1])
    return training(model)


class Branches(nn.Module):
    """A layer with a convolution for each candidate: the textbook's supernet."""

    def __init__(self, of: nn.Module) -> None:
        super().__init__()
        self.weight, self.bias, self.of = of.weight, of.bias, [of]
        self.quantizers = nn.ModuleList(Quantizer(of.weight, each) for each in CANDIDATES)
        self.logits = nn.Parameter(torch.zeros(len(CANDIDATES)))

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


def supernet() -> Step:
    model = spikformer()
    for name, each in quantizable_layers(model).items():
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, Branches(each))
    return training(by_modules(model))


def steps() -> dict[str, Step]:
    found = {
        "stock SpikingJelly, two pools": stock(),
        "ours by modules, two pools": training(by_modules(spikformer(TWO_POOLS))),
        "ours, two pools": training(spikformer(TWO_POOLS)),
        "ours by modules": training(by_modules(spikformer())),
        "ours": training(spikformer()),
        "QAT by modules": training(by_modules(uniform_4())),
        "QAT": training(uniform_4()),
        "dnas, weights": dnas(of_logits=False),
        "dnas, logits": dnas(of_logits=True),
        "supernet of 8 branches": supernet(),
        "inference by modules": inference(by_modules(spikformer())),
        "inference": inference(spikformer()),
    }
    try:
        found["QAT by Brevitas"] = brevitas_qat()
    except ImportError:
        print("Brevitas is not installed: pip install --no-deps brevitas dependencies unfoldnd")
    return found


def main(rounds: int) -> None:
    torch.set_num_threads(1)
    kinds = steps()
    taken: dict[str, list[float]] = {name: [] for name in kinds}
    for turn in range(rounds + 2):
        for name, step in kinds.items():
            start = time.thread_time()
            step()
            if turn > 1:
                taken[name].append(1e3 * (time.thread_time() - start))
    median = {name: statistics.median(each) for name, each in taken.items()}
    for name, milliseconds in sorted(median.items(), key=lambda item: item[1]):
        low, _, high = statistics.quantiles(taken[name], n=4)
        print(f"{name:32} {milliseconds:7.1f} ms [{low:.1f}, {high:.1f}]")
    both = median["dnas, weights"] + median["dnas, logits"]
    for claim, ratio in (
        ("ours over stock SpikingJelly", "stock SpikingJelly, two pools / ours, two pools"),
        ("kernels over modules", "ours by modules / ours"),
        ("QAT over float", "QAT / ours"),
        ("QAT over Brevitas", "QAT by Brevitas / QAT"),
        ("kernels over modules, inference", "inference by modules / inference"),
    ):
        over, under = ratio.split(" / ")
        if over in median:
            print(f"{claim:40} {median[over] / median[under]:.2f}")
    print(f"{'dnas over two float steps':40} {both / 2 / median['ours']:.2f}")
    print(f"{'supernet over dnas':40} {2 * median['supernet of 8 branches'] / both:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]))
