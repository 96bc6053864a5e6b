"""Numbers that are not finite stop what is going on at once, and are told with their place."""

import math
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import small_networks
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import Spiking
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from hetspike.errors import UserError
from hetspike.inspection.finite import check_numbers, numbers_of
from hetspike.inspection.inference import logits_of
from hetspike.quantization.quantizer import Choice, Quantizer, quantize
from hetspike.search import dnas, search, sensitivity
from hetspike.search.space import Space
from hetspike.settings import DnasSettings, Recipe, SensitivitySettings
from hetspike.training.loop import fit

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow/scripts"))
from jobs import Say, run

RECIPE = Recipe(
    epochs=3,
    warmup_epochs=0.5,
    batch_size=4,
    learning_rate=1e-2,
    final_learning_rate=1e-4,
    weight_decay=0,
    label_smoothing=0,
)
STEPS = 3  # of an epoch
DNAS = DnasSettings(recipe=RECIPE, logit_learning_rate=0.1, temperature=(2.0, 0.5), penalty=1.0)


class Net(Spiking):
    """`harm` is called with the number of each pass in training mode, which it counts."""

    passes = 0

    def __init__(self, harm: Any = lambda model, number: None) -> None:
        super().__init__(classes=2)
        self.harm = harm

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = super().forward(x)
        if self.training:
            self.passes += 1  # those of the copies that are tried beforehand are the copies' own
            changed = self.harm(self, self.passes)
            y = y if changed is None else changed * y
        return y


recordings = partial(small_networks.recordings, steps=3, classes=2)


def told(model: nn.Module, **changes: Any) -> str:
    with pytest.raises(UserError) as error:
        recipe = RECIPE.model_copy(update=changes)
        fit(model, recordings(4 * STEPS), recordings(4), recipe, seed=0)
    assert "\n" not in str(error.value)
    return str(error.value)


def spoil(tensor: str, at: int, value: float = math.nan) -> Any:
    """Harm that puts a value into a tensor of the model during one step."""

    def harm(model: nn.Module, number: int) -> None:
        if number == at:
            numbers_of(model)[tensor].data.view(-1)[0] = value

    return harm


TENSORS = ["conv.weight", "conv.bias", "norm.weight", "norm.running_mean", "norm.running_var"]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_is_spoilt_by_a_step_is_told_by_name_in_that_step(precision, tried):
    count = 0
    for tensor in [*TENSORS, "head.weight", "head.bias"]:
        for at, value in ((1, math.nan), (STEPS + 2, math.inf), (2 * STEPS, -math.inf)):
            model, steps = Net(), iter(range(1, 99))

            def spoil_it(*_: Any, model=model, tensor=tensor, at=at, value=value, steps=steps):
                if next(steps) == at:
                    numbers_of(model)[tensor].data.view(-1)[0] = value

            hook = register_optimizer_step_post_hook(spoil_it)
            message = told(model, precision=precision)
            hook.remove()
            epoch, step = divmod(at - 1, STEPS)
            kind = "nan" if math.isnan(value) else "inf"
            assert message == (
                f"epoch {epoch + 1}, step {step + 1}: {tensor} is not finite ({kind}): start again "
                "with a lower learning_rate, or a longer warm-up"
            )
            count += 1
    tried("fit", "a weight or statistic made nan or infinite by a step", refused=count)


def test_a_nan_weight_that_spikes_hide_is_told():
    # silent neurons: all that the loss sees is the bias of the head
    model = Net()
    model.conv.weight.data[:] = math.nan
    frames = recordings(4 * STEPS).batch(torch.arange(4))[0]
    assert model.eval()(frames).isfinite().all()
    assert told(Net(spoil("conv.weight", 4))).startswith("epoch 2, step 1: conv.weight is not fin")


def test_the_scale_of_a_quantizer_is_told_by_its_layer():
    model = quantize(Net(spoil("conv.log_scale", 5)), {"conv": Choice("pot", 3)})
    assert told(model).startswith("epoch 2, step 2: conv.log_scale is not finite (nan)")


@pytest.mark.parametrize("factor", [math.nan, math.inf])
def test_logits_are_told_with_the_layer_where_it_began(factor):
    last = torch.tensor(factor)
    message = told(Net(lambda model, number: last if number > 1 else None))
    # the head itself was well
    assert message.startswith(
        "epoch 1, step 2: the logits are not finite (nan)"
        if factor != factor
        else "epoch 1, step 2: the logits are not finite (inf)"
    )

    def overflow(model: nn.Module, number: int) -> None:
        if number == 2:
            model.head.weight.data[:] = 3e38  # finite, their sums are not

    model = Net(overflow)
    model.norm.bias.data[:] = 9.0  # so that all neurons spike
    message = told(model)
    assert message.startswith(
        "epoch 1, step 3: the logits are not finite (inf), first after layer head"
    )


