"""What a study will take: its passes by hand, and that the timing is of the network at hand."""

from types import SimpleNamespace

import pytest
import torch
from projects import shipped
from torch import nn

from hetspike.data.events.catalogue import Extent, extent
from hetspike.errors import UserError
from hetspike.settings import SpikformerSettings
from hetspike.study.estimate import (
    COLUMNS,
    EVALUATION,
    Job,
    Speed,
    estimate,
    measured,
    passes,
)
from hetspike.study.study import parse_study

SMALL = SpikformerSettings(
    architecture="spikformer", width=8, depth=1, heads=1, mlp_ratio=1, pools=[True] * 4
)


def study_of(name: str, **changes):
    return parse_study(shipped(name) | changes)


def all_jobs(study) -> list[Job]:
    """Those of one seed that pass recordings, and the frames."""
    jobs = []
    for dataset in study.datasets:
        jobs += [Job("frames", dataset), Job("train_float", dataset)]
        jobs += [Job("evaluate", dataset, cell.name) for cell in study.rows]
        jobs += [Job("quantize", dataset, cell.name) for cell in study.rows[1:]]
        jobs += [Job("search", dataset, cell.name) for cell in study.rows if cell.searched]
        jobs += [Job("scores", dataset, search=name) for name in study.searches]
    return jobs


def test_passes_by_hand():
    study = study_of("smoke")
    counts = Extent(144, 33, 66, (32, 32))

    def spent(rule: str, cell: str = "", **search: str) -> float:
        return passes(study, Job(rule, "sim-gestures", cell, **search), counts)

    # five epochs, then the statistics of batch norms
    assert spent("train_float") == 5 * (3 * 144 + 33) + 144
    assert spent("quantize", "pot-3") == 3 * 144 + 33 + 144  # an epoch
    # recordings whose gradients it takes, once for all its budgets
    assert spent("scores", search="fisher") == 3 * 64 and spent("search", "fisher-3.14") == 0
    assert spent("search", "dnas-3.14") == 3 * 144  # an epoch that is not validated
    assert spent("watch_test") == 5 * (3 * 144 + 33 + 66) + 144
    assert spent("evaluate", "pot-3") == EVALUATION * 66
    assert spent("tables") == 0


@pytest.mark.parametrize(
    ("dataset", "source", "counts"),
    [
        ("sim-gestures", {"train": 3, "validation": 2, "test": 1, "seed": 0}, (3, 2, 1, (32, 32))),
        ("nmnist", {"folder": "", "validation": 100}, (59_900, 100, 10_000, (34, 34))),
        # 8,709 - 871 = 7,838 train, 784 of them validation
        ("n-caltech101", {"validation": 0.1}, (7_054, 784, 871, (128, 128))),
        ("cifar10-dvs", {"validation": 0.1}, (8_100, 900, 1_000, (128, 128))),
        (
            "dvs-gesture",
            {"protocol": "original-288", "validation": 0.25},
            (882, 294, 288, (128, 128)),
        ),
        (
            "sim-orbit-cifar10",
            {"validation": 0.1, "per_class": 50, "size": 64},
            (405, 45, 50, (64, 64)),
        ),
    ],
)
def test_recordings_that_a_dataset_will_have(dataset, source, counts):
    assert extent(dataset, source) == Extent(*counts)


def test_a_dataset_of_unknown_size_is_said_to_be_one():
    assert extent("mine", {"folder": "somewhere"}) is None


def test_a_timing_by_hand(monkeypatch):
    """The last of two steps takes 12 s: 4 recordings of three passes, a second each."""
    clock = iter([0.0, 100.0, 200.0, 212.0])
    seen = []

    class Weighed(nn.Linear):
        def forward(self, frames: torch.Tensor) -> torch.Tensor:
            seen.append(frames)
            return super().forward(frames.sum((0, 2, 3, 4))[:, None])

    network = Weighed(1, 10)
    monkeypatch.setattr("hetspike.study.estimate.build", lambda size, classes: network)
    monkeypatch.setattr(
        "hetspike.study.estimate.time", SimpleNamespace(perf_counter=lambda: next(clock))
    )
    torch.manual_seed(0)
    assert measured.__wrapped__(SMALL, 3, (40, 20), "cpu", 4).seconds == 1
    weighed, first, second = seen
    assert (
        torch.equal(first, second)
        and torch.equal(first, weighed)
        and first.shape == (3, 4, 2, 20, 40)
    )
    assert first.mean().item() == pytest.approx(0.1, abs=0.01)  # events a pixel and step
    assert torch.equal(first, first.round())
    assert network.weight.grad.abs().sum() > 0


