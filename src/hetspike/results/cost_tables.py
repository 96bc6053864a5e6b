"""Tables of sizes, energies and integer execution.

All are made from two tables that the evaluation writes:

    layers     dataset, cell, seed and the columns of `cost.operations.Operation`, a row per
               operation
    networks   dataset, cell, seed, packed_bytes; agreement and integer_accuracy, fractions of the
               test recordings, where the network runs on integers

A value is a mean over seeds; <measure>_low and <measure>_high are its range.
"""

from collections.abc import Iterator
from itertools import groupby

import pandas as pd

from hetspike.cost.energy import ENERGY_VIEWS, FP32, REFERENCES, energies, operations_of
from hetspike.cost.sizes import compression, effective_bits, mac_bits, model_bits, stored_bits
from hetspike.quantization.levels import SCHEMES, Arithmetic

SIZES = {
    "effective_bits": effective_bits,
    "compression": compression,
    "model_bits": model_bits,
    "mac_bits": mac_bits,
}


def measure_of(view: str, reference: str) -> str:
    """The name of a ratio.

    >>> measure_of("ops", "fp32"), measure_of("ops", "int8")
    ('energy_ops', 'energy_ops_int8')
    """
    return f"energy_{view}" if reference == FP32 else f"energy_{view}_{reference}"


# measure -> its view and reference; a view that ignores widths is compared with fp32 alone
RATIOS = {
    measure_of(view, reference): (view, reference)
    for reference in REFERENCES
    for view, each in ENERGY_VIEWS.items()
    if each.by_width or reference == FP32
}
ORDERED = [measure_of(view, FP32) for view in ENERGY_VIEWS]  # the order is that of any reference
PICOJOULES = {view: f"{view}_pj" for view, each in ENERGY_VIEWS.items() if each.in_picojoules}
NETWORK = ["dataset", "cell", "seed"]
ENDS = ("", "_low", "_high")


def layer_table(layers: pd.DataFrame) -> pd.DataFrame:
    """Add size, rates and energies to every operation of every network.

    stored_bits: weights, scales and biases together; rate: share of the inputs that are not zero
    (of neurons: of potentials that spike); not_binary: share that is neither 0 nor 1.
    """
    spent = pd.concat([energies(rows) for _, rows in layers.groupby(NETWORK, sort=False)])
    shares = layers[["active", "not_binary"]].div(
        layers["inputs"].where(layers["inputs"] > 0), axis=0
    )
    return layers.assign(
        stored_bits=stored_bits(layers), rate=shares["active"], not_binary=shares["not_binary"]
    ).join(spent)


def by_network(layers: pd.DataFrame, networks: pd.DataFrame, *, reference: str) -> pd.DataFrame:
    """One row per dataset, cell and seed (the index): every size and every energy.

    layers: `layer_table`. packed_compression and the measures of RATIOS are ratios reference /
    network of the same seed, for energies the operations of the reference as each of
    `cost.energy.REFERENCES` charges them; <view>_pj is the energy itself, picojoules a recording.
    """
    rows, references = [], {}
    for name, operations in layers.groupby(NETWORK, sort=False):
        spent = operations[list(ENERGY_VIEWS)].sum()
        dataset, cell, seed = name
        if cell == reference:
            references[dataset, seed] = {
                of: energies(each.charged(operations)).sum() for of, each in REFERENCES.items()
            }
        rows.append(
            {
                **dict(zip(NETWORK, name, strict=True)),
                **{size: of(operations) for size, of in SIZES.items()},
                **spent,
            }
        )
    table = pd.DataFrame(rows).merge(
        networks[[*NETWORK, "packed_bytes"]], on=NETWORK, validate="one_to_one"
    )
    same = pd.MultiIndex.from_frame(table[["dataset", "seed"]])
    floats = table[table["cell"] == reference].set_index(["dataset", "seed"])["packed_bytes"]
    table["packed_compression"] = floats.loc[same].to_numpy() / table["packed_bytes"]
    for measure, (view, of) in RATIOS.items():
        table[measure] = [references[run][of][view] for run in same] / table[view]
    return table.rename(columns=PICOJOULES).set_index(NETWORK)


def mean_and_range(by_seed: pd.DataFrame) -> pd.DataFrame:
    """Reduce seeds to <measure>, <measure>_low and <measure>_high by dataset and cell."""
    cells = by_seed.groupby(["dataset", "cell"], sort=False)
    parts = [
        cells.agg(how).add_suffix(end)
        for how, end in zip(("mean", "min", "max"), ENDS, strict=True)
    ]
    columns = [f"{measure}{end}" for measure in by_seed for end in ENDS]
    return pd.concat(parts, axis=1)[columns]


