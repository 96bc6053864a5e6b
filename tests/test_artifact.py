"""docs/ARTIFACT.md: its commands and links exist, its expected verdicts are those published."""

import re
import shlex
from pathlib import Path

import pytest
from projects import PROJECT, ROOT, copy_project, hetspike, output_of, published
from verdicts import JUDGED, rows_of

PAGE = (ROOT / "docs/ARTIFACT.md").read_text()
BLOCKS = "".join(re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
INLINE = re.findall(r"`((?:make|snakemake|hetspike|dvc|python) [^`]+)`", PAGE)
COMMANDS = [shlex.split(line) for line in dict.fromkeys([*BLOCKS.splitlines(), *INLINE])]
CLAIM_ROWS = re.findall(r"^\| (`[CS].*?) \|.*\| (.*?) \| (.*?) \|$", PAGE, re.MULTILINE)


def said(program: str) -> list[list[str]]:
    """Arguments of every command of that program."""
    found = [arguments for first, *arguments in COMMANDS if first == program]
    assert found, f"the page has no command of {program}"
    return found


def test_every_command_is_of_a_program_that_is_looked_at():
    programs = {"make", "source", "dvc", "snakemake", "hetspike", "python"}
    assert {first for first, *_ in COMMANDS} == programs


def test_make_has_the_targets():
    (targets,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {target for (target,) in said("make")} <= {*targets.split()}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has not run, with its pointers to archives."""
    return copy_project(ROOT, tmp_path_factory.mktemp("artifact") / "project", *PROJECT, "data")


@pytest.mark.parametrize("arguments", said("snakemake"), ids=" ".join)
def test_snakemake_finds_the_studies_and_targets(fresh, arguments):
    assert "train_float" in output_of(fresh, "--dry-run", *arguments)


def test_files_that_commands_take_are_made_by_the_default_study(fresh):
    files = [file for command in said("hetspike") for file in command if "/" in file]
    assert files and output_of(fresh, "--dry-run", *dict.fromkeys(files))


def test_hetspike_has_the_commands():
    for verb, *files in said("hetspike"):
        usage = hetspike(verb, "--help", cwd=ROOT).stdout.split("options:")[0]
        assert len(files) == len(re.findall(r"^  (?!-)\w+", usage, re.MULTILINE))


def test_dvc_fetches_and_compares_what_is_published():
    assert said("dvc") == [["fetch", "reproduce"], ["diff"]]


def test_scripts_and_linked_files_exist():
    scripts = [script for script, *_ in said("python")]
    links = re.findall(r"\]\(([^)]+)\)", PAGE)
    assert links
    assert [path for path in scripts if not (ROOT / path).is_file()] == []
    assert [path for path in links if not (ROOT / "docs" / path).is_file()] == []


def test_every_claim_has_its_expected_verdict():
    told = {
        name.strip("`"): (command, {*re.split("[:,]", words)[0].split(" or ")})
        for names, command, words in CLAIM_ROWS
        for name in names.split(", ")
    }
    assert told.keys() == {claim["id"] for claim in JUDGED}
    assert {command for command, _ in told.values()} == {
        *("`make reproduce`", "`make decisive`", "a study of the paper's recordings")
    }
    for command, study in (("reproduce", "default"), ("decisive", "decisive")):
        table = rows_of(published(command)[f"results/{study}/tables/claims.csv"].decode())
        judged = [row for row in table if row["verdict"] != "not run"]  # as on the paper's data
        for name, (wanted, verdicts) in told.items():
            found = {row["verdict"] for row in judged if row["id"] == name}
            if wanted == f"`make {command}`":
                assert verdicts == found, name
            elif wanted == "a study of the paper's recordings":
                assert verdicts == {"not run"} and not found, name
