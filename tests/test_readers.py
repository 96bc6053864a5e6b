"""Small archives in the layout of the published ones, by all rules that deal them to the splits."""

import io
import random
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from recording_files import (
    LABELS,
    Members,
    aedat2,
    aedat3,
    aedat3_packet,
    aedat4,
    atis,
    mutated,
    npy,
    shuffled,
    tarred,
    zipped,
)

from hetspike.data.events.drawn_person import GESTURES
from hetspike.data.events.recorded_gestures import dvs_gesture
from hetspike.data.events.recorded_images import CIFAR_CLASSES, cifar10_dvs, n_caltech101, nmnist
from hetspike.data.events.recordings import SPLITS, OnDemand, Recordings
from hetspike.errors import UserError
from hetspike.study.study import parse_study

SMOKE = yaml.safe_load((Path(__file__).parents[1] / "config" / "smoke.yaml").read_text())


def caltech(folder: Path, counts: Mapping[str, int], seed: int = 0) -> str:
    """Image i of a class has one event at x = i; numbers start from 1."""
    members = {
        f"Caltech101/{kind}/image_{i:04d}.bin": atis((i, 0, 5, 1))
        for kind, count in counts.items()
        for i in range(1, count + 1)
    }
    inner = zipped(shuffled({**members, "Caltech101/ReadMe.txt": b"..."}, seed))
    outer = {"Caltech101.zip": inner, "ReadMe.txt": b"..."}
    folder.mkdir(exist_ok=True)
    (folder / "N-Caltech101-archive.zip").write_bytes(zipped(shuffled(outer, seed)))
    return str(folder)


def cifar(
    folder: Path, count: int, form: str = "aedat4", nested: bool = True, seed: int = 0
) -> str:
    """Recording i of a class has one event at x = i; numbers start from 0."""
    write: Callable[[int], bytes] = {
        "aedat": lambda i: aedat2((i, 1, 7, 1)),
        "aedat4": lambda i: aedat4([(i, 1, 7, 1)]),
    }[form]
    kinds = {}
    for kind in CIFAR_CLASSES:
        members = {f"{kind}/cifar10_{kind}_{i}.{form}": write(i) for i in range(count)}
        kinds[f"{kind}.zip"] = zipped(shuffled(members, seed))
    folder.mkdir(exist_ok=True)
    if nested:
        (folder / "CIFAR10DVS.zip").write_bytes(zipped(shuffled(kinds, seed)))
    else:
        for name, content in kinds.items():
            (folder / name).write_bytes(content)
    return str(folder)


def trials(folder: Path, changes: Members | None = None, seed: int = 0) -> str:
    """Subjects 1 to 23 and 24 to 29, two clips each: event 100 of class 3, 200 and 240 of 11."""
    listed = {"train": range(1, 24), "test": range(24, 30)}
    members = {}
    for part, subjects in listed.items():
        names = [f"user{subject:02d}_led" for subject in subjects]
        random.Random(seed).shuffle(names)
        lines = "".join(f"{name}.aedat\n" for name in names) + "\n"
        members[f"DvsGesture/trials_to_{part}.txt"] = lines.encode()
        for name in names:
            subject = int(name[4:6])
            events = [(subject, i, t, 1) for i, t in enumerate((50, 100, 200, 240, 300))]
            members[f"DvsGesture/{name}.aedat"] = aedat3(aedat3_packet(*events))
            clips = f"{LABELS}3,90,150\n11,200,300\n".encode()
            members[f"DvsGesture/{name}_labels.csv"] = clips
    members |= {"DvsGesture/README.txt": b"..."} | (changes or {})
    folder.mkdir(exist_ok=True)
    (folder / "DvsGesture.tar.gz").write_bytes(tarred(shuffled(members, seed)))
    return str(folder)


def clips(folder: Path, changes: Members | None = None, seed: int = 0) -> str:
    """Subjects 1 to 29, every gesture once; its class is the column of its events."""
    for part, subjects in (("Train", range(1, 24)), ("Test", range(24, 30))):
        members = {
            f"ibmGesture{part}/user{subject:02d}_natural/{label}.npy": npy(
                (label, subject, 7000, 1), (label, subject, 9000, 0)
            )
            for subject in subjects
            for label in range(11)
        }
        members |= {name: c for name, c in (changes or {}).items() if f"Gesture{part}" in name}
        folder.mkdir(exist_ok=True)
        (folder / f"ibmGesture{part}.tar.gz").write_bytes(tarred(shuffled(members, seed)))
    return str(folder)


