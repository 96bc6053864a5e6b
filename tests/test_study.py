"""Configurations: the shipped ones are valid, wrong ones are refused with a line that helps."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from projects import shipped

from hetspike.data.events import DATASETS
from hetspike.documents import read
from hetspike.errors import UserError
from hetspike.study.study import parse_study

CONFIG = Path(__file__).parents[1] / "config"
STUDIES = [
    path.stem
    for path in sorted(CONFIG.glob("*.yaml"))
    if path.stem not in ("claims", "stand-ins", "tolerances")
]


DEFAULT = shipped("default")
STAND_INS = read(CONFIG / "stand-ins.yaml")


@pytest.mark.parametrize("name", STUDIES)
def test_shipped_studies_are_valid_and_named_after_their_file(name):
    assert parse_study(shipped(name)).study == name


def test_claims_are_about_datasets_that_exist():
    """One of another name would be judged on nothing, and nobody would hear of it."""
    content = read(CONFIG / "claims.yaml")
    kinds = ("paper", "claims", "energy_claims")
    named = {name for kind in kinds for each in content[kind] for name in each["datasets"]}
    assert named <= DATASETS.keys()


def test_the_default_study_is_the_papers_comparison():
    study = parse_study(DEFAULT)
    assert [cell.name for cell in study.rows] == [
        *("float", "float-tuned", "uniform-2", "uniform-3", "uniform-8", "pot-3"),
        *("fisher-3.67", "fisher-3.14", "fisher-2.5", "dnas-3.14"),
    ]
    assert study.seeds == (0, 1, 2)
    assert all(name.startswith("sim-") for name in study.datasets)
    for plan in study.datasets.values():
        assert plan.source["validation"] >= 1000
        assert plan.source["test"] >= 3000


def test_the_papers_study_has_its_size_its_protocols_and_the_recipes_of_the_field():
    study = parse_study(yaml.safe_load((CONFIG / "paper.yaml").read_text()))
    protocols = {name: plan.source["protocol"] for name, plan in study.datasets.items()}
    assert protocols == dict(
        zip(study.datasets, ["first90", "original-288", "first90"], strict=True)
    )
    assert {cell.name for cell in study.rows} >= {c.name for c in parse_study(DEFAULT).rows}
    assert len(study.seeds) == 3 and study.device == "gpu-if-present"
    for plan in study.datasets.values():
        size = plan.network
        assert (size.width, size.depth, size.heads, size.mlp_ratio) == (256, 2, 16, 4)
        assert all(size.pools) and (plan.framing.steps, plan.framing.slice_by) == (16, "count")
    mirrored = {name: plan.augmentation.mirror for name, plan in study.datasets.items()}
    assert mirrored == {"n-caltech101": 0.5, "dvs-gesture": 0, "cifar10-dvs": 0.5}
    recipes = {name: study.float_training_of(name) for name in study.datasets}
    assert {name: (recipe.epochs, recipe.learning_rate) for name, recipe in recipes.items()} == {
        "n-caltech101": (130, 5e-3),
        "dvs-gesture": (202, 1e-3),
        "cifar10-dvs": (106, 1e-3),
    }
    for recipe in recipes.values():
        assert (recipe.warmup_epochs, recipe.cooldown_epochs, recipe.batch_size) == (10, 10, 16)
        assert (recipe.weight_decay, recipe.label_smoothing) == (0.06, 0.1)
        assert recipe.mixup.alpha == 0.5 and recipe.mixup.epochs == 75


def test_a_dataset_may_have_a_recipe_of_its_own():
    other = DEFAULT["float_training"] | {"epochs": 7}
    study = parse_study(changed("datasets.sim-gestures.float_training", other))
    assert study.float_training_of("sim-gestures").epochs == 7
    assert study.float_training_of("sim-orbit-textures").epochs == 30
    plain = parse_study(DEFAULT)
    for dataset, same in (("sim-gestures", False), ("sim-orbit-textures", True)):
        cell = study.rows[0]
        assert (study.fingerprint(dataset, cell) == plain.fingerprint(dataset, cell)) is same


def changed(path: str, value: object) -> dict:
    """The default configuration with the key at a dotted path set, or removed (None)."""
    config = deepcopy(DEFAULT)
    *parents, last = path.split(".")
    inner = config
    for parent in parents:
        inner = inner[parent]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return config


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("datasets.mnist", DEFAULT["datasets"]["sim-gestures"], "unknown dataset 'mnist': use one"),
        ("schemes.cubic", [3], "unknown scheme 'cubic': use one of binary, uniform"),
        ("candidates.cubic", [3], "unknown scheme 'cubic'"),
        ("searches.dnas.search", "magic", "unknown search 'magic': use one of random"),
        ("learning_rate", 1.0, "unknown key 'learning_rate': remove it"),
        ("qat.epoch", 3, "unknown key 'qat.epoch'"),
        ("datasets.sim-gestures.source.sed", 1, "key 'datasets.sim-gestures.source.sed'"),
        ("datasets.sim-gestures.source.seed", None, "'datasets.sim-gestures.source.seed' is miss"),
        ("datasets.sim-gestures.source.train", "many", "'datasets.sim-gestures.source.train': "),
        ("datasets.sim-gestures.network.heads", 5, "network: heads: 5 heads do not divide width"),
        (
            "datasets.sim-saccade-characters.network.width",
            "wide",
            "'datasets.sim-saccade-characters.network.width': ",
        ),
        ("datasets.sim-gestures.network.architecture", "resnet", "no architecture 'resnet': name"),
        ("datasets.sim-gestures.network.architecture", None, "no architecture"),
        ("searches.dnas.settings.speed", 2, "unknown key 'searches.dnas.settings.speed'"),
        ("searches.dnas.budgets", [1.5], "budget 1.5 is out of reach, .* 2 to 8"),
        ("searches.dnas.budgets", [9], "budget 9 is out of reach"),
        ("schemes.pot", [9], "schemes.pot: 9 is not a width of pot, which takes 2 to 8 bits"),
        ("candidates.binary", [1, 2], "candidates.binary: 2 is not a width of binary"),
        ("searches.dnas.candidates", {"apot": [3]}, "searches.dnas.candidates.apot: 3 is not"),
        ("searches.dnas.draws", 0, "key 'searches.dnas.draws'"),
        ("searches.dnas.against", "random", "'random' is no row of searches"),
        ("distillation", {"share": 2, "temperature": 1, "rows": []}, "key 'distillation.share'"),
        (
            "distillation",
            {"share": 0.5, "temperature": 1, "rows": ["float"]},
            "no row 'float' to repeat: use some of float-tuned, uniform-2",
        ),
        ("qat.epochs", 0, "key 'qat.epochs': .* greater than 0, not 0"),
        ("qat.label_smoothing", 1.5, "key 'qat.label_smoothing'"),
        ("seeds", [], "key 'seeds'"),
        ("kernels", "quick", "key 'kernels': .*'fastest' or 'portable', not 'quick'"),
        ("study", "../elsewhere", "key 'study'"),
        ("float_training", None, "key 'float_training' is missing: add it"),
    ],
)
def test_a_wrong_key_is_named_in_one_line(path, value, message):
    with pytest.raises(UserError, match=message) as caught:
        parse_study(changed(path, value))
    assert "\n" not in str(caught.value)


def test_searches_name_their_rows_draws_and_counterparts():
    study = parse_study(shipped("search"))
    cells = {cell.name: cell for cell in study.rows}
    assert {cells[f"random-2.5-{draw}"].draw for draw in (1, 2)} == {0, 1}
    assert cells["fisher-binary-2.5"].against == "fisher-2.5"
    assert cells["fisher-binary-2"].against == ""  # fisher has no such budget
    assert cells["fisher-binary-2-kd"].against == "fisher-binary-2"
    assert cells["fisher-binary-2-kd"].plain == "fisher-binary-2"
    assert study.candidates_of("fisher") == study.candidates
    assert study.candidates_of("fisher-uniform") == {"uniform": (2, 3, 4, 6, 8)}


@pytest.mark.parametrize("name", ["search", "decisive", "effort"])
def test_studies_that_share_networks_search_alike(name):
    other = shipped(name)
    assert other["shares"] == DEFAULT["study"]
    both = DEFAULT["searches"].keys() & other["searches"].keys()
    assert "fisher" in both
    for row in both:
        ours, theirs = (
            {key: value for key, value in study["searches"][row].items() if key != "budgets"}
            for study in (other, DEFAULT)
        )
        assert ours == theirs


def test_values_are_those_that_were_checked():
    """Texts that say numbers have become numbers where they are used, and defaults stay unsaid."""
    study = parse_study(changed("datasets.sim-gestures.source.train", "1000"))
    assert study.datasets["sim-gestures"].source["train"] == 1000
    study = parse_study(changed("searches.fisher.settings.recordings", "384"))
    assert study.searches["fisher"].settings == DEFAULT["searches"]["fisher"]["settings"]
    for name, plan in parse_study(DEFAULT).searches.items():
        assert plan.settings == DEFAULT["searches"][name]["settings"]


@pytest.mark.parametrize("row", range(3))
def test_an_ablation_is_compared_with_rows_that_are_there(row):
    study = deepcopy(DEFAULT)
    both = {"draws": row + 1, "search": "random", "settings": {}}
    study["searches"] |= {
        "wide": both | {"budgets": [3, 2.5]},
        "narrow": both | {"budgets": [2.5], "candidates": {"uniform": [2, 4]}, "against": "wide"},
    }
    cells = parse_study(study).rows
    names = {cell.name for cell in cells}
    compared = [cell.against for cell in cells if cell.against]
    assert len(compared) == row + 1 and names >= {*compared}


def test_a_fingerprint_tells_what_made_a_network_and_not_what_it_is_called():
    study = parse_study(DEFAULT)
    cells = {cell.name: cell for cell in study.rows}
    prints = {
        (dataset, name): study.fingerprint(dataset, cell)
        for dataset in study.datasets
        for name, cell in cells.items()
    }
    assert len(set(prints.values())) == len(prints)
    dataset = next(iter(study.datasets))

    def after(path: str, value: Any) -> set[str]:
        """Rows whose network another setting would have made."""
        other = parse_study(changed(path, value))
        return {
            cell.name
            for cell in other.rows
            if prints.get((dataset, cell.name)) != other.fingerprint(dataset, cell)
        }

    assert after("seeds", [7, 8, 9]) == set()
    assert after("kernels", "portable") == set()  # what was asked for, not where it ran
    assert after("searches.dnas.budgets", [3.14, 3]) == {"dnas-3"}
    assert after("searches.dnas.settings.penalty", 2.0) == {"dnas-3.14"}
    assert after("qat.epochs", 6) == cells.keys() - {"float"}
    assert after("float_training.epochs", 40) == cells.keys()
    searched = {name for name, cell in cells.items() if cell.searched}
    assert after("candidates.pot", [3, 4]) == searched


@pytest.mark.parametrize("path", sorted((CONFIG / "size").glob("*.yaml")), ids=lambda p: p.stem)
def test_studies_of_size_differ_from_the_stand_ins_in_their_size_alone(path):
    both = deepcopy(shipped("size"))
    assert {key: both[key] for key in STAND_INS if key != "datasets"} == {
        key: value for key, value in STAND_INS.items() if key != "datasets"
    }
    ((name, plan),) = both["datasets"].items()
    assert plan == STAND_INS["datasets"][name]
    changed = read(path)
    assert changed.keys() == {"study", "datasets"} and changed["datasets"].keys() == {name}
    for part, values in changed["datasets"][name].items():
        assert values.keys() <= plan[part].keys()
        plan[part] |= values
    parse_study(both | {"study": changed["study"]})
