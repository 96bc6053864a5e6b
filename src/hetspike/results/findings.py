"""What a study found, in sentences that its tables make: nothing is written by hand.

A sentence says what an interval shows, and what it does not exclude.
"""

from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

import pandas as pd

from hetspike.cost.energy import ENERGY_VIEWS
from hetspike.results.claims import OWN, Claim, Claims
from hetspike.results.cost_tables import RATIOS


class Finding(NamedTuple):
    """What a study found of one thing."""

    lead: str  # the claim, or nothing
    text: str
    parts: list[str]  # a sentence each


def findings(
    claims: Claims, verdicts: pd.DataFrame, results: pd.DataFrame, power: pd.DataFrame
) -> list[Finding]:
    """Return every claim of this package, then energy, then what is left open.

    verdicts, results, power   `claims_table`, `results_table` and `power_table` of one study
    """
    rows = results.set_index(["dataset", "cell"])
    judged = verdicts[verdicts["verdict"] != "not run"]
    found = [
        _said(claim, judged[judged["id"] == claim.id], rows)
        for claim in claims.claims
        if claim.source == OWN and (judged["id"] == claim.id).any()
    ]
    if energies := [*_energies(claims, judged, rows)]:
        found.append(Finding("", "Energy, as many times less than float's:", energies))
    if power["half_width"].notna().any():
        told = (
            f"{power['n'].max():.0f} of {claims.sample.seeds} planned seeds: half-widths of the "
            f"judged differences are {_range(power['half_width'], '.1f')} points, and a true "
            f"difference one point from a bound is told in {_range(power['power'], '.0f')} % of "
            "studies (table `power`)."
        )
        found.append(Finding("", told, []))
    return found


def to_list(found: list[Finding]) -> str:
    """Findings as a Markdown list.

    >>> print(to_list([Finding("It holds.", "On a.", []), Finding("", "Energy:", ["8x."])]), end="")
    - **It holds.** On a.
    - Energy:
      - 8x.
    """
    lines = []
    for lead, text, parts in found:
        lines += [f"- **{lead}** {text}" if lead else f"- {text}", *(f"  - {it}" for it in parts)]
    return "\n".join(lines) + "\n"


def _said(claim: Claim, judged: pd.DataFrame, rows: pd.DataFrame) -> Finding:
    """One claim on the datasets of the study, those of one verdict together."""
    parts = []
    for verdict, same in judged.groupby("verdict", sort=False):
        shown = []
        for dataset, measured in same[["dataset", "measured"]].to_numpy():
            about = measured
            if verdict == "inconclusive":
                row = rows.loc[(dataset, claim.cell)]
                about += _open(claim, *(row[f"{claim.measure}_{end}"] for end in ("low", "high")))
            shown.append(f"{dataset} ({about})")
        parts.append(f"{verdict} on {_listed(shown)}")
    said = "; ".join(parts)
    return Finding(claim.sentence, f"{said[0].upper()}{said[1:]}.", [])


def _open(claim: Claim, low: float, high: float) -> str:
    """What an interval that straddles a bound leaves open."""
    least, most = claim.bounds
    sign = 1 if claim.measure == "drop" else -1
    beyond = [end for end in (low, high) if not least <= end <= most]
    if not beyond:
        return ": the network that it is compared with does no better than chance"
    open_ends = [
        f"a {'loss' if sign * end > 0 else 'gain'} of {abs(end):.1f} points" for end in beyond
    ]
    return f": {' or '.join(open_ends)} is not excluded"


def _energies(claims: Claims, judged: pd.DataFrame, rows: pd.DataFrame) -> Iterator[str]:
    """A line a view: the range of the factors against each reference, and their verdicts."""
    measures = {claim.id: claim.measure for claim in claims.all if claim.measure in RATIOS}
    energies = judged.assign(measure=judged["id"].map(measures))
    for view, of in groupby(sorted(RATIOS, key=_place), key=lambda each: RATIOS[each][0]):
        parts = []
        for measure in of:
            same = energies[energies["measure"] == measure]
            if not same.empty:
                values = rows.loc[pd.MultiIndex.from_frame(same[["dataset", "cell"]]), measure]
                found = _listed(list(dict.fromkeys(same["verdict"])))
                reference = RATIOS[measure][1]
                parts.append(f"{_range(values, '#.3g')}x against {reference} ({found})")
        if parts:
            yield f"{ENERGY_VIEWS[view].heading}: {', '.join(parts)}."


def _place(measure: str) -> int:
    """The place of a measure's view among the views."""
    return [*ENERGY_VIEWS].index(RATIOS[measure][0])


def _range(values: pd.Series, spec: str) -> str:
    """The lowest and the highest value, or the one that both are.

    >>> _range(pd.Series([1.04, 0.96]), ".1f"), _range(pd.Series([1.04, 2.0]), ".1f")
    ('1.0', '1.0 to 2.0')
    """
    ends = dict.fromkeys(format(each, spec) for each in (values.min(), values.max()))
    return " to ".join(ends)


def _listed(words: list[str]) -> str:
    """Join words as in a sentence.

    >>> _listed(["a"]), _listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
