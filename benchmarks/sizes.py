"""Does a drop grow or shrink with size: `python benchmarks/sizes.py`.

Prints a Markdown table of the networks of one stand-in in the default study and in those of
config/size.yaml that have run: drops in percentage points with their 95 % intervals.
"""

from pathlib import Path

import pandas as pd

from hetspike.documents import read
from hetspike.results.notation import with_spread

ROOT = Path(__file__).parents[1]
CELLS = "uniform-2", "uniform-3", "fisher-3.14", "fisher-2.5"


def sizes() -> dict[str, tuple[int, int]]:
    """Return time steps and width of each study, the default one among them."""
    ((dataset, base),) = read(ROOT / "config/size.yaml")["datasets"].items()
    found = {"default": (base["framing"]["steps"], base["network"]["width"])}
    for path in (ROOT / "config/size").glob("*.yaml"):
        changed = read(path)
        plan = changed["datasets"][dataset]
        steps = plan.get("framing", {}).get("steps", base["framing"]["steps"])
        width = plan.get("network", {}).get("width", base["network"]["width"])
        found[changed["study"]] = steps, width
    return dict(sorted(found.items(), key=lambda each: each[1]))


def row_of(study: str, steps: int, width: int, dataset: str) -> dict[str, object]:
    """Return a row of the table, from the results of a study."""
    table = pd.read_csv(ROOT / f"results/{study}/tables/results.csv")
    cells = table[table["dataset"] == dataset].set_index("cell")
    tuned = cells.loc["float-tuned"]
    drops = {
        name: with_spread(*cells.loc[name, ["drop", "drop_low", "drop_high"]], spec="z.1f")
        for name in CELLS
    }
    return {"T": steps, "Width": width, "float-tuned (%)": f"{tuned['accuracy']:.1f}"} | drops


def main() -> None:
    (dataset,) = read(ROOT / "config/size.yaml")["datasets"]
    found = [
        row_of(study, *size, dataset)
        for study, size in sizes().items()
        if (ROOT / f"results/{study}/tables/results.csv").exists()
    ]
    print(pd.DataFrame(found).to_markdown(index=False))


if __name__ == "__main__":
    main()
