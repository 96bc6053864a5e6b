"""Archives in CIFAR-10's format, made of bytes; edges whose events are worked out by hand."""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from hetspike.data.events import DATASETS, orbit_images
from hetspike.data.events.orbit_images import _loop, _screen, _views
from hetspike.data.events.recorded_images import CIFAR_CLASSES
from hetspike.data.events.recordings import SPLITS, OnDemand
from hetspike.errors import UserError

NAME = "cifar-10-binary.tar.gz"
FOLDER = "cifar-10-batches-bin"
RNG = np.random.default_rng(0)
PICTURES = RNG.integers(256, size=(300, 3 * 32 * 32), dtype=np.uint8)


def batch(*images: tuple[int, bytes]) -> bytes:
    return b"".join(bytes([label]) + pixels for label, pixels in images)


def in_turn(count: int, first: int = 0) -> bytes:
    """So many images of each class, airplane to truck and again; no two are the same."""
    return batch(*((i % 10, PICTURES[first + i].tobytes()) for i in range(10 * count)))


def archive(folder: Path, members: Mapping[str, bytes]) -> str:
    folder.mkdir(exist_ok=True)
    with tarfile.open(folder / NAME, "w:gz") as file:
        for name, content in members.items():
            info = tarfile.TarInfo(f"{FOLDER}/{name}")
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return str(folder)


def dataset(folder: str, **changes: object) -> Mapping[str, OnDemand]:
    plan = {"protocol": "first90", "validation": 0.2, "seed": 0, "size": 32}
    return DATASETS["sim-orbit-cifar10"](folder=folder, **plan | changes)


def numbers(recordings: OnDemand, label: int) -> list[str]:
    """What stands behind data_batch_ in the names of one class."""
    own = [n for n, c in zip(recordings.names, recordings.labels, strict=True) if c == label]
    return [name.removeprefix("data_batch_") for name in own]


# the archive


def test_a_record_by_hand(tmp_path):
    # class 3 is a cat; red is its first 1,024 bytes, green the next, blue the last
    planes = [bytes([value]) * 1024 for value in (255, 128, 0)]
    record = bytes([3]) + b"".join(planes)
    assert len(record) == 3073
    folder = archive(tmp_path, {"data_batch_1.bin": in_turn(1) + record * 9})
    splits = dataset(folder, validation=0.12)
    # ten cats: the last one is test, one of nine validation; the only ones of their classes train
    assert numbers(splits["test"], 3) == ["1.bin[18]"]
    assert splits["test"].labels.tolist() == [3]
    assert splits["test"].classes[3] == "cat"
    assert splits["train"].classes == CIFAR_CLASSES
    image = np.frombuffer(record, np.uint8)[1:].reshape(3, 32, 32)
    # red counts 0.2126 of white's light; half the value, 0.2195 of the light; and stray light
    expected = 0.15 + 0.2126 + 0.7152 * 0.2195
    assert _screen(image).shape == (544, 544)
    assert np.allclose(_screen(image), expected, rtol=0, atol=1e-4)


def test_rows_come_before_columns():
    image = np.zeros((3, 32, 32), np.uint8)
    image.reshape(3, 1024)[:, 5 * 32 + 20] = 255  # row 5, column 20
    rows, columns = np.nonzero(_screen(image) > 0.6)
    # 16 points to a pixel, behind a margin of 16: the middle of the pixel at 104 and 344
    assert (rows.mean(), columns.mean()) == pytest.approx((103.5, 343.5))


def test_first90_takes_the_last_tenth_in_the_order_of_the_batches(tmp_path):
    members = {
        "batches.meta.txt": b"...",
        "data_batch_2.bin": in_turn(10, 100),
        "data_batch_1.bin": in_turn(10),
        "test_batch.bin": in_turn(10, 200),
    }
    splits = dataset(archive(tmp_path, members), validation=0.34)
    assert tuple(splits) == SPLITS
    for label in range(10):
        # images of a class are ten apart; two of twenty, then six of 18, evenly spaced
        place = [f"{b}.bin[{10 * i + label}]" for b in (1, 2) for i in range(10)]
        assert numbers(splits["test"], label) == place[18:]
        assert numbers(splits["validation"], label) == place[:18:3]
        assert set(numbers(splits["train"], label)) == set(place[:18]) - set(place[:18:3])
    groups = np.concatenate([recordings.groups for recordings in splits.values()])
    assert len(np.unique(groups)) == 200


