"""Quantizers against hand-worked numbers, torch's own fake quantization, and their properties."""

from itertools import pairwise
from math import copysign

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from spikingjelly.activation_based import neuron
from torch import nn

from hetspike.errors import UserError
from hetspike.inspection.layers import quantizable_layers
from hetspike.quantization.levels import SCHEMES
from hetspike.quantization.quantizer import (
    Choice,
    Quantizer,
    RoundToLevel,
    boundary_choices,
    freeze,
    least_squares_scale,
    quantize,
    single_scheme,
)
from hetspike.quantization.quantizer import choices as as_choices

BINARY = Choice("binary", 1)
CHOICES = [Choice(name, bits) for name, scheme in SCHEMES.items() for bits in scheme.widths]
choices = st.sampled_from(CHOICES)
values = st.lists(st.floats(-4, 4, width=32), min_size=1, max_size=40)
scales = st.floats(0.01, 10)


def quantizer_of_scale(choice: Choice, scale: float) -> Quantizer:
    quantizer = Quantizer(torch.ones(1, 1), choice)
    with torch.no_grad():
        quantizer.log_scale.fill_(scale).log_()
    return quantizer


def quantized(choice: Choice, scale: float, weights: list[float]) -> torch.Tensor:
    with torch.no_grad():
        return quantizer_of_scale(choice, scale)(torch.tensor([weights]))[0]


def signed_levels(choice: Choice) -> list[float]:
    magnitudes = SCHEMES[choice.scheme].levels(choice.bits).magnitudes
    return sorted({sign * magnitude for magnitude in magnitudes for sign in (1, -1)})


def tiny() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 1), nn.Flatten(), nn.Linear(4, 3)
    )


def test_power_of_two_by_hand():
    # alpha 2: levels 0, 0.5, 1, 2; thresholds 0.25, 0.75, 1.5
    weights = [0.2, 0.3, -0.7, 0.8, 1.4, -1.6, 9.0]
    expected = [0, 0.5, -0.5, 1, 1, -2, 2]
    assert quantized(Choice("pot", 3), 2.0, weights).tolist() == pytest.approx(expected)


def test_binary_by_hand():
    # no level is zero: a zero goes where its sign bit says
    weights = [0.2, -0.3, 9.0, -9.0, 0.0, -0.0]
    assert quantized(BINARY, 2.0, weights).tolist() == pytest.approx([2, -2, 2, -2, 2, -2])


def test_additive_power_of_two_by_hand():
    # scale 8: levels 0, 1, 2, 3, 4, 6, 8, 10; thresholds 0.5, ..., 3.5, 5, 7, 9
    weights = [0.4, -0.6, 3.4, 3.6, -4.9, 5.1, 7.1, -99.0]
    expected = [0, -1, 3, 4, -4, 6, 8, -10]
    assert quantized(Choice("apot", 4), 8.0, weights).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("bits", SCHEMES["uniform"].widths)
def test_uniform_equals_fake_quantize(bits):
    torch.manual_seed(bits)
    weight = torch.randn(8, 40)
    quantizer = Quantizer(weight, Choice("uniform", bits))
    largest = 2 ** (bits - 1) - 1
    scale = quantizer.log_scale.detach().exp()
    oracle = torch.fake_quantize_per_channel_affine(
        weight, scale, torch.zeros(8, dtype=torch.int32), 0, -largest, largest
    )
    assert torch.allclose(quantizer(weight), oracle, atol=1e-6)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_uniform_gradients_equal_learnable_fake_quantize(bits):
    torch.manual_seed(bits)
    weight = torch.randn(6, 50)
    ours = Quantizer(weight, Choice("uniform", bits))
    largest = 2 ** (bits - 1) - 1
    scale = ours.log_scale.detach().exp().requires_grad_()
    # torch lets the gradient pass up to half a step above the largest level, LSQ up to the level
    ratio = (weight / scale.detach()[:, None]).abs()
    weight[(ratio > largest) & (ratio < largest + 0.5)] = 0
    upstream = torch.randn_like(weight)

    ours_weight, oracle_weight = (weight.clone().requires_grad_() for _ in range(2))
    (ours(ours_weight) * upstream).sum().backward()
    factor = (weight.shape[1] * largest) ** -0.5  # LSQ's gradient scale
    oracle = torch._fake_quantize_learnable_per_channel_affine(
        oracle_weight, scale, torch.zeros(6), 0, -largest, largest, factor
    )
    (oracle * upstream).sum().backward()

    assert torch.allclose(ours_weight.grad, oracle_weight.grad)
    expected = scale.grad * scale.detach()  # d/d(log s) = s d/ds
    assert torch.allclose(ours.log_scale.grad, expected, rtol=1e-3, atol=1e-5)


