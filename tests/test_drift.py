"""What moved against published numbers: judged as a function, and through `make drift`."""

import importlib.util
import json
import random
import re
import shutil
import subprocess
import sys
from hashlib import md5
from math import inf
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from projects import ROOT, copy_project, published

from hetspike.atomic import sealed
from hetspike.errors import UserError
from hetspike.results.drift import EXACT, Tolerances, moves

SHIPPED = Tolerances(**yaml.safe_load((ROOT / "config/tolerances.yaml").read_text()))
LIMITS = Tolerances.model_validate(
    {
        "tolerances": [
            {"measures": ["accuracy_sd"], "absolute": 3, "why": "first"},
            {"measures": ["accuracy*"], "absolute": 2, "relative": 0.01, "why": "second"},
            {"measures": ["words.*"], "absolute": inf, "why": "anything goes"},
            {"measures": ["drop"], "studies": ["long"], "absolute": 1, "why": "more seeds"},
            {"measures": ["drop"], "absolute": 4, "why": "few seeds"},
        ]
    }
)
TABLE = pd.DataFrame(
    {
        "dataset": ["sim-a", "sim-a", "sim-b"],
        "cell": ["float", "pot-3", "float"],
        "accuracy": [90.0, 50.0, 80.0],
        "accuracy_sd": [1.0, 1.0, 1.0],
        "paper": [float("nan"), 97.57, float("nan")],
    }
)


def doctored(row: int, column: str, value: object) -> pd.DataFrame:
    table = TABLE.astype({column: object})
    table.loc[row, column] = value
    return table


def test_the_distance_and_its_limit_by_hand():
    # 2 points and one per cent of 50: 2.5, however it is moved
    (move,) = moves({"results": TABLE}, {"results": doctored(1, "accuracy", 52.5)}, LIMITS)
    assert move == ("results", "sim-a pot-3", "accuracy", 50.0, 52.5, 2.5, 2.5)
    assert not move.beyond
    (move,) = moves({"results": TABLE}, {"results": doctored(1, "accuracy", 47.4)}, LIMITS)
    assert move.moved == pytest.approx(2.6) and move.beyond


def test_the_first_tolerance_that_names_a_measure_counts():
    assert LIMITS.allowed("results", "accuracy_sd", 100.0, 99.0) == 3
    assert LIMITS.allowed("results", "accuracy_low", -100.0, -9.0) == 3  # 2 + 1
    assert LIMITS.allowed("words", "cell", "float", "pot-3") == inf
    assert LIMITS.allowed("results", "cell", "float", "pot-3") == 0
    assert EXACT.allowed("results", "accuracy", 90.0, 91.0) == 0


def test_the_worst_comes_first():
    now = TABLE.assign(
        accuracy=[90.5, 50.0, 84.2],  # 0.5 of 2.9, 4.2 of 2.8
        accuracy_sd=[1.0, 3.7, 1.0],  # 2.7 of 3
        paper=[float("nan"), 97.58, float("nan")],  # no tolerance
    )
    found = moves({"results": TABLE}, {"results": now}, LIMITS)
    assert [(move.row, move.column, move.beyond) for move in found] == [
        ("sim-a pot-3", "paper", True),
        ("sim-b float", "accuracy", True),
        ("sim-a pot-3", "accuracy_sd", False),
        ("sim-a float", "accuracy", False),
    ]


def test_what_vanished_and_what_appeared_is_named_once():
    now = TABLE.drop(index=1).drop(columns="paper").assign(gain=1.0)
    now.loc[9] = ["sim-c", "float", 1.0, 1.0, 1.0]
    now = now.astype({"accuracy": float})
    found = moves({"results": TABLE, "sizes": TABLE}, {"results": now, "new": now}, LIMITS)
    assert {move[:5] for move in found} == {
        ("sizes", "", "", "there", "vanished"),
        ("new", "", "", "", "appeared"),
        ("results", "sim-a pot-3", "", "there", "vanished"),
        ("results", "sim-c float", "", "", "appeared"),
        ("results", "", "paper", "there", "vanished"),
        ("results", "", "gain", "", "appeared"),
    }
    assert all(move.beyond for move in found)


@pytest.mark.parametrize("value", [float("nan"), "pot-3"])
def test_no_number_in_a_numbers_place_is_infinitely_far(value):
    (move,) = moves({"results": TABLE}, {"results": doctored(0, "accuracy", value)}, LIMITS)
    assert move.moved == inf and move.beyond


