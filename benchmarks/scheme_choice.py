"""When a search chooses PoT over uniform, and what the weights of such layers have in common.

    python benchmarks/scheme_choice.py results/default fisher

Reads the float networks and the assignments of a finished study. For each layer that was given a
width that both schemes have: which scheme it got, which one is nearer to the float weights, and the
kurtosis of these weights, channel by channel (3 for a normal distribution, 1.8 for a uniform one).
"""

import json
import sys
from pathlib import Path

import pandas as pd
import torch
from scipy.stats import kurtosis

from hetspike.inspection.layers import quantizable_layers
from hetspike.packed.checkpoint import load_trained
from hetspike.quantization.quantizer import Choice, Quantizer


@torch.no_grad()
def relative_error(weight: torch.Tensor, choice: Choice) -> float:
    """|Q(w) - w|^2 / |w|^2 at the scales of least error."""
    return float(
        (Quantizer(weight, choice)(weight) - weight).square().sum() / weight.square().sum()
    )


def choices(results: Path, search: str) -> pd.DataFrame:
    """A row per dataset, seed, budget and layer of a width that both schemes were candidates at."""
    rows = []
    for file in sorted(results.glob(f"searches/*/*/{search}-*.json")):
        budget = file.stem.removeprefix(f"{search}-")
        if not budget.replace(".", "").isdigit():
            continue  # of another row, such as fisher-binary
        dataset, seed = file.parts[-3:-1]
        checkpoint = results / f"networks/{dataset}/{seed}/float.safetensors"
        layers = quantizable_layers(load_trained(checkpoint.read_bytes())[0])
        for layer, (scheme, bits) in json.loads(file.read_text())["assignment"].items():
            if scheme not in ("uniform", "pot") or bits not in (3, 4):
                continue
            weight = layers[layer].weight.detach()
            errors = {
                each: relative_error(weight, Choice(each, bits)) for each in ("uniform", "pot")
            }
            rows.append(
                {
                    **{"dataset": dataset, "seed": seed, "budget": budget, "layer": layer},
                    **{"bits": bits, "scheme": scheme, "weights": weight.numel()},
                    "kurtosis": float(kurtosis(weight.flatten(1), axis=1, fisher=False).mean()),
                    "error ratio": errors["pot"] / errors["uniform"],
                }
            )
    return pd.DataFrame(rows)


def main(results: str, search: str) -> None:
    torch.set_num_threads(1)
    table = choices(Path(results), search)
    table["pot"] = table["scheme"] == "pot"
    table["nearer"] = table["pot"] == (table["error ratio"] < 1)
    for bits, rows in table.groupby("bits"):
        chosen = rows.groupby("pot")[["kurtosis", "error ratio"]].median()
        print(f"{bits} bits, {len(rows)} layers: PoT in {100 * rows['pot'].mean():.0f} %")
        print(f"  the scheme nearer to the float weights in {100 * rows['nearer'].mean():.0f} %")
        print(chosen.rename(index={True: "PoT", False: "uniform"}).round(2).to_string())
        rank = rows[["kurtosis", "error ratio"]].corr("spearman").iloc[0, 1]
        print(f"  rank correlation of kurtosis and error ratio (PoT / uniform): {rank:.2f}")
    print("\nBy layer, share of PoT [%], kurtosis, PoT's error over uniform's (medians):")
    by_layer = table.groupby(["layer", "bits"], sort=False).agg(
        {"pot": "mean", "kurtosis": "median", "error ratio": "median", "scheme": "size"}
    )
    print(by_layer.assign(pot=100 * by_layer["pot"]).round(2).to_string())


if __name__ == "__main__":
    main(*sys.argv[1:])
