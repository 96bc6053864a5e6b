"""Energy of a network that was never trained, from its operations at the rates of smaller ones.

A forward pass counts the pairs of an input and a weight in a network of the paper's size. Which
share of them has an input that is not 0, or neither 0 nor 1, is taken from the networks of a study,
layer by layer; so are the widths of inputs. Nothing is known of the accuracy.
"""

import pandas as pd

from hetspike.cost.energy import REFERENCES, as_scheme, energies
from hetspike.cost.kinds import NEURONS, PRODUCTS, SYNAPSES
from hetspike.results.cost_tables import NETWORK, PICOJOULES, RATIOS

CHOICES = (("uniform", 3), ("pot", 3), ("uniform", 4))
PAPER_ENERGY_COLUMNS = ("dataset", "cell", *PICOJOULES.values(), *RATIOS)
BLOCK = "blocks."  # layers of all blocks are taken together: networks differ in their number


def paper_energy_table(
    counted: pd.DataFrame, layers: pd.DataFrame, *, reference: str
) -> pd.DataFrame:
    """PAPER_ENERGY_COLUMNS, a row per dataset whose rates are taken, and network.

    counted  columns of `cost.operations.Operation`: the network on recordings without an event
    layers   those of the networks of a study, with dataset, cell and seed; `reference` is the cell
             whose rates are taken, pooled over its seeds

    A network is one of `cost.energy.REFERENCES` or has one of CHOICES in every layer. A dataset is
    left out whose networks lack a layer of the counted one, as those of another architecture do.
    """
    rows = []
    for dataset, measured in layers[layers["cell"] == reference].groupby("dataset", sort=False):
        operations = at_rates(counted, measured)
        if operations is None:
            continue
        networks = {name: each.charged(operations) for name, each in REFERENCES.items()}
        for scheme, bits in CHOICES:
            networks[f"{scheme}-{bits}"] = as_scheme(operations, scheme, bits)
        spent = {name: energies(each).sum() for name, each in networks.items()}
        for name, own in spent.items():
            rows.append(
                {
                    **{"dataset": dataset, "cell": name},
                    **{column: own[view] for view, column in PICOJOULES.items()},
                    **{ratio: spent[of][view] / own[view] for ratio, (view, of) in RATIOS.items()},
                }
            )
    return pd.DataFrame(rows, columns=list(PAPER_ENERGY_COLUMNS))


def at_rates(counted: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame | None:
    """The counted operations with the shares of active pairs, inputs and spikes that were measured.

    measured  operations of one dataset's networks of one cell; their sums over seeds count
    """
    pairs = ["macs", "acs"]
    sums = _with_places(measured).groupby(["kind", "place"])
    totals = sums[["possible", "inputs", "active", *pairs]].sum()
    totals["value_bits"] = sums["value_bits"].max()
    rows = _with_places(counted)
    rows = rows[rows["kind"].isin([SYNAPSES, PRODUCTS, NEURONS])]
    places = pd.MultiIndex.from_frame(rows[["kind", "place"]])
    if not places.isin(totals.index).all():
        return None
    at = totals.loc[places].set_axis(rows.index)
    shares = at[pairs].div(at["possible"].where(at["possible"] > 0), axis=0).fillna(0.0)
    rates = at["active"].div(at["inputs"].where(at["inputs"] > 0)).fillna(0.0)
    return rows.assign(
        **shares.mul(rows["possible"], axis=0),
        active=rates * rows["inputs"],
        value_bits=at["value_bits"],
    ).drop(columns=["place", "possible"])


def _with_places(rows: pd.DataFrame) -> pd.DataFrame:
    """Add the place of each row, by which it is found in another network, and its possible pairs.

    A place is a name without numbers and, outside blocks, which of those of this name it is: pools
    between convolutions shift their numbers. The pairs of attention, q k^T and that times v, are
    2 N N D a step and block: those of the layer q are N D D.
    """
    keys = [name for name in NETWORK if name in rows]
    words = rows["layer"].str.replace(r"\b\d+\b", "", regex=True)
    which = rows.groupby([*(rows[name] for name in keys), rows["kind"], words]).cumcount()
    place = words + which.mask(rows["layer"].str.startswith(BLOCK), 0).astype(str)
    queries = rows[rows["layer"].str.endswith(".attention.q.0")]
    per_block = 2 * queries["dense"] * queries["outputs"] / queries["fan_in"] ** 2
    names = queries["layer"].str.removesuffix(".q.0") + ": attention"
    attention = queries.assign(layer=names, attention=per_block)[["layer", *keys, "attention"]]
    possible = rows[["layer", *keys]].merge(attention, how="left")["attention"].set_axis(rows.index)
    return rows.assign(place=place, possible=rows["dense"].where(possible.isna(), possible))
