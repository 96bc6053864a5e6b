"""What more epochs change: by hand, and the rows of a study that it comes from."""

import pandas as pd
import pytest
from projects import SMOKE

from hetspike.errors import UserError
from hetspike.results.effort import effort_table
from hetspike.results.present import load
from hetspike.study.study import parse_study

LONGER = {"rows": ["float", "float-tuned", "uniform-2"], "times": [2, 4]}
# validation accuracy of the last epoch, by row and seed
LAST = {
    "float-tuned": (0.90, 0.92, 0.94),
    "float-tuned-x2": (0.91, 0.93, 0.95),
    "uniform-2": (0.80, 0.80, 0.80),
    "uniform-2-x2": (0.81, 0.82, 0.83),  # one, two and three points more
    "uniform-2-x4": (0.81, 0.82, 0.83),
}


def cells() -> pd.DataFrame:
    table = pd.DataFrame({"cell": ["float", *LAST]})
    times = table["cell"].str.extract(r"-x(\d)$")[0].fillna("1").astype(int)
    return table.assign(times=times)


def histories() -> pd.DataFrame:
    """The last epoch is not the best one, and stands first."""
    rows = []
    for cell, accuracies in LAST.items():
        epochs = 3 * int(cell.rpartition("-x")[2]) if "-x" in cell else 3
        for seed, accuracy in enumerate(accuracies):
            rows += [(cell, seed, epochs, accuracy), (cell, seed, epochs - 1, 0.99)]
    columns = ["cell", "seed", "epoch", "validation_accuracy"]
    return pd.DataFrame(rows, columns=columns).assign(dataset="sim-a")


def test_changes_by_hand():
    table = effort_table(histories(), cells())
    assert table["cell"].tolist() == ["float-tuned"] * 2 + ["uniform-2"] * 3
    assert table["epochs"].tolist() == [3, 6, 3, 6, 12]
    assert table["accuracy"].tolist() == pytest.approx([92, 93, 80, 82, 82])
    assert table["accuracy_sd"].tolist() == pytest.approx([2, 2, 0, 1, 1])
    changes = table[["change", "change_low", "change_high"]]
    assert changes.isna().all(axis=1).tolist() == [True, False, True, False, False]
    # mean 2, standard deviation 1, t of 2 degrees of freedom 4.303: 2 ± 4.303 / sqrt(3)
    assert changes.iloc[3].tolist() == pytest.approx([2, -0.484, 4.484], abs=1e-3)
    assert changes.iloc[4].tolist() == pytest.approx([0, 0, 0])


def test_the_table_for_people():
    table = effort_table(histories(), cells())
    shown = load("effort").shown(table)["Change from half as many (pp)"]
    assert shown.tolist() == ["", "+1.0", "", "+2.0 [-0.5, +4.5]", "+0.0"]
    assert "simulated stand-ins" in load("effort").caption(table)


def test_one_seed_has_no_interval():
    table = effort_table(histories().query("seed == 0"), cells())
    assert table["change"].dropna().tolist() == pytest.approx([1, 1, 0])
    assert table["change_low"].isna().all()


def test_rows_of_a_study_are_repeated_with_more_epochs():
    study = parse_study(SMOKE | {"longer": LONGER})
    repeated = {row.name: row for row in study.rows if row.repeated}
    assert list(repeated) == [f"{row}-x{n}" for row in LONGER["rows"] for n in LONGER["times"]]
    for name, row in repeated.items():
        assert (row.plain, row.against) == (name[:-3],) * 2
        plain = next(each for each in study.rows if each.name == row.plain)
        one, other = (study.network_made_by("sim-gestures", each) for each in (row, plain))
        recipe = "float_training" if plain.name == "float" else "qat"
        longer = {"epochs": row.times * getattr(study, recipe).epochs}
        assert one.pop(recipe) == other.pop(recipe) | longer
        assert one == other
    longer = {"rows": ["uniform-7"], "times": [2]}
    with pytest.raises(UserError, match=r"longer.rows: there is no row 'uniform-7' to repeat"):
        parse_study(SMOKE | {"longer": longer})
    with pytest.raises(UserError, match=r"longer.times"):
        parse_study(SMOKE | {"longer": LONGER | {"times": [1]}})
