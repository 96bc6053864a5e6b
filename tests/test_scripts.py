"""The scripts of the workflow, called without Snakemake: a small study from events to tables."""

import json
import re
from collections.abc import Iterator
from importlib import import_module
from inspect import signature
from itertools import chain
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from projects import ROOT

from hetspike.atomic import check, intact, seal_of
from hetspike.study.study import parse_study

SCRIPTS = sorted(
    {
        name
        for rules in (ROOT / "workflow/rules").glob("*.smk")
        for name in re.findall(r'scripts/(\w+).py"', rules.read_text())
    }
    - {"job", "job_server"}
)
PARTS = {"input", "output", "params", "wildcards", "resources", "config", "say"}
SPLITS = ("train", "validation", "test")
RECIPE = {
    **{"epochs": 2, "warmup_epochs": 0.5, "batch_size": 8, "learning_rate": 1e-2},
    **{"final_learning_rate": 1e-5, "weight_decay": 0.06, "label_smoothing": 0.1},
}
MOVES = {"mirror": 0.5, "shear": 0.3, "shift": 1, "turn": 30, "cut": 1}
DATASET = "sim-gestures"
STUDY = parse_study(
    {
        "study": "small",
        "seeds": [0],
        "datasets": {
            DATASET: {
                "source": {"train": 22, "validation": 11, "test": 11, "seed": 0},
                "framing": {"steps": 2, "slice_by": "count"},
                "network": {
                    **{"architecture": "spikformer", "width": 8, "depth": 1, "heads": 1},
                    **{"mlp_ratio": 1, "pools": [True, True, True, True]},
                },
            }
        },
        "float_training": RECIPE,
        "qat": RECIPE,
        "boundary_layers": "searched",
        "schemes": {"uniform": [2]},
        "searches": {},
    }
)
CELLS = [cell.name for cell in STUDY.rows]
PLAN = STUDY.datasets[DATASET]
WILDCARDS = {"dataset": DATASET, "seed": "0"}
CPU = {"gpu": 0}


def quiet(line: str) -> None:
    pass


@pytest.fixture(scope="module", autouse=True)
def scripts() -> Iterator[None]:
    """They import each other by their bare names."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "workflow/scripts")
        yield


def script(name: str) -> ModuleType:
    return import_module(name)


@pytest.mark.parametrize("name", SCRIPTS)
def test_importing_a_script_runs_nothing_and_its_main_takes_parts_of_a_rule(name):
    parameters = signature(script(name).main).parameters
    assert "say" in parameters and set(parameters) <= PARTS
    assert {each.kind.name for each in parameters.values()} == {"KEYWORD_ONLY"}


def make(kind: str, folder: Path, **output: Any) -> dict[str, Any]:
    """The output of a script, under names of its own, its record of settings among them."""
    (folder / kind).mkdir()
    return {name: str(folder / kind / file) for name, file in output.items()} | {
        "settings": str(folder / kind / "settings.json")
    }


@pytest.fixture(scope="module")
def study(scripts: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What each script of a small study was told to write."""
    folder = tmp_path_factory.mktemp("study")
    made_by = {"made_by": {}, "source": PLAN.source}
    events = make("events", folder, **{each: each for each in SPLITS}, samples="samples.csv")
    script("make_events").main(
        input={"archives": []}, output=events, params=made_by, wildcards=WILDCARDS, say=quiet
    )
    frames = make("frames", folder, **{each: each for each in SPLITS}, table="events.csv")
    script("make_frames").main(
        input=events,
        output=frames,
        params={"framing": PLAN.framing.model_dump(), **made_by},
        wildcards=WILDCARDS,
        say=quiet,
    )
    linear = make("linear", folder, linear="linear.npz")
    script("train_linear").main(input=frames, output=linear, params=made_by, say=quiet)
    training = {"augmentation": None, "recipe": RECIPE, **made_by}
    networks = {}
    for cell in CELLS:
        networks[cell] = make(cell, folder, network="a", selected="b", history="c")
        how = {"network": PLAN.network.model_dump()}
        if cell != "float":
            choice = ("uniform", 2) if cell == "uniform-2" else None
            how = {"choice": choice, "boundary_layers": "searched", "distillation": None}
        script("train_float" if cell == "float" else "train_quantized").main(
            input=frames | {"code": [], "float_network": networks["float"]["selected"]},
            output=networks[cell],
            params=training | how,
            wildcards=WILDCARDS,
            resources=CPU,
            say=quiet,
        )
    of_test = {"test": frames["test"], "events": events["test"]}
    evaluation = {}
    for cell in CELLS:
        packed = {kind: str(folder / f"{cell}/packed-{kind}") for kind in ("network", "selected")}
        script("pack_network").main(
            input=networks[cell] | {"validation": frames["validation"]},
            output=packed,
            params={"configuration": "0" * 64},
            wildcards=WILDCARDS | {"row": cell},
            say=quiet,
        )
        files = {"predictions": "p", "layers": "l", "networks": "n", "spikes": "s"}
        evaluation[cell] = make(f"of-{cell}", folder, **files)
        script("evaluate_test").main(
            input=of_test | packed,
            output=evaluation[cell],
            wildcards=WILDCARDS | {"row": cell},
            say=quiet,
        )
    of_linear = make("of-linear", folder, predictions="p")
    script("evaluate_linear").main(
        input=of_test | {"linear": linear["linear"]},
        output=of_linear,
        wildcards={"dataset": DATASET},
        say=quiet,
    )
    tables = {
        kind: [evaluation[cell][kind] for cell in CELLS]
        for kind in ("predictions", "layers", "networks", "spikes")
    }
    tables["linear"] = [of_linear["predictions"]]
    return {"frames": frames, "evaluation": tables, **networks}


