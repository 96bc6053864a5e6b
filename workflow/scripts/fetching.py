"""Archives of recordings, downloaded by pooch and checked against the md5 of their pointer.

A pointer is `<archive>.dvc`, beside the archive, as `dvc import-url` writes it. DVC itself does not
check the md5 that it pins: `dvc update` writes the md5 of whatever it got over it. Here an archive
takes its name only when it is whole and has the pinned md5, and the pointer is only read.

What arrives is told apart: nothing at all, a page of the web, and another file than the archive.
Sites answer programs with the first two where they ask for a person with a browser.
"""

import hashlib
import re
import sys
from pathlib import Path
from typing import NamedTuple

import requests
import yaml
from jobs import Say
from pooch import HTTPDownloader

from hetspike.atomic import beside
from hetspike.errors import UserError

PATIENCE = 60.0  # seconds without data after which a server counts as dead
MARK = b"\xef\xbb\xbf"  # UTF-8's, before its first character
PAGE = re.compile(rb"<(!doctype html|html|head|\?xml|!--|script|body)")  # in small letters
CHUNK = 2**16  # bytes


class Pointer(NamedTuple):
    path: Path
    md5: str
    url: str  # empty: to be fetched by hand
    instruction: str  # how to fetch it by hand


def pointer_of(archive: Path) -> Pointer:
    path = Path(f"{archive}.dvc")
    try:
        content = yaml.safe_load(path.read_text())
        (out,) = content["outs"]
        (source,) = content.get("deps") or [{"path": ""}]
        url, md5 = source["path"], out["md5"]
        assert isinstance(md5, str) and len(md5) == 32 and out["path"] == archive.name
    except (
        AssertionError,
        AttributeError,
        KeyError,
        TypeError,
        ValueError,
        yaml.YAMLError,
    ) as error:
        raise UserError(
            f"{path} is no pointer to {archive.name} with one quoted md5: `git checkout {path}`"
        ) from error
    instruction = content.get("desc") or f"download {url}"
    return Pointer(path, md5, url, instruction)


def fetch(archive: Path, *, say: Say, patience: float = PATIENCE) -> str:
    """See to it that the archive lies in its place with the md5 that its pointer pins -> that md5.

    One that lies there is read and nothing else. `patience` is how many seconds a server may send
    nothing. Raises UserError, and never leaves another file than the archive.
    """
    pointer = pointer_of(archive)
    if archive.exists() and not archive.is_file():
        kind = "a folder" if archive.is_dir() else "a pipe or a device"
        raise UserError(f"{archive} is {kind}: move it away, the archive itself belongs there")
    if archive.exists():
        found = md5_of(archive)
        if found != pointer.md5:
            get_it = "to have it fetched" if pointer.url else "and fetch it again"
            raise UserError(
                f"{archive} has md5 {found}, but {pointer.path} pins {pointer.md5}: it is "
                f"incomplete or another file: remove it {get_it}, or put the right one there"
            )
        say("lies there already, its md5 is right")
        return found
    place = f"{archive.absolute()} (md5 {pointer.md5})"
    if not pointer.url:
        raise UserError(
            f"{archive} has to be fetched by hand: {pointer.instruction}; put it there as {place} "
            "and run again"
        )
    with beside(archive) as part:
        if problem := _download(pointer.url, part, patience):
            raise UserError(
                f"{archive} could not be fetched from {pointer.url} ({problem}): run again, or "
                f"fetch it by hand and put it there as {place}"
            )
        found, size = md5_of(part), part.stat().st_size
        if found != pointer.md5 and (no_file := _no_file(part)):
            raise UserError(
                f"{archive}: {pointer.url} gave {no_file}, as sites do that let no program in: "
                f"open the address in a browser and put it there as {place}"
            )
        if found != pointer.md5:
            raise UserError(
                f"{archive}: {pointer.url} gave a file with md5 {found}, but {pointer.path} pins "
                f"{pointer.md5}: it was deleted: run again, or fetch it by hand and put it there "
                f"as {place}"
            )
    say(f"{size / 1e6:,.1f} MB from {pointer.url}, its md5 is right")
    return found


def _no_file(path: Path) -> str:
    """What an answer is that is no file of any kind; nothing for one that is a file."""
    with path.open("rb") as file:
        start = file.read(1024).lstrip(MARK + b" \t\r\n").lower()
    if not start:
        return "an empty answer"
    return "a page of the web" if PAGE.match(start) else ""


def md5_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def _download(url: str, part: Path, patience: float) -> str:
    """Fill `part` -> what went wrong, in one line, or nothing. On a terminal a bar is shown."""
    download = HTTPDownloader(
        progressbar=sys.stderr.isatty(),
        chunk_size=CHUNK,
        timeout=patience,
        headers={"Accept-Encoding": "identity"},  # the archive itself, whatever it is packed with
    )
    try:
        download(url, part, None)
    except requests.HTTPError as error:
        return f"it answers {error.response.status_code} {error.response.reason}"
    except requests.RequestException as error:
        return (
            f"no data for {patience:g} s"
            if "timed out" in str(error)
            else "no answer, or not all of it"
        )
    return ""
