"""Show the results of the studies that ran in README.md and docs/. Run by `make publish`."""

import re
import shutil
from pathlib import Path

from jobs import write_text

from hetspike import __version__
from hetspike.report import described, titled

MARKED = re.compile(r"(?<=<!-- summary -->\n).*(?=<!-- end of summary -->)", re.DOTALL)
DEFAULT = (
    *("claims", "results", "comparison", "significance", "sizes", "energy", "energy-claims"),
    *("order", "integer", "datasets"),
)
SEARCH = ("comparison", "ablations", "results", "sizes", "energy", "integer")
SEARCH_FIGURES = ("accuracy-*", "assignments-*", "energy")  # recordings are the default study's


def table(study: str, name: str) -> str:
    return Path(f"results/{study}/tables/{name}.md").read_text()


def show(
    study: str, tables: tuple[str, ...], page: str, about: str, figures: tuple[str, ...] = ("*",)
) -> None:
    """One study as a page of docs/, its pictures beside it."""
    folder = Path("docs/figures") / study
    shutil.rmtree(folder, ignore_errors=True)  # pictures of rows that are no more
    folder.mkdir(parents=True)
    drawn = Path(f"results/{study}/figures")
    pictures = sorted(path for name in figures for path in drawn.glob(f"{name}.png"))
    for picture in pictures:
        shutil.copy(picture, folder / picture.name)
    sections = [
        f"# Results of the {study} study",
        about,
        *(f"## {titled(name)}\n\n{table(study, name)}" for name in tables),
        "## Figures",
        *(
            f"**{about.title}.** {about.alternative}\n\n"
            f"![{about.title}](figures/{study}/{picture.name})"
            for picture in pictures
            for about in [described(picture.stem)]
        ),
    ]
    write_text(f"docs/{page}", "\n\n".join(section.strip() for section in sections) + "\n")


if Path("results/default/metrics.json").exists():
    show(
        "default",
        DEFAULT,
        "RESULTS.md",
        f"hetspike {__version__}, written by `make publish` from what `make reproduce` computed, "
        "not by hand. The tables as csv and LaTeX, in a fresh clone: `dvc pull reproduce`. To cite "
        "one: its name, this version and [CITATION.cff](../CITATION.cff).",
    )
    readme = Path("README.md").read_text()
    write_text("README.md", MARKED.sub(lambda _: table("default", "summary"), readme))
if Path("results/search/metrics.json").exists():
    show(
        "search",
        SEARCH,
        "SEARCH.md",
        "Every search at every budget, what each part adds, and single schemes at every width. "
        "Written by `make publish` from what `snakemake --cores 2 --configfile config/search.yaml` "
        "computed; not edited by hand.",
        SEARCH_FIGURES,
    )
