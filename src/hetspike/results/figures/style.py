"""What all figures share: what they are drawn from, colours and markers of methods, files.

Colours are Okabe and Ito's, told apart by colour-blind readers; markers differ too, for print in
grey.
"""

import io
from collections.abc import Callable
from typing import NamedTuple

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from hetspike.data.events.recordings import OnDemand, Recordings
from hetspike.names import is_stand_in, search_of
from hetspike.quantization.levels import SCHEMES


class Measured(NamedTuple):
    """All that the figures of a study are drawn from."""

    results: pd.DataFrame  # `results.tables.results_table`
    energy: pd.DataFrame  # `results.cost_tables.energy_table`
    dataflows: pd.DataFrame  # `results.sensitivity.dataflow_table`
    firing: pd.DataFrame  # `results.firing.firing_table`, with those names of its layers
    layers: pd.DataFrame  # operations of the evaluation, with the part and short_name of layers
    histories: pd.DataFrame  # dataset, seed, cell and the fields of `training.history.Epoch`
    cells: pd.DataFrame
    recordings: Callable[[str], Recordings | OnDemand]  # for training, of a dataset


class Picture(NamedTuple):
    """How a figure is drawn and told.

    draw         what was measured, and by name the dataset or search that it is of -> it
    title        {dataset} and {search} stand for those
    alternative  what a reader who does not see it must know, in the same way
    """

    draw: Callable[..., Figure]
    title: str
    alternative: str


class Style(NamedTuple):
    """How a method or a scheme looks in every figure, and what it is called there."""

    label: str
    colour: str
    marker: str


STYLES = {
    "float": Style("float", "#949494", "P"),
    "float-tuned": Style("float, tuned as long as the others", "#000000", "*"),
    # schemes: a colour is a method's line in one figure and a layer's scheme in another
    "binary": Style("binary", "#CC79A7", "h"),
    "uniform": Style("uniform", "#0072B2", "o"),
    "pot": Style("power of two", "#E69F00", "s"),
    "apot": Style("additive power of two", "#F0E442", "p"),
    # searches
    "fisher": Style("fisher: mixed, by Fisher information", "#009E73", "^"),
    "sensitivity": Style("sensitivity: mixed, by Hessian trace", "#56B4E9", "v"),
    "dnas": Style("dnas: mixed, by gradient descent", "#D55E00", "D"),
    "random": Style("random: mixed, by chance", "#777777", "X"),
}
# rows of a study under names of their own, in order
OTHERS = (("#332288", ">"), ("#661100", "d"), ("#117733", "H"))

DPI = 150
# no dates, no versions; type 42 embeds fonts as they are, which publishers ask for
METADATA: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
}


def rendered(figure: Figure, form: str) -> bytes:
    """Render a figure as a file of this form: equal figures are equal bytes."""
    buffer = io.BytesIO()
    with mpl.rc_context({"pdf.fonttype": 42}):
        figure.savefig(buffer, format=form, dpi=DPI, metadata=METADATA[form])
    return buffer.getvalue()


def family_of(method: str, methods: list[str]) -> tuple[str, str]:
    """A method and "", or the search that it varies and what its name adds, as in `search_of`."""
    if method in SCHEMES:
        return method, ""
    return search_of(method, [each for each in methods if each not in SCHEMES])


def style_of(method: str, methods: list[str]) -> Style:
    """The style of a method or a scheme; searches among other candidates share that of the search.

    A method without a style takes the next spare colour and marker: schemes first, then the rows of
    the study, so that a colour stands for the same scheme in every figure.
    """
    if method in STYLES:
        return STYLES[method]
    search, addition = family_of(method, methods)
    if addition:
        return style_of(search, methods)
    plain = [each for each in methods if not family_of(each, methods)[1]]
    spare = [each for each in dict.fromkeys([*SCHEMES, *plain]) if each not in STYLES]
    return Style(method, *OTHERS[spare.index(method) % len(OTHERS)])


def scheme_style(scheme: str) -> Style:
    """The style of what a layer's weights are stored as, float among it."""
    return style_of(scheme, [])


def titled(dataset: str) -> str:
    """Return a dataset's name, marked where it is a stand-in."""
    return f"{dataset}\n(simulated stand-in data)" if is_stand_in(dataset) else dataset
