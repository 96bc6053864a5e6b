"""Operations of a tiny network counted by hand, and of others as other counters count them."""

import pandas as pd
import pytest
import torch
from neurobench.metrics.workload import SynapticOperations
from neurobench.models import TorchModel
from spikingjelly.activation_based import functional, layer, neuron
from spikingjelly.activation_based.op_counter import (
    ACCounter,
    DispatchCounterMode,
    MACCounter,
    SynOpCounter,
)
from torch import Tensor, nn

from hetspike.cost import operations
from hetspike.cost.energy import energies
from hetspike.cost.kinds import NEURONS, OTHER, PRODUCTS, SYNAPSES, UNCOUNTED
from hetspike.cost.operations import Operation, predict_and_count
from hetspike.cost.sizes import stored_bits
from hetspike.data.samples import Samples
from hetspike.inspection.inference import logits_of
from hetspike.inspection.layers import quantizable_layers
from hetspike.networks.spikformer import Spikformer
from hetspike.packed.packing import load_packed, pack
from hetspike.quantization.quantizer import Choice, quantize

aten = torch.ops.aten
POOLS = [True, True, False, False]  # 16 x 16 pixels: 16 tokens


class Tiny(nn.Module):
    """[T, B, 2, 2, 2] -> 1x1 convolution -> spikes -> attention of the spikes, linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = layer.Conv2d(2, 3, 1, bias=False, step_mode="m")
        self.spikes = neuron.IFNode(step_mode="m")
        self.product = Product()
        self.head = layer.Linear(12, 2, step_mode="m")
        with torch.no_grad():
            self.first.weight.copy_(torch.tensor([[1.0, 0], [0, 1], [-1, -1]])[..., None, None])

    def forward(self, frames: Tensor) -> Tensor:
        functional.reset_net(self)
        x = self.spikes(self.first(frames)).flatten(2)  # [T, B, 12] of spikes
        self.product(x)
        return self.head(x).mean(0)


class Product(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[..., None, :] @ x[..., :, None]  # [T, B, 1, 1], spikes times spikes


class Only(nn.Module):
    """One layer on frames [T, B, ...] as they are."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, frames: Tensor) -> Tensor:
        return self.module(frames).flatten(2).mean(0)


@pytest.fixture
def tiny_samples() -> Samples:
    """Recording 0: counts 2 and 3 in two places; recording 1: a single 2; then an empty step."""
    frames = torch.zeros(2, 2, 2, 2, 2, dtype=torch.uint8)
    frames[0, 0, 0, 0, 0], frames[0, 0, 1, 1, 1], frames[1, 0, 0, 0, 1] = 2, 3, 2
    return Samples(frames, torch.tensor([0, 1]))


def lively(**options: object) -> Spikformer:
    """A Spikformer of random weights, large enough for spikes to reach the attention."""
    torch.manual_seed(0)
    model = Spikformer(3, width=16, heads=2, pools=POOLS, **options)
    for parameter in model.parameters():
        parameter.data.mul_(3) if parameter.dim() > 1 else parameter.data.add_(0.5)
    return model


@pytest.fixture
def busy_samples() -> Samples:
    torch.manual_seed(1)
    frames = torch.poisson(torch.full((6, 2, 2, 16, 16), 2.0)).to(torch.uint8)
    return Samples(frames, torch.zeros(6, dtype=torch.long))


def counted_by(model: nn.Module, samples: Samples, *counters: object) -> list[dict]:
    """Counts of SpikingJelly's counters by module and operation."""
    with DispatchCounterMode(list(counters)):
        logits_of(model, samples, len(samples.labels))
    return [counter.get_counts() for counter in counters]