def size_table(costs: pd.DataFrame) -> pd.DataFrame:
    """dataset, cell and the five sizes, the paper's and the honest ones; from `mean_and_range`."""
    measures = [*SIZES, "packed_bytes", "packed_compression"]
    return costs[[f"{measure}{end}" for measure in measures for end in ENDS]].reset_index()


def energy_table(costs: pd.DataFrame) -> pd.DataFrame:
    """dataset, cell, ratios to each reference by view, and the energies themselves."""
    columns = [f"{measure}{end}" for measure in RATIOS for end in ENDS]
    return costs[[*columns, *PICOJOULES.values()]].reset_index()


def narrower_table(costs: pd.DataFrame) -> pd.DataFrame:
    """dataset, cell, and ratios to the references other than fp32."""
    others = [measure for measure, (_, reference) in RATIOS.items() if reference != FP32]
    return costs[[f"{measure}{end}" for measure in others for end in ENDS]].reset_index()


def rivals(cells: pd.DataFrame) -> Iterator[list[str]]:
    """Cells of about equal bits: a budget's searched ones, and single schemes at the nearest width.

    cells: cell, method, setting. Groups of one scheme only are left out.
    """
    single = cells[cells["method"].isin(SCHEMES)]
    searched = cells[cells["setting"].notna() & ~cells["method"].isin(SCHEMES)]
    for budget in searched["setting"].unique():
        near = single[single["setting"] == round(budget)]
        if len(near) > 1:
            yield [*near["cell"], *searched.loc[searched["setting"] == budget, "cell"]]


def order_table(costs: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """dataset, cells that are compared, and their order under each view, the thriftiest first.

    `same` says whether all views agree. Cells whose ratios print alike share a place (=).
    """
    rows = []
    for dataset in costs.index.unique("dataset"):
        for names in rivals(cells):
            ratios = costs.loc[dataset].loc[names]
            orders = {measure: _ordered(ratios[measure]) for measure in ORDERED}
            rows.append({"dataset": dataset, "cells": ", ".join(names), **orders})
            rows[-1]["same"] = len(set(orders.values())) == 1
    return pd.DataFrame(rows, columns=["dataset", "cells", *ORDERED, "same"])


def _ordered(ratios: pd.Series) -> str:
    """'pot-3 = uniform-3 > dnas-3.14': from the largest saving to the least."""
    printed = ratios.map(lambda ratio: f"{ratio:#.3g}").sort_index()
    best_first = printed.loc[printed.map(float).sort_values(ascending=False, kind="stable").index]
    places = groupby(best_first.index, key=best_first.get)
    return " > ".join(" = ".join(map(str, names)) for _, names in places)


def integer_table(layers: pd.DataFrame, networks: pd.DataFrame) -> pd.DataFrame:
    """What becomes of quantized networks on integers: a row per dataset and cell.

    agreement            percent of test recordings on which integers and float simulation give the
                         same class: the mean over seeds, and agreement_least of any seed
    difference           accuracy on integers minus that of the simulation, percentage points: the
                         mean over seeds, and difference_most, the one that is farthest from 0
    multiplications, shifts, additions   a recording, mean over seeds
    """
    run = networks.dropna(subset="agreement")
    if run.empty:
        return pd.DataFrame(columns=["dataset", "cell", *INTEGER])
    run = run.assign(
        agreement=100 * run["agreement"],
        difference=100 * (run["integer_accuracy"] - run["accuracy"]),
    )
    cells = run.groupby(["dataset", "cell"], sort=False)
    counts = pd.DataFrame([operations_of(row) for _, row in layers.iterrows()], index=layers.index)
    counted = (
        layers[NETWORK].join(counts).groupby(NETWORK).sum().groupby(["dataset", "cell"]).mean()
    )
    table = pd.DataFrame(
        {
            "agreement": cells["agreement"].mean(),
            "agreement_least": cells["agreement"].min(),
            "difference": cells["difference"].mean(),
            "difference_most": cells["difference"].agg(lambda each: max(each, key=abs)),
        }
    ).join(counted)
    return table.reset_index()


INTEGER = (
    *("agreement", "agreement_least", "difference", "difference_most"),
    *Arithmetic._fields,
)
