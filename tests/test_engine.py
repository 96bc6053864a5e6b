"""Integers against plain Python fractions, and against the simulation in double precision."""

from fractions import Fraction
from functools import cache
from itertools import product

import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from spikingjelly.activation_based import neuron
from spikingjelly.activation_based.layer import Conv1d, Conv2d
from torch import Tensor, nn
from torch.nn.functional import conv1d, conv2d

from hetspike.cost.energy import operations_of
from hetspike.cost.kinds import PRODUCTS, SYNAPSES
from hetspike.cost.operations import predict_and_count
from hetspike.data.samples import Samples
from hetspike.errors import UserError
from hetspike.inspection.counting import count
from hetspike.inspection.inference import logits_of
from hetspike.inspection.layers import quantizable_layers
from hetspike.kernels.integers import fire
from hetspike.networks import build, network_settings
from hetspike.networks.spikformer import Spikformer
from hetspike.packed.engine import (
    BATCH,
    Engine,
    IntegerLayer,
    check_runnable,
    fixed_point,
    runs_on_integers,
)
from hetspike.packed.packing import Packed, PackedLayer, load_packed, pack, read
from hetspike.quantization.levels import SCHEMES
from hetspike.quantization.quantizer import Choice, quantize

SIZE = {"width": 16, "depth": 1, "heads": 2, "mlp_ratio": 2, "pools": [True, True, True, False]}
NETWORK = {"architecture": "spikformer", **SIZE}
CHOICES = [("binary", 1), ("uniform", 2), ("uniform", 8), ("pot", 3), ("pot", 5), ("apot", 4)]
# short fractions, so that potentials often meet a threshold exactly; and what float16 ends at
SCALES = [0.75, -0.375, 0.1, -0.05, 1.5, -3.0, 0.0, 2.0**-24, -(2.0**-14), 60000.0]
BIASES = [0.0, 0.5, 0.25, 1.0, -0.75, 0.3, 2.0, 2.0**-24, -6e4]


def layer_of(choice: Choice, shape: tuple[int, ...]) -> PackedLayer:
    """Random codes, scales and biases."""
    magnitudes = len(SCHEMES[choice.scheme].levels(choice.bits).magnitudes)
    scale, bias = (
        torch.tensor(values, dtype=torch.float16)[torch.randint(len(values), shape[:1])]
        for values in (SCALES, BIASES)
    )
    return PackedLayer(
        choice, torch.rand(shape) < 0.5, torch.randint(magnitudes, shape), scale, bias
    )


@cache
def blank_file(choice: Choice) -> bytes:
    """A packed Spikformer, all its layers of one kind, whatever its weights are."""
    model = Spikformer(3, **SIZE)
    quantized = quantize(model, dict.fromkeys(quantizable_layers(model), choice))
    return pack(quantized, torch.ones(1, 1, 2, 16, 16), classes=3, network=NETWORK)


def packed_of(choice: Choice) -> Packed:
    """A Spikformer of random codes, all its layers of one kind."""
    shapes = {
        name: tuple(layer.weight.shape)
        for name, layer in quantizable_layers(Spikformer(3, **SIZE)).items()
    }
    layers = {name: layer_of(choice, shape) for name, shape in shapes.items()}
    return read(blank_file(choice))._replace(layers=layers)


def weights_of(layer: PackedLayer) -> list:
    """Levels by the scheme's own numbers, as nested lists of fractions without the scale."""
    magnitudes = SCHEMES[layer.choice.scheme].levels(layer.choice.bits).magnitudes
    flat = [
        Fraction(magnitudes[index]) * (-1 if negative else 1)
        for index, negative in zip(
            layer.magnitude.flatten().tolist(), layer.negative.flatten().tolist(), strict=True
        )
    ]
    size = len(flat) // len(layer.scale)
    return [flat[start : start + size] for start in range(0, len(flat), size)]


