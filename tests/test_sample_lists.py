"""Sample lists: kept as written, frozen by rule, and refused where an archive says otherwise."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from projects import ROOT

from hetspike.data.events.gestures import gestures
from hetspike.data.events.recorded_images import CIFAR_CLASSES
from hetspike.data.events.recordings import EVENT, SPLITS, OnDemand, Splits
from hetspike.data.events.sample_lists import check_frozen, dealt, freeze, listing, thaw
from hetspike.errors import UserError

FROZEN = ROOT / "data/splits"


def named(**names: list[str]) -> Splits:
    """Recordings of one event each, by split."""
    return {
        split: OnDemand(
            names=tuple(names.get(split, [])),
            read=lambda index: np.zeros(1, EVENT),
            labels=np.zeros(len(names.get(split, [])), np.int64),
            groups=np.zeros(len(names.get(split, [])), np.int64),
            sensor_size=(1, 1),
            classes=("cat",),
        )
        for split in SPLITS
    }


CATS = named(train=["cat_1.bin", "cat_3.bin"], validation=["cat_2.bin"], test=["cat_10.bin"])
LIST = "split,name\ntest,cat_10\ntraining,cat_1\ntraining,cat_2\ntraining,cat_3\n"


def test_a_listing_keeps_order_and_validation():
    assert listing(CATS) == (
        "split,name\ntrain,cat_1.bin\ntrain,cat_3.bin\nvalidation,cat_2.bin\ntest,cat_10.bin\n"
    )


def test_what_is_made_has_no_names():
    made = gestures(train=11, validation=11, test=11, seed=0)
    assert listing(made) == ""
    assert dealt(made) == {}


def test_a_frozen_list_by_hand():
    assert freeze(dealt(CATS)) == LIST
    assert thaw(LIST) == {
        **{"cat_1": "training", "cat_2": "training", "cat_3": "training"},
        "cat_10": "test",
    }


names = st.sets(st.text('a_-, 019"\n', max_size=6), max_size=30)


@given(names, st.data())
def test_frozen_lists_are_read_back(found, data):
    parts = {name: data.draw(st.sampled_from(["training", "test"])) for name in sorted(found)}
    assert thaw(freeze(parts)) == parts


# the lists in the repository


def test_the_lists_are_what_their_command_writes(tmp_path):
    command = [sys.executable, str(ROOT / "workflow/scripts/freeze_samples.py")]
    subprocess.run(command, cwd=tmp_path, check=True)
    written = {
        path.relative_to(tmp_path): path.read_bytes()
        for path in (tmp_path / "data/splits").rglob("*")
        if path.is_file()
    }
    assert len(written) == 4
    for path, content in written.items():
        assert (ROOT / path).read_bytes() == content, f"{path}: run freeze_samples.py again"


def test_the_lists_have_their_checksums():
    lines = (FROZEN / "SHA256SUMS").read_text().splitlines()
    sums = {name: checksum for checksum, name in (line.split("  ") for line in lines)}
    lists = {path.relative_to(FROZEN).as_posix(): path for path in FROZEN.glob("*/*.csv")}
    assert sums.keys() == lists.keys()
    for name, path in lists.items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == sums[name]


def drawn(label: int) -> set[int]:
    return {*np.random.default_rng([0, label]).permutation(1000)[900:].tolist()}


@pytest.mark.parametrize(
    ("protocol", "tested"),
    [
        ("first90", lambda label: set(range(900, 1000))),
        ("tebn", lambda label: set(range(100))),
        ("random-0", drawn),
    ],
)
def test_each_list_of_cifar10_dvs_keeps_its_rule(protocol, tested):
    assert thaw((FROZEN / f"cifar10-dvs/{protocol}.csv").read_text()) == {
        f"{kind}/cifar10_{kind}_{number}": "test" if number in tested(label) else "training"
        for label, kind in enumerate(CIFAR_CLASSES)
        for number in range(1000)
    }


# against an archive


@pytest.mark.parametrize(
    "splits",
    [
        CATS,
        named(train=["cat_1.aedat4"], validation=["cat_2.aedat", "cat_3.aedat"], test=["cat_10"]),
        named(train=["cat_10.bin"], test=["cat_1.bin"]),  # a part of an archive
    ],
)
def test_an_archive_that_agrees_or_is_a_part_passes(splits):
    check_frozen(splits, LIST, "cat.csv")


@pytest.mark.parametrize(
    ("splits", "problem"),
    [
        (
            named(train=["cat_1.bin", "cat_10.bin", "cat_3.bin"], test=["cat_2.bin"]),
            "'cat_10' as test, the archive gives it as training",
        ),
        (
            named(train=["cat_1.bin", "cat_2.bin", "cat_4.bin"], test=["cat_10.bin"]),
            "'cat_3' as training, the archive gives it as absent",
        ),
        (
            named(train=["cat_1.bin", "cat_2.bin", "cat_3.bin"], test=["cat_9.bin", "cat_10.bin"]),
            "'cat_9' as absent, the archive gives it as test",
        ),
    ],
)
def test_the_first_difference_is_named(splits, problem):
    with pytest.raises(UserError, match=f"^cat.csv has {problem}: use the archive and this pack"):
        check_frozen(splits, LIST, "cat.csv")
