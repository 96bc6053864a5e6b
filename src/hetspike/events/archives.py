"""Members of zip and tar archives, read in place: nothing is unpacked under a member's name.

Members come in the order of their names, never in that of a file system or of the archive. An
archive with a member that would leave the folder it is unpacked in is refused as a whole: nobody
publishes one by chance.
"""

import gzip
import lzma
import posixpath
import re
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple

from hetspike.errors import UserError

# what the readers raise on damage, depending on whether names, headers, offsets or data are hit
DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    IndexError,
    OSError,
    RuntimeError,
    ValueError,
)
DRIVE = re.compile(r"[A-Za-z]:")
ZIP, GZIP = b"PK", b"\x1f\x8b"
CHUNK = 2**20  # bytes read at once


class Member(NamedTuple):
    """A file in an archive, or a link to one. Folders are no members."""

    name: str
    link: str  # as it stands in the archive, from its top; empty: a file
    open: Callable[[], IO[bytes]]


class Archive:
    """The files of a zip, tar or tar.gz archive by name. A context manager.

    source  a path, or an open file, such as an archive inside another
    called  what errors call it; by default the path

    A tar.gz goes through a temporary file without a name, which takes as much room as its content:
    gzip has no random access. Raises UserError, at once or on reading, for an archive that is
    missing, damaged or hostile, and for one that holds a name twice.
    """

    def __init__(self, source: Path | IO[bytes], called: str = "") -> None:
        self.called = called or str(source)
        if isinstance(source, Path) and not source.is_file():
            problem = "a folder" if source.is_dir() else "missing"
            raise UserError(f"{self.called} is {problem}: put the archive there, as published")
        with ExitStack() as stack:
            with self._reading():
                file = (
                    stack.enter_context(source.open("rb")) if isinstance(source, Path) else source
                )
                file.seek(0)
                start = file.read(len(GZIP))
            if start == GZIP:
                file = stack.enter_context(self._unzipped(file))
            with self._reading():
                if start == ZIP:
                    members = self._zip_members(stack.enter_context(zipfile.ZipFile(file)))
                else:
                    file.seek(0)
                    archive = stack.enter_context(tarfile.open(fileobj=file, mode="r:"))
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
        with self._reading(), self._file(name).open() as file:
            return file.read()

    def copy(self, name: str, to: IO[bytes]) -> None:
        """Write a file's content to an open one, for what is too large for memory."""
        with self._reading():
            file = self._file(name).open()
        with file:
            self._copy(file, to)

    def _file(self, name: str) -> Member:
        if name not in self._files:
            raise UserError(f"{self.called} has no '{name}': use the archive as published")
        return self._files[name]

    def _copy(self, file: IO[bytes] | gzip.GzipFile, to: IO[bytes]) -> None:
        """Errors in reading are damage, errors in writing are not."""
        while True:
            with self._reading():
                chunk = file.read(CHUNK)
            if not chunk:
                return
            to.write(chunk)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except DAMAGED as error:
            raise UserError(
                f"{self.called} cannot be read ({error or type(error).__name__}): fetch it again"
            ) from error

    @contextmanager
    def _unzipped(self, file: IO[bytes]) -> Iterator[IO[bytes]]:
        with tempfile.TemporaryFile() as content:
            with self._reading():
                file.seek(0)
                stream = gzip.GzipFile(fileobj=file)
            self._copy(stream, content)
            content.seek(0)
            yield content

    def _zip_members(self, archive: zipfile.ZipFile) -> list[Member]:
        members = []
        for info in archive.infolist():
            name = info.orig_filename
            self._check(name, name)
            kind = stat.S_IFMT(info.external_attr >> 16)  # 0 unless a Unix wrote it
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
                self._refuse(name, "is a device")
            if info.is_dir():
                continue
            link = ""
            if kind == stat.S_IFLNK:
                link = self._target(name, archive.read(info).decode("utf-8", "surrogateescape"))
            members.append(Member(name, link, partial(archive.open, info)))
        return members

    def _tar_members(self, archive: tarfile.TarFile) -> list[Member]:
        def content(info: tarfile.TarInfo) -> IO[bytes]:
            file = archive.extractfile(info)
            assert file is not None
            return file

        members = []
        for info in archive.getmembers():
            self._check(info.name, info.name)
            if info.isdir():
                continue
            link = ""
            if info.issym():
                link = self._target(info.name, info.linkname)
            elif info.islnk():  # names another member from the top
                link = posixpath.normpath(info.linkname)
                self._check(link, info.name)
            elif not info.isfile():
                self._refuse(info.name, "is a device")
            name = info.name.removeprefix("./")
            members.append(Member(name, link, partial(content, info)))
        return members

    def _target(self, name: str, target: str) -> str:
        """What a symbolic link points at, from the top of the archive."""
        path = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
        self._check(path, name)
        return path

    def _check(self, path: str, name: str) -> None:
        """Refuse the member `name` for a path, its own or its target, that leaves the folder."""
        parts = re.split(r"[/\\]", path)
        if parts[0] == "" or ".." in parts or DRIVE.match(path) or "\0" in path:
            self._refuse(name, "points outside the archive")

    def _refuse(self, name: str, problem: str) -> None:
        raise UserError(f"{self.called}: member {name!r} {problem}: do not use this archive")

    def _checked(self, members: list[Member]) -> dict[str, Member]:
        """Members by name, links replaced by the files that they lead to."""
        found = {member.name: member for member in members}
        if len(found) != len(members):
            names = [member.name for member in members]
            twice = next(name for name in names if names.count(name) > 1)
            self._refuse(twice, "is there twice")
        for member in members:
            end, passed = member, {member.name}
            while end.link:
                if end.link not in found or end.link in passed:
                    self._refuse(member.name, "is a link to no file of the archive")
                passed.add(end.link)
                end = found[end.link]
            found[member.name] = end
        return found


def members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file in an archive, in the order of the names, one at a time."""
    with Archive(path) as archive:
        for name in archive.names():
            yield name, archive.read(name)