def spikes_by_hand(layer: PackedLayer, x: Tensor, threshold: int = 1) -> Tensor:
    """3x3 convolution with a border of zeros, scale and bias, LIF: exact, loop by loop.

    x [T, B, C_in, H, W] -> spikes [T, B, C, H, W]
    """
    steps, recordings, channels, height, width = x.shape
    counts, weights = x.tolist(), weights_of(layer)
    spikes = torch.zeros(steps, recordings, len(weights), height, width, dtype=torch.long)
    for b, c, i, j in product(*map(range, (recordings, len(weights), height, width))):
        scale, bias = Fraction(layer.scale[c].item()), Fraction(layer.bias[c].item())
        potential = Fraction(0)
        for t in range(steps):
            total = Fraction(0)
            for n, (k, di, dj) in enumerate(product(range(channels), range(3), range(3))):
                row, column = i + di - 1, j + dj - 1
                if 0 <= row < height and 0 <= column < width:
                    total += weights[c][n] * counts[t][b][k][row][column]
            potential += (scale * total + bias - potential) / 2
            if potential >= threshold:
                spikes[t, b, c, i, j] = 1
                potential = Fraction(0)
    return spikes


@settings(max_examples=30)
@given(
    st.sampled_from([Choice(*each) for each in [*CHOICES, ("uniform", 3), ("pot", 6)]]),
    st.sampled_from([1, 3, 255, 10_000]),  # the last does not fit in a frame's byte
    st.integers(0, 2**32),
)
def test_a_layer_fires_as_fractions_do(choice, largest, seed):
    torch.manual_seed(seed)
    packed = packed_of(choice)
    engine = Engine(packed)
    x = torch.randint(largest + 1, (4, 2, 2, 3, 4)) * (torch.rand(4, 2, 2, 3, 4) < 0.5)
    found = engine.spikes(engine.model.patch.stages[0], x)
    assert torch.equal(found, spikes_by_hand(packed.layers["patch.stages.0.0"], x))


@pytest.mark.parametrize("sign", [1, -1])
def test_a_potential_that_meets_its_threshold_fires(sign):
    # scale 3/4, bias 1/2, sum 2: 0.75 * 2 + 0.5 = 2, and half of it is 1; thirds are no short
    # binary numbers, so that 1 / 0.75 and 0.5 / 0.75 both have to be rounded
    packed = packed_of(Choice("uniform", 3))
    layer = packed.layers["patch.stages.0.0"]
    layer.scale.fill_(0.75 * sign), layer.bias.fill_(0.5)
    layer.negative.fill_(sign < 0), layer.magnitude.fill_(1)
    engine = Engine(packed)
    x = torch.zeros(3, 1, 2, 1, 1, dtype=torch.long)
    x[:, 0, 0] = torch.tensor([2, 1, 2]).view(3, 1, 1)
    # v = 1 fires; (0.75 + 0.5) / 2 = 0.625 does not; (2 + 0.625) / 2 does
    found = engine.spikes(engine.model.patch.stages[0], x)
    assert found[:, 0, 0, 0, 0].tolist() == [1, 0, 1]
    x[0] = 0
    # 0.25; (1.25 + 0.25) / 2 = 0.75; (2 + 0.75) / 2 fires
    found = engine.spikes(engine.model.patch.stages[0], x)
    assert found[:, 0, 0, 0, 0].tolist() == [0, 0, 1]


def test_a_vanished_scale_leaves_the_bias():
    packed = packed_of(Choice("pot", 4))
    layer = packed.layers["patch.stages.0.0"]
    layer.scale.fill_(0), layer.bias.copy_(torch.tensor([2.0, 1.5]))
    engine = Engine(packed)
    found = engine.spikes(engine.model.patch.stages[0], torch.full((3, 1, 2, 2, 2), 200))
    # 2: 1 fires at once, again and again; 1.5: 0.75, 1.125 fires, 0.75
    assert found[:, 0, 0].flatten(1).unique(dim=1).flatten().tolist() == [1, 1, 1]
    assert found[:, 0, 1].flatten(1).unique(dim=1).flatten().tolist() == [0, 1, 0]