def columns(recordings: OnDemand) -> list[int]:
    """The x of each recording's first event: by which the archives above number them."""
    return [int(recordings[i]["x"][0]) for i in range(len(recordings))]


def numbers(recordings: OnDemand, label: int) -> list[int]:
    return [x for x, c in zip(columns(recordings), recordings.labels, strict=True) if c == label]


READERS = {
    "n-caltech101": lambda folder, seed: n_caltech101(
        folder=caltech(folder, {"ant": 20, "Leopards": 13}, seed),
        protocol="first90",
        validation=0.2,
        size=240,
    ),
    "cifar10-dvs first90": lambda folder, seed: cifar10_dvs(
        folder=cifar(folder, 12, seed=seed), protocol="first90", validation=0.2
    ),
    "cifar10-dvs tebn": lambda folder, seed: cifar10_dvs(
        folder=cifar(folder, 12, "aedat", nested=False, seed=seed), protocol="tebn", validation=0.2
    ),
    "cifar10-dvs random": lambda folder, seed: cifar10_dvs(
        folder=cifar(folder, 12, "aedat", seed=seed),
        protocol="random",
        protocol_seed=3,
        validation=0.2,
    ),
    "dvs-gesture original": lambda folder, seed: dvs_gesture(
        folder=trials(folder, seed=seed), protocol="original-288", validation=0.1
    ),
    "dvs-gesture preprocessed": lambda folder, seed: dvs_gesture(
        folder=clips(folder, seed=seed), protocol="preprocessed-264", validation=0.1
    ),
}


@pytest.mark.parametrize("reader", READERS)
def test_no_group_is_in_two_splits_and_no_recording_is_lost(reader, tmp_path):
    splits = READERS[reader](tmp_path, 0)
    assert tuple(splits) == SPLITS
    groups = [set(recordings.groups.tolist()) for recordings in splits.values()]
    assert sum(map(len, groups)) == len(set.union(*groups))
    names = [name for recordings in splits.values() for name in recordings.names]
    written = {"n-caltech101": 33, "dvs-gesture original": 58, "dvs-gesture preprocessed": 319}
    assert len(set(names)) == len(names) == written.get(reader, 120)
    for recordings in splits.values():
        assert len(recordings) == len(recordings.names) == len(recordings.groups)


@pytest.mark.parametrize("reader", READERS)
def test_the_order_in_an_archive_changes_nothing(reader, tmp_path):
    first, second = (READERS[reader](tmp_path / str(seed), seed) for seed in (1, 2))
    for split in SPLITS:
        a, b = first[split].to_arrays(), second[split].to_arrays()
        assert all(np.array_equal(a[key], b[key]) for key in a)
        assert columns(first[split]) == columns(second[split])


@pytest.mark.parametrize("reader", READERS)
def test_recordings_come_in_the_order_of_their_labels_or_subjects(reader, tmp_path):
    for recordings in READERS[reader](tmp_path, 0).values():
        by = recordings.groups if "gesture" in reader else recordings.labels
        assert np.all(np.diff(by) >= 0)


@pytest.mark.parametrize("reader", READERS)
def test_a_recording_may_be_read_again_and_in_any_order(reader, tmp_path):
    train = READERS[reader](tmp_path, 0)["train"]
    last, first = train[len(train) - 1], train[0]
    assert np.array_equal(train[0], first)
    assert np.array_equal(train[len(train) - 1], last)


# N-Caltech101


def test_n_caltech101_keeps_the_last_tenth_of_each_class_for_the_test(tmp_path):
    folder = caltech(tmp_path, {"ant": 20, "Leopards": 13})
    splits = n_caltech101(folder=folder, protocol="first90", validation=0.2, size=240)
    # capital letters first, as in a listing by name
    assert splits["test"].classes == ("Leopards", "ant")
    assert numbers(splits["test"], 0) == [13]
    assert numbers(splits["test"], 1) == [19, 20]
    # two of 12, four of 18, evenly spaced: places 0, 6 and 0, 4.5, 9, 13.5 rounded down
    assert numbers(splits["validation"], 0) == [1, 7]
    assert numbers(splits["validation"], 1) == [1, 5, 10, 14]
    assert numbers(splits["train"], 0) == [2, 3, 4, 5, 6, 8, 9, 10, 11, 12]


