"""Projects that tests share, and docs/RELIABILITY.md: what they did to the product, how often.

A test that breaks something in many ways says so through the fixture `tried`. At the end of a run
of all tests the page is compared with what they tried; `make reliability` writes it anew.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from projects import PROJECT, ROOT, copy_project, once_for_all, run_smoke
from tabulate import tabulate

PAGE = ROOT / "docs/RELIABILITY.md"
PROPERTY = "tried"
HEAD = """# Reliability

What the tests do to this package, how often in one run, and what comes of it. An attempt ends in
one line that names what is wrong, or it gives the right result all the same. No attempt may end
otherwise: its test would fail. `make reliability` writes this page from what the tests did.
"""


class Trial(NamedTuple):
    """One kind of attempt of one test, counted."""

    part: str  # of the product
    what: str  # was done to it
    refused: int  # ended in one line
    right: int  # gave the right result all the same
    test: str = ""


@pytest.fixture
def tried(record_property, request) -> Callable[..., None]:
    """tried(part, what, refused=n, right=m): what this test did and found, for the page."""

    def say(part: str, what: str, *, refused: int = 0, right: int = 0) -> None:
        assert refused + right > 0, "a row of the page counts something"
        test = request.node.nodeid.partition("[")[0]
        record_property(PROPERTY, [*Trial(part, what, refused, right, test)])

    return say


def page(trials: list[Trial]) -> str:
    """The page; trials of one kind, from several cases of a test, are added up."""
    sums: dict[tuple[str, str, str], list[int]] = {}
    for part, what, refused, right, test in trials:
        row = sums.setdefault((part, what, test), [0, 0])
        row[0] += refused
        row[1] += right
    rows = [
        (part, what, refused + right, refused, right, f"`{test.rpartition('/')[2]}`")
        for (part, what, test), (refused, right) in sorted(sums.items())
    ]
    heading = ("Part", "What was done", "Attempts", "Ended in one line", "Right result", "Test")
    return f"{HEAD}\n{tabulate(rows, heading, tablefmt='pipe')}\n"


def attempts(text: str) -> list[list[str]]:
    """What a page says was tried, how often and by which test.

    Without what came of it: which of a thousand changed bytes matter to an archive is a matter of
    the libraries that read it.
    """
    rows = [[cell.strip() for cell in line.split("|")] for line in text.splitlines()]
    return [[*row[1:4], row[6]] for row in rows if len(row) == 8]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-reliability", action="store_true", help=f"write {PAGE.name}")


class Page:
    """Collects what tests say, from all workers, and holds the page against it."""

    def __init__(self, config: pytest.Config) -> None:
        self.write = config.getoption("write_reliability")
        # a part of the tests says a part of the page
        whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
        self.complete = whole and not config.option.keyword and not config.option.markexpr
        self.trials: list[Trial] = []
        self.problem = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            said = [value for key, value in report.user_properties if key == PROPERTY]
            self.trials += [Trial(*value) for value in said]

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if exitstatus != pytest.ExitCode.OK:
            return
        if self.write:
            PAGE.write_text(page(self.trials))
        elif self.complete and attempts(PAGE.read_text()) != attempts(page(self.trials)):
            self.problem = f"{PAGE.name} is not what the tests did: run `make reliability`"
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.problem:
            terminalreporter.write_line(self.problem, red=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with tests that may take long come first, so that workers end together."""
    slow = {item.path for item in items if item.get_closest_marker("timeout")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # where all reports arrive
        config.pluginmanager.register(Page(config))


# Projects


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that has not run yet."""
    return copy_project(ROOT, tmp_path / "project")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A project whose smoke study ran as on eight cores."""
    return once_for_all(
        tmp_path_factory,
        worker_id,
        "smoke",
        lambda folder: run_smoke(copy_project(ROOT, folder), cores=8),
    )


@pytest.fixture
def moved(finished: Path, tmp_path: Path) -> Path:
    """The finished project under another path."""
    return copy_project(finished, tmp_path / "moved", *PROJECT, "results", ".snakemake")
