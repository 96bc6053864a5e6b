"""The table of datasets for people."""

from collections.abc import Sequence

import pandas as pd

from hetspike.results.present.notation import origin, with_deviation


def present_datasets(table: pd.DataFrame) -> pd.DataFrame:
    """`dataset_table` for people; the checksums stay in the csv."""
    counts = table[["train", "validation", "test"]].itertuples(index=False)
    classes = table[["classes_train", "classes_validation", "classes_test"]].values.tolist()
    scores = table[["float_accuracy", "float_accuracy_sd", "n"]].itertuples(index=False)
    return pd.DataFrame(
        {
            "Dataset": table["dataset"],
            "Protocol of": table["protocol"],
            "Classes": [*map(classes_there, classes, table["classes"])],
            "Train / validation / test": [
                " / ".join(str(count) for count in row) for row in counts
            ],
            "Sensor (pixels)": table["sensor"],
            "Time steps": table["steps"],
            "Events per recording": [f"{events:,.0f}" for events in table["events_per_recording"]],
            "Linear classifier (%)": [f"{score:.1f}" for score in table["linear_accuracy"]],
            "Float transformer (%)": [with_deviation(*row) for row in scores],
        }
    )


def classes_there(counts: Sequence[int], classes: int) -> str:
    """How many classes train, validation and test recordings show; of how many, where some lack.

    >>> classes_there([10, 10, 10], 10), classes_there([6, 6, 6], 10)
    ('10', '6 of 10')
    >>> classes_there([10, 9, 6], 10)
    '10 / 9 / 6 of 10'
    """
    shown = " / ".join(map(str, counts if len({*counts}) > 1 else counts[:1]))
    return shown if shown == str(classes) else f"{shown} of {classes}"


def datasets_caption(table: pd.DataFrame) -> str:
    """What a reader must know to read `present_datasets`."""
    return (
        f"{origin(table)}The linear classifier sees event counts summed over time: what it leaves "
        "open needs the order of events. Float transformer: mean ± standard deviation over seeds "
        "(number of seeds)."
    )
