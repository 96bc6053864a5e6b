import io
import os
import random
import stat
import struct
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from recording_files import mutated

from hetspike.data.events import archives
from hetspike.data.events.archives import Archive, members
from hetspike.errors import UserError

CONTENTS = {"b/2.bin": b"two", "a.bin": b"one", "b/10.bin": b"ten"}


def zipped(path: Path, contents: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("b/"), b"")
        for name, content in contents.items():  # without a date: the same bytes every time
            archive.writestr(zipfile.ZipInfo(name), content, archive.compression)
    return path


def tarred(path: Path, contents: dict[str, bytes], *others: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        folder = tarfile.TarInfo("b")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in others:
            archive.addfile(info)
    return path


def made(folder: Path, form: str, contents: dict[str, bytes]) -> Path:
    return (zipped if form == "zip" else tarred)(folder / f"archive.{form}", contents)


FORMS = pytest.mark.parametrize("form", ["zip", "tar", "tar.gz"])


@FORMS
def test_members_come_by_name_and_folders_do_not(tmp_path, form):
    path = made(tmp_path, form, CONTENTS)
    assert list(members(path)) == [("a.bin", b"one"), ("b/10.bin", b"ten"), ("b/2.bin", b"two")]


@FORMS
def test_a_member_is_read_by_its_name(tmp_path, form):
    with Archive(made(tmp_path, form, CONTENTS)) as archive:
        assert [archive.read(name) for name in ("b/2.bin", "a.bin", "b/2.bin")] == [
            *(b"two", b"one", b"two")
        ]
        with pytest.raises(UserError, match=r"archive.* has no 'c.bin': use the archive as publ"):
            archive.read("c.bin")


def test_an_archive_in_an_archive(tmp_path):
    inner = zipped(tmp_path / "inner.zip", CONTENTS).read_bytes()
    # at the end of a tar: whoever looks for a zip from the end would find the inner one
    outer = tarred(tmp_path / "outer.tar.gz", {"note": b"", "inner.zip": inner})
    with Archive(outer) as archive:
        assert archive.names() == ["inner.zip", "note"]
        with archive.inner("inner.zip") as inside:
            assert inside.names() == sorted(CONTENTS)
            assert inside.read("a.bin") == b"one"
            with pytest.raises(UserError, match=r"outer.tar.gz: 'inner.zip' has no 'x'"):
                inside.read("x")


@FORMS
def test_reading_writes_no_file(tmp_path, form, monkeypatch):
    path = made(tmp_path, form, CONTENTS)
    monkeypatch.chdir(tmp_path)
    list(members(path))
    assert list(tmp_path.iterdir()) == [path]


# Hostile archives

OUTSIDE = ["/etc/passwd", "../x", "b/../../x", "..", "C:/x", "c:x", "\\\\host\\x", "..\\x"]


@FORMS
@pytest.mark.parametrize("name", OUTSIDE)
def test_a_name_that_points_outside_leads_nowhere(tmp_path, form, name, monkeypatch):
    folder = tmp_path / "a/b/c"
    folder.mkdir(parents=True)
    path = made(folder, form, CONTENTS | {name: b"x"})
    monkeypatch.chdir(folder)
    around = {*tmp_path.rglob("*")}
    assert dict(members(path)) == CONTENTS | {name: b"x"}
    assert {*tmp_path.rglob("*")} == around


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize("target", ["/etc/passwd", "../../x", "b/../../../x"])
@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_a_link_that_leads_outside_leads_to_no_member(tmp_path, kind, target):
    (tmp_path / "x").write_text("not a member")
    path = tarred(tmp_path / "a.tar", CONTENTS, special("b/link", kind, target))
    with pytest.raises(UserError, match=r"a.tar cannot be read .*link"):
        list(members(path))


def test_a_link_within_the_archive_is_the_file_that_it_leads_to(tmp_path):
    links = [
        special("b/soft", tarfile.SYMTYPE, "../a.bin"),
        special("hard", tarfile.LNKTYPE, "b/2.bin"),
        special("b/far", tarfile.SYMTYPE, "soft"),
    ]
    with Archive(tarred(tmp_path / "a.tar", CONTENTS, *links)) as archive:
        assert archive.read("b/soft") == archive.read("b/far") == b"one"
        assert archive.read("hard") == b"two"


@pytest.mark.parametrize("target", ["missing", "../round", "."])
def test_a_link_to_no_file_cannot_be_read(tmp_path, target):
    links = [
        special("b/link", tarfile.SYMTYPE, target),
        special("round", tarfile.SYMTYPE, "b/link"),
    ]
    with pytest.raises(UserError, match=r"a.tar cannot be read \(.*\): fetch it again"):
        list(members(tarred(tmp_path / "a.tar", CONTENTS, *links)))


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_a_device_is_refused(tmp_path, kind):
    with pytest.raises(UserError, match="member 'tty' is a device"):
        Archive(tarred(tmp_path / "a.tar", CONTENTS, special("tty", kind)))


@pytest.mark.parametrize("kind", [stat.S_IFCHR, stat.S_IFLNK])
def test_a_link_or_a_device_in_a_zip_is_refused(tmp_path, kind):
    path = zipped(tmp_path / "a.zip", CONTENTS)
    special = zipfile.ZipInfo("tty")
    special.external_attr = (kind | 0o666) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(special, b"../../etc/passwd")
    with pytest.raises(UserError, match="member 'tty' is a link or a device"):
        Archive(path)


def test_a_name_that_stands_twice_is_refused(tmp_path):
    path = zipped(tmp_path / "a.zip", CONTENTS)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("a.bin", b"another one")
    with pytest.raises(UserError, match=r"member 'a.bin' is there twice"):
        Archive(path)


# Archives that expand

ZEROS = bytes(2**20)


def deflated(content: bytes, times: int = 1) -> bytes:
    """A zip in a zip in a zip, so many times."""
    for _ in range(times):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("inner.zip", content)
        content = file.getvalue()
    return content


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds that tests reach with little: 100 times an archive's size, and 64 KiB for any."""
    monkeypatch.setattr(archives, "SMALL", 2**16)


@FORMS
def test_a_bomb_is_refused_by_what_it_expands_to(tmp_path, form, small):
    path = made(tmp_path, form, {"zeros.bin": ZEROS})
    if form == "tar":  # which does not expand
        assert [content for _, content in members(path)] == [ZEROS]
        return
    size = path.stat().st_size
    most = f"{max(2**16, 100 * size) / 1e6:,.0f} MB, far beyond the archive as published"
    what = {
        "zip": "its members claim more than",
        "tar.gz": "its content, a temporary file, expands to more than",
    }
    with pytest.raises(UserError, match=rf"archive.{form}: {what[form]} {most}"):
        Archive(path)


@FORMS
def test_an_archive_that_expands_below_the_bound_is_read(tmp_path, form, small):
    kept = bytes(range(256)) * 400  # 100 kB; with random bytes beside it less than 100 times
    contents = {"kept.bin": kept, "noise.bin": random.Random(0).randbytes(4000)}
    assert dict(members(made(tmp_path, form, contents))) == contents


def test_any_archive_may_expand_to_64_mib(tmp_path):
    assert archives.SMALL == 2**26
    path = zipped(tmp_path / "a.zip", {"zeros.bin": 10 * ZEROS})
    assert 100 * path.stat().st_size < 2**21
    with Archive(path) as archive:
        assert len(archive.read("zeros.bin")) == 10 * 2**20


@FORMS
def test_no_archive_expands_to_more_than_64_gib(tmp_path, form, monkeypatch):
    assert archives.LARGEST == 2**36
    monkeypatch.setattr(archives, "LARGEST", 1000)
    with pytest.raises(UserError, match=r"more than 0 MB, far beyond"):
        Archive(made(tmp_path, form, {"a.bin": random.Random(0).randbytes(1001)}))


def test_an_archive_in_an_archive_has_the_bound_of_the_outer_one(tmp_path, small):
    """Each expands less than 100 times, together they do much more."""
    inner = deflated(ZEROS[: 2**18])
    outer = zipped(tmp_path / "outer.zip", {"inner.zip": inner + bytes(50 * len(inner))})
    assert 100 * 51 * len(inner) > 2**18
    problem = r"outer.zip: 'inner.zip': its members claim more than"
    with Archive(outer) as archive, pytest.raises(UserError, match=problem):
        archive.inner("inner.zip")


def test_a_member_is_read_into_memory_up_to_a_bound(tmp_path, monkeypatch):
    assert archives.LARGEST_READ == 2**30
    monkeypatch.setattr(archives, "LARGEST_READ", 2)
    problem = r"'a.bin' expands to more than 0 MB, far beyond"
    with (
        Archive(made(tmp_path, "tar", CONTENTS)) as archive,
        pytest.raises(UserError, match=problem),
    ):
        archive.read("a.bin")


@FORMS
def test_members_are_counted(tmp_path, form, monkeypatch):
    path = made(tmp_path, form, CONTENTS)
    monkeypatch.setattr(archives, "MOST_MEMBERS", 4)  # three files and a folder
    assert len(list(members(path))) == 3
    monkeypatch.setattr(archives, "MOST_MEMBERS", 3)
    with pytest.raises(UserError, match=r"it has more than 3 members, far beyond"):
        Archive(path)


@FORMS
def test_a_path_of_a_kilometre_is_refused_and_not_printed(tmp_path, form):
    long = "/".join(["folder"] * 200)
    with pytest.raises(UserError, match="has a path of more than 1024 characters") as refused:
        Archive(made(tmp_path, form, {long: b""}))
    assert len(str(refused.value)) < 400 + len(str(tmp_path))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_is_packed_by_deflate_or_not_at_all(tmp_path, method):
    """The others give all that a chunk expands to at once: bzip2 20 GB of a MiB."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("a.bin", b"one")
    with pytest.raises(UserError, match=r"'a.bin' is packed neither plainly nor by deflate"):
        Archive(path)


def sparse(size: int) -> tarfile.TarInfo:
    """A member of five bytes that says it is one of `size`, the rest a hole."""
    info = tarfile.TarInfo("hole")
    info.pax_headers = {
        **{"GNU.sparse.map": "0,0", "GNU.sparse.numblocks": "1"},
        "GNU.sparse.size": str(size),
    }
    return info


def test_a_hole_of_terabytes_is_refused(tmp_path):
    with Archive(tarred(tmp_path / "a.tar", CONTENTS, sparse(100_000))) as archive:
        assert archive.read("hole") == bytes(100_000)
    with pytest.raises(UserError, match="its members claim more than 67 MB, far beyond"):
        Archive(tarred(tmp_path / "b.tar", CONTENTS, sparse(2**42)))


def claiming(path: Path, place: int, size: int, kind: bytes | None = None) -> Path:
    """A tar whose header at `place` claims `size` bytes, with a right checksum."""
    content = bytearray(tarred(path, CONTENTS).read_bytes())
    header = content[place : place + 512]
    header[124:136] = tarfile.itn(size, 12, tarfile.GNU_FORMAT)
    header[156:157] = kind or header[156:157]
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    content[place : place + 512] = header
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("size", [2**33, 2**50, 2**62, 2**80, -512, -(2**40)])
@pytest.mark.parametrize("kind", [None, tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
@pytest.mark.parametrize("place", [0, 512])
def test_a_header_of_a_tar_that_claims_petabytes_or_less_than_nothing(tmp_path, place, kind, size):
    """As a file's content, or as its name, which readers take into memory."""
    with pytest.raises(UserError) as refused:
        list(members(claiming(tmp_path / "a.tar", place, size, kind)))
    assert "a.tar" in str(refused.value) and "\n" not in str(refused.value)


def test_names_that_a_zip_claims_to_have_are_not_read_at_once(tmp_path):
    path = zipped(tmp_path / "a.zip", CONTENTS)
    content = bytearray(path.read_bytes())
    size, offset = struct.pack("<QQ", 2**40, 0)[:8], struct.pack("<Q", 0)
    end64 = struct.pack("<IQHHIIQQ", 0x06064B50, 44, 45, 45, 0, 0, 3, 3) + size + offset
    locator = struct.pack("<IIQI", 0x07064B50, 0, len(content) - 22, 1)
    path.write_bytes(content[:-22] + end64 + locator + content[-22:-12] + b"\xff" * 8 + bytes(4))
    with pytest.raises(UserError, match="cannot be read"):
        Archive(path)
    with pytest.raises(ValueError, match="a header claims 134217729 bytes"):
        archives.Sparing(io.BytesIO()).read(2**27 + 1)


def test_a_full_disk_is_no_damage(tmp_path, monkeypatch):
    path = made(tmp_path, "tar.gz", {"a.bin": random.Random(0).randbytes(2**17)})
    monkeypatch.setattr(tempfile, "TemporaryFile", partial(Path("/dev/full").open, "wb"))
    with pytest.raises(UserError, match=r"has no room for a temporary file .*: set TMPDIR"):
        Archive(path)


def test_a_pipe_or_a_device_in_the_place_of_an_archive_is_named(tmp_path):
    os.mkfifo(tmp_path / "pipe.zip")
    (tmp_path / "zero.zip").symlink_to("/dev/zero")
    for name in ("pipe.zip", "zero.zip"):
        with pytest.raises(UserError, match=f"{name} is a pipe or a device, no file: put the arch"):
            Archive(tmp_path / name)


# What an operating system adds

ADDED = [
    *(".DS_Store", "b/.DS_Store", "__MACOSX/b/._2.bin", "__MACOSX/.DS_Store", "._a.bin"),
    *("b/._2.bin", "Thumbs.db", "b/thumbs.db", "desktop.ini", "b/Desktop.ini", "ehthumbs.db"),
    *("b/Icon\r", ".localized", ".AppleDouble/a.bin", "$RECYCLE.BIN/x", "@eaDir/a.bin/thumb.jpg"),
    *(".Trashes/1", ".fseventsd/0", ".Spotlight-V100/x", "System Volume Information/x"),
]


@FORMS
def test_files_that_an_operating_system_adds_are_no_members(tmp_path, form):
    with Archive(made(tmp_path, form, CONTENTS | dict.fromkeys(ADDED, b"..."))) as archive:
        assert archive.names() == sorted(CONTENTS)


def test_names_that_only_resemble_those_are_members(tmp_path):
    names = ["DS_Store", "b/_a.bin", "b.DS_Store", "Thumbs.db.bin", "MACOSX/a", "x__MACOSX/a"]
    with Archive(zipped(tmp_path / "a.zip", dict.fromkeys(names, b""))) as archive:
        assert archive.names() == sorted(names)


# Damaged archives


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def no_archive(content: bytes) -> bytes:
    return b"<html>not found</html>"


def empty(content: bytes) -> bytes:
    return b""


NOISE = {"a.bin": bytes(range(256)) * 40, "b/2.bin": b"two"}


@FORMS
@pytest.mark.parametrize("damage", [cut, no_archive, empty])
def test_a_damaged_archive_ends_in_one_line(tmp_path, form, damage: Callable[[bytes], bytes]):
    path = made(tmp_path, form, NOISE)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=r"archive.* cannot be read \(.+\): fetch it again$"):
        list(members(path))


