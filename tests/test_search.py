"""Searches: the integer programme against brute force, budgets kept, sampling by hand."""

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import LinearConstraint, milp
from torch import nn
from torch.func import functional_call, grad, vmap

from hetspike.data.samples import Samples
from hetspike.errors import UserError
from hetspike.inspection.effort import Effort
from hetspike.inspection.layers import quantizable_layers
from hetspike.networks.spikformer import Spikformer
from hetspike.quantization.quantizer import Choice, Quantizer, boundary_choices, quantize
from hetspike.search import SEARCHES, dnas, load, search
from hetspike.search.dnas import MixedWeight
from hetspike.search.sensitivity import layer_gradients
from hetspike.search.space import Space
from hetspike.settings import DnasSettings, Recipe, SensitivitySettings, Settings

CANDIDATES = (
    Choice("binary", 1),
    Choice("uniform", 2),
    Choice("pot", 3),
    Choice("apot", 4),
    Choice("uniform", 8),
)
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
EXAMPLE = torch.ones(2, 1, 2, 4, 4)
SETTINGS = {
    "random": Settings(),
    "sensitivity": SensitivitySettings(recordings=20, batch_size=4),
    "fisher": SensitivitySettings(recordings=20, batch_size=4),
    "dnas": DnasSettings(
        recipe=RECIPE, logit_learning_rate=0.2, temperature=(2.0, 0.5), penalty=1.0
    ),
}


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 4, 3, bias=False)  # 72 weights
        self.norm = nn.BatchNorm2d(4)
        self.middle = nn.Conv2d(4, 6, 1, bias=False)  # 24
        self.last = nn.Linear(6, 2)  # 12

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        hidden = self.norm(self.first(frames.sum(0))).relu()
        return self.last(self.middle(hidden).mean((2, 3)))


def data(recordings: int = 32) -> Samples:
    torch.manual_seed(0)
    labels = torch.arange(recordings) % 2
    rates = (1.0 + 2 * labels).view(-1, 1, 1, 1, 1)
    frames = torch.poisson(rates.expand(recordings, 2, 2, 4, 4))
    return Samples(frames.to(torch.uint8), labels)


def space(boundary: str = "searched") -> Space:
    model = Tiny()
    return Space.of(model, CANDIDATES, boundary_choices(model, boundary, EXAMPLE))


def bits_of(assignment: dict[str, Choice]) -> float:
    sizes = {name: layer.weight.numel() for name, layer in quantizable_layers(Tiny()).items()}
    stored = sum(sizes[name] * choice.bits for name, choice in assignment.items())
    return stored / sum(sizes[name] for name in assignment)


def best_by_brute_force(scores: np.ndarray, budget: float) -> tuple[int, ...]:
    every = [
        (bits_of(dict(zip(LAYERS, (CANDIDATES[k] for k in chosen), strict=True))), chosen)
        for chosen in product(range(len(CANDIDATES)), repeat=3)
    ]
    kept = [(bits, chosen) for bits, chosen in every if bits <= budget]
    used_up = [chosen for bits, chosen in kept if bits >= budget - 0.05]
    return max(
        used_up or [chosen for _, chosen in kept], key=lambda chosen: sum(scores[range(3), chosen])
    )


@given(
    st.lists(st.lists(st.floats(-5, 0), min_size=5, max_size=5), min_size=3, max_size=3),
    st.integers(108, 864).map(lambda stored: stored / 108),
)
@settings(max_examples=60, deadline=None)
def test_integer_programme_equals_brute_force(scores, budget):
    table = np.array(scores)
    best = sum(table[range(3), best_by_brute_force(table, budget)])
    found = space().best(table, budget)
    score = sum(table[row, CANDIDATES.index(c)] for row, c in enumerate(found.values()))
    assert bits_of(found) <= budget + 1e-9
    assert score == pytest.approx(best, abs=1e-6)