def test_counts_by_hand(tiny_samples):
    model = Tiny()
    predictions, operations = predict_and_count(model, tiny_samples, {"first": Choice("pot", 3)})
    assert operations == [
        # 2 steps of 2 x 4 pixels; three counts over two recordings, of 2 bits, meet three weights
        # each; all 6 weights at 4 pixels in 2 steps; a scale a channel
        Operation(
            *("first", SYNAPSES, "pot", 3, 6, 3, 16, 2),
            **{"inputs": 16, "active": 1.5, "not_binary": 1.5, "value_bits": 2},
            **{"outputs": 12, "dense": 48, "macs": 4.5, "acs": 0},
        ),
        # a spike for every count, two weights each; two biases in float
        Operation(
            *("head", SYNAPSES, "float", 32, 24, 2, 32, 12),
            **{"inputs": 24, "active": 1.5, "not_binary": 0, "value_bits": 1},
            **{"outputs": 2, "dense": 48, "macs": 0, "acs": 3},
        ),
        # 2 + 1 coincidences over two recordings, in binary 10 and 1
        Operation("product: attention", PRODUCTS, value_bits=2, acs=1.5),
        # 12 potentials in 2 steps
        Operation("spikes", NEURONS, inputs=24, active=1.5, value_bits=1, outputs=12),
    ]
    assert predictions == logits_of(model, tiny_samples).argmax(1).tolist()


def test_spikformer_lists_every_layer_every_attention_and_all_neurons(busy_samples):
    model = lively(depth=2)
    predictions, operations = predict_and_count(model, busy_samples, {})
    named = {
        kind: [each.layer for each in operations if each.kind == kind]
        for kind in (SYNAPSES, PRODUCTS, NEURONS, OTHER)
    }
    assert named[SYNAPSES] == list(quantizable_layers(model))
    # once a block, although its products lie in two modules of the network and in the network
    assert named[PRODUCTS] == [f"blocks.{n}.attention: attention" for n in (0, 1)]
    assert named[NEURONS] == [
        name for name, each in model.named_modules() if isinstance(each, neuron.LIFNode)
    ]
    assert named[OTHER] == ["other"]
    attention = [each for each in operations if each.kind == PRODUCTS]
    assert all(each.acs > 0 and each.value_bits > 1 for each in attention)
    assert predictions == logits_of(model, busy_samples).argmax(1).tolist()
    numbers = sum(each.weights + each.numbers for each in operations)
    assert numbers == sum(parameter.numel() for parameter in model.parameters())


