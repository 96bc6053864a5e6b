"""Operations of a tiny network counted by hand, and predictions as the network makes them."""

import pytest
import torch
from spikingjelly.activation_based import layer
from torch import nn

from hetspike.evaluate import predict_and_count
from hetspike.model import Spikformer
from hetspike.quantizer import Choice, quantizable_layers
from hetspike.train import Samples, logits_of


class Threshold(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x > 0).float()


class Tiny(nn.Module):
    """[T, B, 2, 2, 2] -> 1x1 convolution -> spikes -> linear layer -> attention of the spikes."""

    def __init__(self) -> None:
        super().__init__()
        self.first = layer.Conv2d(2, 3, 1, bias=False, step_mode="m")
        self.spikes = Threshold()
        self.product = Product()
        self.head = layer.Linear(12, 2, bias=False, step_mode="m")
        with torch.no_grad():
            self.first.weight.copy_(torch.tensor([[1.0, 0], [0, 1], [-1, -1]])[..., None, None])

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        x = self.spikes(self.first(frames)).flatten(2)  # [T, B, 12] of spikes
        self.product(x)
        return self.head(x).mean(0)


class Product(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[..., None, :] @ x[..., :, None]  # [T, B, 1, 1], spikes times spikes


def test_counts_by_hand():
    # recording 0: counts 2 and 3 (not spikes) in two places; recording 1: a single count of 2
    frames = torch.zeros(2, 1, 2, 2, 2, dtype=torch.uint8)
    frames[0, 0, 0, 0, 0], frames[0, 0, 1, 1, 1], frames[1, 0, 0, 0, 1] = 2, 3, 2
    samples = Samples(frames, torch.tensor([0, 1]))
    assignment = {"first": Choice("pot", 3)}
    model = Tiny()
    predictions, operations = predict_and_count(model, samples, assignment)
    first, head, product = operations
    # counts are not binary: 6 weights at 4 pixels multiply
    assert first == ("first", "pot", 3, 6, 24.0, 0.0)
    # three spikes over two recordings, two weights each
    assert head == ("head", "float", 32, 24, 0.0, 3.0)
    # spikes times spikes: 2 + 1 coincidences over two recordings
    assert (product.layer, product.macs, product.acs) == ("product: attention", 0.0, 1.5)
    assert predictions == logits_of(model, samples).argmax(1).tolist()


def test_spikformer_lists_every_layer_and_every_attention():
    torch.manual_seed(0)
    model = Spikformer(3, width=16, depth=2, heads=2, pools=(True,) * 4)
    for parameter in model.parameters():  # lively enough for spikes to reach the attention
        parameter.data.mul_(3) if parameter.dim() > 1 else parameter.data.add_(0.3)
    frames = torch.poisson(torch.full((6, 2, 2, 16, 16), 2.0)).to(torch.uint8)
    samples = Samples(frames, torch.zeros(6, dtype=torch.long))
    predictions, operations = predict_and_count(model, samples, {})
    layers = [operation.layer for operation in operations if operation.weights]
    assert layers == list(quantizable_layers(model))
    attention = [operation for operation in operations if not operation.weights]
    assert [each.layer.split(":")[0] for each in attention] == [
        "blocks.0.attention",
        "blocks.1.attention",
    ]
    assert any(each.acs > 0 for each in attention)
    assert predictions == logits_of(model, samples).argmax(1).tolist()


def test_only_what_meets_spikes_accumulates():
    # the first layer sees counts, the head averages: both multiply; the second stage sees spikes
    model = Spikformer(3, width=16, depth=1, heads=2, pools=(True,) * 4)
    frames = torch.full((2, 1, 2, 16, 16), 3, dtype=torch.uint8)
    _, operations = predict_and_count(model, Samples(frames, torch.tensor([0, 1])), {})
    counted = {operation.layer: operation for operation in operations}
    dense = 16 * 16 * 2 * 9 * (16 // 8)
    assert counted["patch.stages.0.0"].macs == pytest.approx(dense)
    assert counted["patch.stages.2.0"].macs == 0
