"""Tables for people: values carry their spread ("0.4 [-0.6, 1.5]"), headings their units.

Every table of a study has a function that turns it into text columns and one for its caption;
`TABLES` names them. `forms` writes them.
"""

from collections.abc import Callable
from typing import NamedTuple

import pandas as pd

from hetspike.results.present import accuracy, costs, datasets


class Table(NamedTuple):
    """How a table is shown: as text columns, under which caption."""

    shown: Callable[[pd.DataFrame], pd.DataFrame]
    caption: Callable[[pd.DataFrame], str]


TABLES = {
    "results": Table(accuracy.present_results, accuracy.results_caption),
    "summary": Table(accuracy.present_summary, accuracy.summary_caption),
    "comparison": Table(accuracy.present_comparison, accuracy.comparison_caption),
    "significance": Table(accuracy.present_significance, accuracy.significance_caption),
    "ablations": Table(accuracy.present_ablations, accuracy.ablations_caption),
    "sizes": Table(costs.present_sizes, costs.sizes_caption),
    "energy": Table(costs.present_energy, costs.energy_caption),
    "order": Table(costs.present_order, costs.order_caption),
    "integer": Table(costs.present_integer, costs.integer_caption),
    "datasets": Table(datasets.present_datasets, datasets.datasets_caption),
    "energy-claims": Table(costs.present_energy_claims, costs.energy_claims_caption),
    "best-epoch": Table(accuracy.present_epochs, accuracy.epochs_caption),
    "claims": Table(lambda claims: claims, costs.claims_caption),
}
