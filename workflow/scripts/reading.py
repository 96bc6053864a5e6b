"""What jobs wrote, read back as it was written and in its form, or a UserError of one line."""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from hetspike.atomic import REMEDY, check, intact
from hetspike.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

# what operations without weights, and networks with layers in float, leave empty
GAPS = ("scheme", "agreement", "integer_accuracy")


def read_text(path: str) -> str:
    try:
        return intact(path).decode()
    except UnicodeDecodeError as error:
        raise foreign(path, error) from None


def read_listed(path: str, sums: str) -> str:
    """A text whose SHA-256 stands in a list of `sha256sum`, under its name from there."""
    content, name = Path(path).read_bytes(), Path(path).relative_to(Path(sums).parent)
    line = f"{hashlib.sha256(content).hexdigest()}  {name.as_posix()}"
    if line not in Path(sums).read_text(errors="replace").splitlines():
        raise UserError(f"{path} is not the one that {sums} lists: `git checkout` both")
    return content.decode()


def read_json(path: str, *keys: str) -> dict[str, Any]:
    """An object that has these keys and no number that is not finite."""
    content = intact(path)
    try:
        found = json.loads(content, parse_constant=_not_finite)
        missing = [key for key in keys if key not in dict(found)]
    except (ValueError, TypeError, RecursionError) as error:
        raise foreign(path, error) from None
    if missing:
        raise foreign(path, f"no '{missing[0]}'")
    return dict(found)


def read_table(
    path: str, columns: Collection[str] = (), *, gaps: Collection[str] | None = GAPS
) -> "pd.DataFrame":
    """A csv with a row or more that has these columns.

    gaps  columns that may have empty fields; None: each may. Nothing is infinite anywhere.
    """
    import pandas as pd  # not at the top: jobs without tables start sooner

    content = intact(path)
    try:
        table = pd.read_csv(BytesIO(content))
    except ValueError as error:
        raise foreign(path, error) from None
    if missing := [column for column in columns if column not in table]:
        raise foreign(path, f"no column '{missing[0]}'")
    if table.empty:
        raise foreign(path, "no row")
    for name, column in table.items():
        wrong = column.isin([np.inf, -np.inf])
        if gaps is not None and name not in gaps:
            wrong |= column.isna()
        if wrong.any():
            raise UserError(
                f"{path}: column '{name}' holds {column[wrong].iloc[0]} in row "
                f"{wrong.argmax() + 1}, which is no result: {REMEDY}"
            )
    return table


def read_arrays(path: str, *names: str) -> dict[str, NDArray]:
    """The arrays of these names of an npz, all of them where none is named."""
    check(path)  # not read as a whole: events may be large
    try:
        with np.load(path) as arrays:
            return {name: arrays[name] for name in names or arrays.files}
    except (
        *(AttributeError, EOFError, LookupError, TypeError, ValueError),
        *(zipfile.BadZipFile, zlib.error),
    ) as error:
        raise foreign(path, error) from None


@contextmanager
def network_of(path: str) -> Iterator[None]:
    """Put the file in front of what is wrong with it: networks bear digests of their own."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{path}: {error}; {REMEDY}") from None


def _not_finite(name: str) -> NoReturn:
    raise ValueError(f"{name} is no finite number")


def foreign(path: str, problem: object) -> UserError:
    """What to raise for an intact file of another form."""
    return UserError(
        f"{path} is not what a job writes ({' '.join(str(problem).split())}): {REMEDY}"
    )
