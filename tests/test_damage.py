"""One wrong bit in any file that a job reads, a file cut short, another file in its place.

Each ends in one line with the file and what to do, through the functions that the scripts call and,
for some of each, through Snakemake.
"""

import io
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from projects import ROOT, SMOKE, long_run, snakemake

from hetspike.atomic import REMEDY, check, intact, remove, seal_of, sealed
from hetspike.errors import UserError
from hetspike.packed.checkpoint import load_trained
from hetspike.packed.packing import load_packed
from hetspike.training.history import Epoch
from hetspike.training.resume import read_state

FLIPS = 24
CUTS = 4
DATASET = "sim-gestures"
RESULTS = Path("results/smoke")


@pytest.fixture(scope="module")
def scripts() -> Iterator[SimpleNamespace]:
    """The modules of workflow/scripts that read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "workflow/scripts")
        names = ("reading", "framed", "splits", "spike_counts")
        yield SimpleNamespace(**{name: __import__(name) for name in names})


def write_sealed(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with sealed(path) as part:
        part.write_bytes(content)


def flipped(content: bytes, place: int) -> bytes:
    """One bit, counted from the first byte on, is another."""
    found = bytearray(content)
    found[place // 8] ^= 1 << place % 8
    return bytes(found)


# A sealed file


def test_a_sealed_file_is_read_back_and_its_seal_is_what_sha256sum_takes(tmp_path):
    write_sealed(tmp_path / "a.csv", b"1,2\n")
    assert intact(tmp_path / "a.csv") == b"1,2\n"
    check(tmp_path / "a.csv")
    # of `printf '1,2\n' | sha256sum`
    assert (tmp_path / "a.csv.sha256").read_text() == (
        "52186c933993da4082b3cdc7c40bb4bf735b391ff54a2ef78c037dda6c38a680  a.csv\n"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.csv.sha256"]
    remove(tmp_path / "a.csv")
    assert list(tmp_path.iterdir()) == []


def test_what_fails_half_way_leaves_what_was_there(tmp_path):
    write_sealed(tmp_path / "a", b"old")
    with pytest.raises(OSError), sealed(tmp_path / "a") as part:
        part.write_bytes(b"half")
        raise OSError("disk full")
    assert intact(tmp_path / "a") == b"old"


def test_a_file_never_has_its_name_without_its_seal(tmp_path, monkeypatch):
    names = []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (names.append(Path(b).name), replace(a, b)))
    write_sealed(tmp_path / "a", b"new")
    assert names == ["a.sha256", "a"]


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: seal_of(path).unlink(), "has no SHA-256 beside it (a.sha256)"),
        (lambda path: path.write_bytes(b""), "is damaged (its SHA-256 is not the one beside it)"),
        (lambda path: seal_of(path).write_bytes(b""), "is damaged (its SHA-256 is not"),
        (lambda path: (path.unlink(), path.mkdir()), "is no file"),
        (lambda path: (path.unlink(), os.mkfifo(path)), "is no file"),
        (lambda path: (path.unlink(), path.symlink_to(path)), "is no file"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(tmp_path, damage, problem):
    write_sealed(tmp_path / "a", b"content")
    damage(tmp_path / "a")
    for read in (check, intact):
        with pytest.raises(UserError) as error:
            read(tmp_path / "a")
        assert str(error.value).startswith(f"{tmp_path / 'a'} {problem}")
        assert str(error.value).endswith(REMEDY)


def test_the_file_of_another_name_does_not_pass_with_its_seal(tmp_path):
    write_sealed(tmp_path / "a", b"content")
    for suffix in ("", ".sha256"):
        shutil.copy(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}")
    with pytest.raises(UserError, match="b is damaged"):
        intact(tmp_path / "b")


# Every kind of file


def state_of_a_training() -> bytes:
    network = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    state = {"model": network.state_dict(), "optimizer": optimizer.state_dict(), "run": "0"}
    state |= {"random": torch.get_rng_state(), "history": [(1, 0.5, 0.5, 0.5, 0.5)]}
    torch.save(state, file := io.BytesIO())
    return file.getvalue()


def kinds(scripts: SimpleNamespace) -> dict[str, tuple[str | bytes, Callable[[str], Any]]]:
    """Kind -> the file in the smoke study, or a content, and what reads it in a script."""
    read, source = scripts.reading, SMOKE["datasets"][DATASET]["source"]
    packed = f"packed/{DATASET}/0/uniform-2.safetensors"
    network = f"networks/{DATASET}/0/uniform-2.safetensors"
    evaluation = f"evaluation/{DATASET}/0/uniform-2"

    def from_bytes(load: Callable[[bytes], Any]) -> Callable[[str], Any]:
        def of_path(path: str) -> Any:
            with read.network_of(path):
                return load(Path(path).read_bytes())

        return of_path

    def frames(path: str) -> torch.Tensor:
        scripts.framed.stored_frames.cache_clear()
        return scripts.framed.read_samples(path).frames[:]

    return {
        "events": (
            f"events/{DATASET}/test.npz",
            lambda path: scripts.splits.read_split(path, DATASET, "test", source),
        ),
        "groups": (f"events/{DATASET}/test.npz", lambda path: read.read_arrays(path, "groups")),
        "samples.csv": (b"split,name\ntrain,a\ntest,b\n", read.read_text),
        "frames": (f"frames/{DATASET}/validation.zip", frames),
        "events.csv": (f"frames/{DATASET}/events.csv", read.read_table),
        "trained network": (network, from_bytes(load_trained)),
        "packed network": (packed, from_bytes(load_packed)),
        "state of a training": (state_of_a_training(), lambda path: read_state(Path(path))),
        "history": (
            f"networks/{DATASET}/0/uniform-2.csv",
            lambda path: read.read_table(path, Epoch._fields),
        ),
        "search": (
            f"searches/{DATASET}/0/fisher-3.14.json",
            lambda path: read.read_json(path, "assignment", "passes"),
        ),
        "scores": (f"scores/{DATASET}/0/fisher-0.npz", lambda p: read.read_arrays(p, "scores")),
        "linear": (f"linear/{DATASET}.npz", lambda p: read.read_arrays(p, "weights", "biases")),
        **{
            name: (f"{evaluation}/{name}.csv", read.read_table)
            for name in ("predictions", "layers", "networks")
        },
        "spikes": (f"{evaluation}/spikes.npz", scripts.spike_counts.read_rates),
        "diagnostic": (
            b"epoch,validation_accuracy,test_accuracy\n1,0.5,0.25\n",
            read.read_table,
        ),
        "table": ("tables/results.csv", lambda path: read.read_table(path, gaps=None)),
        "table for people": ("tables/shown.json", read.read_json),
        "figure": ("figures/energy.png", intact),
    }


@long_run
def test_one_wrong_bit_a_cut_or_another_file_is_one_line(finished, scripts, tmp_path, tried):
    found = kinds(scripts)
    originals = {
        kind: content if isinstance(content, bytes) else (finished / RESULTS / content).read_bytes()
        for kind, (content, _) in found.items()
    }
    for number, (kind, (name, read)) in enumerate(found.items()):
        content, chance = originals[kind], random.Random(number)
        path = tmp_path / (Path(name).name if isinstance(name, str) else "file")
        own_digest = path.suffix == ".safetensors"
        if own_digest:
            path.write_bytes(content)
        else:
            write_sealed(path, content)
        read(str(path))
        seal = b"" if own_digest else seal_of(path).read_bytes()
        others = [each for each in originals.values() if each != content]

        def refused(path: Path = path, read: Callable[[str], Any] = read) -> int:
            with pytest.raises(UserError) as error:
                read(str(path))
            line = str(error.value)
            assert line.startswith(str(path)) and line.endswith(REMEDY) and "\n" not in line
            return 1

        def damaged(content: bytes, path: Path = path) -> int:
            path.write_bytes(content)
            return refused(path)

        bits = [chance.randrange(8 * len(content)) for _ in range(FLIPS)]
        flips = sum(damaged(flipped(content, bit)) for bit in bits)
        lengths = [0, *(chance.randrange(len(content)) for _ in range(CUTS - 1))]
        cuts = sum(damaged(content[:length]) for length in lengths)
        foreign = sum(damaged(other) for other in others)
        tried("files between jobs", "a bit flipped", refused=flips)
        tried("files between jobs", "cut short", refused=cuts)
        tried("files between jobs", "another file in its place", refused=foreign)
        if own_digest:
            continue
        path.write_bytes(content)
        places = [chance.randrange(8 * len(seal)) for _ in range(CUTS)]
        for place in places:
            seal_of(path).write_bytes(flipped(seal, place))
            refused()
        seal_of(path).unlink()
        refused()
        tried("files between jobs", "the SHA-256 beside it damaged or missing", refused=CUTS + 1)
        # others under a seal of their own: no traceback, and nothing but what the form allows
        for other in others:
            write_sealed(path, other)
            try:
                read(str(path))
            except UserError as error:
                assert str(error).startswith(str(path))


# Numbers that are none


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a,b\n1,2\n3,inf\n", "column 'b' holds inf in row 2"),
        ("a,b\n1,-inf\n", "column 'b' holds -inf in row 1"),
        ("a,b\n1,\n", "column 'b' holds nan in row 1"),
        ("a,b\nnan,2\n", "column 'a' holds nan in row 1"),
        ("a,b\n1,1e999\n", "column 'b' holds inf in row 1"),
        ("a,agreement\n1,inf\n", "column 'agreement' holds inf in row 1"),
        ("a\n1\n", "no column 'b'"),
        ("a,b\n", "no row"),
        ("", "No columns to parse"),
        ("a,b\n1,2,3\n1,2,3,4\n", "Expected 3 fields in line 3, saw 4"),
    ],
)
def test_a_table_of_a_job_holds_numbers(scripts, tmp_path, text, problem):
    write_sealed(tmp_path / "t.csv", text.encode())
    with pytest.raises(UserError) as error:
        scripts.reading.read_table(str(tmp_path / "t.csv"), () if "agreement" in text else ("b",))
    assert problem in str(error.value) and "\n" not in str(error.value)
    assert str(error.value).startswith(str(tmp_path / "t.csv"))


def test_a_network_with_layers_in_float_has_no_integers_to_tell_of(scripts, tmp_path):
    write_sealed(tmp_path / "t.csv", b"accuracy,agreement\n0.5,\n0.25,1\n")
    assert scripts.reading.read_table(str(tmp_path / "t.csv"))["agreement"].isna().sum() == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"passes": NaN}', "NaN is no finite number"),
        ('{"passes": -Infinity}', "-Infinity is no finite number"),
        ('{"assignment": {}}', "no 'passes'"),
        ("[1]", "is not what a job writes"),
        ("[" * 100_000, "is not what a job writes"),
        ("", "Expecting value"),
    ],
)
def test_an_object_of_a_job_has_its_keys_and_numbers(scripts, tmp_path, text, problem):
    write_sealed(tmp_path / "s.json", text.encode())
    with pytest.raises(UserError) as error:
        scripts.reading.read_json(str(tmp_path / "s.json"), "passes")
    assert problem in str(error.value) and str(error.value).endswith(REMEDY)


# Through Snakemake

SCENES = [  # what is damaged, and what is asked for: jobs that do not wait for each other
    {
        "events/sim-saccade-characters/train.npz": "frames/sim-saccade-characters/events.csv",
        "frames/sim-gestures/validation.zip": "linear/sim-gestures.npz",
        "networks/sim-gestures/0/float.safetensors": "searches/sim-gestures/0/fisher-3.14.json",
        "searches/sim-gestures/1/dnas-3.14.json": "networks/sim-gestures/1/dnas-3.14.csv",
    },
    {
        "networks/sim-gestures/0/uniform-2.csv": (
            "packed/sim-gestures/0/selected/uniform-2.safetensors"
        ),
        "packed/sim-gestures/1/pot-3.safetensors": "evaluation/sim-gestures/1/pot-3/networks.csv",
        "linear/sim-saccade-characters.npz": "evaluation/sim-saccade-characters/linear.csv",
    },
    {"evaluation/sim-gestures/0/pot-3/predictions.csv": "tables/results.csv"},
]


@long_run
@pytest.mark.parametrize("scene", SCENES)
def test_a_job_that_reads_a_damaged_file_says_so_in_one_line(moved, scene, tried):
    folder = moved / RESULTS
    for name in scene:
        path, before = folder / name, (folder / name).stat()
        content = path.read_bytes()
        path.write_bytes(flipped(content, 4 * len(content)))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # as a disk does it
    wanted = [str(RESULTS / name) for name in scene.values()]
    study = ("--configfile", "config/smoke.yaml")
    run = snakemake(moved, "--cores", "1", "--keep-going", "--force", *wanted, *study)
    assert run.returncode != 0
    assert "Traceback" not in run.stdout, run.stdout
    _, _, last = run.stdout.rpartition("Exiting because a job execution failed")
    lines = [line for line in last.splitlines() if line.startswith("hetspike: ")]
    assert len(lines) == len(scene), last
    for name in scene:
        (line,) = (line for line in lines if f"{RESULTS / name}" in line)
        assert line.endswith(REMEDY)
    tried("files between jobs, through Snakemake", "a bit flipped", refused=len(scene))


@long_run
def test_snakemake_lives_with_seals_of_files_that_it_touches_removes_and_makes_again(moved):
    study = ("--cores", "1", "--configfile", "config/smoke.yaml")
    search = moved / RESULTS / f"searches/{DATASET}/0/fisher-3.14.json"
    written = search.read_bytes()
    search.unlink()  # the seal stays
    assert snakemake(moved, str(search.relative_to(moved)), *study).returncode == 0
    assert intact(search) == written
    assert snakemake(moved, "--touch", "--forceall", *study).returncode == 0
    sealed_files = [path for path in (moved / RESULTS).rglob("*") if seal_of(path).exists()]
    assert len(sealed_files) > 100
    for path in sealed_files:
        check(path)
    again = snakemake(moved, *study)
    assert "Nothing to be done" in again.stdout
