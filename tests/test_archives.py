import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from hetspike.errors import UserError
from hetspike.events.archives import Archive, members

CONTENTS = {"b/2.bin": b"two", "a.bin": b"one", "b/10.bin": b"ten"}


def zipped(path: Path, contents: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("b/", b"")
        for name, content in contents.items():
            archive.writestr(name, content)
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
    with Archive(outer) as archive, (tmp_path / "copy").open("w+b") as copy:
        assert archive.names() == ["inner.zip", "note"]
        archive.copy("inner.zip", copy)
        with Archive(copy, "outer.tar.gz: inner.zip") as inside:
            assert inside.names() == sorted(CONTENTS)
            with pytest.raises(UserError, match=r"^outer.tar.gz: inner.zip has no 'x'"):
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
def test_a_member_that_points_outside_is_refused(tmp_path, form, name):
    path = made(tmp_path, form, CONTENTS | {name: b"x"})
    with pytest.raises(UserError) as refused:
        Archive(path)
    assert f"{path}: member {name!r} points outside the archive" in str(refused.value)


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize("target", ["/etc/passwd", "../../x", "b/../../../x"])
@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_a_link_that_leads_outside_is_refused(tmp_path, kind, target):
    path = tarred(tmp_path / "a.tar", CONTENTS, special("b/link", kind, target))
    with pytest.raises(UserError, match="member 'b/link' points outside the archive"):
        Archive(path)


def test_a_link_in_a_zip_that_leads_outside_is_refused(tmp_path):
    path = zipped(tmp_path / "a.zip", CONTENTS)
    link = zipfile.ZipInfo("b/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "../../etc/passwd")
    with pytest.raises(UserError, match="member 'b/link' points outside the archive"):
        Archive(path)


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
def test_a_link_to_no_file_is_refused(tmp_path, target):
    links = [
        special("b/link", tarfile.SYMTYPE, target),
        special("round", tarfile.SYMTYPE, "b/link"),
    ]
    with pytest.raises(UserError, match="member 'b/link' is a link to no file"):
        Archive(tarred(tmp_path / "a.tar", CONTENTS, *links))


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_a_device_is_refused(tmp_path, kind):
    with pytest.raises(UserError, match="member 'tty' is a device"):
        Archive(tarred(tmp_path / "a.tar", CONTENTS, special("tty", kind)))


def test_a_device_in_a_zip_is_refused(tmp_path):
    path = zipped(tmp_path / "a.zip", CONTENTS)
    device = zipfile.ZipInfo("tty")
    device.external_attr = (stat.S_IFCHR | 0o666) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(device, b"")
    with pytest.raises(UserError, match="member 'tty' is a device"):
        Archive(path)


def test_a_name_that_stands_twice_is_refused(tmp_path):
    path = zipped(tmp_path / "a.zip", CONTENTS)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("a.bin", b"another one")
    with pytest.raises(UserError, match=r"member 'a.bin' is there twice"):
        Archive(path)


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