@pytest.mark.parametrize("form", ["zip", "tar.gz"])
def test_a_flipped_bit_of_the_content_is_seen(tmp_path, form):
    path = made(tmp_path, form, NOISE)
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0x10
    path.write_bytes(content)
    with pytest.raises(UserError, match="cannot be read"):
        list(members(path))


def test_a_tar_that_ends_between_two_members_is_damaged(tmp_path):
    path = tarred(tmp_path / "a.tar", CONTENTS)
    path.write_bytes(path.read_bytes()[: 3 * 512])  # the folder, the first file and its block
    with pytest.raises(UserError, match=r"a.tar cannot be read \(it has no end mark\)"):
        Archive(path)


def test_a_tar_with_a_broken_header_is_damaged(tmp_path):
    path = tarred(tmp_path / "a.tar", CONTENTS)
    content = bytearray(path.read_bytes())
    content[3 * 512] ^= 1  # the name of the second file, so that its header's checksum is wrong
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"a.tar cannot be read"):
        Archive(path)


def test_a_missing_archive_is_named(tmp_path):
    with pytest.raises(UserError, match=r"a.zip is missing: put the archive there"):
        Archive(tmp_path / "a.zip")


def test_a_folder_in_the_place_of_an_archive_is_named(tmp_path):
    (tmp_path / "a.zip").mkdir()
    with pytest.raises(UserError, match=r"a.zip is a folder: put the archive there"):
        Archive(tmp_path / "a.zip")


@FORMS
def test_an_archive_with_mutations_gives_its_files_or_one_line(tmp_path, form, tried):
    content = made(tmp_path, form, NOISE | CONTENTS).read_bytes()
    rng = random.Random(form)
    refused = right = 0
    for _ in range(400):
        try:
            with Archive(io.BytesIO(mutated(content, rng)), "archive") as archive:
                for name in archive.names():
                    archive.read(name)
            right += 1
        except UserError as error:
            assert "\n" not in str(error) and len(str(error)) < 400
            refused += 1
    tried("Archives", f"Bytes changed: {form}", refused=refused, right=right)
