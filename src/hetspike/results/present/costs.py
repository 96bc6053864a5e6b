"""Tables of sizes, energies and runs on integers for people, and of the verdicts on them."""

from typing import Any

import pandas as pd

from hetspike.cost.energy import ENERGY_VIEWS, INT8, INT8_VIEWS
from hetspike.names import FLOAT_TUNED
from hetspike.results.present.notation import on_first_row, origin, spreads

HEADINGS = {name: view.heading for name, view in ENERGY_VIEWS.items()}


# what the view of memory assumes, wherever it is judged
POTENTIALS = (
    "and a potential of 32 bits read and written for every pair of an input and a weight "
    "(Lemaire 2022)"
)


def present_sizes(sizes: pd.DataFrame) -> pd.DataFrame:
    """`results.cost_tables.size_table` for people."""

    def spread(measure: str, spec: str, unit: str = "") -> list[str]:
        return spreads(sizes, measure, spec=spec, unit=unit)

    return pd.DataFrame(
        {
            "Dataset": on_first_row(sizes["dataset"]),
            "Network": sizes["cell"],
            "Effective bits": spread("effective_bits", ".2f"),
            "Compression": spread("compression", "#.3g", "x"),
            "Model bits": spread("model_bits", ".2f"),
            "MAC bits": spread("mac_bits", ".2f"),
            "Packed file (bytes)": spread("packed_bytes", ",.0f"),
            "Packed compression": spread("packed_compression", "#.3g", "x"),
        }
    )


def sizes_caption(sizes: pd.DataFrame) -> str:
    """What a reader must know to read `present_sizes`."""
    return (
        f"{origin(sizes)}Effective bits and compression count quantized weights only, as the "
        "paper does. Model bits: mean over all stored numbers, scales and biases included. MAC "
        "bits: weights weighted by how often a recording's dense computation uses them. Packed "
        "file: bytes on disk, header included; packed compression: the file of "
        f"{FLOAT_TUNED} over this one. Mean over seeds, range in brackets."
    )


def present_energy(energy: pd.DataFrame) -> pd.DataFrame:
    """`results.cost_tables.energy_table` for people; the reference shows energies themselves."""
    shown: dict[str, Any] = {
        "Dataset": on_first_row(energy["dataset"]),
        "Network": energy["cell"],
    }
    reference = energy["cell"] == FLOAT_TUNED
    for view, heading in HEADINGS.items():
        texts = pd.Series(spreads(energy, f"energy_{view}", spec="#.3g", unit="x"))
        if f"{view}_pj" in energy:
            microjoules = energy[f"{view}_pj"] / 1e6
            texts[reference] += microjoules[reference].map(lambda value: f" ({value:#.3g} \u00b5J)")
        shown[heading] = texts
    for view in INT8_VIEWS:
        against = f"{HEADINGS[view]}, against {INT8}"
        shown[against] = spreads(energy, f"energy_{view}_{INT8}", spec="#.3g", unit="x")
    return pd.DataFrame(shown)


def energy_caption(energy: pd.DataFrame) -> str:
    """What a reader must know to read `present_energy`."""
    return (
        f"{origin(energy)}How many times less energy than {FLOAT_TUNED} a recording takes, under "
        "five views: stored weight bits; 4.6 pJ a MAC and 0.9 pJ an AC; additions, shifts and "
        "multiplications at the widths that the network needs; memory accesses with weights at "
        f"their packed width, {POTENTIALS}; the last two together. Then against {INT8}: the same "
        f"operations of {FLOAT_TUNED} at 8-bit uniform weights, what any integer datapath gets. "
        "Mean over seeds, range in brackets."
    )


def present_order(order: pd.DataFrame) -> pd.DataFrame:
    """`results.cost_tables.order_table` for people."""
    return pd.DataFrame(
        {
            "Dataset": on_first_row(order["dataset"]),
            **{heading: order[f"energy_{view}"] for view, heading in HEADINGS.items()},
            "All views agree": order["same"].map({True: "yes", False: "no"}),
        }
    )


def order_caption(order: pd.DataFrame) -> str:
    """What a reader must know to read `present_order`."""
    return (
        f"{origin(order)}Networks of about equal bits in the order of the energy that they save, "
        "the thriftiest first, under each view; = where the ratios print alike. A searched network "
        "stands beside the single schemes at the nearest whole width."
    )


def present_integer(integer: pd.DataFrame) -> pd.DataFrame:
    """`results.cost_tables.integer_table` for people."""
    return pd.DataFrame(
        {
            "Dataset": on_first_row(integer["dataset"]),
            "Network": integer["cell"],
            "Same class (%)": [f"{each:.2f}" for each in integer["agreement"]],
            "Least of a seed (%)": [f"{each:.2f}" for each in integer["agreement_least"]],
            "Accuracy difference (pp)": [f"{each:+z.2f}" for each in integer["difference"]],
            "Largest of a seed (pp)": [f"{each:+z.2f}" for each in integer["difference_most"]],
            **{
                f"{operation.capitalize()} (millions)": [
                    f"{each / 1e6:.3f}" for each in integer[operation]
                ]
                for operation in ("multiplications", "shifts", "additions")
            },
        }
    )


def integer_caption(integer: pd.DataFrame) -> str:
    """What a reader must know to read `present_integer`."""
    return (
        f"{origin(integer)}The packed networks run on integers, between the frames and the "
        "classifier's accumulators, against the simulation in floating point that all other tables "
        "are about: test recordings that get the same class, and the difference in accuracy "
        "(positive: integers are better). Operations a recording as the view of operations charges "
        "them."
    )


def claims_caption(claims: pd.DataFrame) -> str:
    """What a reader must know to read the verdicts."""
    return (
        "Claims of the paper (arXiv 2412.05505), on its own datasets and on the simulated "
        "stand-ins that keep their protocols. A verdict judges the whole interval in brackets: "
        "supported where all of it satisfies the claim, not supported where none of it does, "
        "inconclusive where it straddles, or where the network that an accuracy is lost against "
        "does no better than chance; not run where there are no results. Where the basis is the "
        "budget, the bits that the search was given settle the verdict, whatever it does with "
        "them: such support is none of the method. An energy factor is missed when it is exceeded, "
        "too. Memory accesses are counted with weights at their packed width, "
        f"{POTENTIALS}: what is not supported is so under this assumption."
    )


def present_energy_claims(table: pd.DataFrame) -> pd.DataFrame:
    """`results.claims.energy_claims_table` for people."""
    names = {
        **{"dataset": "Dataset", "cell": "Network", "reference": "Against"},
        **{"expected": "The paper's factor", **HEADINGS},
    }
    return table.rename(columns=names)


def energy_claims_caption(table: pd.DataFrame) -> str:
    """What a reader must know to read `present_energy_claims`."""
    return (
        "Which of the paper's energy factors follow under which view of energy, on its own "
        "datasets and on the simulated stand-ins (sim-*) that keep their protocols: the measured "
        "factor and the verdict on it. A factor is missed when it is exceeded, too: more than the "
        f"paper reports is another way of counting. Against {FLOAT_TUNED} in fp32, and against "
        f"its operations at 8-bit uniform weights ({INT8}). Weight bits are what the budget makes "
        f"them. The view of memory assumes weights at their packed width, {POTENTIALS}."
    )
