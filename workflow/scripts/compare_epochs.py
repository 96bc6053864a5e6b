"""What each way of choosing an epoch would have claimed, as csv and Markdown."""

import pandas as pd
from jobs import Named, Say, write_text
from reading import read_table

from hetspike.results.present.accuracy import BEST_EPOCH
from hetspike.results.present.forms import to_csv, to_markdown


def main(*, input: Named, output: Named, say: Say) -> None:
    table = BEST_EPOCH.rows(pd.concat(map(read_table, input["epochs"]), ignore_index=True))
    write_text(output["csv"], to_csv(table))
    write_text(output["markdown"], to_markdown(BEST_EPOCH.shown(table), BEST_EPOCH.caption(table)))
    say(f"best test epoch over validation's: {table['optimism'].mean():+.1f} points on average")
