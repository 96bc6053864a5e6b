"""What each way of choosing an epoch would have claimed, as csv and Markdown."""

import pandas as pd
from jobs import job, write_text
from reading import read_table

from hetspike.results.present import TABLES
from hetspike.results.present.forms import to_csv, to_markdown
from hetspike.results.tables import epoch_table

with job(snakemake) as say:
    table = epoch_table(pd.concat(map(read_table, snakemake.input.epochs), ignore_index=True))
    form, (csv, markdown) = TABLES["best-epoch"], snakemake.output
    write_text(csv, to_csv(table))
    write_text(markdown, to_markdown(form.shown(table), form.caption(table)))
    say(f"best test epoch over validation's: {table['optimism'].mean():+.1f} points on average")