def test_a_text_may_differ_where_a_tolerance_says_anything():
    words = TABLE.assign(verdict=["supported", "inconclusive", "not run"])
    now = words.assign(verdict=["supported", "supported", "not run"])
    (move,) = moves({"words": words}, {"words": now}, LIMITS)
    assert (move.published, move.found, move.beyond) == ("inconclusive", "supported", False)
    assert moves({"claims": words}, {"claims": now}, LIMITS)[0].beyond


@pytest.mark.parametrize(
    ("published", "found", "beyond"),
    [
        ("supported", "inconclusive", False),
        ("inconclusive", "not supported", False),
        ("supported", "not supported", True),
        ("missed", "exceeded", True),
        ("inconclusive", "not run", False),  # a row that is missing is a move of its own
        ("supported", "not run", True),
    ],
)
def test_a_verdict_may_become_open_or_decided_but_not_turn(published, found, beyond):
    was, now = (TABLE.assign(verdict=[word, "x", "x"]) for word in (published, found))
    (move,) = moves({"claims": was}, {"claims": now}, SHIPPED)
    assert move.beyond is beyond


def test_rows_may_change_places_but_not_be_alike():
    assert moves({"results": TABLE}, {"results": TABLE[::-1]}, EXACT) == []
    twice = pd.concat([TABLE, TABLE.tail(1)])
    with pytest.raises(UserError, match="table results: two rows are the same"):
        moves({"results": TABLE}, {"results": twice}, EXACT)


numbers = st.floats(-1e6, 1e6)


@given(st.lists(numbers, min_size=1, max_size=5), st.data())
def test_exactly_what_was_changed_is_found(values, data):
    table = pd.DataFrame({"cell": [f"row-{n}" for n in range(len(values))], "accuracy": values})
    changed = data.draw(st.lists(numbers, min_size=len(values), max_size=len(values)))
    now = table.assign(accuracy=changed)
    found = moves({"t": table}, {"t": now}, EXACT)
    different = {f"row-{n}" for n, value in enumerate(values) if value != changed[n]}
    assert {move.row for move in found} == different
    assert len(found) == len(different)


@pytest.mark.parametrize(("study", "allowed"), [("long", 1), ("short", 4)])
def test_a_study_may_have_a_tolerance_of_its_own(study, allowed):
    assert LIMITS.of(study).allowed("results", "drop", 0.0, 9.0) == allowed


def test_tolerances_name_studies_that_are_published():
    named = {study for tolerance in SHIPPED.tolerances for study in tolerance.studies}
    assert named
    assert all(published(study) for study in named)


def test_every_tolerance_is_of_something_published():
    measures = {
        name
        for stage in ("reproduce", "decisive")
        for path, content in published(stage).items()
        if path.endswith(".csv")
        for column in content.decode().split("\n", 1)[0].split(",")
        for name in (column, f"{Path(path).stem}.{column}")
    }
    for tolerance in SHIPPED.tolerances:
        for pattern in tolerance.measures:
            assert any(Path(name).match(pattern) for name in measures), pattern


# what names a row, counts recordings and networks, or follows from the configuration
SAME_EVERYWHERE = {
    *("dataset", "split", "cell", "cells", "method", "setting", "seed", "n", "qat_runs"),
    *("protocol", "classes", "sensor", "steps", "train", "validation", "test", "recordings"),
    *("classes_present", "classes_train", "classes_validation", "classes_test"),
    *("against", "against_seed", "layer", "neurons", "measure"),
    *("planned", "groups", "chance", "paper_dataset", "paper_accuracy", "paper_energy"),
    *("potentials", "width", "weights", "smaller", "leaking"),
}


ANY = 1.0, "inconclusive"  # as far apart as some may be


@pytest.mark.parametrize("stage", ["reproduce", "decisive"])
def test_what_has_no_tolerance_is_the_same_on_every_machine(stage):
    columns = {
        (Path(path).stem, column)
        for path, content in published(stage).items()
        if path.endswith(".csv")
        for column in content.decode().split("\n", 1)[0].split(",")
    }
    strict = {column for table, column in columns if not SHIPPED.allowed(table, column, *ANY)}
    assert strict <= SAME_EVERYWHERE


# Through the command line