def test_every_network_is_evaluated_on_each_test_recording(study):
    files = study["evaluation"]
    linear, predictions, networks = (
        pd.concat(map(pd.read_csv, files[kind])) for kind in ("linear", "predictions", "networks")
    )
    assert len(linear) == 11
    assert predictions["cell"].value_counts().to_dict() == dict.fromkeys(CELLS, 11)
    networks = networks.set_index("cell")
    assert list(networks.index) == CELLS
    right = predictions["label"] == predictions["prediction"]
    assert (
        networks["accuracy"].to_dict() == right.groupby(predictions["cell"]).mean()[CELLS].to_dict()
    )
    for file in chain(*files.values()):
        check(file)


def test_tables_are_written_where_the_rule_says_and_nowhere_else(study, tmp_path):
    names = ("results.csv", "firing.csv", "sizes.tex", "summary.md")
    output = {name: str(tmp_path / f"{name}.csv") for name in ("layers", "events")}
    output |= {name: str(tmp_path / f"{name}.json") for name in ("metrics", "machine", "shown")}
    output |= {"findings": str(tmp_path / "findings.md")}
    script("write_tables").main(
        input={
            "claims": "config/claims.yaml",
            "paper": "config/paper.yaml",
            **study["evaluation"],
            "events": [study["frames"]["table"]],
            "histories": [study[cell]["history"] for cell in CELLS],
            "searches": [],
        },
        output=output | {"tables": [str(tmp_path / name) for name in names]},
        params={
            "kernels": "portable",
            "labels": {DATASET: f"{DATASET} (as told)"},
            "qat": STUDY.qat,
            "cells": STUDY.rows,
            "networks": [(DATASET, 0, cell) for cell in CELLS],
            "searched": [],
            "steps": {DATASET: 2},
        },
        say=quiet,
    )
    written = [*map(Path, output.values()), *(tmp_path / name for name in names)]
    assert {*tmp_path.iterdir()} == {*written, *map(seal_of, written)}
    results = pd.read_csv(tmp_path / "results.csv")
    assert results["cell"].tolist() == CELLS
    assert set(results["dataset"]) == {f"{DATASET} (as told)"}
    # what neurons do is what the operations say of them
    firing = pd.read_csv(tmp_path / "firing.csv").set_index(["cell", "layer"])
    layers = pd.read_csv(output["layers"]).query("kind == 'neurons'").set_index(["cell", "layer"])
    assert len(firing) == len(layers) > 3 * 8
    np.testing.assert_allclose(firing["rate"], 100 * layers["rate"].loc[firing.index], rtol=1e-5)
    assert (firing["neurons"] == layers["outputs"].loc[firing.index]).all()


