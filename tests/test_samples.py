"""Frames in a file: what comes back, as which bytes, and what damage says; batches read ahead."""

import io
import json
import threading
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hetspike.data.samples import VALUES, Samples, StoredFrames, ahead, at_once, store
from hetspike.errors import UserError

CLASSES = ["left", "right"]
COUNTS = arrays.arrays(
    np.uint8,
    st.tuples(*[st.integers(1, 4), st.integers(1, 3), st.just(2), st.integers(1, 4)], st.just(3)),
)


def stored(folder: Path, frames: np.ndarray) -> StoredFrames:
    path = folder / "frames.zip"
    with path.open("wb") as file:
        assert store(file, iter(frames), np.arange(len(frames)) % 2, CLASSES) == frames.shape
    with path.open("rb") as file:
        return StoredFrames(file, "frames.zip")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("samples")


@given(COUNTS, st.data())
def test_stored_frames_are_indexed_as_the_tensor_that_they_were(folder, frames, data):
    found, whole = stored(folder, frames), torch.from_numpy(frames)
    rows = data.draw(st.lists(st.integers(0, len(frames) - 1), max_size=6))
    begin, end = data.draw(st.integers(0, 4)), data.draw(st.integers(0, 4))
    assert found.shape == whole.shape and len(found) == len(whole)
    for which in (
        rows[0] if rows else 0,
        slice(begin, end),
        slice(None),
        torch.tensor(rows).long(),
    ):
        assert torch.equal(found[which], whole[which])
    assert torch.equal(torch.stack(list(found)), whole)
    assert found.labels.tolist() == [row % 2 for row in range(len(frames))]
    assert found.classes == ("left", "right")


def test_equal_frames_are_equal_bytes_and_empty_ones_next_to_none():
    frames = np.zeros((3, 16, 2, 128, 128), np.uint8)
    first, second = io.BytesIO(), io.BytesIO()
    for file in (first, second):
        store(file, frames, [0, 1, 0], CLASSES)
    assert first.getvalue() == second.getvalue()
    assert len(first.getvalue()) < frames.nbytes / 100


def test_labels_are_one_for_each_recording():
    with pytest.raises(AssertionError, match="a label for each"):
        store(io.BytesIO(), np.zeros((2, 1, 2, 1, 1), np.uint8), [0], CLASSES)


def test_no_recording_beyond_the_last(folder):
    found = stored(folder, np.zeros((2, 1, 2, 1, 1), np.uint8))
    for row in (2, -1):
        with pytest.raises(IndexError, match=f"recording {row} of 2"):
            found[row]


@given(st.data())
def test_damage_is_an_error_or_does_not_matter(folder, data):
    frames = np.random.default_rng(0).poisson(0.2, (3, 2, 2, 4, 4)).astype(np.uint8)
    path = folder / "whole.zip"
    with path.open("wb") as file:
        store(file, frames, [0, 1, 0], CLASSES)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] ^= data.draw(st.integers(1, 255))
    else:
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    damaged = folder / "damaged.zip"
    damaged.write_bytes(content)
    try:
        with damaged.open("rb") as file:
            found = StoredFrames(file, "damaged.zip")
        assert torch.equal(found[:], torch.from_numpy(frames))
    except UserError as error:
        assert str(error).startswith("damaged.zip ") and str(error).endswith("make it again")


def test_another_zip_is_no_frames(tmp_path):
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme", "nothing")
    with (
        (tmp_path / "other.zip").open("rb") as file,
        pytest.raises(UserError, match="other holds no frames"),
    ):
        StoredFrames(file, "other")


SHAPE = [2, 1, 2, 2, 3]
ABOUT = {"shape": SHAPE, "labels": [0, 1], "classes": CLASSES}
ROWS = {"000000": bytes(12), "000001": bytes(12)}


