"""The table of power for people."""

import math

from hetspike.results.power import MOST_SEEDS
from hetspike.results.present.columns import DATASET, Row, Table, number


def _seeds(row: Row) -> str:
    needed = row["seeds_needed"]
    return "-" if math.isnan(needed) else "never" if math.isinf(needed) else f"{needed:.0f}"


TABLES = {
    "power": Table(
        lambda of: of.power.assign(planned=of.claims.sample.seeds),
        DATASET
        | {
            "Difference": "{measure} of {cell}",
            "Groups": lambda row: row["groups"],
            "Recordings": lambda row: row["recordings"],
            "Seeds (of planned)": "{n} of {planned}",
            "SD between seeds (pp)": number("sd_seeds", ".2f"),
            "Error: seeds (pp)": number("se_seeds", ".2f"),
            "Error: groups (pp)": number("se_groups", ".2f"),
            "Error: rest (pp)": number("se_rest", ".2f"),
            "Half-width (pp)": number("half_width", ".2f"),
            "By bootstrap (pp)": number("bootstrap", ".2f"),
            "Power for 1 point (%)": number("power", ".0f"),
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
        f"groups; never: not even {MOST_SEEDS:,} do, since the error from groups stays. "
        "Planned: the seeds that config/claims.yaml names for a study that decides.",
    )
}