@pytest.mark.parametrize("choice", [Choice("pot", 5), Choice("pot", 6)])
def test_wide_sums_are_exact(choice):
    torch.manual_seed(0)
    layer = layer_of(choice, (6, 400))
    layer.scale.fill_(1), layer.negative[:3].fill_(False)
    integers, _ = SCHEMES[choice.scheme].levels(choice.bits).integers
    x = torch.randint(200, 256, (3, 400))
    found = IntegerLayer(layer, nn.Linear(400, 6)).accumulate(x, int(x.max()))
    for b, c in product(range(3), range(6)):
        signs = [-1 if each else 1 for each in layer.negative[c].tolist()]
        levels = [integers[index] for index in layer.magnitude[c].tolist()]
        terms = zip(x[b].tolist(), signs, levels, strict=True)
        assert found[b, c].item() == sum(count * sign * level for count, sign, level in terms)
    assert (found.float().long() != found).any()  # single precision would not have done


@settings(max_examples=60)
@given(
    choice=st.sampled_from([Choice(*each) for each in [*CHOICES, ("uniform", 4), ("pot", 6)]]),
    module=st.sampled_from(
        [
            Conv2d(5, 8, 3, padding=1, step_mode="m"),
            Conv2d(5, 32, 3, stride=2, padding=1, step_mode="m"),
            Conv2d(5, 64, 3, padding=1, step_mode="m"),
            Conv1d(5, 24, 1, step_mode="m"),
        ]
    ),
    largest=st.sampled_from([1, 3, 255, 70_000]),
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    seed=st.integers(0, 2**32),
)
def test_sums_of_kernels_are_those_of_dense_integers(choice, module, largest, size, seed):
    torch.manual_seed(seed)
    packed = layer_of(choice, tuple(module.weight.shape))
    packed.scale.fill_(0.5)
    integers = IntegerLayer(packed, module)
    size = size if isinstance(module, nn.Conv2d) else size[:1]
    x = torch.randint(largest + 1, (2, 3, 5, *size)) * (torch.rand(2, 3, 5, *size) < 0.5)
    x = x.byte() if largest < 256 else x
    dense = conv2d if isinstance(module, nn.Conv2d) else conv1d
    how = integers.levels, None, module.stride, module.padding
    expected = dense(x.flatten(0, 1).double(), *how).unflatten(0, (2, 3))
    found = integers.accumulate(x, largest)
    assert torch.equal(found.movedim(-1, 2).double(), expected)


@settings(max_examples=60)
@given(
    fraction=st.integers(0, 24),
    bits=st.integers(1, 34),
    whole=st.sampled_from([torch.int64, torch.float32, torch.float64]),
    seed=st.integers(0, 2**32),
)
def test_neurons_do_what_shifts_and_comparisons_of_tensors_do(fraction, bits, whole, seed):
    torch.manual_seed(seed)
    sums = torch.randint(-(2**bits), 2**bits, (5, 3, 4)).to(whole)
    fractions = torch.randint(fraction + 1, (4,))
    shifts, thresholds = torch.randint(-(2**bits), 2**bits, (2, 4)) << fractions
    fired = torch.empty(sums.shape, dtype=torch.uint8)
    fire(*(each.numpy() for each in (sums, fractions, shifts, thresholds, fired)))
    potential = torch.zeros(3, 4, dtype=torch.int64)
    for acc, spikes in zip(sums.long(), fired, strict=True):
        potential += ((acc << fractions) + shifts - potential) >> 1
        assert torch.equal(spikes.bool(), potential >= thresholds)
        potential[potential >= thresholds] = 0


def test_sums_take_single_precision_up_to_its_last_gapless_integer():
    layer = layer_of(Choice("uniform", 2), (1, 2))
    layer.magnitude.fill_(1), layer.scale.fill_(1)
    engine_layer = IntegerLayer(layer, nn.Linear(2, 1))  # heaviest: 2
    assert engine_layer.exact(2**23) == torch.float32
    assert engine_layer.exact(2**23 + 1) == torch.float64
    assert engine_layer.exact(2**52) == torch.float64
    with pytest.raises(UserError, match="a sum of 54 bits, more than the engine's 53"):
        engine_layer.exact(2**52 + 1)


