"""The linear baseline of one dataset."""

import numpy as np
from jobs import beside, job

from hetspike.linear import fit_linear, predict_linear

with job(snakemake) as say:
    splits = []
    for path in (snakemake.input.train, snakemake.input.validation):
        with np.load(path) as arrays:
            splits.append((arrays["frames"], arrays["labels"]))
    weights, biases = fit_linear(*splits)
    with beside(snakemake.output[0]) as part, part.open("wb") as file:
        np.savez(file, weights=weights, biases=biases)
    frames, labels = splits[1]
    say(f"validation {100 * (predict_linear(weights, biases, frames) == labels).mean():.1f} %")