def test_a_budget_is_kept_to_the_bit():
    # 72, 24 and 12 weights at 3 bits are 324 stored bits, the last at 2 as well 312
    scores = np.outer([3, 2, 1], [-9.0, -1.0, 0.0, -9.0, -9.0])
    widths = [
        [choice.bits for choice in space().best(scores, stored / 108).values()]
        for stored in (323, 324)
    ]
    assert widths == [[3, 3, 2], [3, 3, 3]]


def test_a_bit_that_the_solvers_tolerance_let_through_is_taken_back(monkeypatch):
    def tolerant(*given: Any, constraints: list[LinearConstraint], **how: Any) -> Any:
        one_each, stored = constraints
        loose = LinearConstraint(stored.A, stored.lb, stored.ub + 1)
        return milp(*given, constraints=[one_each, loose], **how)

    monkeypatch.setattr("hetspike.search.space.milp", tolerant)
    two = Space({"first": 1, "second": 1}, CANDIDATES, {}, 0, 0)
    best = np.array([[-9.0, -4.0, -2.0, 0.0, -9.0], [-9.0, -2.0, 0.0, -2.0, -9.0]])
    # 4 and 3 bits score best and are one too many; 4 and 2 score as 3 and 3, all others less
    assert sum(choice.bits for choice in two.best(best, 3.0).values()) == 6


def test_what_cannot_be_searched_is_said():
    model = Tiny()
    for candidates, boundary, message in (
        (
            CANDIDATES,
            dict.fromkeys(LAYERS, Choice("uniform", 8)),
            "no layer is left to search: take another network or `boundary_layers`",
        ),
        ((), {}, "no candidates: name schemes and widths"),
    ):
        with pytest.raises(UserError) as raised:
            Space.of(model, candidates, boundary)
        assert str(raised.value) == message


def test_a_score_that_is_no_number_is_said_with_its_layer():
    scores = np.zeros((3, 5))
    scores[1, 2], scores[2, 0] = np.nan, np.inf
    with pytest.raises(UserError) as raised:
        space().best(scores, 3.0)
    message = "layer 'middle' at pot 3 bits has the score nan: train the network again"
    assert str(raised.value) == message


@pytest.mark.parametrize("size", [1e-7, 1.0, 1e7])
def test_integer_programme_is_exact_for_scores_of_any_size(size):
    rng = np.random.default_rng(0)
    for _ in range(20):
        table = size * rng.uniform(-1, 0, (3, 5))
        best = sum(table[range(3), best_by_brute_force(table, 3.0)])
        found = space().best(table, 3.0)
        score = sum(table[row, CANDIDATES.index(c)] for row, c in enumerate(found.values()))
        assert score == pytest.approx(best, rel=1e-6)


def test_budget_counts_fixed_layers_and_leaves_float_layers_out():
    eight = space("8-bit")
    best = eight.best(np.zeros((1, 5)), 7.0)
    assert best["first"] == best["last"] == ("uniform", 8)
    assert eight.effective_bits(best) == bits_of(best) <= 7.0
    assert list(space("float").best(np.zeros((1, 5)), 3.0)) == ["middle"]


@pytest.mark.parametrize(
    ("budget", "boundary", "reach"),
    [(0.9, "searched", "1 to 8"), (8.1, "searched", "1 to 8"), (5.0, "8-bit", "6.444 to 8")],
)
def test_budget_out_of_reach_is_said(budget, boundary, reach):
    # 8-bit boundary: (72 * 8 + 12 * 8 + 24 * 1) / 108 = 6.444 at the least
    with pytest.raises(UserError, match=f"{reach} effective bits"):
        space(boundary).check(budget)


