"""The study from its command line: what comes out, what runs again, what bad input says."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import psutil
import pytest
import torch
import yaml
from projects import (
    PROJECT,
    REAL,
    ROOT,
    SMOKE,
    complaint,
    copy_project,
    long_run,
    output_of,
    planned,
    results,
    run_smoke,
    small_study,
    write_study,
)
from torch.nn.functional import cross_entropy
from verdicts import all_judged, rows_of, told

from hetspike.atomic import sealed
from hetspike.data.samples import Samples, StoredFrames
from hetspike.errors import UserError
from hetspike.inspection.inference import logits_of
from hetspike.packed.checkpoint import load_trained
from hetspike.packed.engine import Engine
from hetspike.packed.packing import load_packed
from hetspike.study.study import parse_study
from hetspike.training.history import selected

NMNIST: dict[str, Any] = yaml.safe_load((ROOT / "config/nmnist.yaml").read_text())

# also for whichever test comes first to the shared study, and those that wait for it


def evaluated(project: Path, dataset: str, seed: int, table: str) -> pd.DataFrame:
    """A table of the evaluation of all rows."""
    files = (project / f"results/smoke/evaluation/{dataset}/{seed}").glob(f"*/{table}.csv")
    return pd.concat(map(pd.read_csv, sorted(files)))


# What comes out


@long_run
def test_results_do_not_depend_on_the_number_of_cores(finished, tmp_path):
    expected = results(finished)
    assert {Path(name).suffix for name in expected} == {
        *(".csv", ".md", ".tex", ".json", ".npz", ".zip", ".png", ".pdf", ".safetensors"),
        ".sha256",
    }
    # from nothing: all that is made of one dataset and seed
    afresh = copy_project(finished, tmp_path / "afresh")  # without its results
    kept = copy_project(finished, tmp_path / "kept", *PROJECT, "results", ".snakemake")
    rows = "results/smoke/evaluation/sim-gestures/0/{row}/predictions.csv"
    run_smoke(afresh, 1, *(rows.format(row=row.name) for row in parse_study(SMOKE).rows))
    found = results(afresh)
    assert found == {name: expected[name] for name in found}
    assert len(found) > 50
    # from what was made: all that shows it
    for folder in ("tables", "figures"):
        shutil.rmtree(kept / f"results/smoke/{folder}")
    (kept / "results/smoke/metrics.json").unlink()
    assert results(run_smoke(kept, 1)) == expected


@long_run
def test_the_results_table_holds_every_dataset_and_cell(finished):
    table = pd.read_csv(finished / "results/smoke/tables/results.csv")
    rows = list(table[["dataset", "cell"]].itertuples(index=False, name=None))
    cells = ["float", "float-tuned", "uniform-2", "pot-3", "fisher-3.14", "dnas-3.14"]
    assert rows == [(dataset, cell) for dataset in SMOKE["datasets"] for cell in cells]
    assert [cell.name for cell in parse_study(SMOKE).rows] == cells
    assert (table["n"] == len(SMOKE["seeds"])).all()
    assert table["accuracy"].between(0, 100).all()
    # networks that guess one class would agree on any number of cores
    assert (table["accuracy"][table["dataset"] == "sim-gestures"] > 2 * 100 / 11).all()


@long_run
def test_a_searched_network_keeps_its_budget(finished):
    table = pd.read_csv(finished / "results/smoke/tables/results.csv").set_index("cell")
    assert (table.loc[["fisher-3.14", "dnas-3.14"], "effective_bits_high"] <= 3.14).all()
    assert (table.loc["uniform-2", "effective_bits"] == 2).all()
    searches = sorted((finished / "results/smoke/searches").rglob("*.json"))
    assert len(searches) == len(SMOKE["datasets"]) * len(SMOKE["seeds"]) * len(SMOKE["searches"])
    candidates = [("uniform", 2), ("uniform", 4), ("pot", 3)]
    for path in searches:
        found = json.loads(path.read_text())
        assert {tuple(choice) for choice in found["assignment"].values()} <= {*candidates}
        # as many recordings as gradients of 64 or an epoch of both halves ask for, thrice each
        assert found["passes"] == 3 * (64 if "fisher" in path.stem else 144)


@long_run
def test_predictions_cover_the_test_split_once(finished):
    for dataset, plan in SMOKE["datasets"].items():
        for seed in SMOKE["seeds"]:
            networks = evaluated(finished, dataset, seed, "predictions").groupby("cell")
            assert set(networks.groups) == {cell.name for cell in parse_study(SMOKE).rows}
            for _, network in networks:
                assert network["recording"].tolist() == list(range(plan["source"]["test"]))


@long_run
def test_what_was_evaluated_is_what_is_packed(finished):
    study = parse_study(SMOKE)
    dataset, cell = "sim-gestures", next(each for each in study.rows if each.searched)
    frames = finished / f"results/smoke/frames/{dataset}/test.zip"
    samples = Samples(stored := StoredFrames(frames.open("rb"), str(frames)), stored.labels)
    for seed in study.seeds:
        file = finished / f"results/smoke/packed/{dataset}/{seed}/{cell.name}.safetensors"
        network, packed = load_packed(file.read_bytes())
        said = {name: packed.about[name] for name in ("dataset", "row", "seed", "configuration")}
        assert said == {
            **{"dataset": dataset, "row": cell.name, "seed": seed},
            "configuration": study.fingerprint(dataset, cell),
        }
        folder = finished / f"results/smoke/evaluation/{dataset}/{seed}/{cell.name}"
        predictions = pd.read_csv(folder / "predictions.csv")
        assert logits_of(network, samples).argmax(1).tolist() == predictions["prediction"].tolist()
        measured = pd.read_csv(folder / "networks.csv").loc[0]
        assert measured["packed_bytes"] == file.stat().st_size
        integers = Engine(packed).run(samples.frames)[0] == torch.tensor(
            predictions["prediction"].tolist()
        )
        assert measured["agreement"] == integers.double().mean().item() > 0.98


@long_run
def test_the_last_epoch_is_judged_and_the_selected_one_stands_beside(finished):
    dataset, seed = "sim-saccade-characters", 1
    validation, test = (
        Samples(stored := StoredFrames(frames.open("rb"), str(frames)), stored.labels)
        for split in ("validation", "test")
        for frames in [finished / f"results/smoke/frames/{dataset}/{split}.zip"]
    )
    predictions = evaluated(finished, dataset, seed, "predictions")
    for cell in parse_study(SMOKE).rows:
        folder = finished / f"results/smoke/networks/{dataset}/{seed}"
        history = pd.read_csv(folder / f"{cell.name}.csv")
        packed = finished / f"results/smoke/packed/{dataset}/{seed}"
        rows = predictions[predictions["cell"] == cell.name]
        for place, epoch, column in (
            ("", history.iloc[-1], "prediction"),
            ("selected/", selected(history), "selected"),
        ):
            file = f"{place}{cell.name}.safetensors"
            trained, _ = load_trained((folder / file).read_bytes())
            loss = cross_entropy(logits_of(trained, validation), validation.labels).item()
            # the jobs had other kernels
            assert loss == pytest.approx(epoch["validation_loss"], abs=0.004)
            network, read = load_packed((packed / file).read_bytes())
            assert read.about["validation_accuracy"] == epoch["validation_accuracy"]
            assert logits_of(network, test).argmax(1).tolist() == rows[column].tolist()


@long_run
def test_significance_counts_what_was_predicted(finished):
    folder = finished / "results/smoke"
    table = pd.read_csv(folder / "tables/significance.csv").set_index(["dataset", "cell", "seed"])
    cells = [cell.name for cell in parse_study(SMOKE).rows]
    assert len(table) == len(SMOKE["datasets"]) * len(cells) * len(SMOKE["seeds"])
    for (dataset, seed), rows in table.groupby(["dataset", "seed"]):
        read = evaluated(finished, dataset, seed, "predictions")
        right = (read["label"] == read["prediction"]).groupby(read["cell"])
        assert rows["right"].droplevel(["dataset", "seed"]).to_dict() == {
            cell: right.sum()[cell] for cell in cells
        }
        gains = (rows["gained"] - rows["lost"]).fillna(0).droplevel(["dataset", "seed"])
        assert (rows["right"].to_numpy() - gains == right.sum()["float-tuned"]).all()


@long_run
def test_verdicts_follow_from_the_results(finished):
    tables = finished / "results/smoke/tables"
    verdicts = told((tables / "claims.csv").read_text())
    assert verdicts == all_judged(rows_of((tables / "results.csv").read_text()))
    assert {verdict for *_, verdict in verdicts} > {"not run"}  # some are judged


@pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"),
    reason="no x86-64 server: that its jobs are told which instructions to take is not checked",
)
@long_run
def test_portable_kernels_reach_the_jobs(finished):
    assert SMOKE["kernels"] == "portable"
    about = json.loads((finished / "results/smoke/machine.json").read_text())
    assert about["kernels"] == "portable"
    assert about["instructions"] == "AVX2 X86_V3"  # what torch and numpy said in the job
    assert "processor" not in about


@pytest.fixture(scope="module")
def summary(finished: Path) -> list[dict[str, str]]:
    """A row for each file of the study: what Snakemake says made it, and from what."""
    said = output_of(finished, "--detailed-summary", "--configfile", "config/smoke.yaml")
    header, *lines = (line.split("\t") for line in said.splitlines() if "\t" in line)
    return [dict(zip(header, line, strict=True)) for line in lines]


@long_run
def test_no_rule_before_evaluate_takes_test_recordings(summary):
    def takers(file: str) -> set[str]:
        return {row["rule"] for row in summary if file in row["input-file(s)"].split(",")}

    for dataset in SMOKE["datasets"]:
        frames = f"results/smoke/frames/{dataset}"
        evaluations = {"evaluate", "evaluate_linear"}
        searches = {"scores", "search"}
        assert takers(f"{frames}/test.zip") == evaluations
        assert takers(f"{frames}/train.zip") == {"linear", "train_float", "quantize"} | searches
        assert takers(f"results/smoke/events/{dataset}/test.npz") == {"frames"} | evaluations
        # what starts from a float network starts from the last epoch, not from a selected one
        networks = f"results/smoke/networks/{dataset}/0"
        started = {"quantize", "pack"} | searches
        assert takers(f"{networks}/float.safetensors") == started
        assert takers(f"{networks}/selected/float.safetensors") == {"pack"}


@long_run
def test_a_training_depends_on_no_more_code_than_it_runs(summary):
    (inputs,) = {
        row["input-file(s)"]
        for row in summary
        if row["rule"] == "train_float" and row["output_file"].endswith("gestures/0/float.csv")
    }
    modules = {Path(name) for name in inputs.split(",") if name.endswith(".py")}
    assert {"augmentation", "atomic", "spikformer", "samples", "loop"} <= {
        path.stem for path in modules
    }
    later = ("packing", "engine", "operations", "energy", "tables", "claims", "report")
    assert [path for path in modules if path.stem in later] == []
    assert [path for path in modules if path.parent.name in ("events", "figures", "search")] == []
    assert {path.stem for path in modules if "scripts" in path.parts} == {
        *("framed", "jobs", "train_float", "training")
    }


def test_every_data_file_of_the_package_is_an_input_of_some_rule():
    """A module that reads one has its name; without that no edit of it would rerun anything."""
    package = ROOT / "src/hetspike"
    sources = [path.read_text() for path in package.rglob("*.py")]
    data = [path for path in package.rglob("*") if path.suffix in (".toml", ".jinja")]
    assert {"energy.toml", "report.html.jinja"} <= {path.name for path in data}
    assert [path for path in data if not any(path.name in source for source in sources)] == []


@long_run
def test_the_diagnostic_of_epochs_sees_the_trainings_of_the_study(moved):
    before = results(moved)
    wanted = "results/smoke/diagnostic/sim-gestures-0.csv"
    said = output_of(moved, wanted, "--cores", "1", "--configfile", "config/smoke.yaml")
    assert "5 epochs, the same as in the study" in said
    epochs = pd.read_csv(moved / wanted)
    assert epochs["test_accuracy"].between(0, 1).all()
    study = pd.read_csv(moved / "results/smoke/networks/sim-gestures/0/float.csv")
    assert epochs[study.columns].equals(study)
    after = results(moved)
    assert after.pop("smoke/diagnostic/sim-gestures-0.csv")
    assert after.pop("smoke/diagnostic/sim-gestures-0.csv.sha256") and after == before


# What runs again


def test_the_default_study_takes_changes_from_the_command_line(project):
    listing = output_of(project, "--dry-run", "--config", "study=quick", "seeds=[0]")
    assert re.search(r"^train_float +3$", listing, re.MULTILINE)
    assert not (project / "results").exists()


@long_run
def test_a_training_that_was_killed_goes_on_from_its_last_epoch_to_the_same_bits(moved):
    folder = moved / "results/smoke/networks/sim-gestures/0"
    written = {path.name: path.read_bytes() for path in folder.glob("float.*")}
    target = "results/smoke/networks/sim-gestures/0/float.safetensors"
    (moved / target).unlink()
    command = [sys.executable, "-m", "snakemake", target, "--cores", "1"]
    environment = os.environ | {"PYTHONPATH": str(moved / "src")}
    with subprocess.Popen(
        [*command, "--configfile", "config/smoke.yaml"],
        cwd=moved,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as run:
        while not (folder / "float.resume").exists():
            assert run.poll() is None, "it was done before it could be killed"
            time.sleep(0.05)
        for process in psutil.Process(run.pid).children(recursive=True):
            process.kill()
    assert run.returncode != 0
    assert {path.name for path in folder.glob("*float.*")} == {
        *("float.resume", "float.resume.sha256"),
        "float.csv.sha256",  # of what Snakemake removed before the training began
    }
    output_of(moved, target, "--cores", "1", "--configfile", "config/smoke.yaml")
    log = (moved / "results/smoke/logs/train_float/sim-gestures-0-float.log").read_text()
    epoch = int(re.match(r"goes on after epoch (\d)\n", log)[1])
    assert f"\nepoch {epoch + 1}: " in log and f"\nepoch {epoch}: " not in log
    assert {path.name: path.read_bytes() for path in folder.glob("float.*")} == written


@long_run
@pytest.mark.parametrize("whole", [True, False])
def test_a_training_does_not_go_on_from_what_another_one_left_or_is_damaged(moved, whole):
    folder = moved / "results/smoke/networks/sim-gestures/0"
    target = "results/smoke/networks/sim-gestures/0/float.safetensors"
    written = (moved / target).read_bytes()
    (moved / target).unlink()
    with sealed(folder / "float.resume") as part:
        torch.save({"run": "another"}, part)
    problem = ""
    if not whole:
        with (folder / "float.resume").open("r+b") as file:
            file.write(b"Q")  # where a zip archive has a P
        problem = f"{target.replace('safetensors', 'resume')} is damaged (its SHA-256 is not the "
        problem += "one beside it): the training starts anew"
    said = output_of(moved, target, "--cores", "1", "--configfile", "config/smoke.yaml")
    log = (moved / "results/smoke/logs/train_float/sim-gestures-0-float.log").read_text()
    assert log.startswith(f"{problem}\nepoch 1: " if problem else "epoch 1: ")
    assert said.splitlines().count(f"hetspike: {problem}") == (not whole)
    assert (moved / target).read_bytes() == written
    assert [*folder.glob("float.resume*")] == []


def test_a_dry_run_of_the_papers_study_says_what_it_takes(project):
    listing = output_of(project, "-np", "--cores", "all", "--configfile", "config/paper.yaml")
    cores = len(os.sched_getaffinity(0))
    assert re.search(
        rf"^paper on this machine, ({cores} cores|a GPU): about [\d,.]+ hours, ",
        listing,
        re.MULTILINE,
    )
    for dataset, recordings in (("n-caltech101", 8709), ("dvs-gesture", 1464)):
        assert re.search(rf"^ *{dataset} +{recordings} +36 ", listing, re.MULTILINE)
    assert re.search(r"^train_float +9$", listing, re.MULTILINE)
    assert not (project / "results").exists()


@long_run
def test_a_second_run_has_nothing_to_do(moved):
    before = results(moved)
    again = output_of(moved, "--cores", "1", "--configfile", "config/smoke.yaml")
    assert "Nothing to be done" in again
    assert results(moved) == before
    listing = output_of(moved, "--dry-run", "--configfile", "config/smoke.yaml")
    assert "smoke on this machine: nothing is left to train or to test" in listing


@long_run
def test_a_dry_run_says_what_the_jobs_that_are_left_take(moved):
    study = deepcopy(SMOKE)
    faster_qat(study)
    listing = output_of(moved, "--dry-run", "--configfile", write_study(moved, study))
    for dataset in SMOKE["datasets"]:  # two seeds, five rows
        assert re.search(rf"^ *{dataset} +243 +10 .* 0.0$", listing, re.MULTILINE)
    table = "results/smoke/networks/sim-gestures/1/pot-3.csv"
    listing = output_of(moved, "-n", table, "--configfile", "study.yaml")
    assert re.search(r"^ *sim-gestures +243 +1 ", listing, re.MULTILINE)
    assert not re.search(r"^ *sim-saccade-characters +\d", listing, re.MULTILINE)


@long_run
def test_other_kernels_make_everything_anew(moved):
    everything = planned(copy_project(moved, moved.parent / "afresh"))
    assert planned(moved, write_study(moved, SMOKE | {"kernels": "fastest"})) == everything


REPORT = {"tables": 1, "figures": 1, "report": 1}
EVALUATION = REPORT | {"evaluate": 24}
AFTER_TRAINING = EVALUATION | {"pack": 24}
AFTER_QAT = REPORT | {"quantize": 20, "pack": 20, "evaluate": 20}
SEARCHES = {"scores": 4, "search": 8}


@long_run
@pytest.mark.parametrize(
    ("file", "again"),
    [
        ("config/claims.yaml", REPORT),
        ("src/hetspike/results/tables.py", REPORT),
        ("src/hetspike/results/figures/style.py", {"figures": 1, "report": 1}),
        ("src/hetspike/results/figures/training.py", {"figures": 1, "report": 1}),
        ("src/hetspike/results/report.html.jinja", {"report": 1}),
        ("src/hetspike/cost/energy.py", REPORT),
        ("src/hetspike/cost/energy.toml", REPORT),
        ("src/hetspike/data/events/archives.py", {}),  # nothing is read from archives here
        ("src/hetspike/data/events/recorded_images.py", {}),
        ("src/hetspike/cost/operations.py", EVALUATION),
        ("src/hetspike/packed/engine.py", EVALUATION),
        ("src/hetspike/packed/packing.py", AFTER_TRAINING),
        (
            "src/hetspike/search/dnas.py",
            REPORT | SEARCHES | {"quantize": 8, "pack": 8, "evaluate": 8},
        ),
        # a training writes its network, which freezes it
        (
            "src/hetspike/quantization/quantizer.py",
            AFTER_TRAINING | SEARCHES | {"train_float": 4, "quantize": 20},
        ),
        ("src/hetspike/training/linear.py", REPORT | {"linear": 2, "evaluate_linear": 2}),
        ("workflow/scripts/train_quantized.py", AFTER_QAT),
    ],
)
def test_an_edited_file_reruns_what_follows_from_it(moved, file, again):
    with (moved / file).open("a") as edited:
        edited.write("# edited\n")
    assert planned(moved) == again


def faster_qat(study: dict[str, Any]) -> None:
    study["qat"]["learning_rate"] *= 2


def one_more_seed(study: dict[str, Any]) -> None:
    study["seeds"].append(2)


def one_more_budget(study: dict[str, Any]) -> None:
    study["searches"]["fisher"]["budgets"].append(2.5)


def other_slices(study: dict[str, Any]) -> None:
    study["datasets"]["sim-gestures"]["framing"]["steps"] += 1


@long_run
@pytest.mark.parametrize(
    ("change", "again"),
    [
        (faster_qat, AFTER_QAT),
        (
            one_more_seed,
            REPORT
            | {"train_float": 2, "scores": 2, "search": 4, "quantize": 10}
            | {"pack": 12, "evaluate": 12},
        ),
        # a row is searched, trained, packed and evaluated, by the scores that are there
        (one_more_budget, REPORT | {"search": 4, "quantize": 4, "pack": 4, "evaluate": 4}),
        (
            other_slices,
            REPORT
            | {"frames": 1, "linear": 1, "evaluate_linear": 1}
            | {"train_float": 2, "scores": 2, "search": 4, "quantize": 10}
            | {"pack": 12, "evaluate": 12},
        ),
    ],
)
def test_an_edited_setting_reruns_what_follows_from_it(moved, change, again):
    study = deepcopy(SMOKE)
    change(study)
    assert planned(moved, write_study(moved, study)) == again


# What bad input says


def unknown_dataset(study: dict[str, Any]) -> None:
    study["datasets"]["dvs-gestures"] = study["datasets"].pop("sim-gestures")


def unknown_scheme(study: dict[str, Any]) -> None:
    study["schemes"]["powers"] = [3]


def unknown_search(study: dict[str, Any]) -> None:
    study["searches"]["dnas"]["search"] = "hawq"


def unknown_key(study: dict[str, Any]) -> None:
    study["qat"]["momentum"] = 0.9


def unknown_key_of_a_dataset(study: dict[str, Any]) -> None:
    study["datasets"]["sim-gestures"]["source"]["people"] = 29


def missing_key(study: dict[str, Any]) -> None:
    del study["study"]


def wrong_type(study: dict[str, Any]) -> None:
    study["float_training"]["epochs"] = "many"


def repeated_seed(study: dict[str, Any]) -> None:
    study["seeds"] = [0, 1, 0]


def no_dataset(study: dict[str, Any]) -> None:
    study["datasets"] = {}


def budget_out_of_reach(study: dict[str, Any]) -> None:
    study["searches"]["dnas"]["budgets"] = [1.5]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (unknown_dataset, ["datasets.dvs-gestures", "use one of", "sim-gestures"]),
        (unknown_scheme, ["schemes.powers", "use one of binary, uniform, pot"]),
        (unknown_search, ["searches.dnas.search", "use one of random, sensitivity"]),
        (unknown_key, ["unknown key 'qat.momentum'", "remove it"]),
        (unknown_key_of_a_dataset, ["'datasets.sim-gestures.source.people'", "remove it"]),
        (missing_key, ["key 'study' is missing", "add it"]),
        (wrong_type, ["'float_training.epochs'", "valid integer", "not 'many'"]),
        (repeated_seed, ["seeds: 0, 1, 0: name each value once"]),
        (no_dataset, ["'datasets'", "at least 1"]),
        (budget_out_of_reach, ["searches.dnas.budgets", "1.5 is out of reach", "2 to 4"]),
    ],
)
def test_a_wrong_study_is_refused_before_anything_runs(project, fault, words):
    study = deepcopy(SMOKE)
    fault(study)
    line = complaint(project, study)
    assert [word for word in words if word not in line] == []
    assert not (project / "results").exists()


def test_a_budget_that_only_the_network_shows_to_be_out_of_reach(project):
    study = small_study("sim-gestures", train=22, validation=11, test=11, seed=0)
    study["boundary_layers"] = "8-bit"
    study["searches"] = deepcopy(SMOKE["searches"])
    study["searches"]["dnas"]["budgets"] = [2.01]
    wanted = "results/smoke/searches/sim-gestures/0/dnas-2.01.json"
    line = complaint(project, study, wanted)
    assert "budget 2.01 is out of reach" in line
    assert "change `budgets` or `candidates`" in line
    stages = {name.split("/")[1] for name in results(project)}
    assert stages == {"events", "frames", "networks", "settings"}


def missing(path: Path) -> None:
    path.unlink()


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def corrupted(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 0xFF  # inside the first recording
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (missing, "is missing: put N-MNIST's Train.zip there"),
        (truncated, "cannot be read"),
        (corrupted, "cannot be read"),
    ],
)
def test_a_damaged_archive(project, damage, words):
    folder = project / "data/raw/NMNIST"
    folder.mkdir(parents=True)
    for part in ("Train", "Test"):
        with zipfile.ZipFile(folder / f"{part}.zip", "w") as archive:
            for digit in (0, 1):
                event = bytes([3, 4, 0x80, 0, 5])  # x, y, brighter, at 5 us
                archive.writestr(f"{part}/{digit}/0000{digit + 1}.bin", 1000 * event)
    damage(folder / "Train.zip")
    line = complaint(project, small_study("nmnist", folder="data/raw/NMNIST", validation=1))
    assert "data/raw/NMNIST/Train.zip" in line
    assert words in line
    assert results(project) == {}


def a_file(path: Path) -> None:
    path.write_text("")


def read_only(path: Path) -> None:
    path.symlink_to("/proc/sys")  # root can write to a folder without the permission, but not here


@pytest.mark.parametrize("occupy", [a_file, read_only])
def test_results_that_cannot_be_written(project, occupy):
    occupy(project / "results")
    line = complaint(project, SMOKE)
    assert f"{project}/results is not a folder that can be written to" in line


@long_run
def test_the_report_tells_of_the_whole_run(finished):
    page = (finished / "results/smoke/report.html").read_text()
    tables, figures = ((finished / "results/smoke" / each) for each in ("tables", "figures"))
    names = {path.stem for path in tables.glob("*.md")} - {"claims", "findings"}
    assert {*re.findall(r'id="table-([^"]+)"', page)} == names
    pictures = {path.stem for path in figures.glob("*.png")}
    assert {*re.findall(r'id="figure-([^"]+)"', page)} == pictures
    boxes = {*re.findall(r"<text [^>]+>(\w+)</text>", page)}
    jobs = {*re.findall(r"<td>(\w+)</td><td>\d+</td><td>[\d.,]+</td>", page)}
    assert boxes - jobs == {"report", "all"}  # every other rule says how long its jobs took
    assert "evaluate takes from pack." in page


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(ROOT / "workflow/scripts")
    return __import__("jobs")


@pytest.mark.parametrize("error", [UserError("no such thing: add it"), OSError("disk full")])
def test_a_failing_job_leaves_one_line_and_no_file(jobs, tmp_path, capsys, error):
    log, table = tmp_path / "job.log", tmp_path / "table.csv"
    snakemake = SimpleNamespace(rule="tables", wildcards=["sim-a", "0"], log=[str(log)])
    message = f"hetspike: tables sim-a 0: {error}"

    def main(*, say: Callable[[str], None]) -> None:
        say("epoch 1")
        with sealed(table) as part:
            part.write_text("half a ta")
            raise error

    with pytest.raises(SystemExit) as stopped:
        jobs.run(main, snakemake)
    assert stopped.value.code == message  # the interpreter prints it and exits with 1
    assert log.read_text() == f"epoch 1\n{message}\n"
    assert capsys.readouterr().out == ""
    assert list(tmp_path.iterdir()) == [log]


def test_a_job_prints_what_it_said_last(jobs, tmp_path, capsys):
    log = tmp_path / "job.log"
    snakemake = SimpleNamespace(rule="tables", wildcards=[], log=[str(log)])

    def main(*, say: Callable[[str], None]) -> None:
        say("epoch 1")
        say("validation 90.0 %")

    jobs.run(main, snakemake)
    *said, took = log.read_text().splitlines()
    assert said == ["epoch 1", "validation 90.0 %"]
    assert took == f"took {jobs.seconds_of(log):.2f} s"
    assert capsys.readouterr().out == "tables: validation 90.0 %, 0 s\n"


# Recorded data


def test_the_study_of_recordings_is_valid():
    assert [cell.name for cell in parse_study(NMNIST).rows] == [
        "float",
        "float-tuned",
        *("uniform-2", "uniform-3", "uniform-8"),
        *("fisher-3.67", "fisher-3.14", "fisher-2.5", "fisher-uniform-2.5"),
    ]


@long_run
@pytest.mark.skipif(
    not (REAL / "Train.zip").is_file(),
    reason="N-MNIST recordings are not beside the repository: training on them is not checked",
)
def test_a_network_learns_real_recordings(project):
    study = deepcopy(NMNIST) | {"seeds": [0], "schemes": {"uniform": [4]}, "searches": {}}
    del study["candidates"]
    study["datasets"]["nmnist"]["source"] = {"folder": str(REAL.resolve()), "validation": 100}
    study["datasets"]["nmnist"]["network"] |= {"width": 48, "depth": 1, "mlp_ratio": 2}
    study["float_training"] |= {"epochs": 6, "batch_size": 16, "learning_rate": 1e-2}
    study["qat"] |= {"epochs": 1, "learning_rate": 1e-3}
    evaluation = "results/nmnist/evaluation/nmnist/0/{}/networks.csv"
    wanted = [evaluation.format(row) for row in ("float", "uniform-4")]
    output_of(project, "--cores", "1", *wanted, "--configfile", write_study(project, study))
    for networks in wanted:  # 100 test recordings of ten classes: two standard errors are 9 points
        assert pd.read_csv(project / networks).loc[0, "accuracy"] > 0.6
