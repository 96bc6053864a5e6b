"""Every verdict, derived a second time from the files alone, without `hetspike.results.claims`.

The reading below is one of its own: claims as plain YAML, results as rows of text.
"""

import io
import json

import pandas as pd
import pytest
from projects import published
from verdicts import CLAIMS, JUDGED, all_judged, rows_of, told

from hetspike.results.claims import claims_table, parse_claims
from hetspike.results.tables import RESULT_COLUMNS

DEFAULT = "results/default"
PAPERS = {  # our names of the paper's recordings, and of what stands in for them
    "n-caltech101": "sim-saccade-characters",
    "dvs-gesture": "sim-gestures",
    "cifar10-dvs": "sim-orbit-textures",
}


@pytest.fixture(scope="module")
def tables() -> dict[str, str]:
    """Published tables and metrics by their path in the study's folder."""
    return {
        name.removeprefix(f"{DEFAULT}/"): content.decode()
        for name, content in published("reproduce").items()
        if name.endswith((".csv", ".json"))
    }


def test_published_verdicts_follow_from_published_results(tables):
    verdicts = told(tables["tables/claims.csv"])
    assert verdicts == all_judged(rows_of(tables["tables/results.csv"]))
    of_energy = {verdict for claim, _, verdict in verdicts if claim.startswith("C4")}
    usual = {"met within 20 %", "exceeded", "missed", "not run"}
    assert usual <= of_energy <= {*usual, "inconclusive"}
    others = {verdict for claim, _, verdict in verdicts if not claim.startswith("C4")}
    assert others <= {"supported", "not supported", "inconclusive", "not run"}


def test_published_metrics_lie_in_the_intervals_that_are_judged(tables):
    metrics = json.loads(tables["metrics.json"])
    cells = {(row["dataset"], row["cell"]): row for row in rows_of(tables["tables/results.csv"])}
    assert {(dataset, cell) for dataset in metrics for cell in metrics[dataset]} == cells.keys()
    for (dataset, cell), row in cells.items():
        for measure, value in metrics[dataset][cell].items():
            assert value == pytest.approx(float(row[measure]), rel=1e-5, abs=1e-5)
            low, high = (float(row[f"{measure}_{end}"]) for end in ("low", "high"))
            assert low - 1e-4 <= value <= high + 1e-4


def test_what_was_measured_is_what_the_results_say(tables):
    """The numbers that a claim shows beside its verdict are those of the row that it names."""
    cells = {(row["dataset"], row["cell"]): row for row in rows_of(tables["tables/results.csv"])}
    measures = {claim["id"]: claim["measure"] for claim in JUDGED}
    for row in rows_of(tables["tables/claims.csv"]):
        if row["verdict"] == "not run":
            assert row["measured"] == ""
            continue
        value = float(cells[row["dataset"], row["cell"]][measures[row["id"]]])
        shown, *_ = row["measured"].replace("x", " ").split()
        digits = len(shown.partition(".")[2])
        assert abs(float(shown) - value) <= 0.51 * 10**-digits


# The paper's own recordings


def test_claims_on_the_papers_recordings_are_not_run_yet(tables):
    claimed = told(tables["tables/claims.csv"])
    own = [(dataset, verdict) for _, dataset, verdict in claimed if dataset in PAPERS]
    assert {*own} == {(dataset, "not run") for dataset in PAPERS}


def claims_on(results: pd.DataFrame) -> pd.DataFrame:
    return claims_table(parse_claims(CLAIMS, "config/claims.yaml"), results)


def test_they_are_judged_as_soon_as_results_have_those_rows(tables):
    """As if the stand-ins' rows had been measured on the recordings that they stand for."""
    stand_ins = pd.read_csv(io.StringIO(tables["tables/results.csv"]))
    names = {stand_in: own for own, stand_in in PAPERS.items()}
    own = stand_ins.assign(dataset=stand_ins["dataset"].map(names))
    before = claims_on(stand_ins).set_index(["id", "dataset"])["verdict"]
    after = claims_on(own).set_index(["id", "dataset"])["verdict"]
    for (claim, dataset), verdict in after.items():
        if dataset in PAPERS:
            assert before[claim, dataset] == "not run"
            if (stand_in := PAPERS[dataset]) in dict(before[claim]):
                assert verdict == before[claim, stand_in]
            else:
                assert verdict != "not run"
        else:
            assert verdict == "not run"
    written = rows_of(own.to_csv(index=False))
    assert [(*key, verdict) for key, verdict in after.items()] == all_judged(written)


@pytest.mark.parametrize(
    ("accuracy", "verdict"),
    [
        ((98, 96, 99), "supported"),
        ((96, 95.79, 97), "supported"),  # 97.57 - 1.96 sqrt(0.9757 * 0.0243 / 288) = 95.79
        ((96, 95.7, 97), "inconclusive"),
        ((94, 92, 95.7), "not supported"),
    ],
)
def test_an_accuracy_on_dvs_gesture_by_hand(accuracy, verdict):
    row = dict.fromkeys(RESULT_COLUMNS, 1.0) | {"dataset": "dvs-gesture", "cell": "fisher-3.67"}
    measured = dict(zip(("accuracy", "accuracy_low", "accuracy_high"), accuracy, strict=True))
    table = claims_on(pd.DataFrame([row | measured])).set_index(["id", "dataset"])
    assert table.loc[("C5-gesture", "dvs-gesture"), "verdict"] == verdict
    assert table.loc[("C5-cifar", "cifar10-dvs"), "verdict"] == "not run"
