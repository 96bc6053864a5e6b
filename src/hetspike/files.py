"""Files that are whole or not there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def beside(path: str | Path) -> Iterator[Path]:
    """A path beside `path` to write to; it takes the name `path` when all is written."""
    part = Path(path).with_name(f".part-{Path(path).name}")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