@pytest.mark.parametrize("bits", [7, 8])
def test_levels_too_far_apart_are_refused(bits):
    with pytest.raises(UserError, match=rf"^a sum of \d+ bits.*give pot fewer than {bits} bits$"):
        Engine(packed_of(Choice("pot", bits)))


@pytest.mark.parametrize(
    ("module", "size"),
    [
        (nn.Conv2d(2, 3, 3, padding=1), (4, 5)),
        (nn.Conv2d(2, 3, 3, stride=2, padding=1), (4, 5)),
        (nn.Conv2d(2, 3, (2, 3), stride=(1, 2)), (5, 4)),
        (nn.Conv1d(2, 3, 1), (7,)),
        (nn.Conv1d(2, 3, 3, stride=2, padding=2), (6,)),
        (nn.Linear(2, 3), ()),
    ],
)
def test_pairs_are_what_a_convolution_of_ones_sums(module, size):
    torch.manual_seed(0)
    active = torch.rand(3, 2, *size) < 0.4
    layer = IntegerLayer(layer_of(Choice("pot", 3), tuple(module.weight.shape)), module)
    nn.init.ones_(module.weight), nn.init.zeros_(module.bias)
    sums = module(active.float())
    weights = layer.weights_per_input(active.shape[1:], sums.shape[1:])
    assert count(active, weights) == int(sums.sum()) > 0


# What is added is 2^fraction (bias / gain), and the threshold half a unit and a rounding below
# 2^fraction (threshold / gain).
@pytest.mark.parametrize(
    ("gain", "bias", "largest", "fixed"),
    [
        (0.5, 1.0, 6, (24, 2**25, 2**25 - 1)),  # sums up to 8 leave more than the 24 bits
        (1.0, 0.0, 2**53, (8, 0, 2**8 - 1)),  # 53 of 61 bits
        (2.0**-10, 1.0, 2**41 - 1, (19, 2**29, 2**29 - 1)),  # the bias takes the 42nd
        (2.0**-70, 0.0, 1, (24, 0, 2**62)),  # beyond all potentials
        (1.0, 0.0, 2**63, (0, 0, 0)),
    ],
)
def test_fixed_points_by_hand(gain, bias, largest, fixed):
    gain, bias = (torch.tensor(each, dtype=torch.float64) for each in (gain, bias))
    assert tuple(each.item() for each in fixed_point(gain, bias, 1.0, largest)) == fixed


def disturbed(network: dict) -> nn.Module:
    """An untrained network in which spikes reach every layer; a fifth of its gains is negative."""
    torch.manual_seed(0)
    model = build(network_settings(network), 3)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2)
            sign = torch.where(torch.rand(module.num_features) < 0.2, -1, 1)
            module.weight.data.uniform_(0.5, 2).mul_(sign)
            module.bias.data.uniform_(0.5, 1.5)
        elif isinstance(module, nn.Conv1d | nn.Conv2d):
            module.weight.data.mul_(3)
    return model.eval()


def events(recordings: int, size: int, steps: int = 4) -> Samples:
    torch.manual_seed(1)
    rates = torch.rand(recordings, 1, 2, size, size) * 3
    frames = torch.poisson(rates.expand(-1, steps, -1, -1, -1)).to(torch.uint8)
    return Samples(frames, torch.zeros(recordings, dtype=torch.long))


def packed_bytes(network: dict, choices: list[tuple[str, int]], samples: Samples) -> bytes:
    model = disturbed(network)
    names = quantizable_layers(model)
    assignment = {name: Choice(*choices[i % len(choices)]) for i, name in enumerate(names)}
    example = samples.frames[:2].transpose(0, 1).float()
    return pack(quantize(model, assignment), example, classes=3, network=network)


