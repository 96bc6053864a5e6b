"""The training loop: its schedule by hand, what it selects, its bits, and what a teacher adds."""

import copy
import io
import math
from typing import Any

import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.optim.swa_utils import update_bn

from hetspike.data.samples import Samples
from hetspike.inspection.inference import accuracy, logits_of
from hetspike.settings import Augmentation, Distillation, Mixup, Recipe
from hetspike.training.augmentation import augment, mix
from hetspike.training.history import Epoch, selected
from hetspike.training.loop import adamw, distillation_loss, fit, rate_at

RECIPE = Recipe(
    epochs=10,
    warmup_epochs=2,
    batch_size=4,
    learning_rate=1.0,
    final_learning_rate=0.1,
    weight_decay=0.06,
    label_smoothing=0.1,
)
MOVES = Augmentation(mirror=0.5, shear=0.3, shift=1, turn=30, cut=1)
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


def test_decay_spares_norms_biases_and_scales():
    model = Counter()
    decayed, free = adamw(model, RECIPE).param_groups
    assert [id(p) for p in decayed["params"]] == [id(model.head.weight)]
    assert decayed["weight_decay"] == 0.06
    assert len(free["params"]) == 3 and free["weight_decay"] == 0


def test_steps_are_those_that_are_alike_on_any_machine():
    kept: dict[str, Any] = {}
    fit(Counter(), samples(0), samples(1), ONE_EPOCH, seed=0, keep=kept.update)
    groups = kept["optimizer"]["param_groups"]
    assert {group["fused"] for group in groups} == {True}


def test_fit_learns_and_ends_as_its_last_epoch():
    torch.manual_seed(0)
    model, validation = Counter(), samples(1)
    history = fit(model, samples(0), validation, RECIPE, seed=0)
    assert [epoch.epoch for epoch in history] == list(range(1, 11))
    logits = logits_of(model, validation)
    assert accuracy(logits, validation.labels) == history[-1].validation_accuracy >= 0.9
    loss = nn.functional.cross_entropy(logits, validation.labels).item()
    assert loss == history[-1].validation_loss


def test_a_model_that_training_ruins_is_the_ruined_one_and_its_selected_epoch_is_kept():
    torch.manual_seed(0)
    flipped = samples(0)._replace(labels=1 - samples(0).labels)
    model, validation = Counter(), samples(1)
    fit(model, samples(0), validation, RECIPE, seed=0)
    gentle = RECIPE.model_copy(update={"learning_rate": 0.1, "final_learning_rate": 1e-4})
    kept: dict[str, Any] = {}
    history = fit(model, flipped, validation, gentle, seed=0, keep=kept.update)
    ends, chosen = Counter(), Counter()
    for each, state in ((ends, kept["model"]), (chosen, kept["selected"])):
        each.load_state_dict(state)
    assert history[0].validation_accuracy > history[-1].validation_accuracy
    assert [
        accuracy(logits_of(each, validation), validation.labels) for each in (model, ends, chosen)
    ] == [history[-1].validation_accuracy] * 2 + [history[0].validation_accuracy]


def test_same_seed_same_bits_other_seed_other_order():
    def run(seed: int) -> torch.Tensor:
        torch.manual_seed(7)
        model = Counter()
        fit(model, samples(0), samples(1), RECIPE, seed=seed)
        return model.head.weight.detach()

    assert torch.equal(run(3), run(3))
    assert not torch.equal(run(3), run(4))