def test_scale_gradient_by_hand():
    # s = 1, ternary: 0.3 -> 0 contributes 0 - 0.3; 0.8 -> 1 gives 0.2; -5 -> -1 gives -1
    quantizer = quantizer_of_scale(Choice("uniform", 2), 1.0)
    quantizer.gradient_factor = 1.0
    quantizer(torch.tensor([[0.3, 0.8, -5.0]])).sum().backward()
    assert quantizer.log_scale.grad.item() == pytest.approx(-0.3 + 0.2 - 1.0)


def test_gradient_passes_up_to_the_largest_level():
    weight = torch.tensor([[1.0, -1.0, 1.001, -1.001]], requires_grad=True)
    quantizer_of_scale(Choice("uniform", 2), 1.0)(weight).sum().backward()
    assert weight.grad.tolist() == [[1, 1, 0, 0]]


@given(choices, st.integers(0, 2**16))
@settings(max_examples=20, deadline=None)
def test_codes_name_the_levels_of_the_weights(choice, seed):
    torch.manual_seed(seed)
    weight = torch.randn(3, 4, 5)
    quantizer = Quantizer(weight, choice)
    negative, index = quantizer.codes(weight)
    magnitudes = torch.tensor(SCHEMES[choice.scheme].levels(choice.bits).magnitudes)[index]
    levels = torch.where(negative, -magnitudes, magnitudes)
    assert torch.equal(levels * quantizer.scale.view(3, 1, 1), quantizer(weight))


def test_choices_are_each_scheme_at_each_of_its_widths():
    listed = ["uniform", 4], ["uniform", 2], ["pot", 3]
    assert as_choices({"uniform": [4, 2], "pot": (3,)}) == tuple(Choice(*each) for each in listed)
    with pytest.raises(UserError, match=r"^uniform: 3 is no list of widths: give \[3\]$"):
        as_choices({"uniform": 3})


def test_binary_gradients_by_hand():
    # s = 2: 0.6 -> 2 gives 1 - 0.3; -1.6 -> -2 gives -1 + 0.8; -10 -> -2, clipped, gives -1
    quantizer = quantizer_of_scale(BINARY, 2.0)
    quantizer.gradient_factor = 1.0
    weight = torch.tensor([[0.6, -1.6, -10.0]], requires_grad=True)
    quantizer(weight).sum().backward()
    # d/d(log s) = s d/ds
    assert quantizer.log_scale.grad.item() == pytest.approx(2 * (0.7 - 0.2 - 1.0))
    assert weight.grad.tolist() == [[1, 1, 0]]


@pytest.mark.parametrize(
    ("choice", "factor"),
    [
        (BINARY, 1 / 4),  # 16 weights, one positive level
        (Choice("pot", 3), 1 / 48**0.5),  # three
        (Choice("apot", 4), 1 / 112**0.5),  # seven
    ],
)
def test_gradient_factor_counts_positive_levels(choice, factor):
    assert Quantizer(torch.ones(2, 4, 4), choice).gradient_factor == pytest.approx(factor)


@given(st.integers(0, 2**16))
@settings(max_examples=20)
def test_scale_of_binary_is_the_mean_magnitude(seed):
    torch.manual_seed(seed)
    weight = torch.randn(4, 3, 5)
    scale = Quantizer(weight, BINARY).log_scale.detach().exp()
    assert torch.allclose(scale, weight.abs().mean((1, 2)))


# 40 starts are too few for the many equal steps of these widths
LOOSE = {Choice("uniform", 7), Choice("uniform", 8)}


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: f"{choice.scheme}-{choice.bits}")
def test_least_squares_scale_is_as_good_as_a_fine_grid(choice):
    torch.manual_seed(0)
    rows = torch.randn(6, 512)
    levels, thresholds = map(torch.tensor, SCHEMES[choice.scheme].levels(choice.bits))

    def error(scale: torch.Tensor) -> torch.Tensor:
        rounded = RoundToLevel.apply(rows / scale[:, None], levels, thresholds)
        return (scale[:, None] * rounded - rows).square().sum(1)

    top = rows.abs().amax(1) / levels[-1]
    grid = torch.stack([error(share * top) for share in torch.linspace(0.1, 1.5, 1000)])
    ours, best = error(least_squares_scale(rows, levels, thresholds)).sum(), grid.amin(0).sum()
    assert ours <= best * (1.06 if choice in LOOSE else 1.01)


