"""The training loop: its schedule by hand, what it selects, its bits, and what a teacher adds."""

import copy
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from hetspike.config import Distillation, Recipe
from hetspike.train import (
    Samples,
    accuracy,
    adamw,
    distillation_loss,
    fit,
    logits_of,
    rate_at,
    set_rate,
)

RECIPE = Recipe(
    epochs=10,
    warmup_epochs=2,
    batch_size=4,
    learning_rate=1.0,
    final_learning_rate=0.1,
    weight_decay=0.06,
    label_smoothing=0.1,
)


ONE_EPOCH = RECIPE.model_copy(update={"epochs": 1, "warmup_epochs": 0.5})


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


def test_a_batch_holds_the_rows_asked_for_with_time_first():
    data = Samples(torch.arange(12).view(3, 2, 2, 1, 1).to(torch.uint8), torch.tensor([7, 8, 9]))
    frames, labels = data.batch(torch.tensor([2, 0]))
    # recording 2 holds 8 9, then 10 11; recording 0 holds 0 1, then 2 3
    assert frames.flatten(2).tolist() == [[[8, 9], [0, 1]], [[10, 11], [2, 3]]]
    assert frames.dtype == torch.float32
    assert labels.tolist() == [9, 7]


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


def test_fit_without_a_teacher_is_a_plain_loop_to_the_bit():
    torch.manual_seed(7)
    model, train = Counter(), samples(0)
    oracle = copy.deepcopy(model)
    fit(model, train, samples(1), ONE_EPOCH, seed=3)

    torch.manual_seed(3)
    optimizer = adamw(oracle, ONE_EPOCH)
    for step, rows in enumerate(torch.randperm(24).split(4)):
        set_rate(optimizer, step / 6, ONE_EPOCH)
        optimizer.zero_grad()
        logits = oracle(train.frames[rows].float().transpose(0, 1))
        nn.functional.cross_entropy(logits, train.labels[rows], label_smoothing=0.1).backward()
        optimizer.step()
    expected = oracle.state_dict()
    assert all(torch.equal(each, expected[name]) for name, each in model.state_dict().items())


def test_distillation_loss_by_hand():
    # at temperature 2 the teacher says 3/4, 1/4, the student 1/2, 1/2; in the second row they agree
    teacher = torch.tensor([[2 * math.log(3), 0.0], [0.0, 1.0]])
    student = torch.tensor([[5.0, 5.0], [2.0, 3.0]])
    divergence = 3 / 4 * math.log(3 / 2) + 1 / 4 * math.log(1 / 2)
    loss = distillation_loss(student, teacher, 2.0).item()
    assert loss == pytest.approx(2**2 * divergence / 2, rel=1e-5)
    assert loss == pytest.approx(0.261624, rel=1e-5)


def test_distillation_loss_is_not_symmetric():
    # the other way round: KL(1/2, 1/2 || 3/4, 1/4)
    teacher, student = torch.tensor([[0.0, 0.0]]), torch.tensor([[math.log(3), 0.0]])
    expected = 1 / 2 * math.log(2 / 3) + 1 / 2 * math.log(2)
    assert distillation_loss(student, teacher, 1.0).item() == pytest.approx(expected, rel=1e-5)


temperatures = st.floats(0.5, 8)


@given(temperatures, st.integers(0, 2**16))
def test_distillation_loss_vanishes_where_student_and_teacher_agree(temperature, seed):
    torch.manual_seed(seed)
    logits = torch.randn(4, 3)
    assert distillation_loss(logits, logits, temperature).item() == pytest.approx(0, abs=1e-5)
    assert distillation_loss(logits + logits.flip(1), logits, temperature) > 1e-4


@given(temperatures, st.integers(0, 2**16))
def test_distillation_gradient_by_hand(temperature, seed):
    torch.manual_seed(seed)
    student, teacher = torch.randn(2, 4, 3)
    student.requires_grad_()
    distillation_loss(student, teacher, temperature).backward()
    soft, wanted = ((each.detach() / temperature).softmax(1) for each in (student, teacher))
    assert torch.allclose(student.grad, temperature * (soft - wanted) / 4, atol=1e-5)


def taught(teacher: Counter, labels: torch.Tensor, share: float) -> Counter:
    torch.manual_seed(7)
    student = Counter()
    validation = samples(1)._replace(labels=logits_of(teacher, samples(1)).argmax(1))
    fit(
        student,
        samples(0)._replace(labels=labels),
        validation,
        RECIPE,
        seed=0,
        teacher=teacher,
        distillation=Distillation(share=share, temperature=2.0),
    )
    return student


def contrary_teacher() -> Counter:
    torch.manual_seed(0)
    teacher = Counter()
    flipped = [each._replace(labels=1 - each.labels) for each in (samples(0), samples(1))]
    fit(teacher, *flipped, RECIPE, seed=0)
    return teacher


def test_a_teacher_alone_decides_and_stays_as_it_is():
    teacher, truth = contrary_teacher(), samples(0).labels
    before = copy.deepcopy(teacher.train().state_dict())
    student = taught(teacher, truth, share=1.0)
    answers = logits_of(student, samples(2))
    assert accuracy(answers, logits_of(teacher, samples(2)).argmax(1)) >= 0.9
    assert accuracy(answers, samples(2).labels) <= 0.1
    # labels count for nothing, to the bit
    other = taught(teacher, torch.zeros_like(truth), share=1.0)
    assert torch.equal(student.head.weight, other.head.weight)
    assert all(torch.equal(each, before[name]) for name, each in teacher.state_dict().items())
    assert teacher.training


def test_labels_count_beside_a_teacher():
    teacher, truth = contrary_teacher(), samples(0).labels
    student, other = (taught(teacher, each, share=0.5) for each in (truth, 1 - truth))
    assert not torch.equal(student.head.weight, other.head.weight)


def test_share_mixes_the_two_losses():
    torch.manual_seed(0)
    model, teacher, data = Counter(), Counter(), samples(0)
    whole = ONE_EPOCH.model_copy(update={"batch_size": 24})  # the loss is that of the start
    logits = copy.deepcopy(model).train()(data.frames.float().transpose(0, 1)).detach()
    history = fit(
        model,
        data,
        samples(1),
        whole,
        seed=0,
        teacher=teacher,
        distillation=Distillation(share=0.3, temperature=2.0),
    )
    labels = nn.functional.cross_entropy(logits, data.labels, label_smoothing=0.1)
    lessons = distillation_loss(logits, logits_of(teacher, data), 2.0)
    assert abs(labels - lessons) > 0.1
    expected = 0.7 * labels + 0.3 * lessons
    assert history[0].train_loss == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize(
    "half", [{"teacher": Counter()}, {"distillation": Distillation(share=0.5, temperature=2.0)}]
)
def test_a_teacher_and_how_to_learn_come_together(half):
    with pytest.raises(AssertionError, match="a teacher and how to learn from it"):
        fit(Counter(), samples(0), samples(1), ONE_EPOCH, seed=0, **half)


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