def test_a_larger_network_takes_more_memory():
    small = measured(SMALL, 2, (16, 16), "cpu", 2)
    large = measured(SMALL.model_copy(update={"width": 128}), 4, (64, 64), "cpu", 2)
    assert large.memory > 16 * small.memory


def test_memory_is_that_of_what_backward_keeps():
    # from four stages of 1, 2, 4 and 8 channels at least the convolutions' inputs are kept:
    # 2, 1, 2 and 4 channels of 16x16, 8x8, 4x4 and 2x2 pixels, 4 bytes each, for two steps
    least = 4 * 2 * (2 * 256 + 1 * 64 + 2 * 16 + 4 * 4)
    assert least < measured(SMALL, 2, (16, 16), "cpu", 2).memory < 100 * least


def test_memory_is_that_of_one_recording():
    # but for the weights, which a batch keeps once
    one, many = (measured(SMALL, 2, (16, 16), "cpu", batch).memory for batch in (2, 8))
    assert 0.8 * one < many <= one


def test_a_row_that_learns_from_a_teacher_passes_it_too():
    plan = {"share": 0.5, "temperature": 2.0, "rows": ["pot-3"]}
    study = study_of("smoke", distillation=plan)
    counts = Extent(144, 33, 66, (32, 32))
    plain, taught = (
        passes(study, Job("quantize", "sim-gestures", cell), counts)
        for cell in ("pot-3", "pot-3-kd")
    )
    assert taught - plain == 144  # an epoch


def test_a_study_of_unknown_datasets_has_a_table_too(monkeypatch):
    study = study_of("smoke")
    monkeypatch.setattr("hetspike.study.estimate.extent", lambda dataset, source: None)
    table = estimate(study, all_jobs(study), 1)
    assert table["dataset"].tolist() == ["sim-saccade-characters", "sim-gestures"]
    assert table["hours"].isna().all()


def test_the_table_has_a_row_a_dataset_and_leaves_the_threads_alone():
    study = study_of("smoke")
    torch.set_num_threads(2)
    one, two = (estimate(study, 2 * all_jobs(study), workers) for workers in (1, 2))
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)
    assert one["dataset"].tolist() == ["sim-saccade-characters", "sim-gestures"]
    assert one["trainings"].tolist() == [12, 12]
    assert one["recordings"].tolist() == [243, 243]
    assert two["hours"].tolist() == pytest.approx((one["hours"] / 2).tolist())
    # raw counts are 4 steps of 2x32x32
    assert one["disk_gb"].tolist() == pytest.approx([243 * 8192 * 0.26 / 1e9] * 2)


CPU, GPU = Speed(seconds=0.3, memory=2e9), Speed(seconds=0.01, memory=3e9)


def timed(monkeypatch, *, gpu: bool = True) -> list[tuple]:
    """Networks have the speeds above; returned is what was timed."""
    asked = []

    def speed(*what) -> Speed:
        asked.append(what)
        assert torch.get_num_threads() == 1  # as a job has it
        return {"cpu": CPU, "cuda": GPU}[what[3]]

    monkeypatch.setattr("hetspike.study.estimate.measured", speed)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    return asked


