"""Run every benchmark and write docs/PERFORMANCE.md with its pictures: `make bench`.

    python benchmarks/performance.py docs
    python benchmarks/performance.py /tmp/somewhere --quick

Wants a quiet machine of two cores or more, and a quarter of an hour there. Each benchmark runs in a
process of its own; all but one use one thread. --quick tries the benchmarks and the page; its
numbers are none to publish.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
# benchmark -> its options where it is only tried
SECTIONS = {
    "steps": ["--rounds=1"],
    "scaling": ["--rounds=1", "--points=2"],
    "searches": ["--recordings=66"],
    "integers": ["--recordings=66", "--rounds=1"],
    "framing": ["--recordings=66", "--rounds=2"],
    "frame_cache": ["--recordings=20", "--batches=3"],
    "paper_size": ["--rounds=1", "--batch=2"],
}


def main() -> None:
    """Run the benchmarks, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where PERFORMANCE.md and performance/ go")
    parser.add_argument("--quick", action="store_true", help="few and small: only a trial")
    given = parser.parse_args()
    began = time.monotonic()
    found = {}
    for number, (name, quick) in enumerate(SECTIONS.items(), 1):
        minutes, seconds = divmod(int(time.monotonic() - began), 60)
        print(f"[{minutes}:{seconds:02}] {number} of {len(SECTIONS)}: {name}", flush=True)
        command = [sys.executable, str(HERE / f"{name}.py"), "--json"] + quick * given.quick
        run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found[name] = json.loads(run.stdout)
    from page import write  # what it imports would take memory while others are measured

    written = write(found, given.folder, minutes=(time.monotonic() - began) / 60)
    print(f"{written} after {(time.monotonic() - began) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
