"""Tables of sizes, energies and runs on integers for people, and of the verdicts on them."""

import pandas as pd

from hetspike.cost.energy import ENERGY_VIEWS, FP32, REFERENCES
from hetspike.cost.memory import MEMORY
from hetspike.names import FLOAT, FLOAT_TUNED
from hetspike.results.claims import energy_claims_table, paper_table
from hetspike.results.cost_tables import (
    PICOJOULES,
    RATIOS,
    energy_table,
    integer_table,
    measure_of,
    narrower_table,
    order_table,
    size_table,
)
from hetspike.results.paper_size import paper_energy_table
from hetspike.results.present.columns import DATASET, NETWORK, Row, Table, Write, factor, spread
from hetspike.results.sensitivity import dataflow_table

HEADINGS = {name: view.heading for name, view in ENERGY_VIEWS.items()}

# what the view of memory assumes, wherever it is judged
POTENTIALS = (
    "and a potential of 32 bits read and written for every pair of an input and a weight "
    "(Lemaire 2022)"
)
ABOUT = [f"{name}, {each.about}" for name, each in REFERENCES.items()]
AGAINST = "; ".join(ABOUT)


def _energy(view: str) -> Write:
    """A ratio to fp32; the float network shows its energy itself, where that is in joules."""

    def cell(row: Row) -> str:
        text = factor(measure_of(view, FP32))(row)
        if row["cell"] != FLOAT_TUNED or view not in PICOJOULES:
            return text
        return f"{text} ({row[PICOJOULES[view]] / 1e6:#.3g} µJ)"

    return cell


def _at_paper_size(view: str) -> Write:
    """An energy in microjoule, and the ratios to the references under this view."""
    ratios = [measure_of(view, of) for of in REFERENCES if measure_of(view, of) in RATIOS]
    return lambda row: (
        f"{row[PICOJOULES[view]] / 1e6:,.1f} µJ: "
        + ", ".join(f"{row[ratio]:#.3g}x" for ratio in ratios)
    )


def _told_of_memory(row: Row) -> str:
    """What else than potentials and weights is assumed, where it is not as in the views."""
    smaller = {"to_1_KB": "less below 8 KB, as CACTI", "to_0": "less below 8 KB, down to nothing"}
    leaking = f"leaks for {MEMORY['time']:g} ms"
    return leaking if row["leaking"] else smaller.get(row["smaller"], "")


def _of_the_paper(dataflows: pd.DataFrame) -> pd.DataFrame:
    """The networks that stand for the paper's; where there are none, all that are quantized."""
    named = dataflows[dataflows["paper_energy"].notna()]
    return named if len(named) else dataflows[~dataflows["cell"].isin([FLOAT, FLOAT_TUNED])]


def _millions(operation: str) -> Write:
    return lambda row: f"{row[operation] / 1e6:.3f}"


