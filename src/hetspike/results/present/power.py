"""The table of power for people."""

import math

from hetspike.names import FLOAT_TUNED
from hetspike.results.power import MOST_SEEDS, differences, power_table
from hetspike.results.present.columns import DATASET, Row, Table, Write


def _points(measure: str) -> Write:
    return lambda row: "-" if math.isnan(row[measure]) else f"{row[measure]:.2f}"


def _seeds(row: Row) -> str:
    needed = row["seeds_needed"]
    return "-" if math.isnan(needed) else "never" if math.isinf(needed) else f"{needed:.0f}"


TABLES = {
    "power": Table(
        lambda of: power_table(
            differences(of.predictions, of.layers, of.cells, of.claims, reference=FLOAT_TUNED)
        ),
        DATASET
        | {
            "Difference": "{measure} of {cell}",
            "Groups": lambda row: row["groups"],
            "Recordings": lambda row: row["recordings"],
            "Seeds": lambda row: row["n"],
            "SD between seeds (pp)": _points("sd_seeds"),
            "Error: seeds (pp)": _points("se_seeds"),
            "Error: groups (pp)": _points("se_groups"),
            "Error: rest (pp)": _points("se_rest"),
            "Half-width (pp)": _points("half_width"),
            "By bootstrap (pp)": _points("bootstrap"),
            "Power for 1 point (%)": lambda row: (
                "-" if math.isnan(row["power"]) else f"{row['power']:.0f}"
            ),
            "Seeds for 1 point": _seeds,
        },
        "{stand_ins}What the seeds and test recordings of this study can tell: for every drop "
        "that a claim judges and for every gain of a search over the best single scheme. "
        "Components of variance of the paired difference (ANOVA, two-way with random effects). "
        "SD between seeds: of the difference itself. Error: the parts of the standard error of "
        "the mean difference that come from seeds, from groups with their recordings, and from "
        "both together; their squares add up to its square. Half-width: of a 95 % interval by "
        "Student's t with Satterthwaite's degrees of freedom, beside that of the bootstrap, by "
        "which verdicts are judged and which is narrower with few seeds. Power: how likely the "
        "t interval of a true difference that is one point away from a bound lies on its side "
        "of the bound. Seeds for 1 point: how many give a half-width of one point with these "
        f"groups; never: not even {MOST_SEEDS:,} do, since the error from groups stays.",
    )
}