def test_a_training_that_stopped_goes_on_to_the_same_bits(study, tmp_path, capsys):
    def train(say: Any) -> None:
        script("train_float").main(
            input=study["frames"] | {"code": []},
            output=output,
            params={
                **{"network": PLAN.network.model_dump(), "recipe": RECIPE, "augmentation": None},
                "made_by": {},
            },
            wildcards=WILDCARDS,
            resources=CPU,
            say=say,
        )

    def stop(line: str) -> None:
        if line.startswith("epoch 2"):
            raise KeyboardInterrupt

    output = make("float", tmp_path, network="a", selected="b", history="c")
    with pytest.raises(KeyboardInterrupt):
        train(stop)
    left = {"a.resume", "a.resume.sha256"}
    assert {path.name for path in (tmp_path / "float").iterdir()} == left
    lines: list[str] = []
    train(lines.append)
    assert lines[0] == "goes on after epoch 1" and lines[1].startswith("epoch 2: ")
    for name in ("network", "selected", "history"):
        assert Path(output[name]).read_bytes() == Path(study["float"][name]).read_bytes()
    assert not left & {path.name for path in (tmp_path / "float").iterdir()}


@pytest.mark.parametrize(
    ("cell", "changes"),
    [
        ("float-tuned", {}),
        ("float-tuned", {"distillation": {"share": 0.5, "temperature": 2.0}}),
        ("float-tuned", {"augmentation": MOVES}),
        ("uniform-2", {}),
    ],
)
def test_a_training_learns_as_it_is_told(study, tmp_path, cell, changes):
    """A row trained once more: the same bits, and others with a teacher or with augmentation."""
    again = make("again", tmp_path, network="a", selected="b", history="c")
    script("train_quantized").main(
        input=study["frames"] | {"code": [], "float_network": study["float"]["selected"]},
        output=again,
        params={
            **{"choice": ("uniform", 2) if cell == "uniform-2" else None, "distillation": None},
            **{"boundary_layers": "searched", "recipe": RECIPE, "augmentation": None},
            **{"made_by": {}, **changes},
        },
        wildcards=WILDCARDS,
        resources=CPU,
        say=quiet,
    )
    plain = pd.read_csv(study[cell]["history"])["train_loss"].tolist()
    found = pd.read_csv(again["history"])["train_loss"].tolist()
    assert (found == plain) == (not changes)


@pytest.mark.parametrize(("draw", "seed"), [(0, 3), (2, 2003)])
def test_a_draw_of_a_search_has_a_seed_of_its_own(study, tmp_path, monkeypatch, draw, seed):
    """Seeds of a study end below 1,000: draws are so far apart that none repeats another's."""
    told: dict[str, Any] = {}

    def of(model: Any, train: Any, space: Any, **how: Any) -> np.ndarray:
        told.update(how)
        return np.zeros((len(space.weights), len(space.candidates)))

    monkeypatch.setattr(script("score_candidates"), "load", lambda name: SimpleNamespace(scores=of))
    wanted = {"name": "random", "candidates": {"uniform": [2, 4]}, "draw": draw, "settings": {}}
    job = {
        "wildcards": WILDCARDS | {"seed": "3"},
        **{"resources": CPU, "say": quiet},
    }
    params = {"boundary_layers": "searched", "made_by": {}}
    files = {"train": study["frames"]["train"], "float_network": study["float"]["selected"]}
    scored = {"scores": str(tmp_path / "scores")}
    script("score_candidates").main(
        input=files, output=scored, params=params | {"search": wanted}, **job
    )
    assert told["seed"] == seed
    output = make("search", tmp_path, search="a")
    for budget, widths in ((2.5, {2, 4}), (2.0, {2})):
        script("search_assignment").main(
            input=files | scored,
            output=output,
            params=params | {"search": wanted | {"budget": budget}},
            **job,
        )
        found = json.loads(intact(output["search"]))
        assert found["passes"] == 0
        assert {bits for _, bits in found["assignment"].values()} == widths


def test_ways_to_choose_an_epoch_by_hand(tmp_path):
    run = {
        **{"dataset": ["sim-a"] * 2, "seed": [0, 0], "epoch": [1, 2]},
        **{"validation_accuracy": [0.5, 0.75], "validation_loss": [1.0, 1.0]},
        "test_accuracy": [0.75, 0.5],
    }
    jobs, lines = script("jobs"), []
    epochs, csv, markdown = (str(tmp_path / name) for name in ("epochs", "csv", "markdown"))
    jobs.write_text(epochs, pd.DataFrame(run).to_csv(index=False))
    script("compare_epochs").main(
        input={"epochs": [epochs]}, output={"csv": csv, "markdown": markdown}, say=lines.append
    )
    (row,) = pd.read_csv(csv).to_dict("records")
    assert (row["last"], row["selected"], row["best"], row["optimism"]) == (50, 50, 75, 25)
    assert lines == ["best test epoch over validation's: +25.0 points on average"]
    assert b"sim-a" in intact(markdown)
