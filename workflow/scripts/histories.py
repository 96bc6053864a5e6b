"""The histories of all trainings of a study as one table."""

from collections.abc import Iterable

import pandas as pd
from reading import read_table

from hetspike.training.history import Epoch


def read_histories(paths: Iterable[str], networks: Iterable[tuple[str, int, str]]) -> pd.DataFrame:
    """dataset, seed, cell and the fields of `Epoch`; networks are (dataset, seed, cell)."""
    tables = [
        read_table(path, Epoch._fields).assign(dataset=dataset, seed=seed, cell=cell)
        for (dataset, seed, cell), path in zip(networks, paths, strict=True)
    ]
    return pd.concat(tables, ignore_index=True)
