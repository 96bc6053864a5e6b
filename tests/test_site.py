"""The site of `make docs`: strict about its links, with all that users call, without a network."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from pkgutil import iter_modules

from projects import ROOT

import hetspike

REFERENCE = ROOT / "website/pages/reference"


class Page(HTMLParser):
    """Anchors of a page, and the addresses that a browser fetches when it opens it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.fetched: list[str] = []
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name == "id":
                self.anchors.add(value or "")
            if name in ("src", "srcset", "data", "poster") or (tag, name) == ("link", "href"):
                self.fetched.append(value or "")


def test_every_room_has_a_page():
    rooms = {module.name for module in iter_modules(hetspike.__path__) if module.ispkg}
    assert {path.stem for path in REFERENCE.iterdir()} == rooms | {"hetspike", "settings"}


def test_the_site_is_whole_and_opens_without_a_network(tmp_path):
    # not --quiet: what is not said does not count as a warning either
    build = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(tmp_path)]
    run = subprocess.run(build, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    pages = {str(path.relative_to(tmp_path)): Page(path) for path in tmp_path.rglob("*.html")}
    written = {f"docs/{path.stem}.html" for path in (ROOT / "docs").glob("*.md")}
    assert written | {"index.html", "CONTRIBUTING.html", "CHANGELOG.html"} <= pages.keys()
    called = {f"hetspike.{name}" for name in hetspike.__all__}
    assert called <= pages["reference/hetspike.html"].anchors
    # the theme's own script fetches one thing from a server, for diagrams of this class
    assert [
        path for path in tmp_path.rglob("*.html") if 'class="mermaid"' in path.read_text()
    ] == []
    fetched = {address for page in pages.values() for address in page.fetched}
    for style in tmp_path.rglob("*.css"):
        fetched |= {*re.findall(r"""(?:url\(|@import )["']?([^"')]+)""", style.read_text())}
    assert "iframe-worker.js" in fetched and "style.css" in fetched
    assert [each for each in fetched if re.match(r"(?!data:)\w+:|//", each)] == []
