"""Steps of the paper's network on a device: their speed, and what bounds it. Used by `gpu`."""

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

import torch
from spikingjelly.activation_based import functional
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from hetspike.data.samples import Samples
from hetspike.networks.spikformer import Spikformer
from hetspike.quantization.quantizer import Choice, quantize, single_scheme

Step = Callable[[], object]
DENSITY = 0.1  # events per pixel and step of the noise
CLASSES = 10


class Size(NamedTuple):
    """What is measured: the device, the network, its batch, and the seconds for each number."""

    device: str
    network: dict[str, Any]
    frames: int
    side: int
    batch: int
    seconds: float

    @property
    def on_gpu(self) -> bool:
        return self.device == "cuda"


def synchronize(size: Size) -> None:
    """Wait for the device."""
    if size.on_gpu:
        torch.cuda.synchronize()


def timed(size: Size, step: Step) -> float:
    """Return the seconds of a step, of as many as fit into the time after some more."""
    for _ in range(3 if size.on_gpu else 1):
        step()
    synchronize(size)
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < size.seconds:
        step()
        count += 1
        synchronize(size)
    return (time.perf_counter() - start) / count


def noise(size: Size, recordings: int) -> Samples:
    """Return recordings of noise, in the memory of the CPU."""
    frames = torch.empty(recordings, size.frames, 2, size.side, size.side, dtype=torch.uint8)
    for each in frames:
        each.copy_(torch.poisson(torch.full(each.shape, DENSITY)))
    return Samples(frames, torch.arange(recordings) % CLASSES, size.device)


def network(size: Size, bits: int | None = None) -> nn.Module:
    """Return an untrained network on the device, with quantizers if bits are given."""
    torch.manual_seed(0)
    model: nn.Module = Spikformer(CLASSES, **size.network)
    if bits:
        model = quantize(model, single_scheme(model, Choice("uniform", bits), {}))
    if not size.on_gpu:  # what runs on a GPU: a hook keeps a network from the kernels for CPUs
        next(model.children()).register_forward_hook(lambda *_: None)
    return model.to(size.device).train()


def channels_last(model: nn.Module) -> nn.Module:
    """Store the weights of convolutions with their channels last; what they compute follows."""
    for weight in model.parameters():
        if weight.dim() == 4:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    return model


def training(
    model: nn.Module, batch: tuple[Tensor, Tensor], *, bfloat16: bool = False, graph: bool = False
) -> Step:
    """Return a step of training on a batch that lies on the device.

    graph  whether it will be recorded: the optimizer then keeps its numbers on the device
    """
    frames, labels = batch
    device = frames.device.type
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True, capturable=graph)

    def step() -> None:
        optimizer.zero_grad(set_to_none=not graph)
        with torch.autocast(device, torch.bfloat16, bfloat16):
            logits = model(frames).float()
        cross_entropy(logits, labels).backward()
        optimizer.step()

    return step


def steps(size: Size, batch: tuple[Tensor, Tensor]) -> dict[str, Callable[[], Step]]:
    """Return how to make each kind of step, so that only one of them is in memory."""

    def of(*, bits: int | None = None, bfloat16: bool = False, last: bool = False) -> Step:
        model = network(size, bits)
        return training(channels_last(model) if last else model, batch, bfloat16=bfloat16)

    return {
        "float": of,
        "QAT at 3 bits": partial(of, bits=3),
        "float, channels last": partial(of, last=True),
        "float, bfloat16": partial(of, bfloat16=True),
        "float, bfloat16, channels last": partial(of, bfloat16=True, last=True),
        "QAT at 3 bits, bfloat16": partial(of, bits=3, bfloat16=True),
        "inference": lambda: inference(network(size), batch),
    }


def inference(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Step:
    """Return a forward pass in evaluation mode."""
    model.eval()
    return torch.no_grad()(lambda: model(batch[0]))


def graphed(size: Size, batch: tuple[Tensor, Tensor]) -> Step:
    """Return a step that replays a CUDA graph of forward, backward and optimizer."""
    step = training(network(size), batch, graph=True)
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def fetched(size: Size, samples: Samples) -> Step:
    """Return a step of training that takes its next batch from samples, as `hetspike.fit` does."""
    model = network(size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            yield from samples.batches(size.batch, torch.randperm(len(samples.labels)))

    coming = batches()

    def step() -> None:
        frames, labels = next(coming)
        loss = cross_entropy(model(frames), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


class Traffic(TorchDispatchMode):
    """Count the bytes that operations read and write, as if no cache kept any."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            leaves: Iterable[Any] = tree_leaves((args, kwargs, result))
            self.bytes += sum(each.nbytes for each in leaves if isinstance(each, Tensor))
        return result


def bound(size: Size, batch: tuple[Tensor, Tensor], seconds: float) -> dict[str, float]:
    """Return the work of a float step, and its share of what the device can do in that time."""
    step = training(network(size), batch)
    step()
    with FlopCounterMode(display=False) as counter:
        step()
    with Traffic() as traffic:
        step()
    side = 8192 if size.on_gpu else 256
    matrix = torch.rand(side, side, device=size.device)
    long = torch.empty(2**28 if size.on_gpu else 2**16, device=size.device)
    target = torch.empty_like(long)
    flop = 2 * side**3 / timed(size, lambda: matrix @ matrix)
    bandwidth = 2 * long.nbytes / timed(size, lambda: target.copy_(long))
    return {
        "dense GFLOP of a step": counter.get_total_flops() / 1e9,
        "GB that its operations read and write": traffic.bytes / 1e9,
        "float32 product, TFLOP a second": flop / 1e12,
        "copy, GB a second": bandwidth / 1e9,
        "share of the product's speed": counter.get_total_flops() / seconds / flop,
        "share of the copy's speed": traffic.bytes / seconds / bandwidth,
    }


def profiled(size: Size, batch: tuple[Tensor, Tensor]) -> str:
    """Return a table of the kernels that take most of a float step."""
    step = training(network(size), batch)
    step()
    kinds = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * size.on_gpu
    with profile(activities=kinds) as seen:
        for _ in range(3):
            step()
        synchronize(size)
    order = "self_device_time_total" if size.on_gpu else "self_cpu_time_total"
    return seen.key_averages().table(sort_by=order, row_limit=15, max_name_column_width=60)


def neurons(size: Size) -> str:
    """Name SpikingJelly's implementation of the neurons on the device."""
    return functional.neuron_implementation("lif", torch.device(size.device))["implementation"]
