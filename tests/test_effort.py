"""Costs by hand: recordings once without gradients, three times with them, copies included."""

import copy

import torch
from torch import nn

from hetspike.data.samples import Samples
from hetspike.inspection.effort import Effort
from hetspike.inspection.inference import logits_of
from hetspike.quantization.quantizer import Choice, freeze, quantize
from hetspike.settings import Distillation, Recipe
from hetspike.training.loop import fit

RECIPE = Recipe(
    epochs=2,
    warmup_epochs=1,
    batch_size=4,
    learning_rate=0.01,
    final_learning_rate=0.001,
    weight_decay=0.0,
    label_smoothing=0.0,
)


class Summing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(2)
        self.head = nn.Linear(2, 2)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(frames.sum((0, 3, 4))))


def watched() -> tuple[Summing, Effort]:
    model, effort = Summing(), Effort()
    effort.watch(model)
    return model, effort


def samples(n: int) -> Samples:
    return Samples(torch.ones(n, 3, 2, 1, 1, dtype=torch.uint8), torch.arange(n) % 2)


FRAMES = torch.ones(3, 5, 2, 1, 1)  # five recordings of three frames


def test_a_pass_counts_once_and_with_gradients_three_times():
    model, effort = watched()
    with torch.no_grad():
        model(FRAMES)
    assert effort.passes == 5
    model(FRAMES)
    assert effort.passes == 5 + 15
    logits_of(model, samples(7), most=4)
    assert effort.passes == 5 + 15 + 7


def test_copies_count_for_their_original():
    model, effort = watched()
    quantized = quantize(model, {"head": Choice("pot", 3)})
    copies = [copy.deepcopy(model), copy.deepcopy(copy.deepcopy(model)), quantized]
    with torch.no_grad():
        for each in (*copies, freeze(quantized)):
            each(FRAMES)
    assert effort.passes == 4 * 5


def test_what_is_not_watched_does_not_count():
    model, effort = Summing(), Effort()
    earlier = copy.deepcopy(model)
    effort.watch(model)
    for each in (earlier, Summing()):
        each(FRAMES)
    assert effort.passes == 0


def test_training_passes_by_hand():
    # 10 and 6 recordings in each of two epochs, then 10 for the statistics of batch norms
    assert RECIPE.passes(10, 6) == 2 * (3 * 10 + 6) + 10 == 82


def test_fit_costs_its_training_passes():
    model, effort = watched()
    fit(model, samples(10), samples(6), RECIPE, seed=0)
    assert effort.passes == RECIPE.passes(10, 6)


def test_a_teacher_is_asked_for_every_training_recording_in_every_epoch():
    teacher, effort = watched()
    fit(
        Summing(),
        samples(10),
        samples(6),
        RECIPE,
        seed=0,
        teacher=teacher,
        distillation=Distillation(share=0.5, temperature=2.0),
    )
    assert effort.passes == RECIPE.epochs * 10
