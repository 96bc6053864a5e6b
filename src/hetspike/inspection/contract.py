"""The contract of networks and recordings, checked on a few recordings before a long job begins.

    recordings  frames [R, T, C, H, W] of finite numbers; labels [R], int64, on the CPU
    network     takes frames [T, B, C, H, W] and returns finite logits [B, classes], with a class
                for every label; has finite float32 weights; returns the same logits when the same
                batch is passed again
    training    the network has parameters that learn, and can learn from the smallest batch of an
                epoch
    search      every layer of the network runs

The checks run on a copy: the network, its statistics and the state of the random number generators
do not change.
"""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from spikingjelly.activation_based.base import MemoryModule
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from hetspike.data.samples import Samples, StoredFrames
from hetspike.errors import UserError, during, said
from hetspike.inspection.effort import uncounted
from hetspike.inspection.finite import check_numbers, not_finite_logits, numbers_of
from hetspike.inspection.layers import copied, quantizable_layers
from hetspike.inspection.modes import evaluating, frozen, set_training

FEW = 2  # recordings of a check; 3 where T is 2, so that B and T differ
LOUD = 100.0  # a potential at which every neuron fires


def check(
    model: nn.Module, samples: Samples, called: str = "recordings", *, labelled: bool = True
) -> int:
    """Check a network on these recordings; return its number of classes.

    called    the name of the recordings in errors
    labelled  whether labels are checked

    Raises UserError if the network or the recordings do not keep to the contract.
    """
    check_weights(model)
    with during(called):
        check_recordings(samples, labelled=labelled)
    trial = copied(model).to(samples.device)
    frames, _ = samples.batch(torch.arange(_few(samples)))
    with during(called), _untraced(), torch.no_grad(), evaluating(trial):
        logits = _logits(trial, frames)
        if not logits.isfinite().all():
            raise UserError(not_finite_logits(trial, frames, logits))
        # a network that does not reset its potentials now returns other logits
        for module in trial.modules():
            if isinstance(module, MemoryModule) and isinstance(getattr(module, "v", None), Tensor):
                module.v = torch.full_like(module.v, LOUD)
        again = _logits(trial, frames)
        if again.shape != logits.shape or not torch.allclose(logits, again):
            raise UserError(
                "the network gives the same batch another answer the second time: let its forward "
                "begin with functional.reset_net(self), and draw no random numbers but torch's"
            )
    classes = logits.shape[1]
    if labelled and bool((unknown := (samples.labels < 0) | (samples.labels >= classes)).any()):
        index = int(unknown.nonzero()[0])
        raise UserError(
            f"{called}: recording {index} has the label {int(samples.labels[index])}: the "
            f"network's {classes} classes are 0 to {classes - 1}"
        )
    return classes


def check_layers(model: nn.Module, samples: Samples) -> None:
    """Raise UserError if a layer never runs: a search would count its bits but not its errors."""
    trial = copied(model).to(samples.device)
    used: set[str] = set()
    layers = quantizable_layers(trial)
    for name, layer in layers.items():
        parametrize.register_parametrization(layer, "weight", _Witness(name, used))
    used.clear()  # registering a parametrization calls it
    with _untraced(), torch.no_grad(), evaluating(trial):
        _logits(trial, samples.batch(torch.arange(1))[0])
    if idle := [name for name in layers if name not in used]:
        raise UserError(f"layer '{idle[0]}' never runs: set it to torch.nn.Identity()")


def check_learning(model: nn.Module, train: Samples, sizes: Iterable[int]) -> None:
    """Raise UserError if the network cannot learn from batches of these sizes."""
    if not torch.is_grad_enabled():
        raise UserError("gradients are switched off: train outside of torch.no_grad()")
    if not any(each.requires_grad for each in model.parameters()):
        raise UserError("no parameter of the network learns: set requires_grad of some")
    trial = copied(model).to(train.device)
    set_training(trial, frozen(trial))
    for size in sorted({min(size, _few(train)) for size in sizes}, reverse=True):
        frames, labels = train.batch(torch.arange(size))
        with _untraced(), during(f"a training on batches of {size}"):
            logits = _logits(trial, frames)
            try:
                cross_entropy(logits, labels).backward()
            except RuntimeError as error:
                raise UserError(f"the network passes no gradients back ({said(error)})") from error


