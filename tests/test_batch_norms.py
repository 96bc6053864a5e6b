"""Statistics of batch norms at the end of a training: against PyTorch's, and within `fit`."""

import copy

import pytest
import torch
from small_networks import Spiking, recordings
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import update_bn

from hetspike.inspection.effort import Effort
from hetspike.inspection.inference import accuracy, logits_of
from hetspike.networks.spikformer import Spikformer
from hetspike.settings import Recipe
from hetspike.training.batch_norms import reestimate
from hetspike.training.loop import fit

RECIPE = Recipe(
    epochs=2,
    warmup_epochs=0.5,
    batch_size=4,
    learning_rate=0.1,
    final_learning_rate=0.01,
    weight_decay=0.06,
    label_smoothing=0.1,
)


def statistics(model: nn.Module) -> dict[str, Tensor]:
    return {name: value for name, value in model.state_dict().items() if "running" in name}


@pytest.mark.parametrize(
    ("network", "side"),
    [
        (Spiking(3), 4),
        (Spikformer(3, width=16, heads=2, depth=1, mlp_ratio=2, pools=(True,) * 4), 32),
    ],
)
def test_statistics_are_those_of_pytorch(network, side):
    network.train()
    batches = [torch.randint(3, (2, 4, 2, side, side)).float() for _ in range(3)]
    expected = copy.deepcopy(network)
    update_bn(batches, expected)
    momenta = [each.momentum for each in network.modules() if isinstance(each, _BatchNorm)]
    reestimate(network, batches)
    for name, value in statistics(network).items():
        torch.testing.assert_close(value, statistics(expected)[name], rtol=1e-5, atol=1e-6)
    assert momenta == [each.momentum for each in network.modules() if isinstance(each, _BatchNorm)]


def test_a_mean_by_hand():
    """Means 1 and 5; variances of (0, 2) and (4, 6), unbiased: 2 and 2."""
    norm = nn.BatchNorm1d(1).train()
    reestimate(norm, [torch.tensor([[0.0], [2.0]]), torch.tensor([[4.0], [6.0]])])
    assert (norm.running_mean.item(), norm.running_var.item()) == pytest.approx((3, 2))


def test_what_does_not_learn_keeps_its_statistics():
    model = nn.Sequential(nn.BatchNorm1d(1), nn.BatchNorm1d(1), nn.BatchNorm1d(1)).train()
    model[0].eval()
    model[1] = nn.BatchNorm1d(1, track_running_stats=False)
    reestimate(model, [torch.tensor([[7.0], [9.0]])])
    assert (model[0].running_mean.item(), model[0].running_var.item()) == (0, 1)
    assert model[1].running_mean is None
    assert model[2].running_mean.item() == pytest.approx(0, abs=1e-6)


def test_without_batch_norms_nothing_is_passed():
    def batches():
        raise AssertionError("nothing asks for batches")
        yield

    reestimate(nn.Linear(1, 1), batches())


def test_a_training_ends_with_them_and_is_validated_with_them():
    train, validation = (recordings(n, steps=2, classes=3) for n in (12, 9))
    network, effort = Spiking(3), Effort()
    effort.watch(network)
    history = fit(network, train, validation, RECIPE, seed=0)
    assert effort.passes == RECIPE.passes(12, 9) == 2 * (3 * 12 + 9) + 12
    assert history[-1].validation_accuracy == accuracy(
        logits_of(network, validation), validation.labels
    )
    # the mean over batches of one size is that over the recordings, in whatever batches they came
    together = copy.deepcopy(network).train()
    reestimate(together, [train.frames[:].float()])
    torch.testing.assert_close(network.norm.running_mean, together.norm.running_mean)
