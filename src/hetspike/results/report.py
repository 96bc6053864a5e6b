"""A study on one HTML page that loads nothing: verdicts, tables, figures, and how they came about.

The page is the template report.html.jinja, which escapes whatever it is given.
"""

from base64 import b64encode
from collections import Counter
from typing import NamedTuple, get_args

from jinja2 import Environment, PackageLoader, StrictUndefined

from hetspike.results.claims import Verdict
from hetspike.results.flow import BOX_HEIGHT, BOX_WIDTH, Drawing

NOT_RUN: Verdict = "not run"
WIDE = 40  # characters from which on a column's text is wrapped


class Table(NamedTuple):
    """A table for people."""

    caption: str
    headings: list[str]
    rows: list[list[str]]

    @property
    def wide(self) -> list[bool]:
        """Whether a column holds sentences."""
        return [max(map(len, column)) > WIDE for column in zip(*self.rows, strict=True)]


class Figure(NamedTuple):
    """What a family of figures shows; `{}` is the rest of a figure's name, if it has one."""

    title: str
    alternative: str


FIGURES = {
    "samples": Figure(
        "Recordings of {}",
        "Film strips of one training recording of each class of {}, in six equal parts of time: "
        "where events turn brighter and where darker.",
    ),
    "training": Figure(
        "Training on {}",
        "Training and validation accuracy over the epochs of every network on {}, a line a seed, "
        "with the epochs marked that validation selects: from scratch in float, then fine-tuned.",
    ),
    "accuracy": Figure(
        "Accuracy against bits on {}",
        "Test accuracy of the quantized networks on {} against their effective bits, with 95 % "
        "intervals, beside float and the paper's result. The table of results has the numbers.",
    ),
    "assignments": Figure(
        "Schemes and bits that {} chose",
        "Scheme and bits that the search {} chose for each layer, by dataset, budget and seed.",
    ),
    "energy": Figure(
        "Energy under each view",
        "How many times less energy than float every network takes under five views, and under "
        "three of them than float's operations at 8-bit weights, by dataset. The table of energy "
        "has the numbers.",
    ),
    "spike-rates": Figure(
        "Spike rates",
        "Share of each layer's inputs that are not zero along the float network, by dataset, and "
        "how many times that it is in quantized networks.",
    ),
}


class Content(NamedTuple):
    """All that is on the page, in its order.

    tables   name -> table, in order, the claims among them
    figures  name -> PNG
    seconds  rule -> what each of its jobs took, in the order of the rules
    """

    study: str
    tables: dict[str, Table]
    figures: dict[str, bytes]
    workflow: Drawing
    configuration: str
    software: dict[str, str]
    machine: dict[str, str]
    seconds: dict[str, list[float]]


def titled(name: str) -> str:
    """A name of files as a heading.

    >>> titled("energy-claims")
    'Energy claims'
    """
    return name.capitalize().replace("-", " ")


def family_of(figure: str) -> str:
    """The family in FIGURES that a figure's name begins with."""
    for family in FIGURES:
        if figure == family or figure.startswith(f"{family}-"):
            return family
    raise AssertionError(f"{figure} is of no family: give it a title in FIGURES")


def described(figure: str) -> Figure:
    """What the figure of this name shows.

    >>> described("accuracy-sim-gestures").title
    'Accuracy against bits on sim-gestures'
    """
    family = family_of(figure)
    rest = figure.removeprefix(family).removeprefix("-")
    return Figure(*(text.format(rest) for text in FIGURES[family]))


def _pictures(figures: dict[str, bytes]) -> list[dict[str, str]]:
    """Figures with their titles and alternative texts, family by family."""
    families = list(FIGURES)
    return [
        {"name": name, "data": b64encode(figures[name]).decode(), **described(name)._asdict()}
        for name in sorted(figures, key=lambda name: families.index(family_of(name)))
    ]


def _verdict_first(claims: Table) -> Table:
    """The claims with their last column first, which a phone then shows, and their ids last."""
    headings, *rows = ([line[-1], *line[1:-1], line[0]] for line in (claims.headings, *claims.rows))
    return Table(claims.caption, headings, rows)


def _times(seconds: dict[str, list[float]]) -> Table:
    """A row per rule that has a job whose time is known."""
    rows = [
        [
            rule,
            str(len(each)),
            f"{sum(each):,.0f}",
            f"{sum(each) / len(each):,.1f}",
            f"{max(each):,.1f}",
        ]
        for rule, each in seconds.items()
        if each
    ]
    return Table("", ["Rule", "Jobs", "Together (s)", "Mean (s)", "Longest (s)"], rows)


def page(content: Content) -> str:
    """The whole page."""
    templates = Environment(
        loader=PackageLoader("hetspike.results", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    claims = _verdict_first(content.tables["claims"])
    counts = Counter(row[0] for row in claims.rows)
    judged, not_run = (
        claims._replace(rows=[row for row in claims.rows if (row[0] == NOT_RUN) is without])
        for without in (False, True)
    )
    return templates.get_template("report.html.jinja").render(
        content._asdict()
        | {
            "titled": titled,
            "box_width": BOX_WIDTH,
            "box_height": BOX_HEIGHT,
            "times": _times(content.seconds),
            "pictures": _pictures(content.figures),
            "tables": {name: each for name, each in content.tables.items() if name != "claims"},
            "counts": {verdict: counts[verdict] for verdict in get_args(Verdict)},
            "judged": judged,
            "not_run": not_run,
        }
    )
