"""The linear baseline of one dataset."""

import numpy as np
from framed import stored_frames
from jobs import Named, Say, write_settings

from hetspike.atomic import sealed
from hetspike.training.linear import counts, fit_linear, predict_linear


def main(*, input: Named, output: Named, params: Named, say: Say) -> None:
    stored = [stored_frames(input[split]) for split in ("train", "validation")]
    train, validation = [(counts(each), each.labels.numpy()) for each in stored]
    weights, biases = fit_linear(train, validation, len(stored[0].classes))
    with sealed(output["linear"]) as part, part.open("wb") as file:
        np.savez(file, weights=weights, biases=biases)
    write_settings(output["settings"], params["made_by"])
    right = predict_linear(weights, biases, validation[0]) == validation[1]
    say(f"validation {100 * right.mean():.1f} %")
