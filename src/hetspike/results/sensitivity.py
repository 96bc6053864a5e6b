"""What the assumptions about memory make of an energy ratio."""

import pandas as pd

from hetspike.cost.energy import REFERENCES, ops
from hetspike.cost.kinds import UNCOUNTED
from hetspike.cost.memory import ASSUMPTIONS, Assumptions, accesses
from hetspike.results.cost_tables import ENDS, NETWORK, mean_and_range, measure_of

RUN = ["dataset", "seed"]
VIEWS = ("memory", "total")
MEASURES = [measure_of(view, of) for view in VIEWS for of in REFERENCES]
DATAFLOW_COLUMNS = (
    *("dataset", "cell", *Assumptions._fields),
    *(f"{measure}{end}" for measure in MEASURES for end in ENDS),
    "paper_energy",
)


def dataflow_table(layers: pd.DataFrame, paper: pd.DataFrame, *, reference: str) -> pd.DataFrame:
    """DATAFLOW_COLUMNS, a row per dataset, cell and assumption.

    layers  `results.cost_tables.layer_table`
    paper   dataset, cell, paper_energy: the factor that the paper claims for this network

    Both the reference and the network are charged under the assumption, so that a ratio is due to
    the weights: narrow potentials are no merit of theirs. Means over seeds, with their range.
    """
    own = layers[layers["kind"].ne(UNCOUNTED)]
    floats = own[own["cell"] == reference]
    references = {of: each.charged(floats) for of, each in REFERENCES.items()}
    # what no assumption changes
    operations = {of: rows.apply(ops, axis=1) for of, rows in references.items()}
    tables = []
    for assumed in ASSUMPTIONS:
        spent = _by_network(own, own["ops"], assumed)
        runs = pd.MultiIndex.from_arrays([spent.index.get_level_values(name) for name in RUN])
        ratios = {}
        for of, rows in references.items():
            theirs = _by_network(rows, operations[of], assumed).reset_index("cell", drop=True)
            for view in VIEWS:
                theirs_of_run = theirs[view].loc[runs].to_numpy()
                ratios[measure_of(view, of)] = theirs_of_run / spent[view]
        reduced = mean_and_range(pd.DataFrame(ratios)[MEASURES]).reset_index()
        tables.append(reduced.assign(**assumed._asdict()))
    table = pd.concat(tables).merge(
        paper[["dataset", "cell", "paper_energy"]], on=["dataset", "cell"], how="left"
    )
    return table.sort_values(["dataset", "cell"], kind="stable", key=_as_met)[
        list(DATAFLOW_COLUMNS)
    ].reset_index(drop=True)


def _by_network(rows: pd.DataFrame, operations: pd.Series, assumed: Assumptions) -> pd.DataFrame:
    """Energies of memory and of both by dataset, cell and seed."""
    memory = accesses(rows, assumed)
    spent = rows[NETWORK].assign(memory=memory, total=operations + memory)
    return spent.groupby(NETWORK, sort=False).sum()


def _as_met(names: pd.Series) -> pd.Series:
    """The places of names in the order in which they first occur."""
    return pd.Series(pd.factorize(names)[0], names.index)
