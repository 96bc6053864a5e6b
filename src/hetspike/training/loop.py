"""The training loop of float networks and of QAT."""

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div, log_softmax

from hetspike.data.samples import Samples
from hetspike.errors import UserError, during
from hetspike.inspection.contract import batch_sizes, check, check_learning, device_of
from hetspike.inspection.finite import check_numbers, check_pass, numbers_of
from hetspike.inspection.inference import accuracy, answers, logits_of
from hetspike.inspection.modes import frozen, set_training
from hetspike.settings import Augmentation, Distillation, Recipe, Schedule
from hetspike.training.augmentation import augment, mix
from hetspike.training.batch_norms import reestimate
from hetspike.training.history import Epoch, selected


def rate_at(progress: float, recipe: Schedule) -> float:
    """Return the learning rate after `progress` epochs: linear warm-up, cosine decay, cooldown."""
    low, high = recipe.final_learning_rate, recipe.learning_rate
    if progress < recipe.warmup_epochs:
        return low + (high - low) * progress / recipe.warmup_epochs
    end = recipe.epochs - recipe.cooldown_epochs
    past = min((progress - recipe.warmup_epochs) / (end - recipe.warmup_epochs), 1.0)
    return low + (high - low) * (1 + math.cos(math.pi * past)) / 2


def set_rate(optimizer: torch.optim.Optimizer, progress: float, recipe: Schedule) -> None:
    """Set the learning rate of every parameter."""
    for group in optimizer.param_groups:
        group["lr"] = rate_at(progress, recipe)


def adamw(model: nn.Module, recipe: Schedule) -> torch.optim.AdamW:
    """Make an AdamW with weight decay for parameters of two dimensions or more only.

    Its step is PyTorch's fused one, whose square root is exact on every processor. The square root
    of the other steps is MKL's, whose first approximation differs between makers of processors.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, fused=True)


def check_training(
    model: nn.Module, train: Samples, validation: Samples, teacher: nn.Module | None, size: int
) -> None:
    """Raise UserError if `fit` could not finish with this network, these samples and batches."""
    classes = check(model, train, "training recordings")
    with during("validation recordings"):
        if device_of(validation) != device_of(train):
            raise UserError(f"they go to {validation.device}, those of the training elsewhere")
    check(model, validation, "validation recordings")
    if teacher is not None:
        of_teacher = check(teacher, train, "the teacher's recordings")
        if of_teacher != classes:
            raise UserError(
                f"the teacher has {of_teacher} classes, the network {classes}: "
                "take a teacher of the same classes"
            )
    check_learning(model, train, batch_sizes(len(train.labels), size))


def distillation_loss(logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return tau^2 KL(teacher / tau || student / tau) for logits [B, classes], mean over B.

    The factor tau^2 makes the gradients as large as those of the loss of the labels [Hinton 2015,
    arXiv 1503.02531, section 2].
    """
    student, target = (log_softmax(each / temperature, 1) for each in (logits, teacher))
    return temperature**2 * kl_div(student, target, reduction="batchmean", log_target=True)


