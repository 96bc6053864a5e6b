"""Firing: how often single neurons spike, and how far that is from the float network.

A quantized network can keep its accuracy and compute something else. The firing rate of a neuron is
the number of its spikes over all steps of all test recordings, divided by the number of these
steps. The rates of a layer are compared with those of the reference of the same seed in two ways:

    distance  of the two distributions: the earth mover's, the least mean distance by which rates
              must move to turn the one into the other [Rubner 2000]. Which neuron has which rate
              does not matter
    change    of a neuron: the mean absolute difference between a neuron and itself. All networks of
              one seed start from one float network, so neurons correspond

The distance is never more than the change. What counts as far is told by references of two seeds,
whose neurons do not correspond. Rates are percent of steps, differences percentage points.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations, product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hetspike.results.cost_tables import mean_and_range

QUANTILES = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}
OF_NEURONS = ("rate", "dead", *QUANTILES)
COMPARED = ("distance", "change")
FIRING_COLUMNS = (
    *("dataset", "cell", "seed", "against_seed", "layer", "neurons"),
    *(*OF_NEURONS, *COMPARED),
)

Rates = Mapping[str, NDArray[np.float64]]  # layer -> rate of each neuron [N], spikes per step


def earth_movers(first: NDArray, second: NDArray) -> float:
    """The earth mover's distance between two lists of equally many values.

    The cheapest way moves the lowest to the lowest, the next to the next, and so on.

    >>> earth_movers(np.array([0.0, 0.5]), np.array([0.75, 0.0]))
    0.125
    """
    return float(np.abs(np.sort(first) - np.sort(second)).mean())


def between_seeds(reference: str) -> str:
    """The name of rows that compare references of two seeds."""
    return f"{reference}, other seed"


def layers_of(rates: Rates, reference: Rates | None = None) -> pd.DataFrame:
    """layer, neurons, OF_NEURONS and, where there is a reference, COMPARED: a row a layer."""
    rows = []
    for layer, each in rates.items():
        percent = 100 * each
        row = {
            "layer": layer,
            "neurons": len(each),
            "rate": percent.mean(),
            "dead": 100 * (each == 0).mean(),
            **dict(zip(QUANTILES, np.quantile(percent, [*QUANTILES.values()]), strict=True)),
        }
        if reference is not None:
            other = 100 * reference[layer]
            row["distance"] = earth_movers(percent, other)
            row["change"] = np.abs(percent - other).mean()
        rows.append(row)
    return pd.DataFrame(rows)


def firing_table(
    rates_of: Callable[[str, int, str], Rates],
    datasets: Iterable[str],
    seeds: Sequence[int],
    cells: Sequence[str],
    *,
    reference: str,
) -> pd.DataFrame:
    """FIRING_COLUMNS, a row per dataset, cell, seed and layer of neurons.

    rates_of  dataset, seed and cell -> the rates of that network

    The last rows of a dataset are named `between_seeds`: references of two seeds, compared and
    nothing else. The reference itself is compared with nothing.
    """
    tables = []
    for dataset in datasets:
        references = {seed: rates_of(dataset, seed, reference) for seed in seeds}
        for cell, seed in product(cells, seeds):
            if cell == reference:
                table = layers_of(references[seed])
            else:
                table = layers_of(rates_of(dataset, seed, cell), references[seed])
            tables.append(table.assign(dataset=dataset, cell=cell, seed=seed, against_seed=seed))
        for seed, other in combinations(seeds, 2):
            table = layers_of(references[seed], references[other])
            table = table.assign(**dict.fromkeys(OF_NEURONS, np.nan), cell=between_seeds(reference))
            tables.append(table.assign(dataset=dataset, seed=seed, against_seed=other))
    return pd.concat(tables, ignore_index=True).reindex(columns=list(FIRING_COLUMNS))


def firing_by_network(layers: pd.DataFrame) -> pd.DataFrame:
    """dataset, cell and, as <measure>, <measure>_low and <measure>_high, means and range of seeds.

    layers  `firing_table`

    rate and dead are of all neurons of a network, distance and change means over its layers.
    """
    of_all = {name: layers[name] * layers["neurons"] for name in ("rate", "dead")}
    networks = layers.assign(**of_all).groupby(
        ["dataset", "cell", "seed", "against_seed"], sort=False
    )
    sums = networks[["neurons", *of_all]].sum(min_count=1)
    measured = sums[[*of_all]].div(sums["neurons"], axis=0).join(networks[[*COMPARED]].mean())
    return mean_and_range(measured).reset_index()