def test_every_event_of_n_caltech101_is_kept_when_it_is_stretched(tmp_path):
    rng = np.random.default_rng(0)
    events = [(int(x), int(y), 5, 1) for x, y in rng.integers((240, 180), size=(5000, 2))]
    events += [(0, 0, 6, 0), (239, 179, 6, 0), (120, 90, 6, 0)]
    folder = caltech(tmp_path, {"ant": 10})
    inner = zipped({f"Caltech101/ant/image_{i:04d}.bin": atis(*events) for i in range(20)})
    (tmp_path / "N-Caltech101-archive.zip").write_bytes(zipped({"Caltech101.zip": inner}))
    train = n_caltech101(folder=folder, protocol="first90", validation=0.2)["train"]
    assert train.sensor_size == (128, 128)
    assert len(train[0]) == len(events)
    corners = [(0, 0, 6, False), (127, 127, 6, False), (64, 64, 6, False)]
    assert train[0][-3:].tolist() == corners
    # a pixel of the picture is fed by 240 * 180 / 128^2 = 2.6 of the sensor
    filled = np.unique(np.stack([train[0]["x"], train[0]["y"]]), axis=1).shape[1]
    assert filled > 0.8 * 128 * 128 * (1 - np.exp(-5000 / 128**2))


# CIFAR10-DVS


@pytest.mark.parametrize(("form", "nested"), [("aedat4", True), ("aedat", True), ("aedat", False)])
def test_cifar10_dvs_comes_in_three_kinds_of_archives(tmp_path, form, nested):
    folder = cifar(tmp_path, 10, form, nested)
    splits = cifar10_dvs(folder=folder, protocol="first90", validation=0.2)
    assert splits["train"][0].tolist() == [(1, 1, 0, True)]
    assert splits["train"].names[0] == f"airplane/cifar10_airplane_1.{form}"
    assert splits["train"].classes == CIFAR_CLASSES
    assert splits["train"].sensor_size == (128, 128)


def test_cifar10_dvs_goes_by_numbers_not_by_names(tmp_path):
    folder = cifar(tmp_path, 20)
    splits = cifar10_dvs(folder=folder, protocol="first90", validation=0.34)
    for label in range(10):
        # by name, 8 and 9 would be the last
        assert numbers(splits["test"], label) == [18, 19]
        # six of 18
        assert numbers(splits["validation"], label) == [0, 3, 6, 9, 12, 15]
        assert numbers(splits["train"], label) == [1, 2, 4, 5, 7, 8, 10, 11, 13, 14, 16, 17]


def test_tebn_tests_on_the_first_tenth(tmp_path):
    splits = cifar10_dvs(folder=cifar(tmp_path, 20), protocol="tebn", validation=0.1)
    for label in range(10):
        assert numbers(splits["test"], label) == [0, 1]
        assert numbers(splits["validation"], label) == [2, 11]


def test_random_draws_another_tenth_for_another_seed_and_class(tmp_path):
    folder = cifar(tmp_path, 20)

    def tests(seed: int) -> list[list[int]]:
        splits = cifar10_dvs(folder=folder, protocol="random", protocol_seed=seed, validation=0.1)
        return [numbers(splits["test"], label) for label in range(10)]

    drawn = tests(0)
    assert all(len(of_class) == 2 for of_class in drawn)
    assert len({tuple(of_class) for of_class in drawn}) > 5
    assert drawn == tests(0) != tests(1)


@pytest.mark.parametrize(
    ("protocol", "seed", "problem"),
    [
        ("random", None, "protocol random with protocol_seed None: give it one"),
        ("tebn", 1, "protocol tebn with protocol_seed 1: remove it"),
    ],
)
def test_a_seed_goes_with_the_random_split_alone(tmp_path, protocol, seed, problem):
    with pytest.raises(UserError, match=problem):
        cifar10_dvs(folder=str(tmp_path), protocol=protocol, protocol_seed=seed, validation=0.1)


