"""Studies that share: what is taken, what is refused with the key, and that nothing is written."""

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from projects import SMOKE, complaint, long_run, output_of, planned, results, write_study

from hetspike.atomic import sealed
from hetspike.errors import UserError
from hetspike.study.sharing import Job, offered
from hetspike.study.study import parse_study

MADE_BY = {"kernels": "portable", "qat": {"epochs": 5, "mixup": None}, "candidates": {"pot": [3]}}
JOB = Job("settings/a.json", ("a.csv", "last/a.csv"), MADE_BY, None)


def left(folder: Path, job: Job = JOB, **record: Any) -> Path:
    """A folder in which the job ran, with this record."""
    for name in job.files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("1")
    (folder / "settings").mkdir()
    with sealed(folder / job.record) as part:
        part.write_text(json.dumps({"settings": MADE_BY, "device": "cpu"} | record))
    return folder


def test_what_the_same_settings_made_is_taken_and_what_is_not_there_is_not(tmp_path):
    assert offered(tmp_path, [JOB]) == set()
    left(tmp_path)
    other = JOB._replace(record="settings/b.json", files=("b.csv",))
    assert offered(tmp_path, [JOB, other]) == {"a.csv", "last/a.csv"}
    # settings are compared as json has them
    assert offered(tmp_path, [JOB._replace(made_by=MADE_BY | {"candidates": {"pot": (3,)}})])
    (tmp_path / "a.csv").unlink()
    assert offered(tmp_path, [JOB]) == set()  # half of a job's files is none


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kernels": "fastest"}, 'kernels: "portable" there, "fastest" here'),
        ({"qat": {"epochs": 6, "mixup": None}}, "qat.epochs: 5 there, 6 here"),
        ({"qat": {"epochs": 5}}, "qat.mixup: null there, not set here"),
        ({"candidates": {"pot": [3, 4]}}, "candidates.pot: [3] there, [3, 4] here"),
        ({"candidates": {}}, "candidates: not set there, {} here"),
        ({"distillation": {"share": 1}}, "distillation.share: not set there, 1 here"),
    ],
)
def test_a_setting_that_differs_is_named_with_both_values(tmp_path, change, said):
    with pytest.raises(UserError) as error:
        offered(left(tmp_path), [JOB._replace(made_by=MADE_BY | change)])
    assert str(error.value) == (
        f"{tmp_path}/a.csv is shared but was made by other settings, {said}: set both studies "
        "alike, or remove `shares`"
    )


def test_a_device_counts_where_a_study_asks_for_one(tmp_path):
    left(tmp_path, device="gpu")
    assert offered(tmp_path, [JOB])
    with pytest.raises(UserError, match="device: gpu there, cpu here"):
        offered(tmp_path, [JOB._replace(device="cpu")])


def test_what_does_not_say_what_made_it_is_refused(tmp_path):
    record = left(tmp_path) / JOB.record
    record.write_text(record.read_text().replace("5", "6"))
    with pytest.raises(UserError, match=r"a\.json is damaged .*: delete .*csv, or run the study"):
        offered(tmp_path, [JOB])
    with sealed(record) as part:
        part.write_text("[]")
    with pytest.raises(UserError, match=r"a\.json holds no settings: delete"):
        offered(tmp_path, [JOB])
    record.unlink()
    with pytest.raises(UserError, match=r"a\.csv is shared but does not say what made it: delete"):
        offered(tmp_path, [JOB])


def settings_of(content: Any, key: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every number of a configuration and where it stands."""
    if isinstance(content, dict):
        for name, value in content.items():
            yield from settings_of(value, (*key, name))
    elif isinstance(content, int | float) and not isinstance(content, bool):
        yield key, content


def test_every_number_of_a_study_is_part_of_what_made_something(tried):
    """Another value somewhere makes another network, search, or frames of some row."""

    def made(content: dict[str, Any]) -> list[Any]:
        study = parse_study(content)
        return [
            json.dumps([study.network_made_by(name, cell), study.frames_made_by(name)])
            for name in study.datasets
            for cell in study.rows
        ]

    changed = 0
    for key, value in settings_of({name: SMOKE[name] for name in SMOKE if name != "seeds"}):
        content = deepcopy(SMOKE)
        part: Any = content
        for name in key[:-1]:
            part = part[name]
        # half as much of what is a fraction, twice as much of what is counted
        part[key[-1]] = value / 2 if isinstance(value, float) else 2 * value or 1
        assert made(content) != made(SMOKE), key
        changed += 1
    tried("studies that share", "a setting changed", right=changed)


# Through Snakemake


def sharing(**changes: Any) -> dict[str, Any]:
    return deepcopy(SMOKE) | {"study": "other", "shares": "smoke"} | changes


@long_run
def test_a_study_that_shares_makes_only_what_is_its_own_and_in_its_own_folder(moved):
    before = results(moved)
    study = sharing(schemes={"uniform": [2, 4], "pot": [3]})
    assert planned(moved, write_study(moved, study)) == {
        **{"quantize": 4, "pack": 28, "evaluate": 28, "evaluate_linear": 2},
        **{"tables": 1, "figures": 1, "report": 1},
    }
    made = "networks/sim-gestures/0/uniform-4"
    output_of(moved, f"results/other/{made}.csv", "--cores", "1", "--configfile", "study.yaml")
    after = results(moved)
    assert {name: after[name] for name in before} == before
    own = {name.removesuffix(".sha256") for name in after.keys() - before.keys()}
    assert own == {
        f"other/{made}.csv",
        f"other/{made}.safetensors",
        "other/networks/sim-gestures/0/selected/uniform-4.safetensors",
        "other/settings/networks/sim-gestures/0/uniform-4.json",
    }


@long_run
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kernels": "fastest"}, ["events/", 'kernels: "portable" there, "fastest" here']),
        (
            {"qat": SMOKE["qat"] | {"learning_rate": 0.006}},
            ["0/float-tuned.safetensors", "qat.learning_rate: 0.003 there, 0.006 here"],
        ),
        (
            {
                "searches": SMOKE["searches"]
                | {
                    "fisher": SMOKE["searches"]["fisher"]
                    | {"settings": {"recordings": 32, "batch_size": 8}}
                }
            },
            ["fisher-3.14.json", "search.settings.recordings: 64 there, 32 here"],
        ),
    ],
)
def test_a_study_that_shares_is_refused_where_a_setting_differs(moved, change, words):
    before = results(moved)
    line = complaint(moved, sharing(**change))
    assert line.startswith("hetspike: results/smoke/")
    assert [word for word in words if word not in line] == []
    assert results(moved) == before
