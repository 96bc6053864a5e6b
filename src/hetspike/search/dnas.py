"""Differentiable search with a Gumbel-softmax over (scheme, bits): our reading of the paper.

DNAS [Wu 2018, arXiv 1812.00090]: every layer has one logit per candidate. Weights and logits are
trained in turn on disjoint data. A convolution is linear in its weights, so the quantized weights
are mixed, W = sum_i m_i Q_i(W), and a layer computes one convolution instead of one per candidate
[EdMIPS, Cai & Vasconcelos 2020]. The sample m is one-hot, so W is the weight of one candidate.

The user sets a budget of effective bits instead of the weight of a penalty. An augmented Lagrangian
keeps the expected bits near the budget. At the end an integer programme chooses the assignment of
highest total log-probability within the budget.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, gumbel_softmax
from torch.nn.utils import parametrize

from hetspike.data.samples import Samples
from hetspike.errors import UserError, during
from hetspike.inspection.contract import batch_sizes, check_learning
from hetspike.inspection.finite import check_numbers, check_pass, numbers_of
from hetspike.inspection.layers import quantizable_layers
from hetspike.inspection.modes import frozen, set_training
from hetspike.quantization.quantizer import Choice, Quantizer, quantize
from hetspike.search.space import Space
from hetspike.settings import DnasSettings
from hetspike.training.loop import adamw, set_rate


class MixedWeight(nn.Module):
    """A parametrization with one quantizer and one logit for each candidate of a layer.

    With `temperature` None the weights learn, and only the sampled candidate is computed. With a
    number the logits learn: the value is still that of the sampled candidate, and the gradient is
    that of the soft mixture (straight-through Gumbel-softmax [Jang 2017, section 2.2]).
    """

    def __init__(self, weight: Tensor, candidates: tuple[Choice, ...]) -> None:
        super().__init__()
        self.quantizers = nn.ModuleList(Quantizer(weight, choice) for choice in candidates)
        self.logits = nn.Parameter(weight.new_zeros(len(candidates)))
        self.temperature: float | None = None

    def forward(self, weight: Tensor) -> Tensor:
        soft = gumbel_softmax(self.logits, tau=self.temperature or 1.0)
        sampled = int(soft.argmax())
        if self.temperature is None:
            return self.quantizers[sampled](weight)
        with torch.no_grad():
            mixed = torch.stack([quantizer(weight) for quantizer in self.quantizers])
        # soft - soft.detach() is exactly 0, so the value is exactly the sampled tensor
        return mixed[sampled] + torch.tensordot(soft - soft.detach(), mixed, 1)


def search(
    model: nn.Module,
    train: Samples,
    space: Space,
    budget: float,
    *,
    settings: DnasSettings,
    seed: int,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Choice]:
    """Return a choice for each layer of the space, within the budget.

    `model` is the float model, which does not change. One half of the training recordings trains
    weights, the other half logits. `say` receives one line per epoch.

    Raises UserError at once if the network cannot learn from the batches (`inspection.contract`),
    and later if a number is not finite, with epoch, step and layer in the message.
    """
    check_learning(model, train, turn_sizes(len(train.labels), settings.recipe.batch_size))
    torch.manual_seed(seed)
    recipe = settings.recipe
    mixed = quantize(model, space.fixed)
    weight_optimizer = adamw(mixed, recipe)
    mixtures = []
    for name, layer in quantizable_layers(mixed).items():
        if name in space.weights:
            mixtures.append(MixedWeight(layer.weight, space.candidates))
            parametrize.register_parametrization(layer, "weight", mixtures[-1])
            scales = [quantizer.log_scale for quantizer in mixtures[-1].quantizers]
            weight_optimizer.add_param_group({"params": scales, "weight_decay": 0.0})
    logits: list[Tensor] = [mixture.logits for mixture in mixtures]
    rate = settings.logit_learning_rate
    logit_optimizer = torch.optim.Adam(logits, lr=rate, fused=True)

    shares = torch.tensor([n / space.total for n in space.weights.values()])
    widths = torch.tensor([float(choice.bits) for choice in space.candidates])
    shares, widths = shares.to(train.device), widths.to(train.device)
    multiplier, excess = 0.0, torch.zeros(())

    def loss_of(batch: tuple[Tensor, Tensor], temperature: float | None) -> Tensor:
        for mixture in mixtures:
            mixture.temperature = temperature
        frames, labels = batch
        class_logits = mixed(frames)
        loss = cross_entropy(class_logits, labels, label_smoothing=recipe.label_smoothing)
        check_pass(mixed, frames, class_logits, loss)
        return loss

    numbers, still = numbers_of(mixed), frozen(mixed)
    halves = torch.randperm(len(train.labels)).chunk(2)
    steps = math.ceil(len(halves[1]) / recipe.batch_size)  # of the shorter half
    hot, cold = settings.temperature
    for epoch in range(recipe.epochs):
        set_training(mixed, still)
        temperature = hot * (cold / hot) ** (epoch / max(recipe.epochs - 1, 1))
        orders = [half[torch.randperm(len(half))] for half in halves]
        turns = zip(*(train.batches(recipe.batch_size, each) for each in orders), strict=False)
        for step, (weight_batch, logit_batch) in enumerate(turns):
            with during(f"epoch {epoch + 1}, step {step + 1}"):
                set_rate(weight_optimizer, epoch + step / steps, recipe)
                weight_optimizer.zero_grad()
                loss_of(weight_batch, None).backward()
                weight_optimizer.step()

                expected = shares @ (torch.stack(logits).softmax(1) @ widths)
                excess = expected + space.fixed_bits / space.total - budget
                loss = loss_of(logit_batch, temperature)
                logit_optimizer.zero_grad()
                (loss + multiplier * excess + settings.penalty / 2 * excess**2).backward()
                logit_optimizer.step()
                check_numbers(numbers)
        multiplier += settings.penalty * excess.item()
        say(f"epoch {epoch + 1}: loss {loss.item():.3f}, {budget + excess.item():.2f} bits")
    scores = torch.stack(logits).detach().cpu().double().log_softmax(1)
    return space.best(scores.numpy(), budget)


def turn_sizes(recordings: int, size: int) -> list[int]:
    """Return the sizes of the batches of an epoch, in turn for weights and for logits."""
    if recordings < 2:
        raise UserError("one recording: weights and logits are trained on one at least, each")
    halves = [batch_sizes(half, size) for half in (recordings - recordings // 2, recordings // 2)]
    return [each for turn in zip(*halves, strict=False) for each in turn]