# DVS128 Gesture


def test_a_trial_is_cut_at_the_times_of_its_labels(tmp_path):
    splits = dvs_gesture(folder=trials(tmp_path), protocol="original-288", validation=0.1)
    test = splits["test"]
    assert test.groups.tolist() == [s for s in range(24, 30) for _ in range(2)]
    assert test.labels.tolist() == [2, 10] * 6
    assert [test.classes[label] for label in (2, 10)] == ["left hand wave", "other gestures"]
    assert test.names[:2] == ("user24_led.aedat[90:150]", "user24_led.aedat[200:300]")
    assert test[0].tolist() == [(24, 1, 10, True)]
    assert test[1].tolist() == [(24, 2, 0, True), (24, 3, 40, True)]


def test_clips_of_one_class_may_follow_and_overlap(tmp_path):
    labels = f"{LABELS}8,90,210\n8,200,250\n".encode()
    folder = trials(tmp_path, {"DvsGesture/user24_led_labels.csv": labels})
    test = dvs_gesture(folder=folder, protocol="original-288", validation=0.1)["test"]
    assert test.labels[:2].tolist() == [7, 7]
    assert test[0]["t"].tolist() == [10, 110]
    assert test[1]["t"].tolist() == [0, 40]


@pytest.mark.parametrize("protocol", ["original-288", "preprocessed-264"])
def test_validation_takes_whole_subjects(tmp_path, protocol):
    write = trials if protocol == "original-288" else clips
    splits = dvs_gesture(folder=write(tmp_path), protocol=protocol, validation=0.2)
    # 4.6 of 23 are 5: places 0, 4.6, 9.2, 13.8, 18.4 rounded down
    assert np.unique(splits["validation"].groups).tolist() == [1, 5, 10, 14, 19]
    assert np.unique(splits["test"].groups).tolist() == list(range(24, 30))
    counts = [np.bincount(recordings.labels, minlength=11) for recordings in splits.values()]
    assert all(len(set(of_split[of_split > 0])) == 1 for of_split in counts)


def test_cut_up_gestures_are_ordered_by_subject_and_class(tmp_path):
    splits = dvs_gesture(folder=clips(tmp_path), protocol="preprocessed-264", validation=0.1)
    test = splits["test"]
    assert len(test) == 66
    assert test.classes == GESTURES
    assert test.labels.tolist() == columns(test) == list(range(11)) * 6
    assert test.names[10] == "ibmGestureTest/user24_natural/10.npy"
    assert test[10].tolist() == [(10, 24, 0, True), (10, 24, 2000, False)]


# the protocol is part of the configuration

SOURCES = {
    "n-caltech101": {"folder": "data", "protocol": "first90", "validation": 0.1},
    "cifar10-dvs": {"folder": "data", "protocol": "tebn", "validation": 0.1},
    "dvs-gesture": {"folder": "data", "protocol": "original-288", "validation": 0.1},
    "sim-orbit-cifar10": {"folder": "data", "protocol": "first90", "validation": 0.1, "seed": 1},
}


def studied(dataset: str, **changes: object) -> Mapping[str, object]:
    """The source of a dataset as a study takes it."""
    plan = SMOKE["datasets"]["sim-gestures"] | {"source": SOURCES[dataset] | changes}
    return parse_study(SMOKE | {"datasets": {dataset: plan}}).datasets[dataset].source


def test_a_study_takes_a_protocol_by_its_name():
    assert studied("n-caltech101", size=64)["size"] == 64
    assert studied("cifar10-dvs", protocol="random", protocol_seed=1)["protocol"] == "random"
    assert studied("dvs-gesture")["protocol"] == "original-288"
    assert studied("sim-orbit-cifar10", per_class=50, size=32)["per_class"] == 50