@pytest.mark.parametrize("name", SEARCHES)
@pytest.mark.parametrize("budget", [1.0, 1.67, 2.0, 3.14, 8.0])
@pytest.mark.parametrize("training", [True, False])
def test_search_keeps_the_budget_and_the_model(name, budget, training):
    model = Tiny().train(training)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    wanted = Space.of(model, CANDIDATES, {})
    found = search(name, model, data(), wanted, budget, settings=SETTINGS[name], seed=1)
    assert list(found) == list(LAYERS) and set(found.values()) <= set(CANDIDATES)
    assert budget - 0.05 <= bits_of(found) <= budget
    after = model.state_dict()
    assert all(torch.equal(tensor, after[key]) for key, tensor in before.items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert {each.training for each in model.modules()} == {training}


@pytest.mark.parametrize("name", SEARCHES)
def test_search_counts_fixed_layers(name):
    model = Tiny()
    wanted = Space.of(model, CANDIDATES, boundary_choices(model, "8-bit", EXAMPLE))
    found = search(name, model, data(), wanted, 7.12, settings=SETTINGS[name], seed=1)
    assert found["first"] == found["last"] == ("uniform", 8)
    # (72 * 8 + 12 * 8 + 24 * 4) / 108 = 7.11
    assert found["middle"] == ("apot", 4)


def dnas_settings(recipe: dict[str, Any] | None = None, **changes: Any) -> DnasSettings:
    """Three epochs, from 8 down to 2, with weights that all but stand still."""
    still = {"learning_rate": 1e-6, "final_learning_rate": 1e-6, "label_smoothing": 0.0}
    trained = RECIPE.model_copy(update={"epochs": 3, **still, **(recipe or {})})
    plan = {"logit_learning_rate": 0.2, "temperature": (8.0, 2.0), "penalty": 1.0}
    return DnasSettings(recipe=trained, **(plan | changes))


# The mean width is 3.6 bits to begin with, (72 * 8 + 36 * 3.6) / 108 = 6.53 with a fixed layer: the
# multiplier pulls up, or down.
@pytest.mark.parametrize(("fixed", "budget"), [(0, 7.0), (72, 7.0), (0, 2.0), (72, 6.0)])
def test_dnas_holds_the_budget_by_the_lagrangian_of_a_plain_loop(fixed, budget, monkeypatch):
    """Where every candidate has the same loss, the budget alone moves the logits."""
    model = Tiny()
    for each in quantizable_layers(model).values():
        nn.init.zeros_(each.weight)
    with torch.no_grad():
        model.last.bias.copy_(torch.tensor([2.0, 0.0]))
    boundary = {"first": Choice("uniform", 8)} if fixed else {}
    wanted = Space.of(model, CANDIDATES, boundary)
    settings = dnas_settings({"label_smoothing": 0.1}, penalty=0.5)
    samples, lines = data()._replace(labels=torch.zeros(32, dtype=torch.long)), []
    scores: list[np.ndarray] = []
    monkeypatch.setattr(Space, "best", lambda space, found, budget: scores.append(found))
    search("dnas", model, samples, wanted, budget, settings=settings, seed=1, say=lines.append)

    shares = torch.tensor([24.0, 12.0] if fixed else [72.0, 24.0, 12.0]) / 108
    widths = torch.tensor([1.0, 2.0, 3.0, 4.0, 8.0])
    logits = torch.zeros(len(shares), len(CANDIDATES), requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.2)
    multiplier, told = 0.0, []
    for epoch in range(3):
        for _ in range(2):  # 16 recordings of a half, in batches of 8
            expected = shares @ (logits.softmax(1) @ widths) + fixed * 8 / 108
            excess = expected - budget
            optimizer.zero_grad()
            (multiplier * excess + 0.25 * excess**2).backward()
            optimizer.step()
        multiplier += 0.5 * excess.item()
        # -log of 1 / (1 + e^-2), and half a tenth of the 2 by which the other label is behind
        told.append(f"epoch {epoch + 1}: loss 0.227, {expected.item():.2f} bits")
    widest = (logits[:, 4] > logits[:, :4].amax(1)).all()
    assert widest if budget == 7.0 else (multiplier > 0.1 and not widest)
    assert lines == told
    assert scores[0] == pytest.approx(logits.detach().log_softmax(1).numpy(), abs=1e-3)


def test_dnas_steps_as_it_is_told(monkeypatch):
    """Rates are those of the schedule, and scales do not decay."""
    made = []

    def noted(make: Any) -> Any:
        return lambda *given, **named: made.append(make(*given, **named)) or made[-1]

    monkeypatch.setattr(dnas, "adamw", noted(dnas.adamw))
    monkeypatch.setattr(torch.optim, "Adam", noted(torch.optim.Adam))
    rates = {"learning_rate": 1e-2, "final_learning_rate": 1e-4, "weight_decay": 0.06}
    model = Tiny()
    wanted = Space.of(model, CANDIDATES, {})
    search("dnas", model, data(), wanted, 3.5, settings=dnas_settings(rates), seed=1)
    weights, logits = (each.param_groups for each in made)
    assert {group["fused"] for group in (*weights, *logits)} == {True}
    assert [group["weight_decay"] for group in weights] == [0.06, 0, 0, 0, 0]
    assert [len(group["params"]) for group in weights[2:]] == [len(CANDIDATES)] * 3
    # the last of two steps an epoch begins after 2.5 epochs, at 0.8 of the way from 0.5 to 3
    last = 1e-4 + 9.9e-3 * (1 + math.cos(math.radians(144))) / 2
    assert [group["lr"] for group in weights] == pytest.approx([last] * 5)


# a row of weights, what of it the loss sees, and the one choice of fewest bits that keeps that: at
# any narrower one, at the other of four bits too, the sum of their products is 0 instead of 1
PLANTS = {
    Choice("uniform", 2): ([1.0, 1.0, 1.0, 1.0], [1.0, 0.0, 0.0, 0.0]),
    Choice("uniform", 4): ([1.0, 6 / 7, 1.0, 6 / 7], [7.0, -7.0, 0.0, 0.0]),
    Choice("pot", 4): ([1.0, 1.0, 1.0, 1 / 64], [0.0, 0.0, 0.0, 64.0]),
    Choice("uniform", 8): ([1.0, 63 / 64, 1.0, 1.0], [64.0, -64.0, 0.0, 0.0]),
}
ORDERS = [[*PLANTS], [*PLANTS][::-1], [[*PLANTS][at] for at in (2, 3, 0, 1)]]


class Planted(nn.Module):
    """Layers of equal size that need the given choices: each tells some recordings' label alone."""

    def __init__(self, needs: list[Choice]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 1, bias=False) for _ in needs)
        self.seen = torch.tensor([PLANTS[need][1] for need in needs])
        with torch.no_grad():
            for layer, need in zip(self.layers, needs, strict=True):
                layer.weight.copy_(torch.tensor([PLANTS[need][0]]))

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        x = frames.sum((0, 2, 3))  # [B, layers]: at a recording's layer 1 or -1, its label, else 0
        told = [layer(x[:, i, None] * self.seen[i]) for i, layer in enumerate(self.layers)]
        margin = 4 * torch.cat(told, 1).sum(1)
        return torch.stack([margin, -margin], 1)


