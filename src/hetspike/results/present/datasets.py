"""The table of datasets for people; the checksums stay in the csv."""

from hetspike.results.present.columns import DATASET, Row, Table, deviation, number
from hetspike.results.tables import dataset_table


def classes_there(row: Row) -> str:
    """How many classes train, validation and test recordings show; of how many, where some lack.

    >>> shown = {"classes": 10, "classes_train": 10, "classes_validation": 9, "classes_test": 6}
    >>> classes_there(shown), classes_there(dict.fromkeys(shown, 10))
    ('10 / 9 / 6 of 10', '10')
    """
    counts = [row[f"classes_{split}"] for split in ("train", "validation", "test")]
    shown = " / ".join(map(str, counts if len({*counts}) > 1 else counts[:1]))
    return shown if shown == str(row["classes"]) else f"{shown} of {row['classes']}"


TABLES = {
    "datasets": Table(
        lambda of: dataset_table(of.described, of.predictions, of.linear, of.power),
        DATASET
        | {
            "Protocol of": "{protocol}",
            "Classes": classes_there,
            "Train / validation / test": "{train} / {validation} / {test}",
            "Sensor (pixels)": "{sensor}",
            "Time steps": lambda row: row["steps"],  # a number stands on the right
            "Events per recording": "{events_per_recording:,.0f}",
            "Linear classifier (%)": "{linear_accuracy:.1f}",
            "Float transformer (%)": deviation("float_accuracy"),
            "Groups of test recordings": number("groups", ".0f"),
            "Error from groups (pp)": number("se_groups", ".2f"),
            "Half-width (pp)": number("half_width", ".2f"),
            "Power (%)": number("power", ".0f"),
        },
        "{stand_ins}The linear classifier sees event counts summed over time: what it leaves "
        "open needs the order of events. Float transformer: mean ± standard deviation over seeds "
        "(number of seeds). The last four columns are of the judged difference that varies most, "
        "from table `power`: the independent groups of test recordings, the part of its standard "
        "error that they cause, the half-width of its 95 % interval, and its power to tell one "
        "point.",
    )
}
