"""Members of zip and tar archives, read in place: nothing is unpacked under a member's name.

A name is a key and no path: one that would lead out of a folder leads nowhere. Members come in the
order of their names, never in that of a file system or of the archive. Files that an operating
system adds to people's own are no members. An archive that expands beyond the bounds below is
refused as a whole: nobody publishes such a one by chance.
"""

import gzip
import io
import lzma
import os
import re
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple, cast

from hetspike.errors import UserError

# what the readers raise on damage, depending on whether names, headers, offsets or data are hit
DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    LookupError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
)
ZIP, GZIP = b"PK", b"\x1f\x8b"
CHUNK = 2**20  # bytes read at once

# How far an archive may expand. The published ones have up to 8 GB, 60,000 members and names of
# less than 100 characters, and recordings of events shrink at most tenfold.
EXPANSION = 100  # times the size of the outermost archive
SMALL = 2**26  # bytes, to which any archive may expand: a little one of zeros does no harm
LARGEST = 2**36  # bytes of all members together, 64 GiB
LARGEST_READ = 2**30  # bytes of a member that is read into memory, 1 GiB
MOST_MEMBERS = 2**20
LONGEST_NAME = 1024  # characters, folders included
LARGEST_LIST = 2**27  # bytes of a zip's list of members, 128 a member

# what Windows, macOS, file servers and desktops leave in folders, in small letters
ADDED = re.compile(
    r"(.*/)?(__macosx/.*|\._[^/]*|\.ds_store|\.appledouble/.*|\.localized|\.(trashes|fseventsd|"
    r"spotlight-v100)(/.*)?|icon\r|(eh)?thumbs\.db|desktop\.ini|\$recycle\.bin/.*|"
    r"system volume information/.*|@eadir/.*|\.directory)",
    re.DOTALL,
)


class Member(NamedTuple):
    """A file in an archive. Folders are no members."""

    name: str
    open: Callable[[], IO[bytes]]


