"""Show the default study's results in README.md and docs/RESULTS.md. Run by `make publish`."""

import re
import shutil
from pathlib import Path

from jobs import write_text

RESULTS, DOCS = Path("results/default"), Path("docs")
TABLES = (
    *("claims", "results", "comparison", "sizes", "energy", "energy-claims", "order", "integer"),
    "datasets",
)
MARKED = re.compile(r"(?<=<!-- summary -->\n).*(?=<!-- end of summary -->)", re.DOTALL)


def read(table: str) -> str:
    return (RESULTS / f"tables/{table}.md").read_text()


(DOCS / "figures").mkdir(exist_ok=True)
pictures = sorted((RESULTS / "figures").glob("*.png"))
for picture in pictures:
    shutil.copy(picture, DOCS / "figures" / picture.name)
sections = [
    "# Results of the default study",
    "Written by `make publish` from what `make reproduce` computed; not edited by hand. The tables "
    "as csv and LaTeX: `dvc pull`.",
    *(f"## {table.capitalize().replace('-', ' ')}\n\n{read(table)}" for table in TABLES),
    "## Figures",
    *(f"![{picture.stem}](figures/{picture.name})" for picture in pictures),
]
write_text("docs/RESULTS.md", "\n\n".join(section.strip() for section in sections) + "\n")
readme = Path("README.md").read_text()
write_text("README.md", MARKED.sub(lambda _: read("summary"), readme))