@pytest.mark.parametrize(
    ("dataset", "key", "value"),
    [
        ("n-caltech101", "protocol", "random"),
        ("n-caltech101", "validation", 1.0),
        ("n-caltech101", "size", 0),
        ("cifar10-dvs", "protocol", "first-90"),
        ("cifar10-dvs", "protocol_seed", -1),
        ("cifar10-dvs", "validation", 0.0),
        ("dvs-gesture", "protocol", "first90"),
        ("dvs-gesture", "validation", 100),
        ("sim-orbit-cifar10", "protocol", "last10"),
        ("sim-orbit-cifar10", "per_class", 1001),
        ("sim-orbit-cifar10", "size", 100),
    ],
)
def test_a_study_with_another_source_is_refused_before_an_archive_is_opened(dataset, key, value):
    with pytest.raises(UserError, match=f"'datasets.{dataset}.source.{key}'"):
        studied(dataset, **{key: value})


# what is wrong with an archive is said in one line


def in_class(name: str, content: bytes) -> Callable[[Path], str]:
    """An archive of CIFAR10-DVS, one of whose members is added to or another."""

    def write(folder: Path) -> str:
        cifar(folder, 10, "aedat", nested=False)
        with zipfile.ZipFile(folder / "cat.zip", "a") as archive:
            archive.writestr(name, content)
        return str(folder)

    return write


def without(member: str) -> Callable[[Path], str]:
    def write(folder: Path) -> str:
        trials(folder)
        with tarfile.open(folder / "DvsGesture.tar.gz") as archive:
            names = [name for name in archive.getnames() if name != member]
            kept = {name: archive.extractfile(name).read() for name in names}
        (folder / "DvsGesture.tar.gz").write_bytes(tarred(kept))
        return str(folder)

    return write


def cut(write: Callable[[Path], str], name: str) -> Callable[[Path], str]:
    def write_cut(folder: Path) -> str:
        write(folder)
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])
        return str(folder)

    return write_cut


def labelled(rows: str) -> Callable[[Path], str]:
    return lambda folder: trials(folder, {"DvsGesture/user07_led_labels.csv": rows.encode()})


def nowhere(folder: Path) -> str:
    return str(folder)


def lacking_a_class(folder: Path) -> str:
    cifar(folder, 10, "aedat", nested=False)
    (folder / "truck.zip").unlink()
    return str(folder)


def outer_only(folder: Path) -> str:
    (folder / "N-Caltech101-archive.zip").write_bytes(zipped({"ReadMe.txt": b"..."}))
    return str(folder)


def of_another_layout(folder: Path) -> str:
    inner = zipped({"101_ObjectCategories/ant/image_0001.jpg": b"..."})
    (folder / "N-Caltech101-archive.zip").write_bytes(zipped({"Caltech101.zip": inner}))
    return str(folder)


def read_caltech(folder: str) -> Mapping[str, OnDemand]:
    return n_caltech101(folder=folder, protocol="first90", validation=0.2)


def read_cifar(folder: str) -> Mapping[str, OnDemand]:
    return cifar10_dvs(folder=folder, protocol="first90", validation=0.2)


def read_trials(folder: str) -> Mapping[str, OnDemand]:
    return dvs_gesture(folder=folder, protocol="original-288", validation=0.2)


def read_clips(folder: str) -> Mapping[str, OnDemand]:
    return dvs_gesture(folder=folder, protocol="preprocessed-264", validation=0.2)


def few(folder: Path) -> str:
    return caltech(folder, {"ant": 9})


