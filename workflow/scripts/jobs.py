"""What every script does around its work: files in and out, the log, errors as one line."""

import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from inspect import signature
from pathlib import Path
from typing import Any

from hetspike.atomic import ending, sealed
from hetspike.errors import UserError

Named = Mapping[str, Any]  # what a rule names: a file, several files, a setting
Say = Callable[[str], None]

TOOK = "took "  # begins the last line of the log of a job that ended well


def described(snakemake: Any) -> str:
    """A job by its rule and wildcards."""
    return " ".join([snakemake.rule, *snakemake.wildcards])


def run(main: Callable[..., None], snakemake: Any) -> None:
    """Run a script's `main` as a job, with those parts of its rule that it has arguments for.

    Its `say` adds a line to the log of the job, which the seconds end; the last one is printed. A
    UserError ends the job with one line on the terminal and in the log, without a traceback.
    """
    name = described(snakemake)
    start = time.monotonic()
    lines: list[str] = []
    with open(snakemake.log[0], "w") as log:

        def say(line: str) -> None:
            lines[:] = [line]
            print(line, file=log, flush=True)

        parts = [each for each in signature(main).parameters if each != "say"]
        try:
            main(say=say, **{part: dict(getattr(snakemake, part).items()) for part in parts})
        except (UserError, OSError) as error:
            message = f"hetspike: {name}: {error}"
            print(message, file=log)
            sys.exit(message)
        seconds = time.monotonic() - start
        print(f"{TOOK}{seconds:.2f} s", file=log)
    print(f"{name}: {lines[0] if lines else 'done'}, {seconds:.0f} s", flush=True)


def seconds_of(log: Path) -> float | None:
    """What a job took, by its log; None where it did not end well, or there was none."""
    if not log.exists() or not (lines := log.read_text().splitlines()):
        return None
    return float(lines[-1][len(TOOK) : -2]) if lines[-1].startswith(TOOK) else None


def write_text(path: str | Path, text: str) -> None:
    with sealed(path) as part:
        part.write_text(text)


def write_json(path: str, content: Any) -> None:
    write_text(path, json.dumps(content, indent=1) + "\n")


def write_settings(
    path: str, made_by: Mapping[str, Any], *, gpu: int = 0, archives: Iterable[str] = ()
) -> None:
    """What made the output of a job, for studies that share it; the last thing that a job does."""
    record = {
        "settings": made_by,
        "device": "gpu" if gpu else "cpu",
        "archives": {name: ending(Path(name)) for name in archives},
    }
    write_json(path, record)