@pytest.mark.parametrize(
    ("device", "gpu", "batches", "seconds", "rate", "memory"),
    [
        # 2,469 passes of the training, 264 of the evaluation, three jobs at once; a training
        # recording takes three passes
        ("cpu", True, {"cpu": 8}, (2469 + 264) * 0.3 / 3, 1 / 0.9, 8 * 2),
        ("gpu-if-present", False, {"cpu": 8}, (2469 + 264) * 0.3 / 3, 1 / 0.9, 8 * 2),
        # a GPU does one thing after the other, and no evaluation
        ("gpu-if-present", True, {"cpu": 8, "cuda": 8}, 2469 * 0.01 + 264 * 0.1, 1 / 0.03, 8 * 3),
    ],
    ids=["cpu", "no-gpu", "gpu"],
)
def test_a_row_by_hand(monkeypatch, device, gpu, batches, seconds, rate, memory):
    asked = timed(monkeypatch, gpu=gpu)
    study = study_of("smoke", kernels="fastest", device=device)
    jobs = [Job(rule, "sim-gestures") for rule in ("frames", "train_float", "evaluate")]
    table = estimate(study, jobs, 3)
    assert list(table.columns) == [*COLUMNS, "device"]
    size = (study.datasets["sim-gestures"].network, 4, (32, 32))
    assert asked == [(*size, place, batch) for place, batch in batches.items()]
    (row,) = table.to_dict("records")
    assert row["device"] == [*batches][-1]
    assert row["hours"] == pytest.approx(seconds / 3600)
    assert row["recordings_a_second"] == pytest.approx(rate)
    assert row["memory_gb"] == memory
    assert row["disk_gb"] == pytest.approx(243 * 4 * 2 * 32 * 32 * 0.26 / 1e9)


def test_frames_alone_take_room_and_nothing_is_timed(monkeypatch):
    asked = timed(monkeypatch)
    (row,) = estimate(study_of("smoke"), [Job("frames", "sim-gestures")], 1).to_dict("records")
    assert not asked
    assert [row[name] for name in ("hours", "recordings_a_second", "memory_gb")] == [0, 0, 0]
    assert row["disk_gb"] > 0


def test_an_evaluation_alone_needs_no_gpu(monkeypatch):
    asked = timed(monkeypatch)
    study = study_of("smoke", kernels="fastest", device="gpu-if-present")
    (row,) = estimate(study, [Job("evaluate", "sim-gestures")], 1).to_dict("records")
    assert [place for *_, place, _ in asked] == ["cpu"]
    assert row["hours"] == pytest.approx(264 * 0.3 / 3600)
    assert (row["memory_gb"], row["recordings_a_second"], row["trainings"]) == (0, 0, 0)


@pytest.mark.parametrize(
    ("sensor", "batch"), [((128, 64), 8), ((300, 200), 2), ((512, 256), 1), ((1024, 512), 1)]
)
def test_what_is_timed_is_a_step_of_a_second_or_two(monkeypatch, sensor, batch):
    # four steps of two polarities: 2^16, 480,000, 2^20 and 2^22 values a recording
    asked = timed(monkeypatch)
    monkeypatch.setattr(
        "hetspike.study.estimate.extent", lambda dataset, source: Extent(144, 33, 66, sensor)
    )
    estimate(study_of("smoke"), [Job("train_float", "sim-gestures")], 1)
    assert [what[2:] for what in asked] == [(sensor, "cpu", batch)]


def test_a_batch_beyond_the_gpu_is_said_with_its_size(monkeypatch):
    def full(*what) -> Speed:
        if what[3] == "cuda":
            raise torch.OutOfMemoryError
        return CPU

    timed(monkeypatch)
    monkeypatch.setattr("hetspike.study.estimate.measured", full)
    study = study_of("smoke", kernels="fastest", device="gpu-if-present")
    with pytest.raises(UserError) as raised:
        estimate(study, [Job("train_float", "sim-gestures")], 1)
    assert str(raised.value) == (
        "sim-gestures: a batch of 8 takes 16.0 GB, more than is free on the GPU: "
        "set a smaller batch_size"
    )


def test_only_jobs_that_are_left_count():
    study = study_of("smoke")
    counts = Extent(144, 33, 66, (32, 32))
    left = [Job("quantize", "sim-gestures", "pot-3"), Job("tables", "")]
    table = estimate(study, left, 1).set_index("dataset")
    assert table.index.tolist() == ["sim-gestures"]
    row = table.loc["sim-gestures"]
    assert (row["trainings"], row["disk_gb"]) == (1, 0)
    # a training recording takes three passes
    seconds = passes(study, left[0], counts) / (3 * row["recordings_a_second"])
    assert row["hours"] == pytest.approx(seconds / 3600)
    evaluated = estimate(study, [Job("evaluate", "sim-gestures")], 1).iloc[0]
    assert not evaluated[["trainings", "memory_gb", "recordings_a_second"]].any()
    assert evaluated["hours"] > 0
    assert estimate(study, [Job("tables", ""), Job("linear", "sim-gestures")], 1).empty