AT_HOME = {"processor": "that of the publication"}
ELSEWHERE = {"processor": "another"}
RESULTS = """dataset,cell,accuracy,effective_bits
sim-a,float,90,32
sim-a,pot-3,85,3
"""
STAGE = """stages:
  smoke:
    cmd: make smoke
    outs:
      - results/smoke/machine.json: {persist: true}
      - results/smoke/tables/results.csv: {persist: true}
      - results/smoke/tables/results.md: {persist: true}
      - results/smoke/tables/sizes.csv: {persist: true}
    metrics:
      - results/smoke/metrics.json: {persist: true}
"""


def write(path: Path, text: str) -> None:
    with sealed(path) as part:
        part.write_text(text)


def write_results(project: Path, machine: dict[str, str] = AT_HOME, results: str = RESULTS) -> None:
    folder = project / "results/smoke"
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    write(folder / "tables/results.csv", results)
    write(folder / "tables/results.md", "| 90 |\n")
    write(folder / "tables/sizes.csv", "dataset,cell,packed_bytes\nsim-a,float,650117\n")
    write(
        folder / "metrics.json", '{"sim-a": {"float": {"accuracy": 90.0}, "pot-3": {"drop": 5.0}}}'
    )
    write(folder / "machine.json", json.dumps(machine))


