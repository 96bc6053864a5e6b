"""Atomic writes, and checks that a file has not changed since it was written.

A sealed file has its SHA-256 beside it, in `<name>.sha256`, which `sha256sum -c` can read.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hetspike.errors import UserError

ENDING = 2**23  # bytes; twice the zip directory of 60,000 members
REMEDY = "delete it and run the same snakemake command again"


@contextmanager
def beside(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder, and rename it to `path` when the block ends.

    An error in the block removes the temporary file and leaves `path` as it was.
    """
    part = Path(path).with_name(f".part-{Path(path).name}")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def sealed(path: str | Path) -> Iterator[Path]:
    """Write a file as `beside` does, and its SHA-256, for `check` and `intact`.

    The SHA-256 is renamed first, so that a file never exists without its own SHA-256.
    """
    with beside(path) as part:
        yield part
        with beside(seal_of(path)) as seal:
            seal.write_bytes(_seal(path, _sum_of(part)))


def seal_of(path: str | Path) -> Path:
    """Return the path of the SHA-256 of a sealed file."""
    return Path(f"{path}.sha256")


def ending(path: Path) -> str:
    """Return the size of an archive and the SHA-256 of its last bytes, which identify it quickly.

    The last bytes contain checksums of the whole content: the directory of a zip archive, or the
    last eight bytes of a gzip file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - ENDING))
        return f"{size} {hashlib.file_digest(file, 'sha256').hexdigest()}"


def remove(path: str | Path) -> None:
    """Remove a sealed file and its seal."""
    Path(path).unlink(missing_ok=True)
    seal_of(path).unlink(missing_ok=True)


def check(path: str | Path, remedy: str = REMEDY) -> None:
    """Raise UserError unless a file is as `sealed` wrote it. The file is read in parts."""
    with _reading(path, remedy):
        _compare(path, _sum_of(path), remedy)


def intact(path: str | Path, remedy: str = REMEDY) -> bytes:
    """Return the content of a file. Raises UserError unless the file is as `sealed` wrote it."""
    with _reading(path, remedy):
        content = Path(path).read_bytes()
        _compare(path, hashlib.sha256(content).hexdigest(), remedy)
    return content


def _sum_of(path: str | Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _seal(path: str | Path, sha256: str) -> bytes:
    return f"{sha256}  {Path(path).name}\n".encode()


def _compare(path: str | Path, sha256: str, remedy: str) -> None:
    seal = seal_of(path)
    if not seal.is_file():
        raise UserError(f"{path} has no SHA-256 beside it ({seal.name}): {remedy}")
    if seal.read_bytes() != _seal(path, sha256):
        raise UserError(f"{path} is damaged (its SHA-256 is not the one beside it): {remedy}")


@contextmanager
def _reading(path: str | Path, remedy: str) -> Iterator[None]:
    try:
        if not Path(path).is_file():  # reading a pipe would wait for its writer
            problem = "is no file" if os.path.lexists(path) else "is missing"
            raise UserError(f"{path} {problem}: {remedy}")
        yield
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): {remedy}") from None