def in_double(data: bytes) -> tuple[nn.Module, Packed]:
    """The simulation of a packed file in double precision, for frames in single."""
    model, packed = load_packed(data)
    model.double().register_forward_pre_hook(lambda _, inputs: (inputs[0].double(),))
    return model, packed


MIXED = [*CHOICES, ("uniform", 3), ("pot", 4)]


@pytest.mark.parametrize(
    ("size", "changes", "choices"),
    [
        (16, {}, MIXED),
        (16, {}, MIXED[::-1]),
        (16, {}, [("uniform", 3)]),
        (16, {}, [("pot", 5)]),
        (24, {"depth": 2, "heads": 4}, MIXED),  # nine tokens
        (17, {"mlp_ratio": 4}, MIXED[3:] + MIXED[:3]),  # odd maps before every pool: 17, 9, 5, 3
        (8, {"pools": [False, True, True, True]}, MIXED[::-1]),  # one token: its mean is itself
    ],
)
def test_a_network_does_and_counts_what_the_simulation_does(size, changes, choices):
    network, samples = NETWORK | changes, events(5, size)
    model, packed = in_double(packed_bytes(network, choices, samples))
    engine = Engine(packed)
    classes, counts = engine.run(samples.frames)
    logits = engine.logits(samples.frames.transpose(0, 1).long())
    simulated = logits_of(model, samples)
    assert torch.allclose(logits, simulated, rtol=0, atol=1e-6)
    assert len(simulated.unique(dim=0)) > 1  # recordings are told apart

    predictions, operations = predict_and_count(model, samples, packed.assignment)
    assert classes.tolist() == predictions
    table = pd.DataFrame(operations)
    rows = table[table["kind"].isin([SYNAPSES, PRODUCTS])].set_index("layer", drop=False)
    expected = {name: tuple(operations_of(row)) for name, row in rows.iterrows()}
    assert {name: tuple(numbers) for name, *numbers in counts} == expected
    # everything was reached: every layer, attention, and integers that are no spikes
    assert all(additions > 0 for *_, additions in expected.values())
    # beside spikes: in each of these both are met
    assert (rows.loc[["patch.stages.0.0", "blocks.0.fc1.0"], ["macs", "acs"]] > 0).all(axis=None)


def test_counts_and_classes_do_not_depend_on_the_batch():
    samples = events(3, 16, steps=2)
    packed = load_packed(packed_bytes(NETWORK, MIXED, samples))[1]
    engine = Engine(packed)
    classes, counts = engine.run(samples.frames)
    repeats = BATCH // 2  # more recordings than a batch holds
    many, same_counts = engine.run(samples.frames.repeat(repeats, 1, 1, 1, 1))
    assert many.tolist() == classes.tolist() * repeats
    assert same_counts == counts


@pytest.mark.parametrize(
    ("choice", "per_pair"),  # of a count that is no spike
    [(("uniform", 3), (1, 0, 1)), (("pot", 3), (0, 1, 1)), (("apot", 4), (0, 2, 2)),
     (("binary", 1), (0, 0, 1)), (("uniform", 2), (0, 0, 1))],
)  # fmt: skip
def test_operations_of_counts_and_of_spikes_by_hand(choice, per_pair):
    engine = Engine(packed_of(Choice(*choice)))
    frames = torch.zeros(2, 1, 2, 16, 16, dtype=torch.uint8)
    frames[0, 0, 0, 5, 5], frames[1, 0, 1, 0, 0] = 2, 1  # inside, and in a corner
    # nine windows see the 2 and four the 1, by two channels; over two recordings
    weighed, pairs = 9 * 2 / 2, (9 + 4) * 2 / 2
    multiplications, shifts, additions = (weighed * each for each in per_pair)
    _, counts = engine.run(frames)
    assert counts[0] == ("patch.stages.0.0", multiplications, shifts, additions + pairs - weighed)
    frames[0] //= 2
    _, counts = engine.run(frames)  # single events are spikes: nothing is weighed
    assert counts[0] == ("patch.stages.0.0", 0, 0, pairs)


