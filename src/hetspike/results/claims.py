"""Claims of the paper as data, and verdicts on them from the intervals of a results table.

config/claims.yaml holds exactly the fields of `Claims`.
"""

from math import inf
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import Field, model_validator

from hetspike.cost.energy import ENERGY_VIEWS, FP32
from hetspike.errors import UserError
from hetspike.names import FLOAT_TUNED
from hetspike.results.comparison import GAINS
from hetspike.results.cost_tables import RATIOS
from hetspike.results.notation import with_spread
from hetspike.results.tables import MEASURES
from hetspike.settings import Settings, checked

# Of an energy factor: met, exceeded or missed. Tables add the tolerance, as in "met within 20 %".
Verdict = Literal[
    "supported", "not supported", "met", "exceeded", "missed", "inconclusive", "not run"
]
OWN = "this package"  # the source of a claim that is not the paper's
# of two networks, which say nothing where both guess
DIFFERENCES = {"drop", *GAINS}
# what a budget of bits settles by itself, whichever layers get them
BUDGETED = {"effective_bits", "compression", "energy_bits_linear"}
Names = Annotated[tuple[str, ...], Field(min_length=1)]


class PaperResult(Settings):
    """What the paper reports on one of its datasets."""

    dataset: str = Field(description="the paper's name of it")
    datasets: Names = Field(
        description="ours that keep its protocol, the recordings themselves too"
    )
    cell: str = Field(description="the cell that stands for the paper's network")
    accuracy: Annotated[float, Field(ge=0, le=100)] = Field(description="percent")
    recordings: Annotated[int, Field(gt=0)] = Field(
        description="of the test split, about that many where it is unknown"
    )
    energy: Annotated[float, Field(gt=0)] = Field(
        description="how many times less than the float network"
    )


class Claim(Settings):
    """One sentence that the results of a study can contradict, on each of `datasets`."""

    id: str
    sentence: str = Field(pattern=r"^[^|]+$", description="a cell of a Markdown table")
    datasets: Names
    cell: str
    measure: Literal[tuple(MEASURES)]  # type: ignore[valid-type]
    at_most: float | None = None
    at_least: float | None = None
    equals: float | None = None
    tolerance: float = Field(ge=0, description="how far beyond that still satisfies the claim")
    why: str = Field(description="why this tolerance")
    source: str

    @model_validator(mode="after")
    def check_condition(self) -> "Claim":
        if [self.at_most, self.at_least, self.equals].count(None) != 2:
            raise ValueError("give one of at_most, at_least and equals")
        return self

    @property
    def bounds(self) -> tuple[float, float]:
        """Lowest and highest value that satisfy the claim, its tolerance included."""
        if self.equals is not None:
            return self.equals - self.tolerance, self.equals + self.tolerance
        return (
            -inf if self.at_least is None else self.at_least - self.tolerance,
            inf if self.at_most is None else self.at_most + self.tolerance,
        )

    @property
    def basis(self) -> Literal["budget", "measurement"]:
        """What a verdict rests on: a search that keeps its budget of bits settles some of them."""
        return "budget" if self.measure in BUDGETED else "measurement"

    @property
    def within(self) -> str:
        """The tolerance of an energy factor in words, such as "20 %"; else empty."""
        if self.equals is None or self.measure not in RATIOS:
            return ""
        return f"{100 * self.tolerance / self.equals:g} %"

    @property
    def expected(self) -> str:
        """The condition in words, its tolerance included, such as "at most 3.675 bits"."""
        unit = MEASURES[self.measure].unit
        if self.equals is not None:
            return f"{self.equals:g}{unit} ± {self.within or format(self.tolerance, 'g')}"
        lowest, highest = self.bounds
        condition = f"at most {highest:g}" if self.at_least is None else f"at least {lowest:g}"
        return condition + unit


class EnergyClaim(Settings):
    """An energy factor of the paper, which does not say how it counts: every way is one claim."""

    id: str
    sentence: str = Field(pattern=r"^[^|]+$", description="without its full stop")
    datasets: Names
    cell: str
    factor: float = Field(gt=0, description="how many times less energy")
    source: str

    def under(self, measure: str, tolerance: float) -> Claim:
        """The claim under one view and against one reference."""
        view, reference = RATIOS[measure]
        name = f"{self.id}-{view.partition('_')[0]}"
        follows = " (follows from the budget)" if measure in BUDGETED else ""
        return Claim(
            id=name if reference == FP32 else f"{name}-{reference}",
            sentence=f"{self.sentence} against {reference}. View: {ENERGY_VIEWS[view].heading}"
            f"{follows}.",
            datasets=self.datasets,
            cell=self.cell,
            measure=measure,
            equals=self.factor,
            tolerance=tolerance * self.factor,
            why="the tolerance of all energy factors",
            source=self.source,
        )


class Sample(Settings):
    """How many seeds and recordings a study of stand-ins is planned with, and what they can tell.

    All but the two numbers is percentage points of a drop, or a probability.
    """

    seeds: Annotated[int, Field(gt=1)]
    recordings: Annotated[int, Field(gt=0)] = Field(description="of the test split")
    sd_seeds: Annotated[float, Field(gt=0)] = Field(
        description="assumed standard deviation over seeds"
    )
    half_width: Annotated[float, Field(gt=0)] = Field(description="expected, of a 95 % interval")
    power: Annotated[float, Field(gt=0, lt=1)] = Field(
        description="probability to show that a drop of 0 is below one point"
    )