def batch_sizes(recordings: int, size: int) -> list[int]:
    """Return the size of each batch of an epoch."""
    return [len(each) for each in torch.arange(recordings).split(size)]


def check_weights(model: nn.Module) -> None:
    """Raise UserError unless the network's weights are initialized, float32 and finite."""
    if not isinstance(model, nn.Module):
        raise UserError(f"the network is a {type(model).__name__}: give a torch.nn.Module")
    for name, weight in model.named_parameters():
        if is_lazy(weight):
            raise UserError(f"{name} has no size yet: pass a batch through the network first")
        if weight.is_meta:
            raise UserError(f"{name} has no values, it is on the device meta: load its weights")
        if weight.dtype != torch.float32:
            raise UserError(f"{name} is {weight.dtype}: weights are float32, call network.float()")
    for name, layer in quantizable_layers(model).items():
        if not (parametrize.is_parametrized(layer, "weight") or "weight" in dict(_own(layer))):
            raise UserError(
                f"a hook computes the weight of layer '{name}': take weight_norm or spectral_norm "
                "from torch.nn.utils.parametrizations"
            )
    check_numbers(numbers_of(model), "start from other weights")


def _own(layer: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    return layer.named_parameters(recurse=False)


def check_recordings(samples: Samples, *, labelled: bool) -> None:
    """Raise UserError unless frames and labels have the types and shapes of `Samples`."""
    frames, labels = samples.frames, samples.labels
    for name, values in (("frames", frames), ("labels", labels)):
        if not isinstance(values, Tensor | StoredFrames):
            raise UserError(f"{name} are a {type(values).__name__}: give a torch.Tensor")
    if len(frames.shape) != 5 or not math.prod(frames.shape):
        raise UserError(
            f"frames of shape {[*frames.shape]}: give [R, T, C, H, W], at least one recording"
        )
    if labels.shape != (len(frames),):
        raise UserError(
            f"{len(frames)} recordings and labels of shape {[*labels.shape]}: give one label each"
        )
    if labels.device.type != "cpu":
        raise UserError(f"labels are on {labels.device}: only batches are moved, leave them on cpu")
    if labelled and labels.dtype != torch.int64:
        raise UserError(f"labels are {labels.dtype}: give whole numbers, labels.long()")
    device_of(samples)
    if isinstance(frames, Tensor) and frames.is_complex():
        raise UserError(f"frames are {frames.dtype}: give event counts")
    if isinstance(frames, Tensor) and frames.is_floating_point():
        whole = frames.flatten(1).sum(1, dtype=torch.float64).isfinite()
        if not whole.all():
            raise UserError(f"the frames of recording {int((~whole).nonzero()[0])} are not finite")


def device_of(samples: Samples) -> torch.device:
    """Return the device of batches. Raises UserError if this machine has no such device."""
    try:
        device = torch.empty(0, device=samples.device).device
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"no device {samples.device} here ({said(error)})") from error
    return device


class _Witness(nn.Module):
    """A parametrization that records when a weight is used, by its own layer or another module."""

    def __init__(self, name: str, used: set[str]) -> None:
        super().__init__()
        self.name, self.used = name, used

    def forward(self, weight: Tensor) -> Tensor:
        self.used.add(self.name)
        return weight


def _few(samples: Samples) -> int:
    return min(FEW + (samples.frames.shape[1] == FEW), len(samples.labels))


@contextmanager
def _untraced() -> Iterator[None]:
    """Exclude passes from the effort, and restore the random number generator afterwards."""
    with torch.random.fork_rng(), uncounted():
        yield


def _logits(model: nn.Module, frames: Tensor) -> Tensor:
    """Return logits [B, classes] for frames [T, B, ...]. Raises UserError for another result."""
    torch.manual_seed(0)
    given = f"frames {[*frames.shape]}, [T, B, C, H, W]"
    try:
        logits = model(frames)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"the network does not take {given} ({said(error)})") from error
    if not isinstance(logits, Tensor):
        raise UserError(
            f"the network returns a {type(logits).__name__}: return logits [B, classes]"
        )
    if logits.dim() != 2 or len(logits) != frames.shape[1] or not logits.is_floating_point():
        raise UserError(
            f"the network returns {logits.dtype} of shape {[*logits.shape]} for {given}: "
            "return logits [B, classes], the mean over T for example"
        )
    return logits
