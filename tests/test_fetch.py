"""Archives fetched from a server on this machine: no test here leaves it."""

import hashlib
import os
import shutil
import socket
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from archive_server import ARCHIVE, CONTENT, NAME, RIGHT, Server, pin, serving
from projects import ROOT, complaint, copy_project, output_of, small_study, snakemake

from hetspike.errors import UserError

TAMPERED = b"x" + CONTENT[1:]
WRONG = hashlib.md5(TAMPERED).hexdigest()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def project(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose one pointer leads to the server."""
    project = copy_project(ROOT, tmp_path / "project")
    pin(project, NAME, server.url)
    monkeypatch.chdir(project)
    return project


@pytest.fixture
def fetch(project: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the rule does, without Snakemake around it -> the lines that it said."""
    monkeypatch.syspath_prepend(ROOT / "workflow/scripts")
    module = __import__("fetching")

    def fetch(archive: str = ARCHIVE, patience: float = 30) -> list[str]:
        said: list[str] = []
        module.fetch(Path(archive), patience=patience, say=said.append)
        return said

    return fetch


def lying(project: Path) -> set[str]:
    """Files under data/."""
    return {file.name for file in (project / "data").rglob("*") if file.is_file()}


def closed_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/archive"


def refusal(project: Path, target: str) -> str:
    """The one line that a failing run has for its user."""
    run = snakemake(project, "--cores", "1", target)
    assert run.returncode != 0
    assert "Traceback" not in run.stdout
    (line,) = {line for line in run.stdout.splitlines() if line.startswith("hetspike: ")}
    return line


def test_a_missing_archive_is_fetched_once(project, server):
    pointer = (project / f"{ARCHIVE}.dvc").read_bytes()
    assert f"MB from {server.url}, its md5 is right" in output_of(project, "--cores", "1", ARCHIVE)
    assert (project / ARCHIVE).read_bytes() == CONTENT
    assert (project / f"{ARCHIVE}.dvc").read_bytes() == pointer
    assert lying(project) == {NAME, f"{NAME}.dvc"}
    assert server.asked
    server.asked.clear()
    assert "Nothing to be done" in output_of(project, "--cores", "1", ARCHIVE)
    assert server.asked == []


def test_an_archive_that_lies_there_outlives_a_forced_run(project, server):
    (project / ARCHIVE).write_bytes(TAMPERED)  # such as a part of N-MNIST
    said = output_of(project, "--cores", "1", "--forceall", ARCHIVE)
    assert f"keep {NAME}: kept as it is" in said
    assert (project / ARCHIVE).read_bytes() == TAMPERED
    assert server.asked == []


def test_an_archive_that_lies_there_is_left_alone(project, server, fetch):
    (project / ARCHIVE).write_bytes(CONTENT)
    os.utime(project / ARCHIVE, (1, 1))
    assert fetch() == ["lies there already, its md5 is right"]
    assert (project / ARCHIVE).stat().st_mtime == 1
    assert server.asked == []


def test_a_tampered_archive_is_deleted_and_both_md5s_are_named(project, server):
    server.content = TAMPERED
    pointer = (project / f"{ARCHIVE}.dvc").read_bytes()
    line = refusal(project, ARCHIVE)
    assert f"{server.url} gave a file with md5 {WRONG}, but {ARCHIVE}.dvc pins {RIGHT}" in line
    assert "it was deleted: run again, or fetch it by hand and put it there as" in line
    assert f"as {project / ARCHIVE} (md5 {RIGHT})" in line
    assert (project / f"{ARCHIVE}.dvc").read_bytes() == pointer
    assert lying(project) == {f"{NAME}.dvc"}
    server.content = CONTENT  # and a second run starts cleanly
    output_of(project, "--cores", "1", ARCHIVE)
    assert (project / ARCHIVE).read_bytes() == CONTENT


def test_a_connection_that_breaks_leaves_nothing_half_written(project, server):
    server.sent = len(CONTENT) // 2
    pointer = (project / f"{ARCHIVE}.dvc").read_bytes()
    line = refusal(project, ARCHIVE)
    assert line.startswith(
        f"hetspike: fetch {NAME}: {ARCHIVE} could not be fetched from {server.url}"
    )
    assert f"put it there as {project / ARCHIVE} (md5 {RIGHT})" in line
    assert (project / f"{ARCHIVE}.dvc").read_bytes() == pointer
    assert lying(project) - {f"{NAME}.log"} == {f"{NAME}.dvc"}
    server.sent = None
    output_of(project, "--cores", "1", ARCHIVE)
    assert (project / ARCHIVE).read_bytes() == CONTENT


def test_what_a_killed_run_left_is_cleared(project, server):
    (project / f"data/raw/.part-{NAME}").write_bytes(CONTENT[:100])
    output_of(project, "--cores", "1", ARCHIVE)
    assert (project / ARCHIVE).read_bytes() == CONTENT
    assert lying(project) == {NAME, f"{NAME}.dvc"}


def test_nobody_listens(project, fetch):
    pin(project, NAME, url := closed_port())
    with pytest.raises(UserError, match=rf"from {url} \(no answer, or not all of it\): run aga"):
        fetch()
    assert lying(project) == {f"{NAME}.dvc"}


def test_a_server_that_stops_sending_is_waited_for_no_longer_than_said(project, server, fetch):
    server.sent = len(CONTENT) // 2
    server.hang.clear()
    with pytest.raises(UserError, match=rf"from {server.url} \(no data for 1 s\): run again, or"):
        fetch(patience=1)
    assert server.asked
    assert lying(project) == {f"{NAME}.dvc"}


def test_a_server_that_never_answers_is_waited_for_no_longer_than_said(project, server, fetch):
    server.answer.clear()
    with pytest.raises(UserError, match=rf"from {server.url} \(no data for 1 s\): run again, or"):
        fetch(patience=1)
    assert lying(project) == {f"{NAME}.dvc"}


def test_storage_that_tells_a_program_nothing_but_the_content(project, server, fetch):
    """As figshare's: a redirect to where HEAD is refused; no tag and no length come with it."""
    server.location, server.refuses_head, server.says_length = "/storage", True, False
    server.contents["/storage"] = CONTENT
    assert f"MB from {server.url}, its md5 is right" in fetch()[-1]
    assert {"/archive", "/storage"} == {*server.asked}
    assert (project / ARCHIVE).read_bytes() == CONTENT
    assert lying(project) == {NAME, f"{NAME}.dvc"}


PAGE = b"\n<!DOCTYPE html><html><body>Are you a person?</body></html>"
ANSWERS = {  # what the server does, what is said of it
    "accepted, and nothing": ({"status": 202, "content": b""}, "gave an empty answer, as sites do"),
    "a page": ({"content": PAGE}, "gave a page of the web, as sites do that let no program in"),
    "a page that is sent away": (
        {"status": 202, "content": b"\xef\xbb\xbf<html>wait</html>", "refuses_head": True},
        "gave a page of the web",
    ),
    "nine tenths": ({"sent": len(CONTENT) * 9 // 10}, "could not be fetched from"),
    "not found": ({"status": 404}, "(it answers 404 Not Found)"),
    "refused": ({"status": 403}, "(it answers 403 Forbidden)"),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_what_is_no_archive_is_told_by_its_kind(project, server, fetch, answer):
    settings, problem = ANSWERS[answer]
    vars(server).update(settings)
    with pytest.raises(UserError) as refused:
        fetch()
    line = str(refused.value)
    assert problem in line and server.url in line and "\n" not in line
    assert f"put it there as {project / ARCHIVE} (md5 {RIGHT})" in line
    assert lying(project) == {f"{NAME}.dvc"}


def test_an_archive_without_a_public_address_is_asked_for(project, server, fetch):
    name = "DvsGesture.tar.gz"
    shutil.copy(ROOT / f"data/raw/{name}.dvc", project / "data/raw")
    with pytest.raises(UserError) as asked:
        fetch(f"data/raw/{name}")
    line = str(asked.value)
    assert "\n" not in line
    assert "by hand: accept IBM's terms on https://research.ibm.com/interactive/dvsgesture" in line
    assert f"put it there as {project / 'data/raw' / name}" in line
    assert server.asked == []


# Put there by hand


def test_a_right_archive_put_there_by_hand_is_checked_once(project, server):
    (project / ARCHIVE).write_bytes(CONTENT)
    said = output_of(project, "--cores", "1", f"{ARCHIVE}.md5")
    assert f"check {NAME}: lies there already, its md5 is right" in said
    assert (project / f"{ARCHIVE}.md5").read_text() == f"{RIGHT}  {NAME}\n"
    assert "Nothing to be done" in output_of(project, "--cores", "1", f"{ARCHIVE}.md5")
    assert server.asked == []


def test_a_wrong_archive_put_there_by_hand_is_refused_and_kept(project, server):
    (project / ARCHIVE).write_bytes(TAMPERED)
    line = refusal(project, f"{ARCHIVE}.md5")
    assert f"{ARCHIVE} has md5 {WRONG}, but {ARCHIVE}.dvc pins {RIGHT}" in line
    assert "remove it to have it fetched, or put the right one there" in line
    assert (project / ARCHIVE).read_bytes() == TAMPERED
    assert server.asked == []


def test_a_folder_in_the_place_of_an_archive_is_refused_and_kept(project, server):
    (project / ARCHIVE).mkdir()
    line = refusal(project, f"{ARCHIVE}.md5")
    assert f"{ARCHIVE} is a folder: move it away, the archive itself belongs there" in line
    assert (project / ARCHIVE).is_dir()
    assert server.asked == []


def test_a_pipe_in_the_place_of_an_archive_is_refused_and_not_waited_for(project, server, fetch):
    os.mkfifo(project / ARCHIVE)
    with pytest.raises(UserError, match=f"{ARCHIVE} is a pipe or a device: move it away, the arch"):
        fetch()
    assert server.asked == []


@pytest.mark.parametrize("text", ["", "outs: 3", "outs:\n- {md5: 1234, path: CIFAR10DVS.zip}", "{"])
def test_a_broken_pointer_is_named(project, fetch, text):
    (project / f"{ARCHIVE}.dvc").write_text(text)
    with pytest.raises(UserError, match=rf"^{ARCHIVE}.dvc .*`git checkout {ARCHIVE}.dvc`"):
        fetch()


# In a study


def nmnist(path: Path, part: str) -> bytes:
    with zipfile.ZipFile(path, "w") as archive:
        for digit in (0, 1):
            event = bytes([3, 4, 0x80, 0, 5])  # x, y, brighter, at 5 us
            archive.writestr(f"{part}/{digit}/0000{digit + 1}.bin", 1000 * event)
    return path.read_bytes()


def test_a_study_fetches_the_one_archive_that_is_missing(project, server, tmp_path):
    server.content = nmnist(tmp_path / "Train.zip", "Train")
    pin(project, "NMNIST/Train.zip", server.url, hashlib.md5(server.content).hexdigest())
    pin(project, "NMNIST/Test.zip", server.url)
    nmnist(project / "data/raw/NMNIST/Test.zip", "Test")  # a part: another md5 than the pointer's
    study = small_study("nmnist", folder="data/raw/NMNIST", validation=1)
    (project / "study.yaml").write_text(yaml.safe_dump(study))
    wanted = "results/smoke/events/nmnist/train.npz"
    said = output_of(project, "--cores", "1", wanted, "--configfile", "study.yaml")
    assert (project / wanted).exists()
    # of ten digits there are two, one of them for validation
    assert (
        "train 1, validation 1, test 2 recordings; train lacks zero, two, three, four, five, six, "
        "seven, eight, nine; validation lacks one, two," in said
    )
    assert (project / "data/raw/NMNIST/Train.zip").read_bytes() == server.content


def test_a_study_says_where_to_put_an_archive_that_cannot_be_fetched(project):
    pin(project, "NMNIST/Train.zip", closed_port())
    pin(project, "NMNIST/Test.zip", closed_port())
    nmnist(project / "data/raw/NMNIST/Test.zip", "Test")
    line = complaint(project, small_study("nmnist", folder="data/raw/NMNIST", validation=1))
    assert f"put it there as {project}/data/raw/NMNIST/Train.zip" in line


def archives_of(project: Path, **datasets: dict[str, Any]) -> set[str]:
    """The archives that a study of these datasets reads or fetches. Nothing runs."""
    study = small_study("sim-gestures")
    (plan,) = study["datasets"].values()
    study["datasets"] = {
        name.replace("_", "-"): plan | {"source": source | {"folder": "data/raw"}}
        for name, source in datasets.items()
    }
    (project / "study.yaml").write_text(yaml.safe_dump(study))
    _, *rows = output_of(project, "--summary", "--configfile", "study.yaml").splitlines()
    files = (row.split("\t")[0] for row in rows if row.startswith("data/raw/"))
    return {Path(file).name for file in files}


def test_each_recorded_dataset_reads_its_archives(project):
    shutil.copytree(ROOT / "data/raw", project / "data/raw", dirs_exist_ok=True)
    (project / "data/raw/N-Caltech101-archive.zip").touch()
    assert archives_of(
        project,
        n_caltech101={"protocol": "first90", "validation": 0.1},
        cifar10_dvs={"protocol": "first90", "validation": 0.1},
        dvs_gesture={"protocol": "original-288", "validation": 0.1},
        sim_orbit_cifar10={"protocol": "first90", "validation": 0.1, "seed": 1},
    ) == {
        "N-Caltech101-archive.zip",
        "CIFAR10DVS.zip",
        "DvsGesture.tar.gz",
        "cifar-10-binary.tar.gz",
    }
    (project / "data/raw/airplane.zip").touch()  # one archive a class: nothing to fetch
    assert archives_of(
        project,
        cifar10_dvs={"protocol": "first90", "validation": 0.1},
        dvs_gesture={"protocol": "preprocessed-264", "validation": 0.1},
    ) - {"N-Caltech101-archive.zip"} == {"ibmGestureTrain.tar.gz", "ibmGestureTest.tar.gz"}
