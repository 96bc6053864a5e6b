"""Show the results of the studies that ran in README.md and docs/, and name them in dvc.yaml.

Run by `make publish`.
"""

import re
import shutil
from pathlib import Path
from typing import NamedTuple

import yaml

from hetspike import __version__
from hetspike.atomic import beside
from hetspike.results.present import MODULES, SUMMARY
from hetspike.results.report import described, titled

MARKED = re.compile(r"(?<=<!-- summary -->\n).*(?=<!-- end of summary -->)", re.DOTALL)


class Page(NamedTuple):
    """A study as a page of docs/."""

    file: str
    about: str
    tables: tuple[str, ...]  # those that the study has
    figures: tuple[str, ...]  # patterns of their names


PAGES = {
    "default": Page(
        "RESULTS.md",
        f"hetspike {__version__}, written by `make publish` from what `make reproduce` computed, "
        "not by hand. The tables as csv and LaTeX, in a fresh clone: `dvc pull reproduce`. To cite "
        "one: its name, this version and [CITATION.cff](../CITATION.cff).",
        tuple(name for name in MODULES if name != SUMMARY),
        ("*",),
    ),
    "search": Page(
        "SEARCH.md",
        "Every search at every budget, what each part adds, and single schemes at every width. "
        "Written by `make publish` from what `snakemake --cores 2 --configfile "
        "config/stand-ins.yaml config/search.yaml` computed; not edited by hand.",
        ("comparison", "ablations", "results", "sizes", "energy", "integer"),
        ("accuracy-*", "assignments-*", "energy"),
    ),
    "five-seeds": Page(
        "FIVE_SEEDS.md",
        "Searches at 3.14 and 2.5 bits under two seeds more than the default study has, which were "
        "added after its results had been read. Written by `make publish` from what `snakemake "
        "--cores 2 --configfile config/stand-ins.yaml config/five-seeds.yaml` computed; not edited "
        "by hand.",
        ("comparison", "results"),
        ("accuracy-*",),
    ),
}


PUBLISHED = {  # stage of dvc.yaml -> study, and what it publishes of it
    "reproduce": (
        "default",
        [f"tables/{name}.{form}" for name in MODULES for form in ("csv", "md", "tex")]
        + ["figures/*.png"],
    ),
    "smoke": (
        "smoke",
        [
            f"tables/{name}.csv"
            for name in ("datasets", "results", "comparison", "sizes", "energy", "integer")
        ],
    ),
}


def has_run(study: str) -> bool:
    return Path(f"results/{study}/metrics.json").exists()


def name_outputs() -> None:
    """Name what the studies that ran publish, in dvc.yaml."""
    text = Path("dvc.yaml").read_text()
    head = "".join(line for line in text.splitlines(keepends=True) if line.startswith("#"))
    content = yaml.safe_load(text)
    for stage, (study, patterns) in PUBLISHED.items():
        if has_run(study):
            files = [
                str(path)
                for pattern in ("machine.json", "tables/events.csv", *patterns)
                for path in sorted(Path("results", study).glob(pattern))
            ]
            content["stages"][stage]["outs"] = [{name: {"persist": True}} for name in files]
    with beside("dvc.yaml") as part:
        part.write_text(head + yaml.safe_dump(content, sort_keys=False, default_flow_style=None))


def table(study: str, name: str) -> str:
    return Path(f"results/{study}/tables/{name}.md").read_text()


def show(study: str, page: Page) -> None:
    """Write the page of a study, its pictures beside it."""
    folder = Path("docs/figures") / study
    shutil.rmtree(folder, ignore_errors=True)  # pictures of rows that are no more
    folder.mkdir(parents=True)
    drawn = Path(f"results/{study}/figures")
    pictures = sorted(path for name in page.figures for path in drawn.glob(f"{name}.png"))
    for picture in pictures:
        shutil.copy(picture, folder / picture.name)
    sections = [
        f"# Results of the {study} study",
        page.about,
        *(
            f"## {titled(name)}\n\n{table(study, name)}"
            for name in page.tables
            if Path(f"results/{study}/tables/{name}.md").exists()
        ),
        "## Figures",
        *(
            f"**{about['title']}.** {about['alternative']}\n\n"
            f"![{about['title']}](figures/{study}/{picture.name})"
            for picture in pictures
            for about in [described(picture.stem)]
        ),
    ]
    with beside(f"docs/{page.file}") as part:
        part.write_text("\n\n".join(section.strip() for section in sections) + "\n")


name_outputs()
for study in filter(has_run, PAGES):
    show(study, PAGES[study])
if has_run("default"):
    readme = Path("README.md").read_text()
    with beside("README.md") as part:
        part.write_text(MARKED.sub(lambda _: table("default", "summary"), readme))