@pytest.mark.parametrize("choice", [BINARY, Choice("uniform", 4), Choice("pot", 4)])
def test_least_squares_scale_is_the_best_of_forty_roundings_whatever_the_unit(choice):
    torch.manual_seed(0)
    rows = torch.randn(4, 64, dtype=torch.float64)
    levels, thresholds = (
        torch.tensor(each, dtype=torch.float64)
        for each in SCHEMES[choice.scheme].levels(choice.bits)
    )
    signed = torch.tensor(signed_levels(choice), dtype=torch.float64)
    for unit in (1.0, 2.0**-12, 2.0**8):
        for row, found in zip(
            rows, least_squares_scale(unit * rows, levels, thresholds), strict=True
        ):
            tried = []
            for share in torch.linspace(0.2, 1.2, 40).double():
                ratio = row / (share * row.abs().max() / levels[-1])
                rounded = signed[(ratio[:, None] - signed).abs().argmin(1)]
                scale = torch.linalg.lstsq(rounded[:, None], row[:, None]).solution.item()
                tried.append(((row - scale * rounded).norm().item(), scale))
            assert found.item() == pytest.approx(unit * min(tried)[1], rel=1e-6)


def test_least_squares_scale_finds_the_scale_that_the_weights_were_made_with():
    levels, thresholds = torch.tensor([0.0, 0.25, 0.5, 1.0]), torch.tensor([0.125, 0.375, 0.75])
    rows = torch.tensor([[0.3, -0.6, 1.2, 0.0], [1.0, 0.5, -0.25, 1.0]])
    scale = least_squares_scale(rows, levels, thresholds)
    assert scale.tolist() == pytest.approx([1.2, 1.0], rel=0.01)


@given(choices, scales, values)
def test_idempotent(choice, scale, weights):
    once = quantized(choice, scale, weights)
    assert torch.allclose(quantized(choice, scale, once.tolist()), once, rtol=1e-5)


@given(choices, scales, values)
def test_odd_symmetric(choice, scale, weights):
    mirrored = quantized(choice, scale, [-weight for weight in weights])
    assert torch.equal(mirrored, -quantized(choice, scale, weights))


@given(choices, scales, values)
def test_monotone(choice, scale, weights):
    # binary tells -0.0 from 0.0, sorted() alone does not
    ascending = sorted(weights, key=lambda weight: (weight, copysign(1, weight)))
    assert (quantized(choice, scale, ascending).diff() >= 0).all()


@given(choices, scales)
@settings(max_examples=30)
def test_at_most_two_to_the_bits_levels(choice, scale):
    sweep = torch.linspace(-2, 2, 4001) * scale * 2 ** (choice.bits - 1)
    assert len(quantized(choice, scale, sweep.tolist()).unique()) <= 2**choice.bits


@given(choices, scales, values)
def test_error_is_at_most_half_the_widest_gap_or_what_is_clipped(choice, scale, weights):
    levels = signed_levels(choice)
    gap = max(high - low for low, high in pairwise(levels))
    weight = torch.tensor(weights)
    clipped = (weight.abs() - scale * levels[-1]).clamp_min(0)
    error = (quantized(choice, scale, weights) - weight).abs()
    assert (error <= torch.maximum(clipped, torch.tensor(scale * gap / 2)) * 1.0001 + 1e-6).all()


@given(choices, st.integers(0, 2**16))
@settings(max_examples=20, deadline=None)
def test_scale_stays_positive_under_violent_training(choice, seed):
    torch.manual_seed(seed)
    weight = torch.randn(3, 20)
    quantizer = Quantizer(weight, choice)
    # the study's optimizer, whose steps are bounded: without a zero level the gradient grows with s
    optimizer = torch.optim.AdamW(quantizer.parameters(), lr=3.0)
    for _ in range(5):
        optimizer.zero_grad()
        (quantizer(weight) * torch.randn_like(weight)).sum().backward()
        optimizer.step()
    assert (quantizer.log_scale.exp() > 0).all()


def test_zero_channel_stays_zero():
    quantizer = Quantizer(torch.zeros(2, 5), Choice("pot", 4))
    assert torch.equal(quantizer(torch.zeros(2, 5)), torch.zeros(2, 5))


def test_zero_channel_becomes_negligible_in_binary():
    quantizer = Quantizer(torch.zeros(2, 5), BINARY)
    assert (quantizer(torch.zeros(2, 5)).abs() <= 1.01e-8).all()


