"""Searches: the integer programme against brute force, budgets kept, sampling by hand."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from hetspike.config import DnasSettings, Recipe
from hetspike.errors import UserError
from hetspike.quantizer import Choice, boundary_choices, quantizable_layers
from hetspike.search import SEARCHES, load
from hetspike.search.dnas import MixedWeight
from hetspike.search.space import Space
from hetspike.train import Samples

CANDIDATES = (Choice("uniform", 2), Choice("pot", 3), Choice("uniform", 4), Choice("uniform", 8))
RECIPE = Recipe(
    epochs=2,
    warmup_epochs=0.5,
    batch_size=8,
    learning_rate=1e-2,
    final_learning_rate=1e-4,
    weight_decay=0.0,
    label_smoothing=0.1,
)
LAYERS = ("first", "middle", "last")
SETTINGS = {
    "dnas": DnasSettings(
        recipe=RECIPE, logit_learning_rate=0.2, temperature=(2.0, 0.5), penalty=1.0
    )
}


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 4, 3, bias=False)  # 72 weights
        self.middle = nn.Conv2d(4, 6, 1, bias=False)  # 24
        self.last = nn.Linear(6, 2)  # 12

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return self.last(self.middle(self.first(frames.sum(0)).relu()).mean((2, 3)))


def data() -> Samples:
    torch.manual_seed(0)
    labels = torch.arange(32) % 2
    frames = torch.poisson((1.0 + 2 * labels)[:, None, None, None, None].expand(32, 2, 2, 4, 4))
    return Samples(frames.to(torch.uint8), labels)


def space(budget: float, boundary: str = "searched") -> Space:
    model = Tiny()
    return Space.of(model, CANDIDATES, budget, boundary_choices(model, boundary))


def bits_of(assignment: dict[str, Choice]) -> float:
    sizes = {name: layer.weight.numel() for name, layer in quantizable_layers(Tiny()).items()}
    stored = sum(sizes[name] * choice.bits for name, choice in assignment.items())
    return stored / sum(sizes[name] for name in assignment)


@given(
    st.lists(st.lists(st.floats(-5, 0), min_size=4, max_size=4), min_size=3, max_size=3),
    st.floats(2, 8),
)
@settings(max_examples=60, deadline=None)
def test_integer_programme_equals_brute_force(scores, budget):
    table = np.array(scores)
    every = [
        (bits_of(dict(zip(LAYERS, (CANDIDATES[k] for k in chosen), strict=True))), chosen)
        for chosen in product(range(4), repeat=3)
    ]
    kept = [(bits, chosen) for bits, chosen in every if bits <= budget]
    used_up = [(bits, chosen) for bits, chosen in kept if bits >= budget - 0.05]
    best = max(sum(table[range(3), chosen]) for _, chosen in used_up or kept)
    found = space(budget).best(table)
    score = sum(table[row, CANDIDATES.index(c)] for row, c in enumerate(found.values()))
    assert bits_of(found) <= budget + 1e-9
    assert score == pytest.approx(best, abs=1e-6)


def test_budget_counts_fixed_layers_and_leaves_float_layers_out():
    eight = space(7.0, "8-bit")
    best = eight.best(np.zeros((1, 4)))
    assert best["first"] == best["last"] == ("uniform", 8)
    assert eight.effective_bits(best) == bits_of(best) <= 7.0
    assert list(space(3.0, "float").best(np.zeros((1, 4)))) == ["middle"]


@pytest.mark.parametrize(
    ("budget", "boundary", "reach"),
    [(1.9, "searched", "2 to 8"), (8.1, "searched", "2 to 8"), (5.0, "8-bit", "6.667 to 8")],
)
def test_budget_out_of_reach_is_said(budget, boundary, reach):
    # 8-bit boundary: (72 * 8 + 12 * 8 + 24 * 2) / 108 = 6.667 at the least
    with pytest.raises(UserError, match=f"{reach} effective bits"):
        space(budget, boundary)


@pytest.mark.parametrize("name", SEARCHES)
@pytest.mark.parametrize("budget", [2.0, 3.14, 8.0])
def test_search_keeps_the_budget_and_the_model(name, budget):
    model = Tiny()
    before = [p.clone() for p in model.parameters()]
    wanted = Space.of(model, CANDIDATES, budget, {})
    lines = []
    found = load(name)(
        model, data(), data(), wanted, settings=SETTINGS[name], seed=1, say=lines.append
    )
    assert list(found) == list(LAYERS) and set(found.values()) <= set(CANDIDATES)
    assert bits_of(found) <= budget
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert len(lines) >= 1


@pytest.mark.parametrize("name", SEARCHES)
def test_search_repeats_with_its_seed(name):
    torch.manual_seed(3)
    model = Tiny()
    wanted = Space.of(model, CANDIDATES, 3.5, {})
    runs = [load(name)(model, data(), data(), wanted, settings=SETTINGS[name], seed=5)] * 2
    again = load(name)(model, data(), data(), wanted, settings=SETTINGS[name], seed=5)
    assert runs[0] == again


def test_mixed_weight_is_one_candidate_and_its_gradient_the_soft_mixture():
    torch.manual_seed(0)
    weight = torch.randn(3, 10)
    mixture = MixedWeight(weight, CANDIDATES)
    values = torch.stack([quantizer(weight) for quantizer in mixture.quantizers]).detach()
    mixture.temperature = 1.5
    for seed in range(8):
        torch.manual_seed(seed)
        mixed = mixture(weight)
        torch.manual_seed(seed)
        soft = nn.functional.gumbel_softmax(mixture.logits.detach(), tau=1.5)
        assert torch.equal(mixed, values[soft.argmax()])
        upstream = torch.randn_like(weight)
        (gradient,) = torch.autograd.grad((mixed * upstream).sum(), mixture.logits)
        # d soft_i / d logit_j = soft_i (delta_ij - soft_j) / tau
        jacobian = (torch.diag(soft) - torch.outer(soft, soft)) / 1.5
        expected = jacobian @ (values * upstream).sum((1, 2))
        assert torch.allclose(gradient, expected, atol=1e-5)


def test_candidates_are_sampled_by_their_logits():
    torch.manual_seed(0)
    weight = torch.randn(2, 50)
    mixture = MixedWeight(weight, CANDIDATES)
    with torch.no_grad():
        mixture.logits.copy_(torch.tensor([0.5, 0.1, 0.3, 0.1]).log())
        values = [quantizer(weight) for quantizer in mixture.quantizers]
        drawn = [mixture(weight) for _ in range(2000)]
    counts = [sum(torch.equal(each, value) for each in drawn) for value in values]
    assert sum(counts) == 2000
    assert np.array(counts) / 2000 == pytest.approx([0.5, 0.1, 0.3, 0.1], abs=0.04)