TABLES = {
    "sizes": Table(
        lambda of: size_table(of.spent),
        NETWORK
        | {
            "Effective bits": spread("effective_bits", ".2f"),
            "Compression": factor("compression"),
            "Model bits": spread("model_bits", ".2f"),
            "MAC bits": spread("mac_bits", ".2f"),
            "Packed file (bytes)": spread("packed_bytes", ",.0f"),
            "Packed compression": factor("packed_compression"),
        },
        "{stand_ins}Effective bits and compression count quantized weights only, as the "
        "paper does. Model bits: mean over all stored numbers, scales and biases included. MAC "
        "bits: weights weighted by how often a recording's dense computation uses them. Packed "
        "file: bytes on disk, header included; packed compression: the file of "
        f"{FLOAT_TUNED} over this one. Mean over seeds, range in brackets.",
    ),
    "energy": Table(
        lambda of: energy_table(of.spent),
        NETWORK | {heading: _energy(view) for view, heading in HEADINGS.items()},
        f"{{stand_ins}}How many times less energy than {FLOAT_TUNED} in {FP32} a recording takes, "
        "under five views: stored weight bits; 4.6 pJ a MAC and 0.9 pJ an AC; additions, shifts "
        "and multiplications at the widths that the network needs; memory accesses with weights at "
        f"their packed width, {POTENTIALS}; the last two together. Mean over seeds, range in "
        "brackets.",
    ),
    "energy-references": Table(
        lambda of: narrower_table(of.spent),
        NETWORK
        | {
            f"{HEADINGS[view]}, against {reference}": factor(measure)
            for measure, (view, reference) in RATIOS.items()
            if reference != FP32
        },
        f"{{stand_ins}}How many times less energy than the operations of {FLOAT_TUNED} in narrower "
        f"numbers, under the views that know widths. Against {'; '.join(ABOUT[1:])}. The view of "
        f"memory assumes weights at their packed width, {POTENTIALS}. Mean over seeds, range in "
        "brackets.",
    ),
    "dataflows": Table(
        lambda of: dataflow_table(of.layers, paper_table(of.claims), reference=FLOAT_TUNED),
        NETWORK
        | {
            "Potentials": "{potentials}",
            "Their bits": lambda row: row["width"],
            "Weights in": "{weights}",
            "SRAM": _told_of_memory,
        }
        | {
            f"{name}, against {reference}": factor(measure_of(view, reference))
            for view, name in (("memory", "Memory"), ("total", "Total"))
            for reference in REFERENCES
        },
        f"{{stand_ins}}How many times less energy than {FLOAT_TUNED} memory accesses take, alone "
        "and with operations (total), by what is assumed of the hardware, for the networks that "
        "stand for the paper's, where there are some (the csv has all). Potentials: read and "
        "written for every pair of an input and a weight, or kept in registers that cost nothing "
        "until a step is done; their bits, the same in network and reference, so that a ratio is "
        "due to weights alone. "
        f"Weights: in SRAM; loaded once a recording from DRAM of {MEMORY['dram']:g} pJ a word of "
        f"{MEMORY['word']} bits; or read from it each time. SRAM below 8 KB costs what 8 KB do, "
        "unless it says less; it leaks where it says so. The first row of each network is the view "
        f"of memory. Against {AGAINST}. Mean over seeds, range in brackets.",
        _of_the_paper,
    ),
    "order": Table(
        lambda of: order_table(of.spent, of.cells),
        DATASET
        | {heading: f"{{energy_{view}}}" for view, heading in HEADINGS.items()}
        | {"All views agree": lambda row: "yes" if row["same"] else "no"},
        "{stand_ins}Networks of about equal bits in the order of the energy that they save, "
        "the thriftiest first, under each view; = where the ratios print alike. A searched network "
        "stands beside the single schemes at the nearest whole width.",
    ),
    "integer": Table(
        lambda of: integer_table(of.layers, of.networks),
        NETWORK
        | {
            "Same class (%)": "{agreement:.2f}",
            "Least of a seed (%)": "{agreement_least:.2f}",
            "Accuracy difference (pp)": "{difference:+z.2f}",
            "Largest of a seed (pp)": "{difference_most:+z.2f}",
            "Multiplications (millions)": _millions("multiplications"),
            "Shifts (millions)": _millions("shifts"),
            "Additions (millions)": _millions("additions"),
        },
        "{stand_ins}The packed networks run on integers, between the frames and the "
        "classifier's accumulators, against the simulation in floating point that all other tables "
        "are about: test recordings that get the same class, and the difference in accuracy "
        "(positive: integers are better). Operations a recording as the view of operations charges "
        "them.",
    ),
    "paper-energy": Table(
        lambda of: paper_energy_table(of.paper_size, of.layers, reference=FLOAT_TUNED),
        {"Dataset": "{dataset}", "Weights": "{cell}"}
        | {
            heading: _at_paper_size(view)
            for view, heading in HEADINGS.items()
            if view in PICOJOULES
        },
        "{stand_ins}Computed, never trained: energy of a recording in a network of the paper's "
        "size (config/paper.yaml), and how many times less that is than in "
        f"{', '.join(REFERENCES)} (for MAC and AC: {FP32}). Its layers give the pairs of an input "
        f"and a weight. Which share of them is active, and how wide inputs are, each layer of the "
        f"smaller {FLOAT_TUNED} networks gives, on the dataset named and for all weights alike. "
        "How these shares change with the size is not known, nor is any accuracy. "
        f"Against {AGAINST}.",
    ),
    "energy-claims": Table(
        lambda of: energy_claims_table(of.claims, of.verdicts),
        {},
        "Which of the paper's energy factors are met under which view of energy, on its own "
        "datasets and on the simulated stand-ins (sim-*) that keep their protocols: the measured "
        "factor and the verdict on its whole interval. Exceeded is no support: more than the paper "
        f"reports is another way of counting. Against {AGAINST}. Weight bits are what the budget "
        f"makes them. The view of memory assumes weights at their packed width, {POTENTIALS}; "
        "the table of dataflows has other assumptions.",
        lambda table: table.rename(
            columns={
                **{"dataset": "Dataset", "cell": "Network", "reference": "Against"},
                **{"expected": "The paper's factor", **HEADINGS},
            }
        ),
    ),
    "claims": Table(
        lambda of: of.verdicts,
        {},
        "Claims of the paper (arXiv 2412.05505), on its own datasets and on the simulated "
        "stand-ins that keep their protocols. A verdict judges the whole interval in brackets: "
        "supported where all of it satisfies the claim, not supported where none of it does, "
        "inconclusive where it straddles, or where the network that an accuracy is lost against "
        "does no better than chance; not run where there are no results. An energy factor is met, "
        "exceeded or missed instead, where all of the interval lies within the tolerance, above or "
        "below: exceeded is no support, but another way of counting. Where the basis is the "
        "budget, the bits that the search was given settle the verdict, whatever it does with "
        "them: such support is none of the method. Memory accesses are counted with weights at "
        f"their packed width, {POTENTIALS}: a verdict on them holds under this assumption.",
    ),
}
