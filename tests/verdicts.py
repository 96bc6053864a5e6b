"""Verdicts on claims, derived from the files alone, without `hetspike.results.claims`.

The reading is one of its own: claims as plain YAML, results as rows of text.
"""

import csv
import io
from typing import Any

import yaml
from projects import ROOT

CLAIMS = yaml.safe_load((ROOT / "config/claims.yaml").read_text())


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def judged(
    claim: dict[str, Any], row: dict[str, str] | None, reference: dict[str, str] | None
) -> str:
    """The verdict on one row of a results.csv, the reference's row being another of its dataset."""
    if row is None:
        return "not run"
    assert reference is not None
    if claim["measure"] == "drop" and float(reference["accuracy_low"]) <= float(row["chance"]):
        return "inconclusive"
    low, high = (float(row[f"{claim['measure']}_{end}"]) for end in ("low", "high"))
    above, below = (
        [claim[word] + sign * claim["tolerance"] for word in (bound, "equals") if word in claim]
        for bound, sign in (("at_least", -1), ("at_most", 1))
    )
    good = all(low >= limit for limit in above) and all(high <= limit for limit in below)
    bad = any(high < limit for limit in above) or any(low > limit for limit in below)
    return "supported" if good else "not supported" if bad else "inconclusive"


def all_judged(results: list[dict[str, str]]) -> list[tuple[str, str, str]]:
    """(claim, dataset, verdict) for every claim and dataset of config/claims.yaml."""
    cells = {(row["dataset"], row["cell"]): row for row in results}
    return [
        (
            claim["id"],
            dataset,
            judged(claim, *(cells.get((dataset, cell)) for cell in (claim["cell"], "float-tuned"))),
        )
        for claim in CLAIMS["claims"]
        for dataset in claim["datasets"]
    ]


def told(table: str) -> list[tuple[str, str, str]]:
    """The same from a claims.csv."""
    return [(row["id"], row["dataset"], row["verdict"]) for row in rows_of(table)]
