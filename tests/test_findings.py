"""The sentences that a study's tables make, word for word on tables made by hand."""

import math

import pandas as pd
import pytest

from hetspike.results.claims import OWN, claims_table, parse_claims
from hetspike.results.cost_tables import RATIOS
from hetspike.results.findings import findings, to_list

DROP = {
    **{"id": "S1", "sentence": "It loses no more than one point.", "datasets": ["a", "b", "c"]},
    **{"cell": "fisher-3", "measure": "drop", "at_most": 1.0, "tolerance": 0},
    **{"why": "a bound", "source": OWN},
}
GAIN = DROP | {
    **{"id": "S2", "sentence": "It gains.", "measure": "gain", "at_least": 0.0},
}
del GAIN["at_most"]
PLACEBO = DROP | {"id": "S3", "sentence": "Nothing changes.", "equals": 0.0, "tolerance": 1.0}
del PLACEBO["at_most"]
PAPERS = DROP | {"id": "C2", "source": "abstract"}
ENERGY = {
    **{"id": "C4", "sentence": "Energy falls 8 times", "datasets": ["a", "b"]},
    **{"cell": "fisher-3", "factor": 8.0, "source": "abstract"},
}
SAMPLE = {"seeds": 8, "recordings": 3000, "sd_seeds": 1, "half_width": 1, "power": 0.5}


def row(dataset: str, **measures: tuple[float, float, float]) -> dict:
    """A row of results whose energies are all 8.0 times less; of `ops` on dataset b 12 times."""
    values = dict.fromkeys(RATIOS, (8.0, 7.9, 8.1)) | measures
    ends = {
        f"{measure}{end}": value
        for measure, three in values.items()
        for end, value in zip(("", "_low", "_high"), three, strict=True)
    }
    return {"dataset": dataset, "cell": "fisher-3", "accuracy_low": 80.0, "chance": 10.0} | ends


RESULTS = pd.DataFrame(
    [
        row("a", drop=(0.2, -0.3, 0.7), gain=(1.0, 0.5, 1.5)),
        row("b", drop=(0.4, -1.5, 1.5), gain=(0.4, -0.2, 1.5), energy_ops=(12.0, 11.0, 13.0)),
        {**row("b"), "cell": "float-tuned"},
        {**row("a"), "cell": "float-tuned"},
    ]
)
POWER = pd.DataFrame({"n": [3, 3], "half_width": [0.61, 1.24], "power": [20.0, 71.0]})


def said(power: pd.DataFrame, **changes) -> list[str]:
    document = {"paper": [], "claims": [PAPERS, DROP, GAIN, PLACEBO], "sample": SAMPLE}
    document |= {"energy_tolerance": 0.2, "energy_claims": [ENERGY]} | changes
    claims = parse_claims(document, "claims.yaml")
    verdicts = claims_table(claims, RESULTS)
    return to_list(findings(claims, verdicts, RESULTS, power)).splitlines()


def test_word_for_word():
    drop, gain, placebo, energy, *views, sample = said(POWER)
    assert drop == (
        "- **It loses no more than one point.** Supported on a (0.2 pp [-0.3, 0.7]); inconclusive "
        "on b (0.4 pp [-1.5, 1.5]: a loss of 1.5 points is not excluded)."
    )
    assert gain == (
        "- **It gains.** Supported on a (1.0 pp [0.5, 1.5]); inconclusive on b "
        "(0.4 pp [-0.2, 1.5]: a loss of 0.2 points is not excluded)."
    )
    assert placebo.endswith("a gain of 1.5 points or a loss of 1.5 points is not excluded).")
    assert energy == "- Energy, as many times less than float's:"
    assert len(views) == 5 and all(view.startswith("  - ") for view in views)
    assert views[2].endswith(
        "8.00 to 12.0x against fp32 (met within 20 % and exceeded), 8.00x against fp16 "
        "(met within 20 %), 8.00x against int8 (met within 20 %)."
    )
    assert sample == (
        "- 3 of 8 planned seeds: half-widths of the judged differences are 0.6 to 1.2 points, and "
        "a true difference one point from a bound is told in 20 to 71 % of studies (table `power`)."
    )


def test_one_seed_says_nothing_of_power():
    assert len(said(POWER.assign(half_width=math.nan, power=math.nan))) == len(said(POWER)) - 1


@pytest.mark.parametrize("measure", ["drop", "gain"])
def test_guesses_exclude_nothing(measure):
    """Where the reference guesses, the verdict is inconclusive, whatever the interval is."""
    claims = [{**(DROP if measure == "drop" else GAIN), "datasets": ["a"]}]
    document = {"paper": [], "claims": claims, "sample": SAMPLE}
    parsed = parse_claims(document | {"energy_tolerance": 0.2, "energy_claims": []}, "c")
    guessed = RESULTS.assign(accuracy_low=5.0)
    verdicts = claims_table(parsed, guessed)
    (first, *_) = findings(parsed, verdicts, guessed, POWER)
    assert first.text.endswith("the network that it is compared with does no better than chance).")
