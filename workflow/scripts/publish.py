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


def marked(name: str) -> re.Pattern[str]:
    """What stands in README.md between the two marks of a name."""
    return re.compile(rf"(?<=<!-- {name} -->\n).*(?=<!-- end of {name} -->)", re.DOTALL)


class Page(NamedTuple):
    """A study as a page of docs/."""

    file: str
    about: str
    tables: tuple[str, ...]  # those that the study has
    figures: tuple[str, ...]  # patterns of their names


FINDINGS = "findings"  # a list, not a table
DECIDING = "accuracy-*", "assignments-*"  # pictures of the decisive study

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
    "decisive": Page(
        "DECISIVE.md",
        "The rows that claims on stand-ins compare, under the seeds that were planned for them. "
        "Written by `make publish` from what `snakemake --cores 2 --configfile "
        "config/stand-ins.yaml config/decisive.yaml` computed; not edited by hand.",
        tuple(name for name in MODULES if name != SUMMARY),
        DECIDING,
    ),
    "effort": Page(
        "EFFORT.md",
        "Whether trainings are long enough: the recipes of config/stand-ins.yaml with twice and "
        "four times the epochs, on validation recordings. Written by `make publish` from what "
        "`snakemake --cores 2 --configfile config/stand-ins.yaml config/effort.yaml` computed; not "
        "edited by hand.",
        ("effort",),
        ("training-*",),
    ),
}


PUBLISHED = {  # stage of dvc.yaml -> study, and what it publishes of it
    "reproduce": (
        "default",
        [f"tables/{name}.{form}" for name in MODULES for form in ("csv", "md", "tex")]
        + [f"tables/{FINDINGS}.md", "figures/*.png"],
    ),
    "decisive": (
        "decisive",
        [f"tables/{name}.{form}" for name in MODULES for form in ("csv", "md")]
        + [f"tables/{FINDINGS}.md", *(f"figures/{each}.png" for each in DECIDING)],
    ),
    "smoke": (
        "smoke",
        [
            f"tables/{name}.csv"
            for name in ("datasets", "results", "comparison", "sizes", "energy", "integer")
        ],
    ),
}


SHOWN = [("default", SUMMARY), ("decisive", FINDINGS)]  # in README.md


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
            metrics = [{f"results/{study}/metrics.json": {"persist": True}}]
            entry = content["stages"].setdefault(stage, {"cmd": f"make {stage}"})
            entry |= {"outs": [{name: {"persist": True}} for name in files], "metrics": metrics}
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
            for name in (FINDINGS, *page.tables)
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
readme = Path("README.md").read_text()
for study, name in SHOWN:
    if has_run(study):
        shown = table(study, name)
        readme = marked(f"{name} of {study}").sub(lambda _, shown=shown: shown, readme)
with beside("README.md") as part:
    part.write_text(readme)