@pytest.mark.parametrize(
    ("read", "write", "problem"),
    [
        (read_caltech, nowhere, "N-Caltech101-archive.zip is missing"),
        (read_caltech, outer_only, "N-Caltech101-archive.zip has no 'Caltech101.zip'"),
        (read_caltech, of_another_layout, "'Caltech101.zip' holds no files named as in"),
        (read_caltech, cut(few, "N-Caltech101-archive.zip"), "cannot be read .*: fetch it again"),
        (read_caltech, few, "9 recordings leave the test split empty"),
        (read_cifar, nowhere, "CIFAR10DVS.zip is missing, and so is airplane.zip"),
        (read_cifar, lacking_a_class, "truck.zip is missing"),
        (read_cifar, in_class("cat/cifar10_cat_007.aedat", b""), "holds an image twice"),
        (read_cifar, cut(in_class("readme", b""), "ship.zip"), "ship.zip cannot be read"),
        (read_trials, nowhere, "DvsGesture.tar.gz is missing"),
        (read_trials, cut(trials, "DvsGesture.tar.gz"), "DvsGesture.tar.gz cannot be read"),
        (
            read_trials,
            without("DvsGesture/trials_to_test.txt"),
            "has no 'DvsGesture/trials_to_test.txt'",
        ),
        (
            read_trials,
            without("DvsGesture/user05_led.aedat"),
            "'DvsGesture/trials_to_train.txt' lists 'user05_led.aedat', which is no trial",
        ),
        (
            read_trials,
            without("DvsGesture/user05_led_labels.csv"),
            "has no 'DvsGesture/user05_led_labels.csv'",
        ),
        (
            read_trials,
            lambda folder: trials(folder, {"DvsGesture/trials_to_train.txt": b"user24_led.aedat"}),
            "'DvsGesture/trials_to_train.txt' has subject 24, but 24 and above are for testing",
        ),
        (
            read_trials,
            lambda folder: trials(
                folder, {"DvsGesture/trials_to_train.txt": b"user01_led.aedat\nuser01_led.aedat"}
            ),
            "lists a clip twice",
        ),
        (
            read_trials,
            labelled(f"{LABELS}12,1,2\n"),
            "line 2 is '12,1,2', not a class from 1 to 11",
        ),
        (read_trials, labelled(f"{LABELS}1,1,2\n0,1,2\n"), "line 3 is '0,1,2', not a class"),
        (read_trials, labelled(f"{LABELS}1,2,2\n"), "line 2 is '1,2,2', not a class"),
        (read_trials, labelled(f"{LABELS}1,2\n"), "line 2 is '1,2', not a class"),
        (read_clips, nowhere, "ibmGestureTrain.tar.gz is missing"),
        (
            read_clips,
            lambda folder: clips(folder, {"ibmGestureTrain/user24_led/0.npy": b""}),
            "'ibmGestureTrain/user24_led/0.npy' has subject 24, but",
        ),
        (
            read_clips,
            lambda folder: clips(folder, {"ibmGestureTest/user24_led/11.npy": b""}),
            "'ibmGestureTest/user24_led/11.npy' is none of the 11 gestures",
        ),
    ],
)
def test_a_wrong_archive_is_told_in_one_line(read, write, problem, tmp_path):
    with pytest.raises(UserError, match=problem) as error:
        read(write(tmp_path))
    assert "\n" not in str(error.value)


def test_a_wrong_recording_is_told_when_it_is_read(tmp_path):
    back = aedat2((0, 0, 9, 1), (0, 0, 8, 1))
    folder = in_class("cat/cifar10_cat_10.aedat", back)(tmp_path)
    test = read_cifar(folder)["test"]
    assert test.names[3] == "cat/cifar10_cat_10.aedat"
    assert len(test[2]) == 1
    with pytest.raises(
        UserError, match=r"cat.zip: 'cat/cifar10_cat_10.aedat' has events that go back in time"
    ):
        test[3]


def test_an_empty_clip_is_told_when_it_is_read(tmp_path):
    labels = f"{LABELS}1,260,290\n".encode()
    folder = trials(tmp_path, {"DvsGesture/user24_led_labels.csv": labels})
    with pytest.raises(UserError, match=r"user24_led.aedat' between 260 and 290 us has no events"):
        read_trials(folder)["test"][0]


@pytest.mark.parametrize("validation", [0.0, 1.0])
def test_validation_must_leave_both_parts(tmp_path, validation):
    folder = cifar(tmp_path, 10)
    empty = "train" if validation else "validation"
    with pytest.raises(UserError, match=f"leave the {empty} split empty"):
        cifar10_dvs(folder=folder, protocol="tebn", validation=validation)


# what people, their computers and their disks do to archives


def read_digits(folder: str) -> Mapping[str, Recordings]:
    return nmnist(folder=folder, validation=2)


def digits(folder: Path) -> str:
    folder.mkdir(exist_ok=True)
    for part in ("Train", "Test"):
        members = {f"{part}/{i}/0000{i}.bin": atis((i, 0, 5, 1), (0, i, 6, 0)) for i in range(10)}
        (folder / f"{part}.zip").write_bytes(zipped(members))
    return str(folder)


