import json
import re
from base64 import b64decode
from html.parser import HTMLParser
from importlib.resources import files
from itertools import pairwise
from typing import get_args

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetspike.results.claims import Verdict
from hetspike.results.findings import Finding
from hetspike.results.flow import drawing
from hetspike.results.present.forms import to_data
from hetspike.results.report import Content, Table, page

CLAIMS = Table(
    "Claims of the paper.",
    ["id", "sentence", "dataset", "verdict"],
    [
        ["C1", "It is small.", "sim-a", "supported"],
        ["C2", "It is good.", "sim-a", "not supported"],
        ["C3", "It is quick.", "a", "not run"],
        ["C4", "It is quick.", "sim-a", "supported"],
        ["C5", "It is thrifty.", "sim-a", "exceeded"],
        ["C6", "It is thrifty.", "sim-b", "met within 20 %"],
    ],
)
RESULTS = Table("Results, 95 % intervals.", ["Network", "Accuracy (%)"], [["float", "88.1"]])
CONTENT = Content(
    study="small",
    findings=[
        Finding("It is <small>.", "Supported on sim-a.", []),
        Finding("", "Energy:", ["Memory: 8.0x.", "Operations: 4.0x."]),
    ],
    tables={"summary": RESULTS, "energy-claims": RESULTS, "claims": CLAIMS},
    figures={"samples-sim-a": b"\x89PNG samples", "energy": b"\x89PNG energy"},
    workflow=drawing([("events", "frames"), ("frames", "tables"), ("events", "tables")]),
    configuration="study: small\nseeds: [0]\n",
    software={"torch": "2.13.0"},
    machine={"Processor": "of some kind"},
    seconds={"events": [1.0, 2.6], "search": []},
)
VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """A page as a list of elements and as text, with the text of each element."""

    def __init__(self, text: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[int] = []
        self.feed(text)
        self.close()
        assert self.open == [], "every element is closed"

    def handle_starttag(self, tag, attributes):
        assert len({name for name, _ in attributes}) == len(attributes)
        self.elements.append((tag, dict(attributes)))
        self.texts.append("")
        if tag not in VOID:
            self.open.append(len(self.elements) - 1)

    def handle_startendtag(self, tag, attributes):  # <path ... /> of SVG
        self.elements.append((tag, dict(attributes)))
        self.texts.append("")

    def handle_endtag(self, tag):
        assert self.elements[self.open.pop()][0] == tag

    def handle_data(self, data):
        for element in self.open:
            self.texts[element] += data

    def all(self, *tags: str) -> list[str]:
        """Texts of all elements of these kinds, in order."""
        found = zip(self.elements, self.texts, strict=True)
        return [text.strip() for (tag, _), text in found if tag in tags]

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def shown() -> Page:
    return Page(page(CONTENT))


def test_nothing_is_loaded(shown):
    assert not {"script", "link", "iframe", "object", "base"} & {tag for tag, _ in shown.elements}
    for tag, attributes in shown.elements:
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href", "srcset", "data", "action", "poster", "xlink:href"):
                assert value and value.startswith(("#", "data:image/png;base64,")), (tag, value)
    (style,) = shown.all("style")
    assert "@import" not in style
    assert {*re.findall(r"url\(([^)]+)\)", style)} == {"#head"}
    (policy,) = (each for each in shown.attributes("meta") if "http-equiv" in each)
    assert policy["content"].startswith("default-src 'none'; img-src data:;")


def test_findings_come_first_then_the_rest_in_order(shown):
    assert shown.all("h1") == ["hetspike: the small study"]
    assert shown.all("h2") == [
        *("Contents", "Findings", "Verdicts", "Tables", "Figures", "Workflow"),
        *("Configuration", "Software", "Machine", "Times"),
    ]
    levels = [int(tag[1]) for tag, _ in shown.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_findings_are_told_with_their_parts_below_them(shown):
    items = [" ".join(text.split()) for text in shown.all("li")]
    first = items.index("It is <small>. Supported on sim-a.")
    assert items[first + 1 : first + 4] == [
        *("Energy: Memory: 8.0x. Operations: 4.0x.", "Memory: 8.0x.", "Operations: 4.0x.")
    ]
    assert shown.all("strong") == ["It is <small>."]


def test_verdicts_are_counted_and_what_was_not_run_is_folded(shown):
    counts = [text for text in shown.all("li") if re.match(r"\d", text)]
    assert counts == [
        "2 supported",
        "1 not supported",
        "1 met within 20 %",
        "1 exceeded",
        "1 not run",
    ]
    marked = [a["class"] for a in shown.attributes("span") if a["class"].startswith("verdict")]
    classes = {name.split()[1] for name in marked}
    assert classes == {"supported", "not-supported", "met", "exceeded", "not-run"}
    (style,) = shown.all("style")
    told = {verdict.replace(" ", "-") for verdict in get_args(Verdict)}
    assert classes <= told <= {*re.findall(r"\.([a-z-]+)(?=,| {)", style)}
    rows = [" ".join(text.split()) for text in shown.all("tr")]
    assert rows[0] == "verdictsentencedatasetid"
    assert rows[1] == "supportedIt is small.sim-aC1"
    assert shown.all("summary") == ["Claims that need other data or rows: 1"]
    (folded,) = shown.all("details")
    assert "C3" in folded and "C4" not in folded


def test_every_table_and_figure_is_there(shown):
    assert shown.all("h3") == [
        "Summary",
        "Energy claims",
        "Recordings of sim-a",
        "Energy under each view",
    ]
    cells = shown.all("td")
    for table in CONTENT.tables.values():
        assert {cell for row in table.rows for cell in row} <= {*cells}
        assert table.caption in shown.all("p")
    images = shown.attributes("img")
    data = [b64decode(image["src"].removeprefix("data:image/png;base64,")) for image in images]
    assert data == [CONTENT.figures["samples-sim-a"], CONTENT.figures["energy"]]
    assert all(image["alt"] for image in images)
    assert "sim-a" in images[0]["alt"]


def test_a_figure_that_no_registry_names_is_not_lost_in_silence():
    with pytest.raises(LookupError, match="no figure has files named new"):
        page(CONTENT._replace(figures={"new": b""}))


def test_contents_lead_to_every_section(shown):
    ids = [attributes["id"] for _, attributes in shown.elements if "id" in attributes]
    assert len({*ids}) == len(ids)
    links = [link["href"] for link in shown.attributes("a")]
    assert {*links} <= {f"#{name}" for name in ids}
    headings = [
        f"#{attributes['id']}"
        for tag, attributes in shown.elements
        if tag in ("h2", "h3") and "id" in attributes
    ]
    assert links == headings


def test_the_workflow_is_drawn_and_told(shown):
    assert shown.all("text") == ["events", "frames", "tables"]
    assert shown.all("desc") == ["frames takes from events. tables takes from frames."]
    (svg,) = shown.attributes("svg")
    ids = [attributes.get("id") for _, attributes in shown.elements]
    assert svg["role"] == "img" and {*svg["aria-labelledby"].split()} <= {*ids}


def test_times_of_the_jobs_that_told_them(shown):
    rows = [" ".join(text.split()) for text in shown.all("tr")]
    assert rows[-2:] == ["RuleJobsTogether (s)Mean (s)Longest (s)", "events241.82.6"]


def test_tables_scroll_in_a_box_that_a_keyboard_reaches(shown):
    boxes = [each for each in shown.attributes("div") if each.get("class") == "scroll"]
    assert len(boxes) == len(shown.attributes("table")) + 1  # and the configuration
    assert all(box["tabindex"] == "0" and box["aria-label"] for box in boxes)
    assert all(cell == {"scope": "col"} for cell in shown.attributes("th"))
    (viewport,) = (each for each in shown.attributes("meta") if each.get("name") == "viewport")
    assert viewport["content"].startswith("width=device-width")


def luminance(colour: str) -> float:
    """Relative luminance of #rgb or #rrggbb [WCAG 2.1]."""
    digits = colour.removeprefix("#")
    pairs = [digits[i : i + 2] for i in (0, 2, 4)] if len(digits) == 6 else [2 * d for d in digits]
    values = [int(pair, 16) / 255 for pair in pairs]
    linear = [v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_text_stands_out_from_what_lies_behind_it():
    css = files("hetspike.results").joinpath("report.html.jinja").read_text()
    pairs = re.findall(r"\{ color: (#\w+); background: (#\w+);", css)
    assert len(pairs) == 4  # verdicts
    named = dict(re.findall(r"--(\w+): (#\w+);", css))
    pairs += [(named[name], "#fff") for name in ("ink", "soft", "link")]
    for text, behind in pairs:
        darker, lighter = sorted([luminance(text), luminance(behind)])
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (text, behind)


MEAN = [
    "<script>alert(1)</script>",
    "</td></table>",
    '" onload="x',
    "{{ study }}",
    "&lt;",
    "{% if %}",
]


@given(st.one_of(st.sampled_from(MEAN), st.text("<>&\"'/={}%# abc", min_size=1, max_size=30)))
def test_hostile_text_stays_text(hostile):
    def with_text(text: str) -> Page:
        claims = CLAIMS._replace(rows=[[text] * 3 + ["supported"]])
        table = Table(text, [text, text], [[text, text]])
        return Page(
            page(
                CONTENT._replace(
                    findings=[Finding(text, text, [text])],
                    tables={"summary": table, "claims": claims},
                    configuration=text,
                    software={text: text},
                    machine={text: text},
                    seconds={text: [1.0]},
                )
            )
        )

    harmless, shown = with_text("a"), with_text(hostile)
    assert shown.elements == harmless.elements
    assert shown.all("pre") == [hostile.strip()]
    assert shown.all("dd") == [hostile.strip()] * 2
    assert shown.all("td")[1] == hostile.strip()


def test_a_table_is_shown_as_it_was_written():
    frame = pd.DataFrame({"One": ["a", ""], "Two (%)": [6, 50]})
    written = json.loads(json.dumps(to_data(frame, "What it shows.")))
    assert Table(**written) == Table("What it shows.", ["One", "Two (%)"], [["a", "6"], ["", "50"]])