def test_only_what_meets_spikes_accumulates():
    # the first layer sees counts, the head averages: both multiply; the second stage sees spikes
    model = Spikformer(3, width=16, depth=1, heads=2, pools=(True,) * 4)
    frames = torch.full((2, 1, 2, 16, 16), 3, dtype=torch.uint8)
    _, operations = predict_and_count(model, Samples(frames, torch.tensor([0, 1])), {})
    counted = {operation.layer: operation for operation in operations}
    first = counted["patch.stages.0.0"]
    assert first.dense == 16 * 16 * 2 * 9 * (16 // 8)
    # every pixel has counts: what is missing lies beyond the borders, 46 = 3 * 16 - 2 a side
    assert first.macs == 46 * 46 * 2 * (16 // 8)
    assert counted["patch.stages.2.0"].macs == 0


def test_spikes_are_counted_as_spikingjelly_counts_them(busy_samples):
    model = lively(depth=1)
    _, operations = predict_and_count(model, busy_samples, {})
    recordings = len(busy_samples.labels)
    macs, acs, synops = counted_by(model, busy_samples, MACCounter(), ACCounter(), SynOpCounter())
    layers = [each for each in operations if each.kind == SYNAPSES]
    assert {bool(each.macs) for each in layers} == {True, False}
    for each in layers:
        scope = f"Spikformer.{each.layer}"
        if each.macs:  # MACCounter counts all pairs, zeros too
            assert recordings * each.dense == sum(macs[scope].values())
            assert each.macs + each.acs < each.dense
        else:
            assert recordings * each.acs == sum(synops[scope].values())
            assert synops[scope].items() <= acs[scope].items()
            assert sum(macs[scope].values()) == 0


def test_products_of_spikes_are_counted_as_spikingjelly_counts_them(tiny_samples):
    model = Tiny()
    (synops,) = counted_by(model, tiny_samples, SynOpCounter())
    _, operations = predict_and_count(model, tiny_samples, {})
    (product,) = (each for each in operations if each.kind == PRODUCTS)
    assert 2 * product.acs == synops["Tiny.product"][aten.bmm.default] == 3


def test_products_of_integers_are_counted_where_both_are_active():
    class Halves(nn.Module):
        def forward(self, frames: Tensor) -> Tensor:
            return frames[:, :, 0] @ frames[:, :, 1]

    torch.manual_seed(0)
    frames = torch.poisson(torch.ones(2, 3, 2, 4, 4)).to(torch.uint8)  # [R, T, ...]
    _, (product,) = predict_and_count(Only(Halves()), Samples(frames, torch.zeros(2)), {})
    pairs, weighed, largest = 0, 0, 0
    for left, right in frames.flatten(0, 1).tolist():
        for row in left:
            for column in zip(*right, strict=True):
                products = [a * b for a, b in zip(row, column, strict=True)]
                weighed += sum(a > 1 and b > 1 for a, b in zip(row, column, strict=True))
                pairs += sum(product > 0 for product in products)
                largest = max(largest, sum(products))
    assert 2 * product.macs == weighed > 0
    assert 2 * (product.macs + product.acs) == pairs
    assert 2 ** (product.value_bits - 1) <= largest < 2**product.value_bits


@pytest.mark.parametrize("largest", [1, 4])
@pytest.mark.parametrize(
    ("module", "shape", "padded"),
    [
        (layer.Conv2d(2, 3, 3, stride=2, bias=False, step_mode="m"), (2, 7, 7), False),
        (layer.Conv2d(2, 3, 3, padding=1, step_mode="m"), (2, 6, 6), True),
        (layer.Conv1d(4, 3, 1, step_mode="m"), (4, 9), False),
        (layer.Linear(8, 5, step_mode="m"), (8,), False),
        (layer.Linear(8, 5, bias=False, step_mode="m"), (8,), False),
    ],
)
def test_layers_are_counted_as_neurobench_counts_them(module, shape, padded, largest):
    torch.manual_seed(0)
    frames = torch.randint(0, largest + 1, (3, 2, *shape), dtype=torch.uint8)
    samples = Samples(frames, torch.zeros(3, dtype=torch.long))
    model = Only(module)
    _, (counted,) = predict_and_count(model, samples, {})

    wrapped, metric = TorchModel(model), SynapticOperations()
    wrapped.register_hooks()
    with torch.no_grad():
        answers = wrapped(frames.transpose(0, 1).float())
        theirs = metric(wrapped, answers, (frames, samples.labels))
    wrapped.cleanup_hooks()
    # of inputs that are not all 0 and 1 it takes all for MACs
    assert theirs["Effective_MACs" if largest > 1 else "Effective_ACs"] == pytest.approx(
        counted.macs + counted.acs
    )
    assert (counted.macs > 0) == (largest > 1) and counted.acs > 0
    if padded:  # of all pairs it leaves out those beyond the borders, SpikingJelly does not
        assert theirs["Dense"] < counted.dense
        assert counted.dense == 6 * 6 * 3 * 18 * 2
    else:
        assert theirs["Dense"] == pytest.approx(counted.dense)


def test_the_batch_size_changes_no_count(busy_samples, monkeypatch):
    model = lively(depth=1)
    results = []
    for size in (1, 4, 6):
        monkeypatch.setattr(operations, "BATCH", size)
        results.append(predict_and_count(model, busy_samples, {}))
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("weights", [[[0.0] * 3] * 2, [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
@pytest.mark.parametrize("convolution", [True, False])
def test_weights_that_look_like_spikes_are_weights(weights, convolution):
    """SpikingJelly's rules would count coincidences of spikes in the input and in the weights."""
    frames = torch.tensor([[[3, 0, 1]]], dtype=torch.uint8)
    if convolution:
        module, frames = layer.Conv1d(3, 2, 1, bias=False, step_mode="m"), frames[..., None]
    else:
        module = layer.Linear(3, 2, bias=False, step_mode="m")
    module.weight.data.copy_(torch.tensor(weights).view_as(module.weight))
    _, (counted,) = predict_and_count(Only(module), Samples(frames, torch.zeros(1)), {})
    assert (counted.macs, counted.acs) == (2, 2)  # a 3 and a 1, two weights each


def test_means_of_spikes_are_fractions_and_sums_of_spikes_integers():
    class Pooled(nn.Module):
        def __init__(self, divisor: int) -> None:
            super().__init__()
            self.divisor = divisor
            self.head = layer.Linear(3, 2, step_mode="m")

        def forward(self, frames: Tensor) -> Tensor:
            return self.head(frames.sum(3) / self.divisor).mean(0)

    spikes = torch.tensor([[1, 1, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0]], dtype=torch.uint8)
    samples = Samples(spikes[None, None], torch.zeros(1))
    for divisor, macs in ((1, 2), (4, 4)):  # sums of 3 and 1, or three quarters and a quarter
        _, (head,) = predict_and_count(Pooled(divisor), samples, {})
        assert (head.value_bits, head.active) == (2, 2)
        assert (head.macs, head.acs) == (macs, 4 - macs)
    assert head.not_binary == 2


def test_stored_bits_are_those_of_the_packed_file(busy_samples):
    model = lively(depth=1)
    uniform, pot = Choice("uniform", 4), Choice("pot", 3)
    choices = {name: (uniform, pot)[n % 2] for n, name in enumerate(quantizable_layers(model))}
    network = {"width": 16, "depth": 1, "heads": 2, "mlp_ratio": 4, "pools": POOLS}
    network["architecture"] = "spikformer"
    example = busy_samples.batch(torch.arange(2))[0]
    data = pack(quantize(model, choices), example, network=network, classes=3)
    unpacked, packed = load_packed(data)
    _, operations = predict_and_count(unpacked, busy_samples, packed.assignment)
    header = 8 + int.from_bytes(data[:8], "little")  # of safetensors
    assert stored_bits(pd.DataFrame(operations)).sum() == 8 * len(data[header:])


def test_a_layer_that_never_runs_is_stored_and_does_nothing(tiny_samples):
    model = Tiny()
    model.spare = layer.Linear(2, 3, step_mode="m")
    assignment = {"first": Choice("uniform", 2)}
    with pytest.warns(UserWarning, match="^layers that never ran: spare$") as warned:
        _, operations = predict_and_count(
            model, tiny_samples, {**assignment, "spare": Choice("pot", 3)}
        )
    assert len(warned) == 1
    assert operations[2] == Operation("spare", SYNAPSES, "pot", 3, 6, 6, 16, 2)
    without = [each for each in operations if each.layer != "spare"]
    assert without == predict_and_count(Tiny(), tiny_samples, assignment)[1]
    spent = energies(pd.DataFrame(operations)).iloc[2]
    assert spent["bits_linear"] == 18 and not spent.drop("bits_linear").any()


class Foreign(nn.Module):
    """Weights and products of many kinds; defined from back to front."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, 2)
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.norm = nn.BatchNorm1d(4)
        self.up = nn.ConvTranspose2d(3, 6, 2, stride=2)
        self.kernel = nn.Parameter(torch.ones(3, 2, 1, 1))

    def forward(self, frames: Tensor) -> Tensor:
        x = frames.flatten(0, 1)  # [B, 2, 1, 1]
        x = nn.functional.conv2d(x, self.kernel)
        x = self.up(x).flatten(2).transpose(1, 2)  # [B, 4, 6]
        x = self.norm(self.attention(x, x, x)[0])
        return self.head(x.mean(1)).unflatten(0, frames.shape[:2]).mean(0)


def test_weights_outside_of_layers_have_rows_of_their_own():
    torch.manual_seed(0)
    frames = torch.ones(2, 1, 2, 1, 1, dtype=torch.uint8)
    model = Foreign().eval()
    with pytest.warns(UserWarning, match=r"in every energy: attention: (safe_)?softmax$"):
        _, operations = predict_and_count(
            model, Samples(frames, torch.zeros(2)), {"head": Choice("uniform", 4)}
        )
    rows = {each.layer: each for each in operations}
    in_float = ("float", 32)
    assert [each.layer for each in operations if each.kind == SYNAPSES] == [
        *("Foreign", "up", "attention", "attention.out_proj", "head")
    ]
    # two ones on three weights each; then three 2 on six channels of four places
    first = rows["Foreign"]
    assert first[2:8] == (*in_float, 6, 0, 32, 2) and (first.macs, first.acs) == (0, 6)
    up = rows["up"]
    assert up[2:8] == (*in_float, 72, 6, 32, 12) and (up.macs, up.acs, up.dense) == (72, 0, 72)
    # 4 tokens of 6 values on 18 and on 6 weights
    into = rows["attention"]
    assert into[2:8] == (*in_float, 108, 18, 32, 6) and into.macs == into.dense == 4 * 6 * 18
    out = rows["attention.out_proj"]
    assert out[2:8] == (*in_float, 36, 6, 32, 6) and out.macs == out.dense == 4 * 6 * 6
    assert rows["head"][2:8] == ("uniform", 4, 12, 4, 16, 6)
    # no integers, so that they cost what float costs: two products of 2 heads, 4 x 4 tokens, 3
    # channels
    products = rows["attention: attention"]
    assert products[2:4] == in_float and (products.macs, products.acs) == (2 * 96, 0)
    (unknown,) = (each for each in operations if each.kind == UNCOUNTED)
    assert unknown.inputs == 2 * 16  # two heads, 4 x 4 tokens
    assert rows["other"].numbers == 2 * 4  # the batch norm
    numbers = sum(each.weights + each.numbers for each in operations)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    assert numbers == parameters + 2  # the head's scales

    spent = energies(pd.DataFrame(operations))
    known = [each.kind in (SYNAPSES, PRODUCTS) for each in operations]
    assert (spent.loc[known, ["field", "ops", "total"]] > 0).all(axis=None)
    assert spent.loc[[each.kind == UNCOUNTED for each in operations]].isna().all(axis=None)


class Tied(nn.Module):
    """Two layers on one weight, and a table of vectors that is the classifier's weight, too."""

    def __init__(self) -> None:
        super().__init__()
        self.second, self.first = nn.Linear(4, 4), nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.table, self.head = nn.Embedding(3, 4), nn.Linear(4, 3, bias=False)
        self.head.weight = self.table.weight

    def forward(self, frames: Tensor) -> Tensor:
        x = self.second(self.first(frames.flatten(2)))
        return self.head(x + self.table(torch.zeros(1, dtype=torch.long))).mean(0)


@pytest.mark.parametrize(
    ("assignment", "stored"),
    [
        ({}, [(16, 0), (0, 16), (12, 0)]),
        (dict.fromkeys(("first", "second"), Choice("pot", 3)), [(16, 0), (0, 16), (12, 0)]),
        # one weight in two ways is two weights
        ({"first": Choice("pot", 3)}, [(16, 0), (16, 0), (12, 0)]),
        ({"first": Choice("pot", 3), "second": Choice("pot", 4)}, [(16, 0), (16, 0), (12, 0)]),
    ],
)
def test_a_shared_weight_is_stored_once(assignment, stored):
    frames = torch.ones(2, 1, 1, 2, 2, dtype=torch.uint8)
    _, operations = predict_and_count(Tied(), Samples(frames, torch.zeros(2)), assignment)
    assert [each.layer for each in operations] == ["first", "second", "head"]
    assert [(each.weights, each.shared) for each in operations] == stored
    assert [each.dense for each in operations] == [16, 16, 12]
    if not assignment:
        assert sum(each.weights + each.numbers for each in operations) == 16 + 2 * 4 + 12
    # wherever it is stored, reading it takes a memory of its size
    spent = energies(pd.DataFrame(operations))
    second = pd.DataFrame(operations).loc[[1]]
    apart = energies(second.assign(weights=16, shared=0))
    assert apart["memory"].iloc[0] == spent["memory"].iloc[1] > 0


def test_the_first_layer_is_the_one_that_runs_first():
    class Backwards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head, self.stem = nn.Linear(3, 2), nn.Linear(4, 3)

        def forward(self, frames: Tensor) -> Tensor:
            return self.head((self.stem(frames.flatten(2)) > 0).float()).mean(0)

    frames = torch.full((1, 1, 1, 2, 2), 2, dtype=torch.uint8)
    _, operations = predict_and_count(Backwards(), Samples(frames, torch.zeros(1)), {})
    assert [each.layer for each in operations] == ["stem", "head"]
    assert energies(pd.DataFrame(operations))["field"].iloc[0] == pytest.approx(4.6 * 12)