class Claims(Settings):
    """Of energies see `energy_claims`; `all` has these too, in the order of their numbers."""

    paper: tuple[PaperResult, ...]
    claims: tuple[Claim, ...]
    sample: Sample
    energy_tolerance: Annotated[float, Field(gt=0, lt=1)] = Field(
        description="share of a factor by which a measured one may differ and meet it"
    )
    energy_claims: tuple[EnergyClaim, ...]

    @property
    def all(self) -> tuple[Claim, ...]:
        """Every claim; an energy factor is one under each view and against each reference."""
        energies = [
            each.under(measure, self.energy_tolerance)
            for each in self.energy_claims
            for measure in RATIOS
        ]
        return tuple(sorted([*self.claims, *energies], key=lambda each: each.id.split("-")[0]))

    @model_validator(mode="after")
    def check_ids(self) -> "Claims":
        ids = [claim.id for claim in self.all]
        for each in ids:
            if ids.count(each) > 1:
                raise ValueError(f"two claims have the id {each}: rename one")
        return self


def parse_claims(document: Any, source: str) -> Claims:
    """Check what was read from the file `source`; UserError names every wrong key in one line."""
    return checked(Claims, document, source)


def paper_table(claims: Claims) -> pd.DataFrame:
    """The paper's numbers as `results.tables.results_table` takes them, a row a dataset of ours."""
    rows = [
        (dataset, result.cell, result.dataset, result.accuracy, result.energy)
        for result in claims.paper
        for dataset in result.datasets
    ]
    columns = ["dataset", "cell", "paper_dataset", "paper_accuracy", "paper_energy"]
    return pd.DataFrame(rows, columns=columns)


def verdict(claim: Claim, measured: tuple[float, float] | None, *, learnt: bool = True) -> Verdict:
    """Judge the measured interval, or None where the study has no such row.

    Supported where the whole interval satisfies the condition, not supported where none of it
    does, inconclusive where it straddles, and for a difference on a dataset whose reference has
    not `learnt`: who guesses has nothing to lose. An energy factor is met instead, or missed or
    exceeded: one that is far beyond the paper's is another way of counting, not support.
    """
    if measured is None:
        return "not run"
    if claim.measure in DIFFERENCES and not learnt:
        return "inconclusive"
    low, high = measured
    lowest, highest = claim.bounds
    if lowest <= low and high <= highest:
        return "met" if claim.within else "supported"
    if high < lowest:
        return "missed" if claim.within else "not supported"
    if highest < low:
        return "exceeded" if claim.within else "not supported"
    return "inconclusive"


def claims_table(claims: Claims, results: pd.DataFrame) -> pd.DataFrame:
    """One row per claim and dataset: what was measured, expected, on what basis, and the verdict.

    results: `results.tables.results_table`. The reference of a dataset has learnt where the
    interval of its accuracy lies above chance. A gain over a row that the study lacks is not run.
    Raises UserError where a row lacks another measure, as the reference lacks a drop from itself.
    """
    rows = {(row["dataset"], row["cell"]): row for row in results.to_dict("records")}
    above_chance = results["accuracy_low"] > results["chance"]
    learnt = set(results.loc[above_chance & (results["cell"] == FLOAT_TUNED), "dataset"])
    table = []
    for claim in claims.all:
        for dataset in claim.datasets:
            measured, shown = None, ""
            if row := rows.get((dataset, claim.cell)):
                value, low, high = (row[claim.measure + end] for end in ("", "_low", "_high"))
                if not pd.isna(value):
                    measured = low, high
                    notation = MEASURES[claim.measure]
                    shown = with_spread(value, low, high, spec=notation.spec, unit=notation.unit)
                elif claim.measure not in GAINS:
                    raise UserError(
                        f"claim {claim.id}: {claim.cell} has no {claim.measure}: claim another "
                        "measure or another cell"
                    )
            judged = verdict(claim, measured, learnt=dataset in learnt)
            table.append(
                {
                    "id": claim.id,
                    "sentence": claim.sentence,
                    "dataset": dataset,
                    "cell": claim.cell,
                    "measured": shown,
                    "expected": claim.expected,
                    "basis": claim.basis,
                    "verdict": f"met within {claim.within}" if judged == "met" else judged,
                }
            )
    return pd.DataFrame(table)


def energy_claims_table(claims: Claims, verdicts: pd.DataFrame) -> pd.DataFrame:
    """The claims on energy side by side, a column per view.

    verdicts: `claims_table` of the same claims. A row per claimed factor, dataset and reference
    (`cost.energy.REFERENCES`). Under a view stands what was measured, and the verdict.
    """
    ids = {claim.id: RATIOS[claim.measure] for claim in claims.all if claim.measure in RATIOS}
    rows = verdicts[verdicts["id"].isin(ids)]
    views = pd.DataFrame([ids[each] for each in rows["id"]], rows.index, ["view", "reference"])
    rows = rows.join(views).assign(
        outcome=(rows["measured"] + " " + rows["verdict"]).str.strip(),
    )
    keys = ["dataset", "cell", "reference", "expected"]
    table = rows.pivot(index=keys, columns="view", values="outcome").fillna("")
    order = rows.drop_duplicates(keys).set_index(keys).index
    return table.loc[order, list(rows["view"].unique())].reset_index()