class Sparing:
    """An open file for readers that believe what headers claim: no huge part is read at once."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        if size > LARGEST_LIST:
            raise ValueError(f"a header claims {size} bytes")
        return self._file.read(size)


class Archive:
    """The files of a zip, tar or tar.gz archive by name. A context manager.

    source  a path, or an open file, such as an archive inside another
    called  what errors call it; by default the path
    room    bytes that it may expand to; by default what its size allows

    A tar.gz goes through a temporary file without a name, which takes as much room as its content:
    gzip has no random access. Raises UserError, at once or on reading, for an archive that is
    missing, damaged or hostile, and for one that holds a name twice.
    """

    def __init__(self, source: Path | IO[bytes], called: str = "", room: int = LARGEST) -> None:
        self.called = called or str(source)
        if isinstance(source, Path) and not source.is_file():
            problem = "missing"
            if source.exists():
                problem = "a folder" if source.is_dir() else "a pipe or a device, no file"
            raise UserError(f"{self.called} is {problem}: put the archive there, as published")
        with ExitStack() as stack:
            with self._reading():
                file = (
                    stack.enter_context(source.open("rb")) if isinstance(source, Path) else source
                )
                self.room = min(room, LARGEST, max(SMALL, EXPANSION * file.seek(0, os.SEEK_END)))
                file.seek(0)
                start = file.read(len(GZIP))
            if start == GZIP:
                file = stack.enter_context(self._unzipped(file))
            spared = Sparing(file)
            with self._reading():
                if start == ZIP:
                    zipped = zipfile.ZipFile(spared)
                    members = self._zip_members(stack.enter_context(zipped))
                else:
                    spared.seek(0)
                    archive = stack.enter_context(tarfile.TarFile(fileobj=cast(IO[bytes], spared)))
                    members = self._tar_members(archive)
                    file.seek(archive.offset)
                    if file.read(tarfile.BLOCKSIZE).strip(b"\0") or file.tell() == archive.offset:
                        # tarfile takes a broken header, or none, for the end
                        raise tarfile.ReadError("it has no end mark")
            self._files = self._checked(members)
            self._close = stack.pop_all().close

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def names(self) -> list[str]:
        """All files, sorted; '/' between folders."""
        return sorted(self._files)

    def matching(self, pattern: re.Pattern[str]) -> list[re.Match[str]]:
        """The files whose whole name matches; others, such as a readme, are passed over."""
        found = [match for name in self.names() if (match := pattern.fullmatch(name))]
        if not found:
            raise UserError(
                f"{self.called} holds no files named as in the published archive: use that"
            )
        return found

    def read(self, name: str) -> bytes:
        content = io.BytesIO()
        self._copy(self._opened(name), content, LARGEST_READ, f"{name!r}")
        return content.getvalue()

    def inner(self, name: str) -> "Archive":
        """An archive in this one, by way of a temporary file without a name."""
        file = tempfile.TemporaryFile()  # noqa: SIM115 (open for as long as the archive is)
        self._copy(self._opened(name), file, self.room, f"{name!r}")
        return Archive(file, f"{self.called}: {name!r}", self.room)

    def _opened(self, name: str) -> IO[bytes]:
        with self._reading():
            return self._file(name).open()

    def _file(self, name: str) -> Member:
        if name not in self._files:
            raise UserError(f"{self.called} has no '{name}': use the archive as published")
        return self._files[name]

    def _copy(self, file: IO[bytes] | gzip.GzipFile, to: IO[bytes], most: int, what: str) -> None:
        """Errors in reading are damage, errors in writing are not. Closes the file that is read."""
        with file:
            while True:
                with self._reading():
                    chunk = file.read(CHUNK)
                if not chunk:
                    return
                if to.tell() + len(chunk) > most:
                    raise self._too_much(f"{what} expands to more than {most / 1e6:,.0f} MB")
                try:
                    to.write(chunk)
                except OSError as error:
                    raise UserError(
                        f"{self.called}: {tempfile.gettempdir()} has no room for a temporary file "
                        f"of its content ({error}): set TMPDIR to a folder with more"
                    ) from error

    def _too_much(self, problem: str) -> UserError:
        return UserError(
            f"{self.called}: {problem}, far beyond the archive as published: do not use this one"
        )

    def _check_count(self, count: int) -> None:
        if count > MOST_MEMBERS:
            raise self._too_much(f"it has more than {MOST_MEMBERS:,} members")

    def _check_sizes(self, sizes: Iterator[int]) -> None:
        if sum(sizes) > self.room:
            raise self._too_much(f"its members claim more than {self.room / 1e6:,.0f} MB")

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except UserError:
            raise
        except DAMAGED as error:
            # in one line, and not with the names of a kilometre that some say
            problem = " ".join(str(error).split())[:200] or type(error).__name__
            raise UserError(f"{self.called} cannot be read ({problem}): fetch it again") from error

    @contextmanager
    def _unzipped(self, file: IO[bytes]) -> Iterator[IO[bytes]]:
        with tempfile.TemporaryFile() as content:
            with self._reading():
                file.seek(0)
                stream = gzip.GzipFile(fileobj=file)
            self._copy(stream, content, self.room, "its content, a temporary file,")
            content.seek(0)
            yield content

    def _zip_members(self, archive: zipfile.ZipFile) -> list[Member]:
        members = []
        infos = archive.infolist()
        self._check_count(len(infos))
        self._check_sizes(info.file_size for info in infos)
        for info in infos:
            name = info.orig_filename
            self._check_name(name)
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                # the others expand without a bound on what is read at once
                self._refuse(name, "is packed neither plainly nor by deflate")
            kind = stat.S_IFMT(info.external_attr >> 16)  # 0 unless a Unix wrote it
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                self._refuse(name, "is a link or a device")
            if not info.is_dir():
                members.append(Member(name, partial(archive.open, info)))
        return members

    def _tar_members(self, archive: tarfile.TarFile) -> list[Member]:
        def content(info: tarfile.TarInfo) -> IO[bytes]:
            file = archive.extractfile(info)  # of a link: the member that it leads to
            if file is None:
                raise tarfile.ReadError(f"{info.name!r} is a link to no file")
            return file

        members, infos, place = [], [], -1
        for info in archive:
            if info.offset <= place or info.size < 0:
                raise tarfile.ReadError("a header leads back")
            place = info.offset
            infos.append(info)
            self._check_count(len(infos))
        self._check_sizes(info.size for info in infos)
        for info in infos:
            self._check_name(info.name)
            if info.isdir():
                continue
            if not (info.isfile() or info.issym() or info.islnk()):
                self._refuse(info.name, "is a device")
            members.append(Member(info.name.removeprefix("./"), partial(content, info)))
        return members

    def _check_name(self, name: str) -> None:
        """Names stand in messages and in tables."""
        if len(name) > LONGEST_NAME:
            self._refuse(name, f"has a path of more than {LONGEST_NAME} characters")

    def _refuse(self, name: str, problem: str) -> None:
        shown = repr(name) if len(name) <= 100 else f"{name[:100]!r}..."
        raise UserError(f"{self.called}: member {shown} {problem}: do not use this archive")

    def _checked(self, members: list[Member]) -> dict[str, Member]:
        """People's own members by name."""
        members = [member for member in members if not ADDED.fullmatch(member.name.lower())]
        found = {member.name: member for member in members}
        if len(found) != len(members):
            ((twice, _),) = Counter(member.name for member in members).most_common(1)
            self._refuse(twice, "is there twice")
        return found


def members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file in an archive, in the order of the names, one at a time."""
    with Archive(path) as archive:
        for name in archive.names():
            yield name, archive.read(name)
