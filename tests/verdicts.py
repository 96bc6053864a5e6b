"""Verdicts on claims, derived from the files alone, without `hetspike.results.claims`.

The reading is one of its own: claims as plain YAML, results as rows of text.
"""

import csv
import io
from typing import Any

import yaml
from projects import ROOT

CLAIMS = yaml.safe_load((ROOT / "config/claims.yaml").read_text())
# what an energy factor is judged under: the end of a claim's id, and the column of the results
ENERGIES = {
    **{"bits": "energy_bits_linear", "field": "energy_field"},
    **{"ops": "energy_ops", "memory": "energy_memory", "total": "energy_total"},
    **{
        f"{view}-{reference}": f"energy_{view}_{reference}"
        for reference in ("fp16", "int8")
        for view in ("ops", "memory", "total")
    },
}
FACTORS = [
    each | {"id": f"{each['id']}-{end}", "measure": measure}
    for each in CLAIMS["energy_claims"]
    for end, measure in ENERGIES.items()
]
JUDGED = sorted([*CLAIMS["claims"], *FACTORS], key=lambda claim: claim["id"][:2])


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def judged(
    claim: dict[str, Any], row: dict[str, str] | None, reference: dict[str, str] | None
) -> str:
    """The verdict on one row of a results.csv, the reference's row being another of its dataset."""
    if row is None:
        return "not run"
    assert reference is not None
    if "gain" in claim["measure"] and not row[claim["measure"]]:  # no row to gain over
        return "not run"
    differences = ("drop", "gain", "part_gain")
    if claim["measure"] in differences and float(reference["accuracy_low"]) <= float(row["chance"]):
        return "inconclusive"
    low, high = (float(row[f"{claim['measure']}_{end}"]) for end in ("low", "high"))
    if "factor" in claim:
        share = CLAIMS["energy_tolerance"]
        below, above = (claim["factor"] * (1 + sign * share) for sign in (-1, 1))
        inside = below <= low and high <= above
        outside = "missed" if high < below else "exceeded" if above < low else "inconclusive"
        return f"met within {100 * share:g} %" if inside else outside
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
        for claim in JUDGED
        for dataset in claim["datasets"]
    ]


def told(table: str) -> list[tuple[str, str, str]]:
    """The same from a claims.csv."""
    return [(row["id"], row["dataset"], row["verdict"]) for row in rows_of(table)]