def assert_same(state: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert state.keys() == other.keys()
    assert all(torch.equal(each, other[name]) for name, each in state.items())


class Killed(Exception):
    pass


def run_until(epoch: int, **learning: Any) -> dict[str, Any]:
    """What a run that is killed after so many epochs has kept, as it comes back from a file."""
    file = io.BytesIO()

    def keep(state: dict[str, Any]) -> None:
        file.seek(0)
        torch.save(state, file)
        if len(state["history"]) == epoch:
            raise Killed

    torch.manual_seed(7)
    with pytest.raises(Killed):
        fit(Counter(), samples(0), samples(1), RECIPE, seed=3, keep=keep, **learning)
    file.seek(0)
    return torch.load(file)


@pytest.mark.parametrize("epoch", [1, 5, 9, 10])
@pytest.mark.parametrize("moves", [None, MOVES])
def test_a_run_that_was_killed_goes_on_to_the_same_bits(epoch, moves):
    torch.manual_seed(7)
    whole = Counter()
    end: dict[str, Any] = {}
    history = fit(
        whole, samples(0), samples(1), RECIPE, seed=3, augmentation=moves, keep=end.update
    )
    kept = run_until(epoch, augmentation=moves)
    later_end = dict(kept)
    torch.manual_seed(99)  # wherever the generator stands
    later, seen = Counter(), []
    resumed = fit(
        later,
        samples(0),
        samples(1),
        RECIPE,
        seed=3,
        augmentation=moves,
        resume=kept,
        on_epoch=seen.append,
        keep=later_end.update,
    )
    assert resumed == history
    assert seen == history[epoch:]
    assert_same(later.state_dict(), whole.state_dict())
    assert_same(later_end["selected"], end["selected"])


def test_what_is_kept_holds_the_weights_of_its_epoch_and_of_the_one_selected_so_far():
    torch.manual_seed(7)
    flipped = samples(0)._replace(labels=1 - samples(0).labels)
    model, states = Counter(), []
    fit(
        *(model, flipped, samples(1), RECIPE),
        seed=3,
        keep=lambda state: states.append(copy.deepcopy(state)),
    )
    assert [len(state["history"]) for state in states] == list(range(1, RECIPE.epochs + 1))
    assert_same(model.state_dict(), states[-1]["model"])
    for state in states:
        history = pd.DataFrame([Epoch(*epoch) for epoch in state["history"]])
        assert_same(state["selected"], states[selected(history).name]["model"])


def test_the_first_of_equal_epochs_is_selected():
    epochs = [
        Epoch(n, 0.0, 0.0, loss, hits)
        for n, loss, hits in [
            (1, 0.1, 0.5),
            (2, 0.3, 0.8),
            (3, 0.2, 0.8),
            (4, 0.2, 0.8),
            (5, 0.0, 0.7),
        ]
    ]
    assert selected(pd.DataFrame(epochs[::-1]))["epoch"] == 3


def test_cooldown_stays_at_the_final_rate():
    recipe = RECIPE.model_copy(update={"epochs": 14, "cooldown_epochs": 4})
    # the first ten are those of the recipe without it
    assert [rate_at(t, recipe) for t in (0, 1, 2, 6)] == pytest.approx([0.1, 0.55, 1.0, 0.55])
    assert [rate_at(t, recipe) for t in (10, 11.5, 13.9)] == pytest.approx([0.1] * 3)


def test_mixed_batches_learn_both_labels_by_hand():
    torch.manual_seed(0)
    model, data = Counter(), samples(0)
    plan = Mixup(alpha=0.5, probability=1, epochs=1)
    recipe = ONE_EPOCH.model_copy(update={"batch_size": 24, "mixup": plan})
    start = copy.deepcopy(model).train()
    history = fit(model, data, samples(1), recipe, seed=5)

    torch.manual_seed(5)
    order = torch.randperm(24)
    frames, own = mix(data.batch(order)[0], plan)
    assert 0 < own < 1
    logits, labels = start(frames), data.labels[order]
    losses = [
        nn.functional.cross_entropy(logits, each, label_smoothing=0.1)
        for each in (labels, labels.flip(0))
    ]
    expected = own * losses[0] + (1 - own) * losses[1]
    assert history[0].train_loss == pytest.approx(expected.item(), rel=1e-5)


def test_augmented_batches_are_learnt_by_hand():
    torch.manual_seed(0)
    model, data = Counter(), samples(0)
    start = copy.deepcopy(model).train()
    whole = ONE_EPOCH.model_copy(update={"batch_size": 24})  # the loss is that of the start
    history = fit(model, data, samples(1), whole, seed=5, augmentation=MOVES)

    torch.manual_seed(5)
    order = torch.randperm(24)
    plain = data.batch(order)[0]
    frames = augment(plain, MOVES)
    assert not torch.equal(frames, plain)
    loss = nn.functional.cross_entropy(start(frames), data.labels[order], label_smoothing=0.1)
    assert history[0].train_loss == pytest.approx(loss.item(), rel=1e-5)


def test_mixing_ends_with_its_last_epoch():
    def losses(**changes: Any) -> list[float]:
        torch.manual_seed(7)
        recipe = RECIPE.model_copy(update=changes)
        history = fit(Counter(), samples(0), samples(1), recipe, seed=3)
        return [epoch.train_loss for epoch in history]

    def mixed_for(epochs: int) -> list[float]:
        return losses(mixup=Mixup(alpha=0.5, probability=1, epochs=epochs))

    assert mixed_for(1)[0] != losses()[0]
    assert mixed_for(9)[:9] == mixed_for(10)[:9] and mixed_for(9)[9] != mixed_for(10)[9]
    assert mixed_for(10) == mixed_for(11)


def test_half_precision_is_near_and_its_weights_stay_whole():
    def trained(precision: str) -> nn.Module:
        torch.manual_seed(7)
        model = Counter()
        recipe = ONE_EPOCH.model_copy(update={"precision": precision})
        fit(model, samples(0), samples(1), recipe, seed=3)
        return model

    half, full = trained("bfloat16"), trained("float32")
    assert half.head.weight.dtype == torch.float32
    assert not torch.equal(half.head.weight, full.head.weight)
    # AdamW's steps are of the size of the rate, 1 at most
    assert torch.allclose(half.head.weight, full.head.weight, atol=0.5)


def test_fit_without_a_teacher_is_a_plain_loop_to_the_bit():
    torch.manual_seed(7)
    model, train = Counter(), samples(0, 22)
    oracle = copy.deepcopy(model)
    (epoch,) = fit(model, train, samples(1), ONE_EPOCH, seed=3)

    torch.manual_seed(3)
    optimizer = adamw(oracle, ONE_EPOCH)
    losses, hits = [], 0
    # warm-up for half of the epoch's six steps, then the cosine of 0, 60 and 120 degrees
    rates = [0.1, 0.4, 0.7, 1.0, 0.775, 0.325]
    batches = torch.randperm(22).split(4)  # the last is of two
    for step, (rows, rate) in enumerate(zip(batches, rates, strict=True)):
        assert rate_at(step / 6, ONE_EPOCH) == pytest.approx(rate)
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step / 6, ONE_EPOCH)
        optimizer.zero_grad()
        logits = oracle(train.frames[rows].float().transpose(0, 1))
        loss = nn.functional.cross_entropy(logits, train.labels[rows], label_smoothing=0.1)
        loss.backward()
        optimizer.step()
        losses += len(rows) * [loss.item()]
        hits += int((logits.argmax(1) == train.labels[rows]).sum())
    # then the statistics of batch norms, in a new order
    update_bn((train.batch(rows)[0] for rows in torch.randperm(22).split(4)), oracle)
    learnt = dict(oracle.named_parameters())
    assert all(torch.equal(each, learnt[name]) for name, each in model.named_parameters())
    for name in ("running_mean", "running_var"):
        torch.testing.assert_close(getattr(model.norm, name), getattr(oracle.norm, name))
    assert epoch.train_loss == pytest.approx(sum(losses) / 22, rel=1e-6)
    assert 0 < hits < 22 and epoch.train_accuracy == hits / 22


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