def test_quantize_leaves_the_model_alone_and_names_its_layers():
    model = tiny()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    copy = quantize(model, {"2": Choice("uniform", 2)})
    assert list(quantizable_layers(copy)) == ["0", "2", "4"]
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in before.items())
    # levels are not stored: they follow from the choice
    stored = {name for name in copy.state_dict() if name.startswith("2.")}
    learnt = {"parametrizations.weight.original", "parametrizations.weight.0.log_scale", "bias"}
    assert stored == {f"2.{name}" for name in learnt}
    rows = quantizable_layers(copy)["2"].weight.detach().flatten(1)
    assert all(len(row.unique()) <= 3 for row in rows)
    assert torch.equal(quantizable_layers(copy)["0"].weight, model[0].weight)


def test_freeze_computes_the_same_from_plain_weights():
    model = tiny()
    model[0].weight.requires_grad_(False)  # a frozen weight stays so
    quantized_model = quantize(model, {"0": Choice("pot", 3), "4": Choice("uniform", 4)})
    frames = torch.randn(5, 2, 3, 3)
    expected = quantized_model(frames)
    for _ in range(2):  # the copy takes nothing from its original
        frozen = freeze(quantized_model)
        assert set(frozen.state_dict()) == set(tiny().state_dict())
        assert torch.equal(frozen(frames), expected)
        assert [frozen[at].weight.requires_grad for at in (0, 2, 4)] == [False, True, True]
    assert torch.equal(quantized_model(frames), expected)


def test_boundary_layers():
    model, four, frames = tiny(), Choice("pot", 4), torch.randn(5, 2, 3, 3)
    searched, eight, in_float = (
        single_scheme(model, four, boundary_choices(model, how, frames))
        for how in ("searched", "8-bit", "float")
    )
    assert set(searched) == {"0", "2", "4"}
    assert eight == {"0": ("uniform", 8), "2": four, "4": ("uniform", 8)}
    assert in_float == {"2": four}


class Backwards(nn.Module):
    """Defined from back to front; the body runs twice, the spare layer never."""

    def __init__(self) -> None:
        super().__init__()
        self.spare, self.head = nn.Linear(3, 3), nn.Linear(3, 2)
        self.body, self.neurons = nn.Linear(3, 3), neuron.LIFNode(step_mode="m")
        self.stem = nn.Linear(4, 3)
        self.norm = nn.BatchNorm1d(3)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        x = self.neurons(self.norm(self.stem(frames).transpose(1, 2)).transpose(1, 2))
        return self.head(self.body(self.body(x))).mean(0)


def test_boundary_layers_are_those_that_run_first_and_last():
    model, frames = Backwards().train(), torch.randn(2, 5, 4)
    model(frames)  # its neurons keep potentials of another batch
    before = {name: each.clone() for name, each in model.state_dict().items()}
    random = torch.get_rng_state()
    found = boundary_choices(model, "8-bit", frames[:, :1])
    assert found == {"stem": ("uniform", 8), "head": ("uniform", 8)}
    # nothing moved, and a training that follows draws the same
    assert all(torch.equal(each, before[name]) for name, each in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random) and model.training


def test_a_network_without_layers_has_no_boundary():
    message = r"^no convolution or linear layer runs: there is no first or last one$"
    with pytest.raises(UserError, match=message):
        boundary_choices(nn.Flatten(), "float", torch.ones(2, 1, 3))


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("uniform", "'uniform' is no choice of levels: give a scheme and bits, ('uniform', 3)"),
        (("pot",), "('pot',) is no choice of levels: give a scheme and bits, ('uniform', 3)"),
        (("uniform", 2.5), "2.5 bits: give a whole number"),
        (("cubic", 3), "unknown scheme 'cubic': use one of binary, uniform, pot, apot"),
        (("pot", 9), "9 bits: pot takes 2 to 8 bits a weight"),
        (("uniform", 1), "1 bits: uniform takes 2 to 8 bits a weight"),
        (("apot", 3), "3 bits: apot takes 4 to 5 bits a weight"),
        (("apot", 6), "6 bits: apot takes 4 to 5 bits a weight"),
        (("binary", 2), "2 bits: binary takes 1 to 1 bits a weight"),
    ],
)
def test_what_cannot_be_quantized_is_said(choice, message):
    with pytest.raises(UserError) as raised:
        quantize(tiny(), {"0": choice})
    assert str(raised.value) == f"layer '0': {message}"


def test_a_layer_that_there_is_not_is_said():
    with pytest.raises(UserError, match=r"^assignment names layer '7': the model has 0, 2, 4$"):
        quantize(tiny(), {"7": Choice("pot", 3)})
