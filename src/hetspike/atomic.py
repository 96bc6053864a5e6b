"""Atomic writes, and checks that a file is as it was written.

Beside a sealed file lies its SHA-256, as `<name>.sha256` in the form that `sha256sum -c` takes.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hetspike.errors import UserError

ENDING = 2**23  # bytes; the directory of 60,000 members takes half of them
REMEDY = "delete it and run the same snakemake command again"


@contextmanager
def beside(path: str | Path) -> Iterator[Path]:
    """Give a path beside `path` to write to, and rename it to `path` once all is written."""
    part = Path(path).with_name(f".part-{Path(path).name}")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def sealed(path: str | Path) -> Iterator[Path]:
    """Do the same for a file that `check` and `intact` can verify afterwards.

    The seal takes its name first: no file is ever without its own.
    """
    with beside(path) as part:
        yield part
        with beside(seal_of(path)) as seal:
            seal.write_bytes(_seal(path, _sum_of(part)))


def seal_of(path: str | Path) -> Path:
    """Return the path of the SHA-256 of a sealed file."""
    return Path(f"{path}.sha256")


def ending(path: Path) -> str:
    """Identify an archive quickly, by its size and its last bytes.

    These hold checksums of all that is in it: in a zip archive the directory, in a gzip file eight
    bytes.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - ENDING))
        return f"{size} {hashlib.file_digest(file, 'sha256').hexdigest()}"


def remove(path: str | Path) -> None:
    """Remove a sealed file and its seal."""
    for each in (Path(path), seal_of(path)):
        each.unlink(missing_ok=True)


def check(path: str | Path, remedy: str = REMEDY) -> None:
    """Raise UserError unless a file is as `sealed` wrote it; read it in parts."""
    with _reading(path, remedy):
        _compare(path, _sum_of(path), remedy)


def intact(path: str | Path, remedy: str = REMEDY) -> bytes:
    """Return the content of a file. Raises UserError unless it is as `sealed` wrote it."""
    with _reading(path, remedy):
        content = Path(path).read_bytes()
        _compare(path, hashlib.sha256(content).hexdigest(), remedy)
    return content


def _sum_of(path: str | Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _seal(path: str | Path, found: str) -> bytes:
    return f"{found}  {Path(path).name}\n".encode()


def _compare(path: str | Path, found: str, remedy: str) -> None:
    seal = seal_of(path)
    if not seal.is_file():
        raise UserError(f"{path} has no SHA-256 beside it ({seal.name}): {remedy}")
    if seal.read_bytes() != _seal(path, found):
        raise UserError(f"{path} is damaged (its SHA-256 is not the one beside it): {remedy}")


@contextmanager
def _reading(path: str | Path, remedy: str) -> Iterator[None]:
    try:
        if not Path(path).is_file():  # a pipe would be waited for
            problem = "is no file" if os.path.lexists(path) else "is missing"
            raise UserError(f"{path} {problem}: {remedy}")
        yield
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): {remedy}") from None