def archived(folder: Path, members: dict[str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(folder / "made.zip", "w", kind) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return folder / "made.zip"


def opened(path: Path) -> StoredFrames:
    with path.open("rb") as file:
        return StoredFrames(file, "made.zip")


@pytest.mark.parametrize(
    "about",
    [
        {"shape": [2, 1, 2, 2]},
        {"shape": [2, 1, 2, 2, 0]},
        {"shape": [2, 1, 2, -2, -3]},
        {"shape": [2, 1, 2, 2, 3.0]},
        {"shape": [2, 1, 2, 2, True]},
        {"shape": [3, 1, 2, 2, 3]},  # a recording more than there are
        {"shape": [1, 1, 2, 2, 3], "labels": [0]},  # one less
        {"shape": [2, 1, 2, 3, 3]},  # larger ones
        {"shape": [2, 2**20, 2, 2**20, 2**20]},  # beyond every memory
        {"shape": [10**30, 1, 2, 2, 3]},
        {"shape": "2"},
        {"labels": [0]},
        {"labels": [0, 2]},
        {"labels": [-1, 0]},
        {"labels": [0, 1.0]},
        {"labels": [0, float("nan")]},
        {"labels": {"0": 1}},
        {"labels": [0, 2**70]},
        {"classes": ["left"]},
        {"classes": ["left", 1]},
        {"classes": "ab"},
        {"classes": None},
        {"shape": None},
    ],
)
def test_what_a_file_says_of_itself_has_to_agree(tmp_path, about):
    assert opened(archived(tmp_path, {"about.json": json.dumps(ABOUT).encode()} | ROWS)).shape
    path = archived(tmp_path, {"about.json": json.dumps(ABOUT | about).encode()} | ROWS)
    with pytest.raises(UserError, match=r"^made\.zip holds no frames .*: make it again$"):
        opened(path)


def redirected(path: Path, field: int, value: int) -> None:
    """A field of four bytes of each recording's entry in the directory of a zip archive."""
    content = bytearray(path.read_bytes())
    for row in ROWS:
        entry = content.rindex(row.encode()) - 46  # where the name stands in it
        content[entry + field : entry + field + 4] = value.to_bytes(4, "little")
    path.write_bytes(content)


@pytest.mark.parametrize(
    "members",
    [
        {"about.json": b"[" * 100_000 + b"]" * 100_000},
        {"about.json": b" " * 2**25},
        {"about.json": b"[]"},
        {"about.json": b'"shape"'},
        {"about.json": b'{"shape": ' + b"9" * 10_000 + b"}"},
        {"readme": b"..."},
        {"000001": bytes(13)},
        {"000001": bytes(2**21)},
        {"000001": b""},
    ],
)
def test_a_hostile_member_is_refused_before_it_takes_memory(tmp_path, members):
    content = {"about.json": json.dumps(ABOUT).encode()} | ROWS | members
    path = archived(tmp_path, content)
    tracemalloc.start()
    with pytest.raises(UserError, match=r"^made\.zip holds no frames"):
        opened(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**23


def test_members_are_deflated_and_do_not_lie_in_each_other(tmp_path):
    content = {"about.json": json.dumps(ABOUT).encode()} | ROWS
    for kind in (zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with pytest.raises(UserError, match=r"about\.json is not deflated"):
            opened(archived(tmp_path, content, kind))
    path = archived(tmp_path, content)
    redirected(path, 42, 0)  # both begin where the first member does
    with pytest.raises(UserError, match=r"^made\.zip is damaged"):
        opened(path)[:]
    path = archived(tmp_path, content)
    redirected(path, 20, path.stat().st_size // 2)  # either takes half of the file
    with pytest.raises(UserError, match="members overlap"):
        opened(path)


def test_a_device_is_no_file_of_frames():
    with open("/dev/zero", "rb") as file, pytest.raises(UserError, match="no regular file"):
        StoredFrames(file, "zero")


def test_a_whole_epoch_visits_every_recording_once():
    data = Samples(torch.arange(10).view(10, 1, 1, 1, 1).to(torch.uint8), torch.arange(10))
    order = torch.randperm(10)
    batches = list(data.batches(4, order))
    assert [len(labels) for _, labels in batches] == [4, 4, 2]
    assert torch.equal(torch.cat([labels for _, labels in batches]), order)
    assert all(torch.equal(frames.flatten(), labels.float()) for frames, labels in batches)


def test_a_batch_holds_the_rows_asked_for_with_time_first():
    data = Samples(torch.arange(12).view(3, 2, 2, 1, 1).to(torch.uint8), torch.tensor([7, 8, 9]))
    frames, labels = data.batch(torch.tensor([2, 0]))
    # recording 2 holds 8 9, then 10 11; recording 0 holds 0 1, then 2 3
    assert frames.flatten(2).tolist() == [[[8, 9], [0, 1]], [[10, 11], [2, 3]]]
    assert frames.dtype == torch.float32
    assert labels.tolist() == [9, 7]


def test_batches_go_to_the_device_of_the_samples():
    data = Samples(torch.zeros(3, 2, 2, 1, 1, dtype=torch.uint8), torch.arange(3), "meta")
    (frames, labels), *_ = data.batches(2)
    assert frames.device.type == labels.device.type == "meta"
    assert frames.shape == (2, 2, 2, 1, 1) and frames.dtype == torch.float32


def test_batches_of_a_file_are_those_of_memory(folder):
    frames = np.random.default_rng(1).poisson(1, (7, 2, 2, 3, 3)).astype(np.uint8)
    found, labels = stored(folder, frames), torch.arange(7)
    order = torch.randperm(7)
    for mapped, held in zip(
        Samples(found, labels).batches(3, order),
        Samples(torch.from_numpy(frames), labels).batches(3, order),
        strict=True,
    ):
        assert torch.equal(mapped[0], held[0]) and torch.equal(mapped[1], held[1])


def test_several_threads_read_one_file_as_one_does(folder):
    frames = np.random.default_rng(2).poisson(1, (40, 2, 2, 8, 8)).astype(np.uint8)
    found = stored(folder, frames)
    rows = torch.randperm(40).split(3)
    read = list(ahead(found.__getitem__, rows, 4))
    assert all(
        torch.equal(batch, torch.from_numpy(frames)[which])
        for batch, which in zip(read, rows, strict=True)
    )


@pytest.mark.parametrize("workers", [1, 3])
def test_the_next_items_are_made_while_one_is_used(workers):
    made, next_were_made = [], threading.Event()

    def make(item):
        made.append(threading.get_ident())
        if item == workers:
            next_were_made.set()
        return 10 * item

    coming = ahead(make, range(9), workers)
    assert next(coming) == 0
    assert next_were_made.wait(10)
    assert list(coming) == [10, 20, 30, 40, 50, 60, 70, 80]
    assert threading.get_ident() not in made and len(set(made)) <= workers


def test_no_more_is_made_ahead_than_there_are_workers():
    made = []
    coming = ahead(made.append, range(100), 2)
    next(coming)
    next(coming)
    assert len(made) <= 4


def test_an_error_in_reading_ahead_arrives_where_the_item_is_asked_for():
    def make(item):
        if item:
            raise UserError("damaged")
        return item

    coming = ahead(make, range(3), 1)
    assert next(coming) == 0
    with pytest.raises(UserError, match="damaged"):
        next(coming)


def test_so_many_at_once_as_memory_bears():
    assert VALUES == 2**21
    assert at_once(torch.empty(9, 4, 2, 32, 32), 64) == 64  # 8,192 values each, 256 would do
    assert at_once(torch.empty(9, 16, 2, 128, 128), 64) == 4  # 2^19 each
    assert at_once(torch.empty(1, 16, 2, 1024, 1024), 64) == 1