def planted(needs: list[Choice], *, visible: bool = True) -> list[Choice]:
    """What DNAS finds with as many bits as the needs come to, where the loss sees them or not."""
    recordings, labels = torch.arange(64), torch.arange(64) // 4 % 2
    frames = torch.zeros(64, 1, 1, 1, 4)
    frames[recordings, 0, 0, 0, recordings % 4] = visible * (1.0 - 2 * labels)
    model = Planted(needs)
    settings = dnas_settings(
        {"epochs": 6, "batch_size": 16},
        **{"logit_learning_rate": 0.1, "temperature": (5.0, 0.5), "penalty": 0.1},
    )
    wanted = Space.of(model, tuple(PLANTS), {})
    found = search("dnas", model, Samples(frames, labels), wanted, 4.5, settings=settings, seed=1)
    return [*found.values()]


@pytest.mark.parametrize("needs", ORDERS)
def test_dnas_finds_what_each_layer_needs(needs):
    layers = Planted(needs).layers
    for layer, need in zip(layers, needs, strict=True):  # the needs are what they are said to be
        seen = torch.tensor(PLANTS[need][1])
        kept = [(Quantizer(layer.weight, each)(layer.weight) @ seen).item() for each in PLANTS]
        enough = [each for each, told in zip(PLANTS, kept, strict=True) if told > 0.5]
        assert need == enough[0] and all(each.bits > need.bits for each in enough[1:])
    assert planted(needs) == needs


