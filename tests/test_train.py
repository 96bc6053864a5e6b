"""The training loop: its schedule by hand, what it selects, and that it repeats to the bit."""

import math

import pytest
import torch
from torch import nn

from hetspike.config import Recipe
from hetspike.train import Samples, accuracy, adamw, fit, logits_of, rate_at

RECIPE = Recipe(
    epochs=10,
    warmup_epochs=2,
    batch_size=4,
    learning_rate=1.0,
    final_learning_rate=0.1,
    weight_decay=0.06,
    label_smoothing=0.1,
)


class Counter(nn.Module):
    """A linear model of summed counts, with a norm, so that train and eval differ."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(8)
        self.head = nn.Linear(8, 2)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(frames.sum(0).flatten(1)))


def samples(seed: int, n: int = 24) -> Samples:
    torch.manual_seed(seed)
    labels = torch.arange(n) % 2
    rates = torch.where(labels[:, None] == 1, torch.tensor([4.0, 1.0]), torch.tensor([1.0, 4.0]))
    frames = torch.poisson(rates[:, None, :, None, None].expand(n, 3, 2, 2, 2))
    return Samples(frames.to(torch.uint8), labels)


@pytest.mark.parametrize(
    ("progress", "rate"),
    [(0, 0.1), (1, 0.55), (2, 1.0), (6, 0.55), (10, 0.1), (4, 0.1 + 0.45 * (1 + math.sqrt(0.5)))],
)
def test_schedule_by_hand(progress, rate):
    assert rate_at(progress, RECIPE) == pytest.approx(rate)


def test_a_whole_epoch_visits_every_recording_once():
    data = Samples(torch.arange(10).view(10, 1, 1, 1, 1).to(torch.uint8), torch.arange(10))
    order = torch.randperm(10)
    batches = list(data.batches(4, order))
    assert [len(labels) for _, labels in batches] == [4, 4, 2]
    assert torch.equal(torch.cat([labels for _, labels in batches]), order)
    assert all(torch.equal(frames.flatten(), labels.float()) for frames, labels in batches)


def test_decay_spares_norms_biases_and_scales():
    model = Counter()
    decayed, free = adamw(model, RECIPE).param_groups
    assert [id(p) for p in decayed["params"]] == [id(model.head.weight)]
    assert decayed["weight_decay"] == 0.06
    assert len(free["params"]) == 3 and free["weight_decay"] == 0


def test_fit_learns_and_ends_with_its_best_validation_epoch():
    torch.manual_seed(0)
    model, validation = Counter(), samples(1)
    history = fit(model, samples(0), validation, RECIPE, seed=0)
    assert [epoch.epoch for epoch in history] == list(range(1, 11))
    best = max(history, key=lambda epoch: (epoch.validation_accuracy, -epoch.validation_loss))
    logits = logits_of(model, validation)
    assert accuracy(logits, validation.labels) == best.validation_accuracy >= 0.9
    loss = nn.functional.cross_entropy(logits, validation.labels).item()
    assert loss == best.validation_loss


def test_validation_selects_an_early_epoch_when_training_ruins_the_model():
    torch.manual_seed(0)
    flipped = samples(0)._replace(labels=1 - samples(0).labels)
    model, validation = Counter(), samples(1)
    fit(model, samples(0), validation, RECIPE, seed=0)
    gentle = RECIPE.model_copy(update={"learning_rate": 0.1, "final_learning_rate": 1e-4})
    history = fit(model, flipped, validation, gentle, seed=0)
    chosen = accuracy(logits_of(model, validation), validation.labels)
    assert chosen == history[0].validation_accuracy > history[-1].validation_accuracy


def test_same_seed_same_bits_other_seed_other_order():
    def run(seed: int) -> torch.Tensor:
        torch.manual_seed(7)
        model = Counter()
        fit(model, samples(0), samples(1), RECIPE, seed=seed)
        return model.head.weight.detach()

    assert torch.equal(run(3), run(3))
    assert not torch.equal(run(3), run(4))


def test_accuracy_by_hand():
    logits = torch.tensor([[1.0, 2.0], [3.0, 0.0], [0.0, 1.0]])
    assert accuracy(logits, torch.tensor([1, 0, 0])) == pytest.approx(2 / 3)


def test_logits_do_not_depend_on_the_batch_size_nor_move_the_norm():
    torch.manual_seed(0)
    model = Counter().train()
    data = samples(2)
    before = model.norm.running_mean.clone()
    assert torch.allclose(logits_of(model, data, 5), logits_of(model, data, 24), atol=1e-6)
    assert torch.equal(model.norm.running_mean, before) and model.training