def run(project: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=project, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def drift(project: Path, study: str = "smoke") -> tuple[int, list[str]]:
    """`make drift` with this environment's packages -> exit code and lines of output."""
    binaries = Path(sys.executable).parent
    ready = ("-o", ".venv/.ready", f"BIN={binaries}")
    done = run(project, "make", "--silent", *ready, "drift", f"STUDY={study}")
    return done.returncode, done.stdout.splitlines()


@pytest.fixture(scope="module")
def published_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that published a small study, without a cache."""
    names = ("Makefile", "pyproject.toml", ".gitignore", "config", "workflow")
    project = copy_project(ROOT, tmp_path_factory.mktemp("drift") / "project", *names)
    (project / ".dvc").mkdir()
    for name in (".dvc/config", ".dvc/.gitignore"):
        shutil.copy(ROOT / name, project / name)
    (project / "dvc.yaml").write_text(STAGE)
    write_results(project)
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    for command in (
        ("git", "init", "--quiet"),
        (sys.executable, "-m", "dvc", "commit", "--quiet", "--force", "smoke"),
        (sys.executable, "-m", "dvc", "push", "--quiet"),
        ("git", "add", "--all"),
        ("git", *identity, "commit", "--quiet", "--message", "publish"),
    ):
        done = run(project, *command)
        assert done.returncode == 0, done.stdout
    return project


@pytest.fixture
def clone(published_once: Path, tmp_path: Path) -> Path:
    """A fresh clone of it: nothing has run, nothing is cached."""
    done = run(tmp_path, "git", "clone", "--quiet", str(published_once), "clone")
    assert done.returncode == 0, done.stdout
    return tmp_path / "clone"


def test_nothing_moved(clone):
    write_results(clone)
    assert drift(clone) == (0, ["smoke: nothing moved, all 5 files are as published"])


def test_within_tolerance_on_another_machine(clone):
    write_results(clone, ELSEWHERE, RESULTS.replace("85", "82"))
    code, lines = drift(clone)
    assert code == 0, lines
    assert "    results/smoke/tables/results.csv" in lines
    assert any("another class of machine" in line for line in lines)
    (row,) = (line.split() for line in lines if line.split()[:1] == ["within"])
    assert row == ["within", "results", "sim-a", "pot-3", "accuracy", "85", "82", "3", "5"]
    assert lines[-1] == "smoke: 2 files differ, 1 values moved, 0 beyond their tolerance"


def test_nothing_may_move_on_the_same_machine(clone):
    write_results(clone, AT_HOME, RESULTS.replace("85", "85.001"))
    code, lines = drift(clone)
    assert code != 0
    assert any("this class" in line for line in lines)
    assert "smoke: 1 files differ, 1 values moved, 1 beyond their tolerance" in lines


def test_a_figure_or_a_text_may_not_move_on_the_same_machine(clone):
    write_results(clone)
    write(clone / "results/smoke/tables/results.md", "| 89 |\n")
    code, lines = drift(clone)
    assert code != 0
    assert "    results/smoke/tables/results.md" in lines
    assert "smoke: 1 files differ, 0 values moved, 0 beyond their tolerance" in lines
    write_results(clone, ELSEWHERE)
    write(clone / "results/smoke/tables/results.md", "| 89 |\n")
    code, lines = drift(clone)
    assert code == 0
    assert lines[-1] == "smoke: 2 files differ, 0 values moved, 0 beyond their tolerance"


def test_beyond_tolerance_and_a_table_that_is_missing(clone):
    write_results(clone, ELSEWHERE, RESULTS.replace("85", "79").replace(",32", ",32.01"))
    (clone / "results/smoke/tables/sizes.csv").unlink()
    code, lines = drift(clone)
    assert code != 0
    judged = [line.split() for line in lines if line.split()[:1] in (["BEYOND"], ["within"])]
    assert judged == [  # the worst first
        ["BEYOND", "sizes", "there", "vanished", "inf", "0"],
        ["BEYOND", "results", "sim-a", "pot-3", "accuracy", "85", "79", "6", "5"],
        ["within", "results", "sim-a", "float", "effective_bits", "32", "32.01", "0.01", "0.06"],
    ]
    assert "smoke: 3 files differ, 3 values moved, 2 beyond their tolerance" in lines


def complaint(project: Path, study: str = "smoke") -> str:
    """What `make drift` says in its one line, beside make's own."""
    code, lines = drift(project, study)
    assert code != 0
    (line,) = (line for line in lines if not line.startswith("make"))
    return line


def test_what_cannot_be_compared_is_one_line(clone):
    assert complaint(clone, "other").startswith(
        "hetspike: drift: nothing of a study 'other' is published"
    )
    assert complaint(clone) == (
        "hetspike: drift: results/smoke holds no results: run the study first"
    )
    write_results(clone, results="")
    assert complaint(clone).startswith(
        "hetspike: drift: results/smoke/tables/results.csv is no table of a study"
    )
    shutil.rmtree(clone / ".git")
    assert "published results cannot be read" in complaint(clone)


def flip(path: Path, place: int = 0) -> None:
    path.chmod(0o644)  # DVC takes the right to write from what it keeps
    content = bytearray(path.read_bytes())
    content[place // 8] ^= 1 << place % 8
    path.write_bytes(content)


STORED = "files/md5/" + "/".join(
    re.fullmatch("(..)(.*)", md5(RESULTS.encode()).hexdigest()).groups()
)


def test_a_damaged_published_file_is_told_from_a_result_that_moved(clone):
    write_results(clone, results=RESULTS.replace("85", "84.5"))
    flip(clone / "dvcstore" / STORED)
    assert complaint(clone) == (
        "hetspike: drift: published results/smoke/tables/results.csv is damaged: "
        f"`git checkout dvcstore/{STORED}`"
    )
    run(clone, "git", "checkout", "--quiet", f"dvcstore/{STORED}")
    assert "smoke: 1 files differ, 1 values moved, 1 beyond their tolerance" in drift(clone)[1]
    run(clone, sys.executable, "-m", "dvc", "fetch", "--quiet")
    flip(clone / ".dvc/cache" / STORED)
    assert complaint(clone) == (
        "hetspike: drift: published results/smoke/tables/results.csv is damaged: delete "
        f".dvc/cache/{STORED}, `git checkout dvcstore/{STORED}` and `dvc fetch`"
    )


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, clone: Path) -> Any:
    """workflow/scripts/drift.py in a clone."""
    monkeypatch.chdir(clone)
    spec = importlib.util.spec_from_file_location("drift_script", "workflow/scripts/drift.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_wrong_bit_of_what_is_published_or_found_counts_as_a_number(clone, script, tried):
    write_results(clone, results=RESULTS.replace("85", "84.5"))
    published = script.published_files(Path("results/smoke"))
    table = Path("results/smoke/tables/results.csv")
    assert script.found_files(published)[str(table)] != published[str(table)]
    chance = random.Random(0)
    content = table.read_bytes()
    for place in chance.sample(range(8 * len(content)), 24):
        flip(table, place)
        with pytest.raises(UserError, match=r"results\.csv is damaged .* run the same snakemake"):
            script.found_files(published)
        table.write_bytes(content)
    stored = Path("dvcstore") / STORED
    content = stored.read_bytes()
    for place in chance.sample(range(8 * len(content)), 24):
        flip(stored, place)
        with pytest.raises(UserError, match=r"results\.csv is damaged: `git checkout dvcstore"):
            script.published_files(Path("results/smoke"))
        stored.write_bytes(content)
    tried("make drift", "a bit of a result flipped", refused=24)
    tried("make drift", "a bit of a published file flipped", refused=24)
