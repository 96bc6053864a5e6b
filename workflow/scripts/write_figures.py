"""Accuracy against effective bits, a panel per dataset."""

import pandas as pd
from jobs import beside, job

from hetspike.figures import accuracy_against_bits, png

with job(snakemake):
    figure = accuracy_against_bits(pd.read_csv(snakemake.input.results))
    with beside(snakemake.output[0]) as part:
        part.write_bytes(png(figure))