def test_a_pool_of_spikes_is_whether_one_is_in_the_window():
    engine = Engine(packed_of(Choice("uniform", 2)))
    pool = engine.model.patch.stages[1]
    x = torch.zeros(1, 1, 1, 5, 5, dtype=torch.long)
    x[..., 1, 1] = x[..., 4, 4] = 1
    # 3x3 windows around (0, 2, 4)
    expected = [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    found = engine.pool(pool, x)
    assert found.dtype == torch.long
    assert found[0, 0, 0].tolist() == expected


def test_a_layer_in_float_is_refused():
    model = quantize(disturbed(NETWORK), {"head": Choice("uniform", 4)})
    data = pack(model, torch.ones(1, 1, 2, 16, 16), classes=3, network=NETWORK)
    with pytest.raises(UserError, match=r"^layer patch\.stages\.0\.0 is in float, .*$"):
        Engine(load_packed(data)[1])


def test_the_classifier_is_the_mean_of_its_layer():
    torch.manual_seed(0)
    packed = packed_of(Choice("pot", 3))
    packed.layers["head"].scale.copy_(torch.tensor([0.75, -0.375, 2.0]))
    packed.layers["head"].bias.copy_(torch.tensor([0.5, -0.75, 0.25]))
    engine = Engine(packed)
    x = torch.randint(4, (5, 2, 16, 3))  # steps, recordings, channels, tokens
    weight = packed.layers["head"].weight.double()
    expected = x.double().mean((0, 3)) @ weight.T + packed.layers["head"].bias.double()
    assert torch.allclose(engine.classify(engine.model.head, x), expected)


def test_a_file_runs_on_integers_where_its_network_is_known_and_no_layer_in_float():
    model = Spikformer(3, **SIZE)
    example = torch.ones(1, 1, 2, 16, 16)
    whole = quantize(model, dict.fromkeys(quantizable_layers(model), Choice("uniform", 4)))
    known = {"classes": 3, "network": NETWORK}
    for network, how, runs in (
        (whole, known, True),
        (whole, {}, False),
        (quantize(model, {"head": Choice("uniform", 4)}), known, False),
    ):
        assert runs_on_integers(read(pack(network, example, **how))) == runs


class Other(neuron.LIFNode):
    pass


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.BatchNorm1d(2), "batch norm 0 is in float: the engine runs networks without one"),
        *(
            (
                node,
                "neuron 0 is none that the engine runs: LIFNode with tau 2.0, decay_input and "
                "v_reset 0.0, whose leak is one shift",
            )
            for node in (
                neuron.LIFNode(tau=3.0),
                neuron.LIFNode(decay_input=False),
                neuron.LIFNode(v_reset=None),
                neuron.IFNode(),
                Other(),
            )
        ),
    ],
)
def test_what_integers_do_not_run_exactly_is_refused(module, message):
    check_runnable(nn.Sequential(neuron.LIFNode(tau=2.0), nn.Linear(2, 2)))
    with pytest.raises(UserError) as raised:
        check_runnable(nn.Sequential(module))
    assert str(raised.value) == message


@pytest.mark.parametrize(("position", "multiplied"), [(0.0, False), (2.0, True)])
def test_a_mean_of_one_over_all_tokens_is_a_spike_to_the_classifier(position, multiplied):
    # all weights vanish: neurons fire at every step where the bias is 2, and never where it is 0
    packed = packed_of(Choice("uniform", 3))
    for layer in packed.layers.values():
        layer.scale.fill_(0), layer.bias.fill_(0)
    packed.layers["patch.stages.6.0"].bias.fill_(2)  # the last stage: each token is 1
    packed.layers["patch.position.0"].bias.fill_(position)  # or each is 2
    _, counts = Engine(packed).run(torch.ones(2, 3, 2, 16, 16, dtype=torch.uint8))
    pairs = 3 * 16 * 3  # steps, channels, classes
    assert counts[-1] == ("head", pairs * multiplied, 0, pairs)
