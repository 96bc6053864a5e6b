"""What a study will take: its passes by hand, and that the timing is of the network at hand."""

from pathlib import Path

import pytest
import torch
import yaml

from hetspike.config import Network
from hetspike.estimate import EVALUATION, estimate, measured, passes
from hetspike.events.published import Extent, extent
from hetspike.study import parse_study

ROOT = Path(__file__).parents[1]
SMALL = Network(width=8, depth=1, heads=1, mlp_ratio=1, pools=[True] * 4)


def study_of(name: str, **changes):
    return parse_study(yaml.safe_load((ROOT / f"config/{name}.yaml").read_text()) | changes)


def test_passes_by_hand():
    study = study_of("smoke")
    counts = Extent(144, 33, 66, (32, 32))
    # 5 epochs of float training; 5 rows tuned for an epoch each; fisher looks at 64 recordings
    # with gradients, dnas trains for one epoch and does not validate
    by_hand = 5 * (3 * 144 + 33) + 5 * (3 * 144 + 33) + 3 * 64 + 3 * 144
    trained, tested = passes(study, "sim-gestures", counts)
    assert trained == by_hand == 5274
    assert tested == EVALUATION * 6 * 66


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
    counts = Extent(144, 33, 66, (32, 32))
    plain, _ = passes(study_of("smoke"), "sim-gestures", counts)
    taught, _ = passes(study_of("smoke", distillation=plan), "sim-gestures", counts)
    assert taught - plain == (3 * 144 + 33) + 144  # one more row, tuned for an epoch


def test_a_study_of_unknown_datasets_has_a_table_too(monkeypatch):
    monkeypatch.setattr("hetspike.estimate.extent", lambda dataset, source: None)
    table = estimate(study_of("smoke"), 1)
    assert table["dataset"].tolist() == ["sim-saccade-digits", "sim-gestures"]
    assert table["hours"].isna().all()


def test_the_table_has_a_row_a_dataset_and_leaves_the_threads_alone():
    torch.set_num_threads(2)
    one, two = estimate(study_of("smoke"), 1), estimate(study_of("smoke"), 2)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)
    assert one["dataset"].tolist() == ["sim-saccade-digits", "sim-gestures"]
    assert one["trainings"].tolist() == [12, 12]
    assert one["recordings"].tolist() == [243, 243]
    assert two["hours"].tolist() == pytest.approx((one["hours"] / 2).tolist())
    # raw counts are 4 steps of 2x32x32
    assert one["disk_gb"].tolist() == pytest.approx([243 * 8192 * 0.26 / 1e9] * 2)
