"""The table of datasets for people."""

import pandas as pd

from hetspike.present.notation import origin, with_deviation


def present_datasets(table: pd.DataFrame) -> pd.DataFrame:
    """`dataset_table` for people; the checksums stay in the csv."""
    counts = table[["train", "validation", "test"]].itertuples(index=False)
    scores = table[["float_accuracy", "float_accuracy_sd", "n"]].itertuples(index=False)
    return pd.DataFrame(
        {
            "Dataset": table["dataset"],
            "Protocol of": table["protocol"],
            "Classes": table["classes"],
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


def datasets_caption(table: pd.DataFrame) -> str:
    """What a reader must know to read `present_datasets`."""
    return (
        f"{origin(table)}The linear classifier sees event counts summed over time: what it leaves "
        "open needs the order of events. Float transformer: mean ± standard deviation over seeds "
        "(number of seeds)."
    )