def fit(
    model: nn.Module,
    train: Samples,
    validation: Samples,
    recipe: Recipe,
    *,
    seed: int,
    augmentation: Augmentation | None = None,
    teacher: nn.Module | None = None,
    distillation: Distillation | None = None,
    resume: Mapping[str, Any] | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    keep: Callable[[dict[str, Any]], None] = lambda state: None,
) -> list[Epoch]:
    """Train the model in place on the device of the samples; return the history of its epochs.

    seed          of the order of the training recordings and of all other random numbers
    augmentation  random changes of the training recordings
    teacher       with `distillation`, the network whose logits the loss compares with as well
    resume        state of an interrupted run, from `keep`. The run then ends as if it had not been
                  interrupted, on a CPU to the last bit
    on_epoch      receives the results of each epoch
    keep          receives after each epoch the state that the rest of the run depends on. Its
                  tensors change in the next epoch, so it must be written at once. "model" contains
                  the weights of this epoch, "selected" those of the epoch that
                  `training.history.selected` returns so far

    The model ends with the weights of the last epoch. Its batch norms then have the statistics of
    all training recordings under these weights (`training.batch_norms`), with which the last epoch
    is validated. If the model is in training mode, its modules in evaluation mode stay in it, and
    so do batch norms whose parameters do not learn.

    Raises UserError at once if the network or the recordings do not keep to
    `hetspike.inspection.contract`, and later if a number is not finite, with epoch, step and layer.
    """
    assert (teacher is None) == (distillation is None), "a teacher and how to learn from it"
    check_training(model, train, validation, teacher, recipe.batch_size)
    torch.manual_seed(seed)
    model.to(train.device)
    if teacher is not None:
        teacher.to(train.device)
    optimizer = adamw(model, recipe)
    steps = math.ceil(len(train.labels) / recipe.batch_size)
    still = frozen(model)
    history: list[Epoch] = []
    selected_state: dict[str, Tensor] = {}
    if resume:
        model.load_state_dict(resume["model"])
        optimizer.load_state_dict(resume["optimizer"])
        torch.set_rng_state(resume["random"])
        history = [Epoch(*epoch) for epoch in resume["history"]]
        selected_state = resume["selected"]
    for epoch in range(len(history), recipe.epochs):
        set_training(model, still)
        numbers = numbers_of(model)
        loss_sum, hits = 0.0, 0
        order = torch.randperm(len(train.labels))
        for step, (frames, labels) in enumerate(train.batches(recipe.batch_size, order)):
            set_rate(optimizer, epoch + step / steps, recipe)
            own_share = 1.0
            if augmentation:
                frames = augment(frames, augmentation)
            if recipe.mixup and epoch < recipe.mixup.epochs:
                frames, own_share = mix(frames, recipe.mixup)
            place = f"epoch {epoch + 1}, step {step + 1}"
            with torch.autocast(
                torch.device(train.device).type, torch.bfloat16, recipe.precision == "bfloat16"
            ):
                logits = model(frames).float()
            smoothing = recipe.label_smoothing
            loss = own_share * cross_entropy(logits, labels, label_smoothing=smoothing)
            if own_share < 1:
                loss_of_other = cross_entropy(logits, labels.flip(0), label_smoothing=smoothing)
                loss = loss + (1 - own_share) * loss_of_other
            if teacher is not None and distillation is not None:
                target = answers(teacher, frames)
                from_teacher = distillation_loss(logits, target, distillation.temperature)
                loss = (1 - distillation.share) * loss + distillation.share * from_teacher
            with during(place):
                check_pass(model, frames, logits, loss)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            with during(place):
                check_numbers(numbers)
            loss_sum += loss.item() * len(labels)
            hits += int((logits.argmax(1) == labels).sum())
        if epoch + 1 == recipe.epochs:
            order = torch.randperm(len(train.labels))
            reestimate(model, (frames for frames, _ in train.batches(recipe.batch_size, order)))
        with during(f"epoch {epoch + 1}"):
            check_numbers(gradient_sizes(model, optimizer))
            validation_logits = logits_of(model, validation)
        history.append(
            Epoch(
                epoch=epoch + 1,
                train_loss=loss_sum / len(train.labels),
                train_accuracy=hits / len(train.labels),
                validation_loss=cross_entropy(validation_logits, validation.labels).item(),
                validation_accuracy=accuracy(validation_logits, validation.labels),
            )
        )
        on_epoch(history[-1])
        if selected(pd.DataFrame(history))["epoch"] == history[-1].epoch:
            selected_state = copy.deepcopy(model.state_dict())
        keep(
            {
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "random": torch.get_rng_state(),
                "history": [tuple(each) for each in history],
                "selected": selected_state,
            }
        )
    return history


def gradient_sizes(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return AdamW's mean squared gradients; a weight whose mean is infinite never moves again."""
    return {
        f"the square of the gradients of {name}": optimizer.state[parameter]["exp_avg_sq"]
        for name, parameter in model.named_parameters()
        if parameter in optimizer.state
    }