def test_a_rate_that_makes_a_training_diverge_stops_it():
    for precision in ("float32", "bfloat16"):
        message = told(Net(), learning_rate=1e30, precision=precision)
        assert message.startswith("epoch 1, step ")


def test_gradients_whose_squares_overflow_are_told():
    # the loss is small and finite, its gradients are 1e25 times what they should be
    class Steep(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
            return gradient * 1e25

    class Net2(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return Steep.apply(super().forward(x))

    assert told(Net2()).startswith("epoch 1: the square of the gradients of ")


def test_validation_is_told_with_its_epoch():
    class Late(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = super().forward(x)
            return y if self.training or self.passes < 2 * STEPS else y / 0

    assert told(Late()).startswith("epoch 2: the logits are not finite (")
    with pytest.raises(UserError, match=r"logits are not finite \(nan\), first after layer head"):
        model = Net()
        model.head.bias.data[1] = math.nan
        logits_of(model, recordings(4 * STEPS))


@given(st.integers(0, 5), st.sampled_from([math.nan, math.inf, -math.inf]), st.floats(-3e38, 3e38))
@settings(deadline=None)
def test_any_place_is_found_and_large_numbers_are_none(place, value, large):
    tensors = {name: torch.full((2,), large) for name in "abc"}
    check_numbers(tensors)
    tensors["abc"[place // 2]][place % 2] = value
    with pytest.raises(UserError, match=f"^{'abc'[place // 2]} is not finite"):
        check_numbers(tensors)


def space(model: nn.Module) -> Space:
    candidates = (Choice("uniform", 2), Choice("uniform", 4))
    return Space.of(model, candidates, {})


@pytest.mark.parametrize(
    "tensor", ["conv.weight", "conv.quantizers.1.log_scale", "norm.running_var", "head.logits"]
)
def test_a_differentiable_search_stops_in_the_step(tensor):
    # two passes a step, of 6 recordings each: two steps an epoch
    model = Net(spoil(tensor, 6))
    with pytest.raises(UserError, match=f"^epoch 2, step 1: {tensor} is not finite"):
        dnas.search(model, recordings(4 * STEPS), space(model), 3.0, settings=DNAS, seed=0)


def test_scores_and_weights_are_refused_by_their_layer():
    wanted = space(Net())
    scores = np.zeros((2, 2))
    for value in (math.nan, math.inf, -math.inf):
        scores[1, 0] = value
        with pytest.raises(
            UserError, match=f"layer 'head' at uniform 2 bits has the score {value}"
        ):
            wanted.best(scores, 3.0)
    model = Net()
    model.head.weight.data[0, 0] = math.inf
    with pytest.raises(UserError, match=r"^layer 'head': its weight is not finite \(inf\)"):
        sensitivity.candidate_errors(model, wanted)
    with pytest.raises(UserError, match=r"^layer 'head': its weight is not finite \(inf\)"):
        quantize(model, {"conv": Choice("pot", 3), "head": Choice("pot", 3)})
    with pytest.raises(UserError, match="its weight is not finite"):
        Quantizer(torch.tensor([[1.0, math.nan]]), Choice("binary", 1))


@pytest.mark.parametrize("name", ["fisher", "sensitivity"])
def test_gradients_that_are_not_finite_are_refused_by_their_layer(name):
    model = Net()
    model.norm.running_var[:] = 0
    model.norm.weight.data[:] = 1e38  # gradients of the convolution overflow, answers do not
    wanted = space(model)
    four = SensitivitySettings(recordings=4, batch_size=2)
    with pytest.raises(UserError, match=r"^layer 'conv' at uniform 2 bits has the score "):
        search(name, model, recordings(4 * STEPS), wanted, 3.0, settings=four, seed=0)


def test_the_line_of_a_job_has_dataset_seed_row_epoch_step_and_layer(tmp_path):
    snakemake = SimpleNamespace(
        rule="quantize", wildcards=["sim-gestures", "1", "pot-3"], log=[tmp_path / "log"]
    )

    def main(*, say: Say) -> None:
        fit(Net(spoil("conv.weight", 5)), recordings(4 * STEPS), recordings(4), RECIPE, seed=1)

    with pytest.raises(SystemExit) as ended:
        run(main, snakemake)
    line = (
        "hetspike: quantize sim-gestures 1 pot-3: epoch 2, step 2: conv.weight is not finite (nan)"
    )
    assert str(ended.value).startswith(line) and "\n" not in str(ended.value)
    assert (tmp_path / "log").read_text() == f"{ended.value}\n"