def test_the_other_protocols_deal_as_for_cifar10_dvs(tmp_path):
    folder = archive(tmp_path, {"data_batch_1.bin": in_turn(10)})
    tebn = dataset(folder, protocol="tebn")["test"]
    assert [numbers(tebn, label) for label in range(10)] == [[f"1.bin[{c}]"] for c in range(10)]
    drawn = [dataset(folder, protocol="random", protocol_seed=s)["test"].names for s in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(drawn[0]) == 10


def test_per_class_takes_the_first_ones_of_each(tmp_path):
    # class 0 has 30 images in a row, class 1 ten behind them, class 2 four
    images = [(0, i) for i in range(30)] + [(1, i) for i in range(10)] + [(2, i) for i in range(4)]
    content = batch(*((label, PICTURES[i].tobytes()) for label, i in images))
    splits = dataset(archive(tmp_path, {"data_batch_1.bin": content}), per_class=10)
    assert numbers(splits["test"], 0) == ["1.bin[9]"]
    assert numbers(splits["test"], 1) == ["1.bin[39]"]
    counts = sum(np.bincount(recordings.labels, minlength=3) for recordings in splits.values())
    assert counts.tolist() == [10, 10, 4]


# recordings


def test_a_recording_depends_on_nothing_but_its_image_and_the_seed(tmp_path):
    members = {"data_batch_1.bin": in_turn(10), "data_batch_2.bin": in_turn(10, 100)}
    whole = archive(tmp_path / "whole", members)
    part = archive(tmp_path / "part", {"data_batch_2.bin": members["data_batch_2.bin"]})
    train = dataset(whole)["train"]
    index = train.names.index("data_batch_2.bin[10]")
    chosen, first = train[index], train[0]
    assert not np.array_equal(first, chosen)
    assert np.array_equal(train[index], chosen)  # again, and after another

    def again(folder: str, **changes: object) -> NDArray[np.void]:
        """The same image, in whichever split."""
        for recordings in dataset(folder, **changes).values():
            if train.names[index] in recordings.names:
                return recordings[recordings.names.index(train.names[index])]
        raise LookupError

    assert np.array_equal(again(whole, protocol="tebn", validation=0.5), chosen)
    assert np.array_equal(again(part, per_class=10), chosen)
    assert not np.array_equal(again(whole, seed=1), chosen)


@pytest.mark.parametrize("size", [128, 64, 32])
def test_events_are_sorted_and_inside_the_sensor(tmp_path, size):
    folder = archive(tmp_path, {"data_batch_1.bin": in_turn(10)})
    train = dataset(folder, size=size)["train"]
    assert train.sensor_size == (size, size)
    events = train[0]
    for axis in "xy":
        assert events[axis].min() == 0
        assert events[axis].max() == size - 1
    assert np.all(np.diff(events["t"]) >= 0)
    assert 0 <= events["t"][0] < 50_000
    assert 1_150_000 < events["t"][-1] <= 1_200_000


def record(image: NDArray[np.uint8], size: int = 128) -> NDArray[np.void]:
    return orbit_images._record(image, size, seed=0, group=0)


def test_without_motion_or_without_a_picture_there_is_noise_alone(monkeypatch):
    grey = record(np.full((3, 32, 32), 100, np.uint8))
    # shot noise of 0.5 Hz for 1.2 s; the leak of 0.1 Hz needs 10 s for its first event
    expected = 0.5 * 1.2 * 128 * 128
    assert abs(len(grey) - expected) < 5 * np.sqrt(expected)

    picture = PICTURES[0].reshape(3, 32, 32)
    assert len(record(picture)) > 20 * len(grey)
    still = np.zeros_like(_loop())
    monkeypatch.setattr(orbit_images, "_loop", lambda: still)
    assert np.array_equal(record(picture), grey)


@pytest.mark.parametrize(
    ("axis", "darker", "brighter"),
    [
        # the view goes left, left, right, right: a bright right half leaves it, and comes back
        ("x", (0, 100_000), (100_000, 200_000)),
        # down, up, up, down: a bright lower half comes, leaves, and comes back
        ("y", (50_000, 150_000), (150_000, 250_000)),
    ],
)
def test_an_edge_darkens_and_brightens_as_the_path_goes(axis, darker, brighter):
    image = np.zeros((3, 32, 32), np.uint8)
    half = (
        (slice(None), slice(None), slice(16, 32)) if axis == "x" else (slice(None), slice(16, 32))
    )
    image[half] = 255
    events = record(image)
    # the edge, between pixels 63 and 64, goes 4 to each side, and splines blur it by some more
    near = events[np.abs(events[axis] - 63.5) < 8]
    assert len(near) > 0.85 * len(events)
    for (begin, end), polarity in ((darker, 0.0), (brighter, 1.0)):
        during = near[(near["t"] > begin + 1000) & (near["t"] < end - 1000)]
        assert len(during) > 5000
        assert during["p"].mean() == pytest.approx(polarity, abs=0.05)


def test_the_path_is_a_square_on_its_corner():
    assert _loop().tolist() == [
        *([16, 0], [12, 4], [8, 8], [4, 12]),
        *([0, 16], [-4, 12], [-8, 8], [-12, 4]),
        *([-16, 0], [-12, -4], [-8, -8], [-4, -12]),
        *([0, -16], [4, -12], [8, -8], [12, -4]),
    ]


def test_finer_steps_move_hardly_an_event(monkeypatch):
    def counts(image: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Events in sixteen slices of equal time, by polarity and pixel."""
        events = record(image)
        time = np.minimum(events["t"] * 16 // 1_200_000, 15)
        found = np.zeros((16, 2, 128, 128), np.int64)
        np.add.at(found, (time, events["p"].astype(int), events["y"], events["x"]), 1)
        return found

    y, x = np.mgrid[:32, :32]  # hard edges: most photographs are gentler
    shapes = (np.hypot(x - 12, y - 14) < 8) + 0.5 * (np.abs(x + y - 40) < 4)
    picture = np.repeat((60 + 120 * shapes)[None], 3, axis=0).astype(np.uint8)
    coarse = counts(picture)
    monkeypatch.setattr(orbit_images, "STEP", 1)
    fine = counts(picture)
    assert coarse.sum() == pytest.approx(fine.sum(), rel=0.02)
    assert np.abs(coarse - fine).sum() < 0.06 * fine.sum()  # twice the step: 0.10


@pytest.mark.parametrize("size", [128, 64, 32])
def test_a_pixel_sees_the_mean_of_its_points(size):
    screen = RNG.uniform(0.1, 1, (544, 544)).astype(np.float32)
    views = _views(screen, size)
    assert views.shape == (6 * 16 + 1, size, size)
    assert np.array_equal(views[0], views[-1])
    pitch = 512 // size
    for view, (x, y) in zip(views[:16], _loop(), strict=True):
        window = screen[16 + y : 16 + y + 512, 16 + x : 16 + x + 512].astype(float)
        means = window.reshape(size, pitch, size, pitch).mean(axis=(1, 3))
        assert np.allclose(view, means, rtol=0, atol=1e-5)


# what is wrong is said in one line

ONE = in_turn(1)


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"test_batch.bin": ONE}, "holds no files named as in the published archive"),
        ({"data_batch_1.bin": b""}, r"data_batch_1.bin' has 0 bytes, not 1 to 10000 images"),
        (
            {"data_batch_4.bin": ONE[:-1]},
            r"data_batch_4.bin' has 30729 bytes, not 1 to 10000 images",
        ),
        # a record of CIFAR-100 has two classes
        ({"data_batch_1.bin": bytes(3074)}, r"has 3074 bytes, not .* of 3073: fetch"),
        ({"data_batch_1.bin": bytes([10]) + bytes(3072)}, "of class 10, but classes are 0 to 9"),
        (
            {"data_batch_1.bin": ONE},
            r"10 recordings leave the validation split empty|test split empty",
        ),
    ],
)
def test_a_wrong_archive_is_named(tmp_path, members, problem):
    folder = archive(tmp_path, members)
    with pytest.raises(UserError, match=f"^{tmp_path}/{NAME}.*({problem})") as raised:
        dataset(folder)
    assert "\n" not in str(raised.value)


def test_a_missing_or_broken_archive_is_named(tmp_path):
    with pytest.raises(UserError, match=f"{NAME} is missing"):
        dataset(str(tmp_path))
    folder = archive(tmp_path, {"data_batch_1.bin": in_turn(10)})
    content = (tmp_path / NAME).read_bytes()
    for damaged in (content[: len(content) // 2], b"<html>not found</html>"):
        (tmp_path / NAME).write_bytes(damaged)
        with pytest.raises(UserError, match=f"{NAME} cannot be read .*: fetch it again"):
            dataset(folder)


def test_a_seed_goes_with_the_random_split_alone(tmp_path):
    with pytest.raises(UserError, match=r"^sim-orbit-cifar10: protocol random .*: give it one"):
        dataset(str(tmp_path), protocol="random")
