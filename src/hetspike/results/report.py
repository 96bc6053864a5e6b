"""A study on one HTML page that loads nothing: findings, tables, figures, and how they came about.

The page is the template report.html.jinja, which escapes whatever it is given.
"""

from base64 import b64encode
from collections import Counter
from typing import NamedTuple, get_args

from jinja2 import Environment, PackageLoader, StrictUndefined

from hetspike.results.claims import Verdict
from hetspike.results.figures import drawn_in
from hetspike.results.findings import Finding
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


class Content(NamedTuple):
    """All that is on the page, in its order.

    tables   name -> table, in order, the claims among them
    figures  name -> PNG, in order
    seconds  rule -> what each of its jobs took, in the order of the rules
    """

    study: str
    findings: list[Finding]
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


def described(figure: str) -> dict[str, str]:
    """The title and the alternative text of the figure in a file of this name.

    >>> described("accuracy-sim-gestures")["title"]
    'Accuracy against bits on sim-gestures'
    """
    picture, of = drawn_in(figure)
    return {"title": picture.title.format(**of), "alternative": picture.alternative.format(**of)}


def _pictures(figures: dict[str, bytes]) -> list[dict[str, str]]:
    """Figures with their titles and alternative texts."""
    return [
        {"name": name, "data": b64encode(png).decode(), **described(name)}
        for name, png in figures.items()
    ]


def _place(told: str) -> int:
    """The place of a verdict among all; tables tell "met" with its tolerance."""
    return [told.startswith(each) for each in get_args(Verdict)].index(True)


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
            "counts": dict(sorted(counts.items(), key=lambda each: _place(each[0]))),
            "judged": judged,
            "not_run": not_run,
        }
    )
