import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from projects import REAL
from recording_files import atis

from hetspike.data.events.recorded_images import nmnist
from hetspike.errors import UserError


def write(path: Path, members: Mapping[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


ONE = atis((3, 4, 5, 1))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six training recordings of the digits 0 and 1 in no order, and one test recording."""
    train = {
        "Train/": b"",  # a folder's own entry is no recording
        "Train/1/00009.bin": ONE,
        "Train/0/00011.bin": ONE,
        "Train/1/00002.bin": ONE,
        "Train/0/00003.bin": atis((3, 4, 5, 1), (33, 0, 5, 0), (0, 33, 0x7FFFFF, 1)),
        "Train/0/00007.bin": ONE,
        "Train/1/00008.bin": ONE,
    }
    write(tmp_path / "Train.zip", train)
    write(tmp_path / "Test.zip", {"Test/7/00007.bin": ONE})
    return tmp_path


def test_an_event_by_hand(folder):
    # the bytes, so that this file's encoder is not checked against itself
    assert atis((3, 4, 5, 1)) == bytes([0x03, 0x04, 0x80, 0x00, 0x05])
    assert atis((33, 0, 70000, 0)) == bytes([0x21, 0x00, 0x01, 0x11, 0x70])
    validation = nmnist(folder=str(folder), validation=1)["validation"]
    assert validation[0].tolist() == [(3, 4, 5, True), (33, 0, 5, False), (0, 33, 8388607, True)]


def test_order_labels_and_groups_come_from_the_names(folder):
    splits = nmnist(folder=str(folder), validation=1)
    assert splits["train"].labels.tolist() == [0, 0, 1, 1, 1]
    assert splits["train"].groups.tolist() == [7, 11, 2, 8, 9]
    assert splits["validation"].groups.tolist() == [3]
    # test image 7 is another image than training image 7
    assert splits["test"].labels.tolist() == [7]
    assert splits["test"].groups.tolist() == [100_007]
    assert splits["test"].sensor_size == (34, 34)
    assert splits["test"].classes[7] == "seven"


def test_validation_takes_its_share_of_each_class(folder):
    # sorted by digit and image: 3 7 11 | 2 8 9; places 0, 1.5, 3, 4.5 rounded down
    splits = nmnist(folder=str(folder), validation=4)
    assert splits["validation"].groups.tolist() == [3, 7, 2, 8]
    assert splits["train"].groups.tolist() == [11, 9]


@pytest.mark.parametrize("validation", [-1, 0, 6])
def test_validation_must_leave_both_parts(folder, validation):
    with pytest.raises(UserError, match=f"validation is {validation}: take 1 to 5"):
        nmnist(folder=str(folder), validation=validation)


@pytest.mark.parametrize("part", ["Train", "Test"])
def test_a_missing_archive_is_named(folder, part):
    (folder / f"{part}.zip").unlink()
    with pytest.raises(UserError, match=f"{part}.zip is missing: put N-MNIST's {part}.zip there"):
        nmnist(folder=str(folder), validation=1)


def cut_short(archive: bytes) -> bytes:
    return archive[: len(archive) // 2]


def flipped(archive: bytes) -> bytes:
    """One bit of the first recording's compressed data, found behind its name, is wrong."""
    place = archive.index(b"Train/1/00009.bin") + len(b"Train/1/00009.bin")
    return archive[:place] + bytes([archive[place] ^ 0x10]) + archive[place + 1 :]


def no_zip(archive: bytes) -> bytes:
    return b"<html>not found</html>"


@pytest.mark.parametrize("damage", [cut_short, flipped, no_zip])
def test_a_damaged_archive_is_named(folder, damage):
    path = folder / "Train.zip"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=r"Train.zip cannot be read .*: fetch it again"):
        nmnist(folder=str(folder), validation=1)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("Train/0/notes.txt", ONE, r"'Train/0/notes.txt' is not named Train/<digit>"),
        ("../../etc/00001.bin", ONE, r"'../../etc/00001.bin' is not named Train/<digit>"),
        ("Test/0/00001.bin", ONE, r"'Test/0/00001.bin' is not named Train/"),
        ("Train/1/00003.bin", ONE, r"holds an image twice"),
        ("Train/0/00001.bin", b"", r"'Train/0/00001.bin' has 0 bytes"),
        ("Train/0/00001.bin", ONE[:4], r"'Train/0/00001.bin' has 4 bytes, not a whole number"),
        ("Train/0/00001.bin", atis((34, 0, 1, 0)), r"has events outside 34x34"),
        ("Train/0/00001.bin", atis((0, 34, 1, 0)), r"has events outside 34x34"),
        ("Train/0/00001.bin", atis((0, 0, 9, 0), (0, 0, 8, 0)), r"go back in time"),
    ],
)
def test_a_bad_member_is_named(folder, name, content, problem):
    with zipfile.ZipFile(folder / "Train.zip", "a") as archive:
        archive.writestr(name, content)
    with pytest.raises(UserError, match=rf"Train.zip.*{problem}"):
        nmnist(folder=str(folder), validation=1)


def test_an_empty_archive_is_named(folder):
    write(folder / "Test.zip", {})
    with pytest.raises(UserError, match=r"Test.zip holds no recordings"):
        nmnist(folder=str(folder), validation=1)


@pytest.mark.skipif(
    not (REAL / "Train.zip").is_file(),
    reason="N-MNIST recordings are not beside the repository: reading real archives is not checked",
)
def test_real_recordings():
    splits = nmnist(folder=str(REAL), validation=100)
    assert {split: len(recordings) for split, recordings in splits.items()} == {
        "train": 900,
        "validation": 100,
        "test": 100,
    }
    counts = {split: np.bincount(r.labels, minlength=10) for split, r in splits.items()}
    per_class = counts["train"] + counts["validation"]
    assert per_class.tolist() == [97, 116, 99, 93, 105, 92, 94, 117, 87, 100]
    assert np.abs(counts["validation"] - per_class / 10).max() < 1
    groups = np.concatenate([recordings.groups for recordings in splits.values()])
    assert len(np.unique(groups)) == 1100

    # three saccades of about 100 ms each, some 4,100 events
    for recordings in splits.values():
        ends = [recordings[i]["t"][-1] for i in range(len(recordings))]
        assert 300_000 < np.mean(ends) < 315_000
        assert 3_500 < np.diff(recordings.offsets).mean() < 4_700
        assert {*np.unique(recordings.events["p"])} == {False, True}
