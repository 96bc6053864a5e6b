"""The one training loop: float baselines, QAT and the weights of a search use it alike."""

import copy
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div, log_softmax

from hetspike.config import Distillation, Recipe


class Samples(NamedTuple):
    """Framed recordings in memory: frames [R, T, C, H, W] of event counts, labels [R]."""

    frames: Tensor
    labels: Tensor

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Frames [T, B, C, H, W] and labels [B] of these rows [B]."""
        return self.frames[rows].transpose(0, 1).float(), self.labels[rows]

    def batches(self, size: int, order: Tensor | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches in the given order or as stored."""
        order = torch.arange(len(self.labels)) if order is None else order
        return map(self.batch, order.split(size))


class Epoch(NamedTuple):
    """What one epoch came to; accuracies are fractions of the recordings."""

    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float


def rate_at(progress: float, recipe: Recipe) -> float:
    """Learning rate after `progress` epochs: linear warm-up, then cosine to the final rate."""
    low, high = recipe.final_learning_rate, recipe.learning_rate
    if progress < recipe.warmup_epochs:
        return low + (high - low) * progress / recipe.warmup_epochs
    past = (progress - recipe.warmup_epochs) / (recipe.epochs - recipe.warmup_epochs)
    return low + (high - low) * (1 + math.cos(math.pi * past)) / 2


def set_rate(optimizer: torch.optim.Optimizer, progress: float, recipe: Recipe) -> None:
    """Give every parameter the learning rate of this moment."""
    for group in optimizer.param_groups:
        group["lr"] = rate_at(progress, recipe)


def adamw(model: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW that decays weights (two dimensions or more) and leaves everything else free."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate)


@torch.no_grad()
def logits_of(model: nn.Module, samples: Samples, batch_size: int = 64) -> Tensor:
    """Logits [R, classes] of a model in evaluation mode; no running statistic moves."""
    was_training = model.training
    model.eval()
    logits = torch.cat([model(frames) for frames, _ in samples.batches(batch_size)])
    model.train(was_training)
    return logits


def distillation_loss(logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """tau^2 KL(teacher / tau || student / tau) of logits [B, classes], mean over B -> scalar.

    tau^2 keeps the size of its gradients at that of the labels' [Hinton 2015, arXiv 1503.02531,
    section 2].
    """
    soft, wanted = (log_softmax(each / temperature, 1) for each in (logits, teacher))
    return temperature**2 * kl_div(soft, wanted, reduction="batchmean", log_target=True)


def fit(
    model: nn.Module,
    train: Samples,
    validation: Samples,
    recipe: Recipe,
    *,
    seed: int,
    teacher: nn.Module | None = None,
    distillation: Distillation | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> list[Epoch]:
    """Train the model in place; it ends with the weights of its best validation epoch.

    Best is the highest validation accuracy, then the lower validation loss. `seed` decides the
    order of the training recordings and every other draw of the run. With `distillation` the loss
    compares with the answers of a `teacher` as well; these are computed once, since recordings are
    not augmented.
    """
    assert (teacher is None) == (distillation is None), "a teacher and how to learn from it"
    lessons = None if teacher is None else logits_of(teacher, train)
    torch.manual_seed(seed)
    optimizer = adamw(model, recipe)
    steps = math.ceil(len(train.labels) / recipe.batch_size)
    history: list[Epoch] = []
    best_score = (-math.inf, -math.inf)
    for epoch in range(recipe.epochs):
        model.train()
        loss_sum, hits = 0.0, 0
        order = torch.randperm(len(train.labels))
        for step, rows in enumerate(order.split(recipe.batch_size)):
            frames, labels = train.batch(rows)
            set_rate(optimizer, epoch + step / steps, recipe)
            logits = model(frames)
            loss = cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
            if lessons is not None and distillation is not None:
                from_teacher = distillation_loss(logits, lessons[rows], distillation.temperature)
                loss = (1 - distillation.share) * loss + distillation.share * from_teacher
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss_sum += loss.item() * len(labels)
            hits += int((logits.argmax(1) == labels).sum())
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
        score = (history[-1].validation_accuracy, -history[-1].validation_loss)
        if score > best_score:
            best_score, best_state = score, copy.deepcopy(model.state_dict())
    model.load_state_dict(best_state)
    return history


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Fraction of recordings whose largest logit is their label: [R, classes], [R] -> scalar."""
    return (logits.argmax(1) == labels).double().mean().item()