DATASETS: Mapping[str, tuple[Callable[[str], Any], Callable[[Path], str]]] = {
    "nmnist": (read_digits, digits),
    "n-caltech101": (read_caltech, lambda folder: caltech(folder, {"ant": 10, "Leopards": 10})),
    "cifar10-dvs": (read_cifar, lambda folder: cifar(folder, 10, "aedat")),
    "dvs-gesture original": (read_trials, trials),
    "dvs-gesture preprocessed": (read_clips, clips),
}
of_all = pytest.mark.parametrize("dataset", DATASETS)


def all_events(splits: Mapping[str, Any]) -> dict[str, list[list[Any]]]:
    return {
        split: [recordings[i].tolist() for i in range(len(recordings))]
        for split, recordings in splits.items()
    }


@of_all
def test_files_that_an_operating_system_adds_are_passed_over(dataset, tmp_path):
    read, write = DATASETS[dataset]
    folder = write(tmp_path)
    expected = all_events(read(folder))

    def littered(content: bytes, name: str) -> bytes:
        """The archive with what macOS and Windows add, in its folders and in archives in it."""
        members = {}
        if name.endswith(".zip"):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                members = {each: archive.read(each) for each in archive.namelist()}
        else:
            with tarfile.open(fileobj=io.BytesIO(content)) as archive:
                members = {each: archive.extractfile(each).read() for each in archive.getnames()}
        added = {".DS_Store": b"...", "desktop.ini": b"..."}
        for each in members:
            inside, _, file = each.rpartition("/")
            added |= {f"__MACOSX/{inside}/._{file}": b"...", f"{inside}/Thumbs.db".lstrip("/"): b""}
        members = {k: littered(v, k) if k.endswith(".zip") else v for k, v in members.items()}
        return (zipped if name.endswith(".zip") else tarred)(added | members)

    for path in [*tmp_path.iterdir()]:
        path.write_bytes(littered(path.read_bytes(), path.name))
        (tmp_path / f"._{path.name}").write_bytes(b"...")
    assert all_events(read(folder)) == expected


@of_all
def test_a_folder_at_home_is_found(dataset, tmp_path, monkeypatch):
    read, write = DATASETS[dataset]
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "archives")
    assert len(read("~/archives")["train"]) > 0


@of_all
def test_archives_with_mutations_give_recordings_or_one_line(dataset, tmp_path, tried):
    read, write = DATASETS[dataset]
    folder = write(tmp_path)
    archives = {path: path.read_bytes() for path in sorted(tmp_path.iterdir())}
    rng = random.Random(dataset)
    refused = right = 0
    for _ in range(100):
        path = rng.choice(list(archives))
        path.write_bytes(mutated(archives[path], rng))
        try:
            splits = read(folder)
            for recordings in splits.values():
                assert all(len(recordings[i]) for i in range(len(recordings)))
            right += 1
        except UserError as error:
            assert "\n" not in str(error) and str(tmp_path) in str(error)
            refused += 1
        path.write_bytes(archives[path])
    tried("Readers", f"Bytes of an archive changed: {dataset}", refused=refused, right=right)


def test_lists_of_a_trial_may_hold_anything(tmp_path, tried):
    """Texts in an archive are read as they are: long words, long numbers, bytes that are none."""
    rng = random.Random(0)
    rows = [
        *(b"1,2", b"x,1,2", b"1,,2", b"-1,1,2", b"1,1,2,3", b"1," + b"9" * 20 + b",2"),
        *(b"9" * 5000 + b",1,2", b"1,1," + b"9" * 5000, b"\xff\xfe,1,2", b"\0", b"x" * 10**5),
        *(rng.randbytes(20) for _ in range(10)),
    ]
    for row in rows:
        folder = labelled_with(LABELS.encode() + row + b"\n", tmp_path)
        with pytest.raises(UserError, match=r"user07_led_labels.csv' line 2 is ") as refused:
            read_trials(folder)
        assert "\n" not in str(refused.value) and len(str(refused.value)) < 1000
    tried("Readers", "Lists of clips", refused=len(rows))


def labelled_with(content: bytes, folder: Path) -> str:
    return trials(folder, {"DvsGesture/user07_led_labels.csv": content})