def test_dnas_finds_nothing_where_the_loss_sees_nothing():
    """Whatever the layers need, the budget alone is left to search by."""
    found, *others = (planted(needs, visible=False) for needs in ORDERS)
    assert all(other == found for other in others)


# of 33 recordings 16 and 17 are the halves, both two batches of 8: one is left over each epoch
@pytest.mark.parametrize("recordings", [32, 33])
@pytest.mark.parametrize("heat", [[8.0], [8.0, 2.0], [8.0, 4.0, 2.0]])
def test_dnas_cools_down_and_keeps_the_halves_apart(monkeypatch, recordings, heat):
    drawn, seen = [], []

    class Watched(Tiny):
        def forward(self, frames: torch.Tensor) -> torch.Tensor:
            seen.append({int(each) for each in frames[0, :, 0, 0, 0]})
            return super().forward(frames)

    def draw(logits: torch.Tensor, tau: float) -> torch.Tensor:
        drawn.append(tau)
        return nn.functional.gumbel_softmax(logits, tau)

    monkeypatch.setattr(dnas, "gumbel_softmax", draw)
    samples = data(recordings)
    samples.frames[:, 0, 0, 0, 0] = torch.arange(recordings)  # a name for each recording
    model = Watched()
    wanted = Space.of(model, CANDIDATES, {})
    settings = dnas_settings({"epochs": len(heat)})
    search("dnas", model, samples, wanted, 3.5, settings=settings, seed=1)
    # two steps an epoch; three layers draw in each pass: those of the weights, then of the logits
    passes = 4 * len(heat)
    drawn = drawn[-3 * passes :]  # each was drawn once to begin with
    turns = [drawn[at : at + 6] for at in range(0, len(drawn), 6)]
    assert turns == [[1.0] * 3 + [pytest.approx(tau)] * 3 for tau in heat for _ in range(2)]
    seen = seen[-passes:]  # the network was tried before
    assert [len(each) for each in seen] == [8] * passes
    weights, logits = set.union(*seen[::2]), set.union(*seen[1::2])
    assert not weights & logits and len(weights | logits) >= 32


@pytest.mark.parametrize(
    ("recordings", "size", "sizes"),
    [
        (2, 8, [1, 1]),
        (3, 8, [2, 1]),
        (9, 4, [4, 4]),  # the fifth of the longer half is left over
        (10, 4, [4, 4, 1, 1]),
        (33, 8, [8, 8, 8, 8]),
    ],
)
def test_turns_by_hand(recordings, size, sizes):
    assert dnas.turn_sizes(recordings, size) == sizes


def test_one_recording_has_no_halves():
    with pytest.raises(UserError) as raised:
        dnas.turn_sizes(1, 8)
    message = "one recording: weights and logits are trained on one at least, each"
    assert str(raised.value) == message


class Apart(nn.Module):
    """Two layers, of which the loss sees one or neither."""

    def __init__(self, seen: str) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 2), nn.Linear(4, 2)
        self.seen = seen

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        x = frames.sum((0, 2, 3))
        told = {"first": self.first(x), "second": self.second(x)}
        return told.get(self.seen, x[:, :2])


@pytest.mark.parametrize(
    ("seen", "apart"), [("first", "second"), ("second", "first"), ("neither", "first")]
)
def test_a_layer_without_gradients_is_told(seen, apart):
    model = Apart(seen)
    samples = Samples(torch.ones(8, 1, 1, 1, 4), torch.arange(8) % 2)
    wanted = Space.of(model, CANDIDATES, {})
    with pytest.raises(UserError) as raised:
        search("fisher", model, samples, wanted, 3.0, settings=SETTINGS["fisher"], seed=0)
    message = f"the loss passes no gradient back to layer '{apart}': search by the method random"
    assert str(raised.value) == message


