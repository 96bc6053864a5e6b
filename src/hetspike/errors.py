"""The exception for users: what is wrong, in which file or key, and what to do."""

from collections.abc import Iterator
from contextlib import contextmanager


class UserError(ValueError):
    """Bad input: shown as one line without a traceback, and the process exits non-zero."""


@contextmanager
def provided_by(extra: str) -> Iterator[None]:
    """Turn a missing package into a UserError that names the extra which brings it."""
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
    """Return the error of another library in one line."""
    first = (str(error).strip().splitlines() or ["without a word"])[0]
    return f"{type(error).__name__}: {first}"


def shortened(text: str, most: int = 60) -> str:
    """What somebody wrote, fit for that line: about so many characters, and all of them printable.

    >>> shortened("two\\nlines"), shortened("abcdefghijkl", 9)
    ('two\\\\nlines', 'abcdef...jkl')
    """
    cut = f"{text[: most - most // 3]}...{text[-(most // 3) :]}" if len(text) > most else text
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in cut)
