"""Tables of sizes, energies and runs on integers for people, and of the verdicts on them."""

from hetspike.cost.energy import ENERGY_VIEWS, INT8, INT8_VIEWS
from hetspike.names import FLOAT_TUNED
from hetspike.results.claims import energy_claims_table
from hetspike.results.cost_tables import energy_table, integer_table, order_table, size_table
from hetspike.results.present.columns import DATASET, NETWORK, Row, Table, Write, factor, spread

HEADINGS = {name: view.heading for name, view in ENERGY_VIEWS.items()}

# what the view of memory assumes, wherever it is judged
POTENTIALS = (
    "and a potential of 32 bits read and written for every pair of an input and a weight "
    "(Lemaire 2022)"
)


def _energy(view: str) -> Write:
    """A ratio under a view; the reference shows its energy itself, where that is in joules."""

    def cell(row: Row) -> str:
        spent = row.get(f"{view}_pj") if row["cell"] == FLOAT_TUNED else None
        text = factor(f"energy_{view}")(row)
        return text if spent is None else f"{text} ({spent / 1e6:#.3g} µJ)"

    return cell


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
        NETWORK
        | {heading: _energy(view) for view, heading in HEADINGS.items()}
        | {
            f"{HEADINGS[view]}, against {INT8}": factor(f"energy_{view}_{INT8}")
            for view in INT8_VIEWS
        },
        f"{{stand_ins}}How many times less energy than {FLOAT_TUNED} a recording takes, under "
        "five views: stored weight bits; 4.6 pJ a MAC and 0.9 pJ an AC; additions, shifts and "
        "multiplications at the widths that the network needs; memory accesses with weights at "
        f"their packed width, {POTENTIALS}; the last two together. Then against {INT8}: the same "
        f"operations of {FLOAT_TUNED} at 8-bit uniform weights, what any integer datapath gets. "
        "Mean over seeds, range in brackets.",
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
    "energy-claims": Table(
        lambda of: energy_claims_table(of.claims, of.verdicts),
        {},
        "Which of the paper's energy factors follow under which view of energy, on its own "
        "datasets and on the simulated stand-ins (sim-*) that keep their protocols: the measured "
        "factor and the verdict on it. A factor is missed when it is exceeded, too: more than the "
        f"paper reports is another way of counting. Against {FLOAT_TUNED} in fp32, and against "
        f"its operations at 8-bit uniform weights ({INT8}). Weight bits are what the budget makes "
        f"them. The view of memory assumes weights at their packed width, {POTENTIALS}.",
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
        "does no better than chance; not run where there are no results. Where the basis is the "
        "budget, the bits that the search was given settle the verdict, whatever it does with "
        "them: such support is none of the method. An energy factor is missed when it is exceeded, "
        "too. Memory accesses are counted with weights at their packed width, "
        f"{POTENTIALS}: what is not supported is so under this assumption.",
    ),
}
