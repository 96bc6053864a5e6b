"""A table as csv, Markdown, LaTeX and data."""

from typing import Any

import pandas as pd
from tabulate import LATEX_ESCAPE_RULES, tabulate


def to_csv(table: pd.DataFrame) -> str:
    """Six significant digits, so that equal results are equal bytes."""
    return table.to_csv(index=False, float_format="%.6g", lineterminator="\n")


def _grid(table: pd.DataFrame, style: str) -> str:
    align = ["right" if pd.api.types.is_numeric_dtype(kind) else "left" for kind in table.dtypes]
    return tabulate(
        table.to_dict("list"),
        headers="keys",
        tablefmt=style,
        colalign=align,
        disable_numparse=True,  # numbers are formatted already
    )


def to_markdown(table: pd.DataFrame, caption: str) -> str:
    """A GitHub table under its caption."""
    return f"{caption}\n\n{_grid(table, 'pipe')}\n"


def to_data(table: pd.DataFrame, caption: str) -> dict[str, Any]:
    """The fields of `results.report.Table`."""
    rows = table.astype(str).to_numpy().tolist()
    return {"caption": caption, "headings": list(table), "rows": rows}


# of characters beyond ASCII: any LaTeX has these without another font
LATEX_SYMBOLS = str.maketrans({"\u00b1": "\\ensuremath{\\pm}", "\u00b5": "\\ensuremath{\\mu}"})


NO_WIDER_THAN_THE_PAGE = "\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi"


def to_latex(table: pd.DataFrame, caption: str, label: str) -> str:
    """A table for booktabs and graphicx, all escaped, shrunk where the page is too narrow."""
    escaped = "".join(LATEX_ESCAPE_RULES.get(character, character) for character in caption)
    text = (
        "\\begin{table*}\n\\centering\n\\footnotesize\n"
        f"\\caption{{{escaped}}}\n\\label{{{label}}}\n\\medskip\n"
        f"\\resizebox{{{NO_WIDER_THAN_THE_PAGE}}}{{!}}{{%\n"
        f"{_grid(table, 'latex_booktabs')}%\n}}\n\\end{{table*}}\n"
    )
    return text.translate(LATEX_SYMBOLS)