@pytest.mark.parametrize("name", SEARCHES)
def test_search_repeats_with_its_seed(name):
    torch.manual_seed(3)
    model = Tiny()
    wanted = Space.of(model, CANDIDATES, {})
    once, again = (
        search(name, model, data(), wanted, 3.5, settings=SETTINGS[name], seed=5) for _ in range(2)
    )
    assert once == again


def test_random_draws_by_its_seed_and_needs_neither_model_nor_data():
    wanted = space()
    draws = [
        search("random", None, None, wanted, 3.14, settings=Settings(), seed=s) for s in range(100)
    ]
    # all that use up the budget: 72, 24 and 12 weights come to 334 to 339 stored bits
    widths = {tuple(choice.bits for choice in draw.values()) for draw in draws}
    assert widths == {(2, 4, 8), (3, 1, 8), (3, 3, 4), (3, 4, 2), (4, 1, 2)}


# a pass with gradients for each of 20 recordings; two epochs in which one half of 32 trains the
# weights, the other the logits
@pytest.mark.parametrize(
    ("name", "passes"),
    [("random", 0), ("sensitivity", 3 * 20), ("fisher", 3 * 20), ("dnas", 2 * 3 * 32)],
)
def test_cost_of_a_search(name, passes):
    model, effort = Tiny(), Effort()
    effort.watch(model)
    wanted = Space.of(model, CANDIDATES, {})
    search(name, model, data(), wanted, 3.5, settings=SETTINGS[name], seed=5)
    assert effort.passes == passes


def fisher_matrices(model: nn.Module, samples: Samples) -> dict[str, torch.Tensor]:
    def loss(parameters, frames, label):
        logits = functional_call(model, parameters, (frames[:, None],))
        return nn.functional.cross_entropy(logits, label[None])

    parameters = {name: each.detach() for name, each in model.named_parameters()}
    gradients = vmap(grad(loss), (None, 1, 0))(
        parameters, samples.frames.transpose(0, 1).float(), samples.labels
    )
    rows = {name: gradients[f"{name}.weight"].flatten(1) for name in LAYERS}
    return {name: each.T @ each / len(each) for name, each in rows.items()}


RISES = {
    "fisher": lambda matrix, error: error @ matrix @ error / 2,
    "sensitivity": lambda matrix, error: matrix.trace() / len(error) * error.square().sum() / 2,
}


@pytest.mark.parametrize("name", RISES)
def test_second_order_search_equals_brute_force_over_full_fisher_matrices(name):
    torch.manual_seed(4)
    model, samples = Tiny().eval(), data()
    matrices = fisher_matrices(model, samples)
    table = torch.zeros(3, len(CANDIDATES))
    for row, layer in enumerate(LAYERS):
        weight = quantizable_layers(model)[layer].weight.detach()
        for column, choice in enumerate(CANDIDATES):
            error = (Quantizer(weight, choice)(weight) - weight).detach().flatten()
            table[row, column] = RISES[name](matrices[layer], error)
    scores = -table.numpy()
    wanted = Space.of(model, CANDIDATES, {})
    every = SensitivitySettings(recordings=32, batch_size=1)
    found = load(name).scores(model, samples, wanted, settings=every, seed=0)
    # the scale of a table of scores changes no choice
    ours, oracle = (each / each.sum() for each in (found, scores))
    assert ours == pytest.approx(oracle, rel=1e-3)
    for budget in (1.5, 2.5, 3.14, 4.0, 6.0):
        found = search(name, model, samples, wanted, budget, settings=every, seed=0)
        chosen = best_by_brute_force(scores, budget)
        assert list(found.values()) == [CANDIDATES[k] for k in chosen]


