"""Whole studies of recordings: small archives in the form of the published ones, served on this
machine, from the fetch to the tables. What they hold is drawn at random, but a class has columns of
the sensor to itself: whoever mixes up names, labels or events does not learn them.
"""

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from archive_server import Server, pin, serving
from projects import (
    PROJECT,
    REAL,
    ROOT,
    SMOKE,
    complaint,
    copy_project,
    long_run,
    once_for_all,
    output_of,
    results,
    snakemake,
    write_study,
)
from recording_files import LABELS as HEADER
from recording_files import (
    Event,
    aedat2,
    aedat3,
    aedat3_packet,
    aedat4,
    atis,
    npy,
    real_digits,
    shuffled,
    tarred,
    zipped,
)
from verdicts import JUDGED

from hetspike.data.events.recorded_images import CIFAR_CLASSES
from hetspike.data.samples import StoredFrames


def drawn(label: int, classes: int, sensor: tuple[int, int], number: int) -> list[Event]:
    """A recording of 80 events within 80 ms, all in the columns of its class."""
    rng = np.random.default_rng([label, number])
    width, height = sensor
    x = rng.integers(label * width // classes, (label + 1) * width // classes, 80)
    y, p, t = rng.integers(height, size=80), rng.integers(2, size=80), np.arange(80) * 1000
    return list(zip(*(column.tolist() for column in (x, y, t, p)), strict=True))


def caltech() -> bytes:
    """Three classes of 20."""
    members = {
        f"Caltech101/{kind}/image_{i:04d}.bin": atis(*drawn(label, 3, (240, 180), i))
        for label, kind in enumerate(("BACKGROUND_Google", "Leopards", "ant"))
        for i in range(1, 21)
    }
    return zipped({"Caltech101.zip": zipped(shuffled(members, 0)), "ReadMe.txt": b"..."})


def cifar(form: str) -> dict[str, bytes]:
    """Ten classes of ten: the archives of the classes."""
    encode = {"aedat4": aedat4, "aedat": lambda events: aedat2(*events)}
    kinds = {}
    for label, kind in enumerate(CIFAR_CLASSES):
        members = {
            f"{kind}/cifar10_{kind}_{i}.{form}": encode[form](drawn(label, 10, (128, 128), i))
            for i in range(10)
        }
        kinds[f"{kind}.zip"] = zipped(shuffled(members, label))
    return kinds


def trials() -> bytes:
    """29 subjects with a trial of three gestures each."""
    members = {}
    for part, subjects in (("train", range(1, 24)), ("test", range(24, 30))):
        listed = [f"user{subject:02d}_lab.aedat" for subject in subjects]
        members[f"DvsGesture/trials_to_{part}.txt"] = "\n".join(listed).encode()
        for subject, trial in zip(subjects, listed, strict=True):
            packets, rows = [], [HEADER]
            for i in range(3):
                label, begin = (subject + 4 * i) % 11, 10_000 + 100_000 * i
                clip = drawn(label, 11, (128, 128), subject)
                packets.append(aedat3_packet(*((x, y, begin + t, p) for x, y, t, p in clip)))
                rows.append(f"{label + 1},{begin},{begin + 80_000}\n")
            members[f"DvsGesture/{trial}"] = aedat3(*packets)
            members[f"DvsGesture/{trial[:-6]}_labels.csv"] = "".join(rows).encode()
    return tarred(shuffled(members, 0))


def clips(part: str) -> bytes:
    """The subjects of a part with two gestures each, cut beforehand."""
    subjects = range(1, 24) if part == "Train" else range(24, 30)
    members = {
        f"ibmGesture{part}/user{subject:02d}_lab/{label}.npy": npy(
            *drawn(label, 11, (128, 128), subject)
        )
        for subject in subjects
        for label in (subject % 11, (subject + 5) % 11)
    }
    return tarred(shuffled(members, 0))


def digits(part: str, count: int) -> bytes:
    """So many of each digit."""
    members = {
        f"{part}/{digit}/{10 * i + digit + 1:05d}.bin": atis(*drawn(digit, 10, (34, 34), i))
        for digit in range(10)
        for i in range(count)
    }
    return zipped(shuffled(members, 0))


nmnist = real_digits if (REAL / "Train.zip").is_file() else digits

FETCHED = {
    "N-Caltech101-archive.zip": caltech(),
    "CIFAR10DVS.zip": zipped(cifar("aedat4")),
    "NMNIST/Train.zip": nmnist("Train", 4),
    "NMNIST/Test.zip": nmnist("Test", 2),
}
BY_HAND = {"DvsGesture.tar.gz": trials()}
SOURCES = {
    "n-caltech101": {"protocol": "first90", "validation": 0.1, "size": 32},
    "cifar10-dvs": {"protocol": "first90", "validation": 0.1},
    "dvs-gesture": {"protocol": "original-288", "validation": 0.1},
    "nmnist": {"folder": "data/raw/NMNIST", "validation": 10},
}
LABELS = {
    "n-caltech101": "n-caltech101 (first90)",
    "cifar10-dvs": "cifar10-dvs (first90)",
    "dvs-gesture": "dvs-gesture (original-288)",
    "nmnist": "nmnist",
}


def study_of(sources: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Every stage on tiny networks, one seed."""
    plan = {
        "framing": {"steps": 2, "slice_by": "count"},
        "network": {
            "architecture": "spikformer",
            **{"width": 8, "depth": 1, "heads": 1, "mlp_ratio": 1, "pools": [True] * 4},
        },
    }
    settings = {"recordings": 16, "batch_size": 8}
    return SMOKE | {
        "study": "recorded",
        "seeds": [0],
        "datasets": {
            name: plan | {"source": {"folder": "data/raw"} | source}
            for name, source in sources.items()
        },
        "float_training": SMOKE["float_training"] | {"epochs": 1, "warmup_epochs": 0},
        "schemes": {},
        "searches": {"fisher": {"search": "fisher", "budgets": [3.67, 3.14], "settings": settings}},
    }


def put(project: Path, archives: Mapping[str, bytes | None]) -> None:
    """Archives where they belong; None: a folder in the place of one."""
    for name, content in archives.items():
        path = project / "data/raw" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.mkdir()
        else:
            path.write_bytes(content)


def point(project: Path, server: Server, archives: Mapping[str, bytes]) -> None:
    """Pointers that lead to these archives on the server."""
    for name, content in archives.items():
        server.contents[f"/{name}"] = content
        url = server.url.replace("/archive", f"/{name}")
        pin(project, name, url, hashlib.md5(content).hexdigest())


# From nothing to tables


def run_recorded(project: Path) -> Path:
    """The study of all four datasets. What it printed is left in said.txt."""
    with serving() as server:
        point(project, server, FETCHED | BY_HAND)
        put(project, BY_HAND)
        said = output_of(
            project, "--cores", "2", "--configfile", write_study(project, study_of(SOURCES))
        )
        assert {*server.asked} == {f"/{name}" for name in FETCHED}
    (project / "said.txt").write_text(said)
    return project


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A project whose study of recordings ran from nothing. Copy it before you change it."""
    return once_for_all(
        tmp_path_factory,
        worker_id,
        "recorded",
        lambda folder: run_recorded(copy_project(ROOT, folder)),
    )


def table(project: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(project / f"results/recorded/tables/{name}.csv")


@long_run
def test_every_archive_is_fetched_once_and_its_md5_is_checked(recorded):
    fetches = re.findall(
        r"^fetch (\S+): [\d.]+ MB from http\S+, its md5 is right, \d+ s$",
        (recorded / "said.txt").read_text(),
        re.MULTILINE,
    )
    assert sorted(fetches) == sorted(FETCHED)
    for name, content in (FETCHED | BY_HAND).items():
        assert (recorded / "data/raw" / name).read_bytes() == content


@long_run
def test_every_recording_reaches_the_network_under_its_label(recorded):
    datasets = table(recorded, "datasets").set_index("dataset")
    assert datasets.index.tolist() == list(LABELS.values())
    assert datasets[["train", "validation", "test"]].values.tolist() == [
        [48, 6, 6],  # 20 of each of 3 classes: 16, 2 and 2
        [80, 10, 10],  # 10 of each of 10 classes: 8, 1 and 1
        [63, 6, 18],  # 3 of each of 29 subjects: 21, 2 and 6 subjects
        [30, 10, 20],
    ]
    assert datasets["classes"].tolist() == [3, 10, 11, 10]
    assert datasets["sensor"].tolist() == ["32x32", "128x128", "128x128", "34x34"]
    assert (datasets["events_per_recording"][:3] == 80).all()
    # columns of its own give each class away, if nothing was mixed up between archive and frames
    assert (datasets["linear_accuracy"][:3] == 100).all()


@long_run
def test_every_table_has_every_dataset_under_its_protocol(recorded):
    cells = ["float", "float-tuned", "fisher-3.67", "fisher-3.14"]
    measured = table(recorded, "results")
    assert measured["accuracy"].between(0, 100).all()
    assert measured[["dataset", "cell"]].values.tolist() == [
        [label, cell] for label in LABELS.values() for cell in cells
    ]
    for name in ("comparison", "sizes", "energy", "integer", "layers", "events"):
        assert list(table(recorded, name)["dataset"].unique()) == list(LABELS.values())
    assert list(json.loads((recorded / "results/recorded/metrics.json").read_text())) == list(
        LABELS.values()
    )
    shown = [*(recorded / "results/recorded/tables").glob("*.md")]
    named = [path.stem for path in shown if LABELS["cifar10-dvs"] in path.read_text()]
    assert sorted(named) == sorted(path.stem for path in shown if path.stem != "order")  # no rows
    drawn = {path.name for path in (recorded / "results/recorded/figures").iterdir()}
    assert drawn >= {f"{kind}-{name}.png" for name in SOURCES for kind in ("accuracy", "samples")}


@long_run
def test_the_tables_tell_which_samples_were_used(recorded):
    sums = table(recorded, "datasets").set_index("dataset")["samples_sha256"]
    assert sums.notna().tolist() == [True, True, True, False]
    for name, label in LABELS.items():
        samples = (recorded / f"results/recorded/events/{name}/samples.csv").read_bytes()
        assert sums[label] == hashlib.sha256(samples).hexdigest() or samples == b""
        of_splits = table(recorded, "events").query("dataset == @label")["samples_sha256"]
        assert of_splits.tolist() == [sums[label]] * 3 or samples == b""
    lines = (recorded / "results/recorded/events/cifar10-dvs/samples.csv").read_text().splitlines()
    assert len(lines) == 1 + 100
    assert lines[:2] == ["split,name", "train,airplane/cifar10_airplane_1.aedat4"]
    assert lines[-1] == "test,truck/cifar10_truck_9.aedat4"


@long_run
def test_claims_on_the_papers_datasets_are_judged(recorded):
    verdicts = table(recorded, "claims")
    ours = verdicts["dataset"].isin(LABELS.values())
    has_row = ours & verdicts["cell"].isin(["fisher-3.67", "fisher-3.14"])
    assert {*verdicts.loc[has_row, "dataset"]} == {*LABELS.values()}
    assert (verdicts["verdict"] != "not run").equals(has_row)
    assert verdicts["measured"].notna().equals(has_row)
    asked = {(claim["id"], name) for claim in JUDGED for name in claim["datasets"]}
    assert len(verdicts) == len(asked)
    # one whose verdict follows from the budget: within 0.05 bits of 3.14 it is 10.19 to 10.36 times
    by_budget = verdicts[has_row & (verdicts["id"] == "C3-cifar")]
    assert by_budget["verdict"].tolist() == ["supported"]


@long_run
def test_a_second_run_has_nothing_to_do_with_the_archives_or_without(recorded, tmp_path):
    moved = copy_project(
        recorded,
        tmp_path / "moved",
        *PROJECT,
        *("data", "results", "study.yaml", ".snakemake"),
    )
    before = results(moved)
    run = ("--cores", "1", "--configfile", "study.yaml")
    assert "Nothing to be done" in output_of(moved, *run)
    for name in FETCHED | BY_HAND:
        (moved / "data/raw" / name).unlink()
    assert "Nothing to be done" in output_of(moved, *run)
    assert results(moved) == before


@long_run
def test_an_archive_is_read_again_when_it_changed_and_not_when_its_date_did(recorded, tmp_path):
    moved = copy_project(
        recorded,
        tmp_path / "moved",
        *PROJECT,
        *("data", "results", "study.yaml", ".snakemake"),
    )
    # of these sizes Snakemake compares contents, of real archives dates alone
    as_large = ("--dry-run", "--configfile", "study.yaml", "--max-checksum-file-size", "1")
    for name in FETCHED | BY_HAND:
        (moved / "data/raw" / name).touch()
    assert "Nothing to be done" in output_of(moved, *as_large)
    put(moved, {"NMNIST/Test.zip": digits("Test", 3)})
    listing = output_of(moved, *as_large)
    assert re.search(r"^events +1$", listing, re.MULTILINE)


@long_run
@pytest.mark.skipif(
    nmnist is digits,
    reason="N-MNIST recordings are not beside the repository: no study of real recordings is run",
)
def test_real_recordings_go_all_the_way(recorded):
    measured = table(recorded, "results").query("dataset == 'nmnist'")
    # multiples of one in 20 test recordings
    assert np.allclose(measured["accuracy"] / 5, (measured["accuracy"] / 5).round())
    about = table(recorded, "datasets").set_index("dataset").loc["nmnist"]
    assert 3_500 < about["events_per_recording"] < 4_700
    # three of each digit teach a linear classifier something: 20 guesses average 2 hits, and 7 or
    # more come once in 400 times
    assert about["linear_accuracy"] >= 35


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that has not run yet."""
    return copy_project(ROOT, tmp_path / "project")


def test_the_other_archives_of_the_same_datasets_become_frames(project):
    archives = {f"ibmGesture{part}.tar.gz": clips(part) for part in ("Train", "Test")}
    put(project, cifar("aedat"))
    study = study_of(
        {
            "cifar10-dvs": {"protocol": "random", "protocol_seed": 3, "validation": 0.1},
            "dvs-gesture": {"protocol": "preprocessed-264", "validation": 0.1},
        }
    )
    wanted = [f"results/recorded/frames/{name}/test.zip" for name in study["datasets"]]
    with serving() as server:
        point(project, server, archives)
        said = output_of(
            project, "--cores", "1", *wanted, "--configfile", write_study(project, study)
        )
    assert [said.count(f"fetch {name}: ") for name in archives] == [1, 1]
    for path, classes, count in zip(wanted, (10, 11), (10, 12), strict=True):
        with (project / path).open("rb") as file:
            stored = StoredFrames(file, path)
        assert (stored[:].sum((0, 1, 2, 3)) > 0).all()
        for frames, label in zip(stored, stored.labels.tolist(), strict=True):
            seen = frames.sum((0, 1, 2)).nonzero()
            assert label * 128 // classes <= seen.min()
            assert seen.max() < (label + 1) * 128 // classes
        assert len(stored.labels) == count


# What bad archives say


def cut(archive: bytes) -> bytes:
    return archive[: len(archive) // 2]


def flipped(archive: bytes) -> bytes:
    """One bit within the first member's content is wrong."""
    return archive[:100] + bytes([archive[100] ^ 0x10]) + archive[101:]


def led_outside() -> bytes:
    """A tar.gz with a link to a file beside the project."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        link = tarfile.TarInfo("DvsGesture/trials_to_train.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "../../../../outside.txt"
        archive.addfile(link)
    return file.getvalue()


EVIL = {"../evil": b"..."}
BAD: Mapping[str, dict[str, tuple[dict[str, bytes | None], str]]] = {
    "hostile": {
        "n-caltech101": (
            {"N-Caltech101-archive.zip": zipped({"Caltech101.zip": zipped(EVIL)})},
            "N-Caltech101-archive.zip: 'Caltech101.zip' holds no files named as in the published",
        ),
        "cifar10-dvs": (
            {"CIFAR10DVS.zip": zipped({"/tmp/evil": b"..."})},
            "CIFAR10DVS.zip ",
        ),
        "dvs-gesture": (
            {"DvsGesture.tar.gz": led_outside()},
            "DvsGesture.tar.gz cannot be read (",
        ),
        "nmnist": (
            {"NMNIST/Train.zip": zipped(EVIL), "NMNIST/Test.zip": zipped(EVIL)},
            "NMNIST/Train.zip: '../evil' is not named Train/<digit>",
        ),
    },
    "broken": {
        "n-caltech101": (
            {"N-Caltech101-archive.zip": None},
            "N-Caltech101-archive.zip is a folder: put the archive there, as published",
        ),
        "cifar10-dvs": (
            {"CIFAR10DVS.zip": cut(FETCHED["CIFAR10DVS.zip"])},
            "CIFAR10DVS.zip cannot be read (File is not a zip file): fetch it again",
        ),
        "dvs-gesture": (
            {"DvsGesture.tar.gz": cut(BY_HAND["DvsGesture.tar.gz"])},
            "DvsGesture.tar.gz cannot be read (Compressed file ended before the end-of-stream "
            "marker was reached): fetch it again",
        ),
        "nmnist": (
            {
                "NMNIST/Train.zip": flipped(FETCHED["NMNIST/Train.zip"]),
                "NMNIST/Test.zip": FETCHED["NMNIST/Test.zip"],
            },
            "NMNIST/Train.zip cannot be read (",
        ),
    },
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_archives_are_told_in_one_line_each_and_leave_nothing(project, kind):
    for archives, _ in BAD[kind].values():
        put(project, archives)
        for name in archives:
            pin(project, name, "http://127.0.0.1/never-asked")
    around = {
        path.relative_to(project): path.is_file() and path.read_bytes()
        for path in project.parent.rglob("*")
    }
    study = write_study(project, study_of(SOURCES))
    run = snakemake(project, "--cores", "2", "--keep-going", "--configfile", study)
    assert run.returncode != 0
    assert "Traceback" not in run.stdout
    _, _, last = run.stdout.rpartition("Exiting because a job execution failed")
    lines = sorted(line for line in last.splitlines() if line.startswith("hetspike: "))
    for line, (name, (_, problem)) in zip(lines, sorted(BAD[kind].items()), strict=True):
        assert line.startswith(f"hetspike: events {name}: data/raw/{problem}")
    assert results(project) == {}
    for path, content in around.items():
        path = project / path
        assert path.is_dir() if content is False else path.read_bytes() == content
    written = {path.relative_to(project) for path in project.parent.rglob("*")} - around.keys()
    assert {path.parts[0] for path in written if "__pycache__" not in path.parts} == {
        *("results", "study.yaml", ".snakemake")
    }


def test_an_archive_that_contradicts_a_frozen_list_is_refused(project):
    """The list of a hundred recordings has bird 8 for the test, where first90 tests on bird 9."""
    put(project, {"CIFAR10DVS.zip": FETCHED["CIFAR10DVS.zip"]})
    frozen = project / "data/splits/cifar10-dvs/first90.csv"
    frozen.parent.mkdir(parents=True)
    rows = [
        f"{'test' if number == (8 if kind == 'bird' else 9) else 'training'},"
        f"{kind}/cifar10_{kind}_{number}\n"
        for kind in CIFAR_CLASSES
        for number in range(10)
    ]
    frozen.write_text("split,name\n" + "".join(rows))
    digest = hashlib.sha256(frozen.read_bytes()).hexdigest()
    sums = project / "data/splits/SHA256SUMS"
    sums.write_text(f"{digest}  cifar10-dvs/first90.csv\n")
    line = complaint(project, study_of({"cifar10-dvs": SOURCES["cifar10-dvs"]}))
    assert line == (
        "hetspike: events cifar10-dvs: data/splits/cifar10-dvs/first90.csv has "
        "'bird/cifar10_bird_8' as test, the archive gives it as training: use the archive and "
        "this package as published"
    )
    frozen.write_text(frozen.read_text().replace("training", "test", 1))
    line = complaint(project, study_of({"cifar10-dvs": SOURCES["cifar10-dvs"]}))
    assert line == (
        "hetspike: events cifar10-dvs: data/splits/cifar10-dvs/first90.csv is not the one that "
        "data/splits/SHA256SUMS lists: `git checkout` both"
    )
    assert results(project) == {}
