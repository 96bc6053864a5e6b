"""Archives of recordings, fetched through DVC and checked against the md5 of their pointer.

A pointer is `<archive>.dvc`, beside the archive. DVC does not check the md5 that the pointer of an
import pins: `dvc update` writes the md5 of whatever it got over it. So it works on a copy of the
pointer in a folder of its own, and only an archive with the pinned md5 moves to its place. Whatever
happens, even if this is killed, the pointer stays as it is and nothing else lies under the name.

What arrives is told apart: nothing at all, a page of the web, and another file than the archive.
Sites answer programs with the first two where they ask for a person with a browser.

Pointers say `cache: false`: no second copy of gigabytes, and `dvc diff` lists published results
alone.
"""

import hashlib
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import yaml
from jobs import Say

from hetspike.errors import UserError

PATIENCE = "HETSPIKE_PATIENCE"
MARK = b"\xef\xbb\xbf"  # UTF-8's, before its first character
PAGE = re.compile(rb"<(!doctype html|html|head|\?xml|!--|script|body)")  # in small letters
TICK = 0.2  # seconds between two looks at DVC
REPORT = 10.0  # seconds between two lines of progress in the log
ALIVE = 2**16  # bytes moved within the patience, below which a transfer is as good as dead


class Pointer(NamedTuple):
    path: Path
    md5: str
    url: str  # empty: to be fetched by hand
    instruction: str  # how to fetch it by hand
    cached: bool  # whether DVC's cache or a remote may have it


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
    return Pointer(path, md5, url, instruction, cached=out.get("cache", True))


def fetch(archive: Path, *, patience: float, say: Say) -> str:
    """See to it that the archive lies in its place with the md5 that its pointer pins -> that md5.

    One that lies there is read and nothing else. `patience` is how many seconds DVC may go on
    without moving data. Raises UserError, and never leaves another file than the archive.
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
    with _workplace(archive) as part:
        if pointer.cached:
            _dvc("pull", pointer.path, part, patience=patience, say=say)
        if archive.exists():
            origin = "DVC's cache or remote"
            os.replace(archive, part)
        elif not pointer.url:
            raise UserError(
                f"{archive} has to be fetched by hand: {pointer.instruction}; put it there as "
                f"{archive.absolute()} (md5 {pointer.md5}) and run again"
            )
        else:
            origin = pointer.url
            copy = part.with_name(pointer.path.name)
            shutil.copy(pointer.path, copy)
            problem = _dvc("update", copy, part, patience=patience, say=say)
            if problem or not part.exists():
                raise UserError(
                    f"{archive} could not be fetched from {origin} ({problem or 'no file'}): run "
                    f"again, or fetch it by hand and put it there as {archive.absolute()} "
                    f"(md5 {pointer.md5})"
                )
        found, size = md5_of(part), part.stat().st_size
        if found != pointer.md5:
            by_hand = f"put it there as {archive.absolute()} (md5 {pointer.md5})"
            if no_file := _no_file(part):
                raise UserError(
                    f"{archive}: {origin} gave {no_file}, as sites do that let no program in: open "
                    f"the address in a browser and {by_hand}"
                )
            raise UserError(
                f"{archive}: {origin} gave a file with md5 {found}, but {pointer.path} pins "
                f"{pointer.md5}: it was deleted: run again, or fetch it by hand and {by_hand}"
            )
        os.replace(part, archive)
    os.utime(archive)  # Snakemake looks at times: newer than its pointer, whatever DVC copied
    say(f"{size / 1e6:,.1f} MB from {origin}, its md5 is right")
    return found


def _no_file(path: Path) -> str:
    """What an answer is that is no file of any kind; nothing for one that is a file."""
    with path.open("rb") as file:
        start = file.read(1024).lstrip(MARK + b" \t\r\n").lower()
    if not start:
        return "an empty answer"
    return "a page of the web" if PAGE.match(start) else ""


def patience() -> float:
    """Seconds without data after which a server counts as dead."""
    said = os.environ.get(PATIENCE, "60")
    with suppress(ValueError):
        if 0 < float(said) < math.inf:
            return float(said)
    raise UserError(f"{PATIENCE} is '{said}': give a number of seconds, such as 60")


def md5_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


@contextmanager
def _workplace(archive: Path) -> Iterator[Path]:
    """A path for the archive in a folder of its own, which is gone afterwards.

    Beside the archive, so that the last step is a renaming. What an interrupted run left there
    goes first.
    """
    folder = archive.with_name(f".part-{archive.name}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder / archive.name
    finally:
        shutil.rmtree(folder)


def _dvc(command: str, pointer: Path, part: Path, *, patience: float, say: Say) -> str:
    """Run DVC on a pointer -> what went wrong, in one line, or nothing.

    On a terminal DVC shows its own bar; elsewhere `say` gets a line now and then.
    """
    terminal = sys.stderr.isatty()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "dvc", command, str(pointer)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=None if terminal and command == "update" else output,
        )
        try:
            alive = _watch(process, part, patience=patience, say=say)
        finally:  # also when this job is interrupted
            process.kill()
            process.wait()
        if not alive:
            return f"no data for {patience:g} s"
        if process.returncode == 0:
            return ""
        output.seek(0)
        errors = [line[7:].strip() for line in output if line.startswith("ERROR: ")]
    if not errors:  # on a terminal
        return "DVC's words are above"
    # what DVC says of everything between no network and a file that was moved
    return "no answer, or no such file" if "does not exist" in errors[-1] else errors[-1]


def _watch(process: subprocess.Popen, part: Path, *, patience: float, say: Say) -> bool:
    """Wait for DVC to end -> whether it did, instead of going on without moving data."""
    seen, since, reported = 0, time.monotonic(), time.monotonic()
    while True:
        with suppress(subprocess.TimeoutExpired):
            process.wait(TICK)
            return True
        now = time.monotonic()
        moved = _bytes_moved(process.pid)
        if moved >= seen + ALIVE:
            seen, since = moved, now
        if now - since > patience:
            return False
        if now - reported > REPORT:
            reported = now
            with suppress(FileNotFoundError):  # renamed by DVC in between
                arrived = sum(file.stat().st_size for file in part.parent.iterdir())
                say(f"{arrived / 1e6:,.1f} MB so far")


def _bytes_moved(pid: int) -> int:
    """What a process has read from files and written, so that hashing and caching count, too."""
    try:
        read, written, *_ = Path(f"/proc/{pid}/io").read_text().splitlines()
        return int(read.removeprefix("rchar: ")) + int(written.removeprefix("wchar: "))
    except OSError:  # ended in between
        return 0