def test_gradients_of_batches_are_sums_over_their_recordings():
    torch.manual_seed(4)
    model, samples = Tiny().eval(), data()
    singles, batches = (
        list(
            layer_gradients(
                model,
                samples,
                space(),
                SensitivitySettings(recordings=10, batch_size=size),
                seed=2,
            )
        )
        for size in (1, 4)
    )
    assert (len(singles), len(batches)) == (10, 3)
    summed = [*zip(*singles, strict=True)]
    for start, batch in zip((0, 4, 8), batches, strict=True):
        for each, gradients in zip(summed, batch, strict=True):
            expected = torch.stack(each[start : start + 4]).sum(0)
            assert torch.allclose(gradients, expected, atol=1e-5)


class Cancelling(nn.Module):
    """`twice` sees an input two times, `once` beside a zero: only a sum counts in the first."""

    def __init__(self) -> None:
        super().__init__()
        self.twice = nn.Linear(2, 1, bias=False)
        self.once = nn.Linear(2, 1, bias=False)
        with torch.no_grad():
            self.twice.weight.copy_(torch.tensor([[0.6, 0.4]]))
            self.once.weight.copy_(torch.tensor([[0.55, 0.45]]))

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        x = frames.sum((0, 2, 3, 4))
        zero = torch.zeros_like(x)
        logit = self.twice(torch.stack([x, x], 1)) + self.once(torch.stack([x, zero], 1))
        return torch.cat([logit, zero[:, None]], 1)


# Both layers become (0.5, 0.5) at two bits. With S = sum of squared gradients to one weight:
# trace: twice (0.1^2 + 0.1^2) / 2 * 2 S = 0.02 S, once (0.05^2 + 0.05^2) / 2 * S = 0.0025 S
# Fisher: twice (-0.1 + 0.1)^2 S = 0, once 0.05^2 S = 0.0025 S
@pytest.mark.parametrize(
    ("name", "ratio", "two_bits"), [("sensitivity", 8.0, "once"), ("fisher", 0.0, "twice")]
)
def test_errors_that_cancel_in_the_loss_count_for_the_trace_alone(name, ratio, two_bits):
    model = Cancelling()
    samples = Samples(torch.arange(1, 9).view(8, 1, 1, 1, 1), torch.arange(8) % 2)
    candidates = (Choice("uniform", 2), Choice("uniform", 8))
    wanted = Space.of(model, candidates, {})
    exact = SensitivitySettings(recordings=8, batch_size=1)
    scores = load(name).scores(model, samples, wanted, settings=exact, seed=0)
    found = wanted.best(scores, 5.0)
    assert scores[0, 0] / scores[1, 0] == pytest.approx(ratio, rel=1e-4, abs=1e-6)
    assert [layer for layer, choice in found.items() if choice.bits == 2] == [two_bits]


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
        mixture.logits.copy_(torch.tensor([0.4, 0.1, 0.1, 0.3, 0.1]).log())
        values = [quantizer(weight) for quantizer in mixture.quantizers]
        drawn = [mixture(weight) for _ in range(2000)]
    counts = [sum(torch.equal(each, value) for each in drawn) for value in values]
    assert sum(counts) == 2000
    assert np.array(counts) / 2000 == pytest.approx([0.4, 0.1, 0.1, 0.3, 0.1], abs=0.04)


@pytest.mark.parametrize("name", SEARCHES)
def test_a_spiking_network_can_be_searched_and_then_copied(name):
    """Neurons hold on to the graph of their last gradient, and such a network has no deep copy."""
    torch.manual_seed(0)
    size = {"width": 8, "depth": 1, "heads": 2, "mlp_ratio": 1, "pools": [True] * 4}
    model = Spikformer(2, **size)
    frames = torch.randint(0, 3, (16, 2, 2, 16, 16), dtype=torch.uint8)
    samples = Samples(frames, torch.arange(16) % 2)
    wanted = Space.of(model, CANDIDATES, {})
    found = search(name, model, samples, wanted, 3.0, settings=SETTINGS[name], seed=0)
    assert set(quantizable_layers(quantize(model, found))) == set(found)
