"""Configurations: the shipped ones are valid, wrong ones are refused with a line that helps."""

from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from hetspike.errors import UserError
from hetspike.study import parse_study

CONFIG = Path(__file__).parents[1] / "config"
DEFAULT = yaml.safe_load((CONFIG / "default.yaml").read_text())


@pytest.mark.parametrize("path", sorted(CONFIG.glob("*.yaml")), ids=lambda path: path.name)
def test_shipped_studies_are_valid_and_named_after_their_file(path):
    content = yaml.safe_load(path.read_text())
    if path.name == "claims.yaml":
        assert "study" not in content
    else:
        assert parse_study(content).study == path.stem


def test_the_default_study_is_the_papers_comparison():
    study = parse_study(DEFAULT)
    assert [cell.name for cell in study.cells] == [
        *("float", "float-tuned", "uniform-2", "uniform-3", "uniform-4", "uniform-8"),
        *("pot-3", "pot-4", "dnas-3.67", "dnas-3.14", "dnas-2.5"),
    ]
    assert study.seeds == (0, 1, 2)
    assert all(name.startswith("sim-") for name in study.datasets)
    for plan in study.datasets.values():
        assert plan.source["train"] >= 1000
        assert plan.source["validation"] >= 200
        assert plan.source["test"] >= 500


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
        ("schemes.cubic", [3], "unknown scheme 'cubic': use one of uniform, pot"),
        ("candidates.cubic", [3], "unknown scheme 'cubic'"),
        ("searches.magic", {"budgets": [3], "settings": {}}, "unknown search 'magic'"),
        ("learning_rate", 1.0, "unknown key 'learning_rate': remove it"),
        ("qat.epoch", 3, "unknown key 'qat.epoch'"),
        ("datasets.sim-gestures.source.sed", 1, "key 'datasets.sim-gestures.source.sed'"),
        ("datasets.sim-gestures.source.seed", None, "'datasets.sim-gestures.source.seed' is miss"),
        ("datasets.sim-gestures.source.train", "many", "'datasets.sim-gestures.source.train': "),
        ("datasets.sim-gestures.network.heads", 5, "5 heads do not divide width"),
        ("searches.dnas.settings.speed", 2, "unknown key 'searches.dnas.settings.speed'"),
        ("searches.dnas.budgets", [1.5], "budget 1.5 is out of reach, .* 2 to 8"),
        ("searches.dnas.budgets", [9], "budget 9 is out of reach"),
        ("schemes.pot", [9], "key 'schemes.pot.0': .* 8, not 9"),
        ("qat.epochs", 0, "key 'qat.epochs': .* greater than 0, not 0"),
        ("qat.label_smoothing", 1.5, "key 'qat.label_smoothing'"),
        ("seeds", [], "key 'seeds'"),
        ("study", "../elsewhere", "key 'study'"),
        ("float_training", None, "key 'float_training' is missing: add it"),
    ],
)
def test_a_wrong_key_is_named_in_one_line(path, value, message):
    with pytest.raises(UserError, match=message) as caught:
        parse_study(changed(path, value))
    assert "\n" not in str(caught.value)
