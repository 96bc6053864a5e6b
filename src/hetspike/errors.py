"""The exception for users. Its message states what is wrong, in which file or key, and a remedy."""

from collections.abc import Iterator
from contextlib import contextmanager


class UserError(ValueError):
    """Bad input. Programs print one line without a traceback and exit with a non-zero code."""


@contextmanager
def provided_by(extra: str) -> Iterator[None]:
    """Turn a missing package into a UserError that names the extra which installs the package."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise UserError(
            f"{error.name} is not installed: pip install 'hetspike[{extra}]' brings it"
        ) from error


@contextmanager
def during(place: str) -> Iterator[None]:
    """Put the name of a place before the message of a UserError."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{place}: {error}") from error.__cause__


def said(error: BaseException) -> str:
    """Return the type and the first line of another library's error."""
    first = (str(error).strip().splitlines() or ["no message"])[0]
    return f"{type(error).__name__}: {first}"


def shortened(text: str, most: int = 60) -> str:
    """Cut a user's text to about `most` characters and escape those that are not printable.

    >>> shortened("two\\nlines"), shortened("abcdefghijkl", 9)
    ('two\\\\nlines', 'abcdef...jkl')
    """
    cut = f"{text[: most - most // 3]}...{text[-(most // 3) :]}" if len(text) > most else text
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in cut)
