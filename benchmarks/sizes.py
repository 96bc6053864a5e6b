"""Does a drop grow or shrink with size: `python benchmarks/sizes.py`.

Prints a Markdown table of the networks of one stand-in in the default study and in those of
config/size.yaml that have run: drops in percentage points with their 95 % intervals.
"""

from pathlib import Path

import pandas as pd

from hetspike.documents import read
from hetspike.names import FLOAT_TUNED
from hetspike.results.present.columns import spread

ROOT = Path(__file__).parents[1]
CELLS = "uniform-2", "uniform-3", "fisher-3.14", "fisher-2.5"


def sizes() -> tuple[str, dict[str, tuple[int, int]]]:
    """Return the dataset, and time steps and width of each study, the default one among them."""
    ((dataset, base),) = read(ROOT / "config/size.yaml")["datasets"].items()
    found = {"default": (base["framing"]["steps"], base["network"]["width"])}
    for path in (ROOT / "config/size").glob("*.yaml"):
        changed = read(path)
        plan = changed["datasets"][dataset]
        steps = plan.get("framing", {}).get("steps", base["framing"]["steps"])
        width = plan.get("network", {}).get("width", base["network"]["width"])
        found[changed["study"]] = steps, width
    return dataset, dict(sorted(found.items(), key=lambda each: each[1]))


def main() -> None:
    dataset, studies = sizes()
    rows = []
    for study, (steps, width) in studies.items():
        path = ROOT / f"results/{study}/tables/results.csv"
        if path.exists():
            results = pd.read_csv(path).to_dict("records")
            cells = {row["cell"]: row for row in results if row["dataset"] == dataset}
            tuned = f"{cells[FLOAT_TUNED]['accuracy']:.1f}"
            drops = {name: spread("drop")(cells[name]) for name in CELLS}
            rows.append({"T": steps, "Width": width, f"{FLOAT_TUNED} (%)": tuned} | drops)
    print(pd.DataFrame(rows).to_markdown(index=False))


if __name__ == "__main__":
    main()
