"""What each way of choosing an epoch would have claimed, as csv and Markdown."""

import pandas as pd
from jobs import Named, Say, run, write_text
from reading import read_table

from hetspike.results.present import TABLES
from hetspike.results.present.forms import to_csv, to_markdown
from hetspike.results.tables import epoch_table


def main(*, input: Named, output: Named, say: Say) -> None:
    table = epoch_table(pd.concat(map(read_table, input["epochs"]), ignore_index=True))
    form = TABLES["best-epoch"]
    write_text(output["csv"], to_csv(table))
    write_text(output["markdown"], to_markdown(form.shown(table), form.caption(table)))
    say(f"best test epoch over validation's: {table['optimism'].mean():+.1f} points on average")


if "snakemake" in globals():
    run(main, snakemake)
