"""Files that have to agree with each other, and what must not be in the repository."""

import csv
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from projects import PYPROJECT, ROOT, published, shipped

import hetspike
from hetspike.study.study import parse_study

CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
LOCK = (ROOT / "requirements.lock").read_text().splitlines()
WEIGHTS_AND_NOTEBOOKS = {".ckpt", ".h5", ".ipynb", ".onnx", ".pkl", ".pt", ".pth", ".safetensors"}


def pins(requirements: list[str]) -> dict[str, set[str]]:
    """Name -> the version specifiers that it is required with."""
    found: dict[str, set[str]] = {}
    for requirement in map(Requirement, requirements):
        found.setdefault(canonicalize_name(requirement.name), set()).add(str(requirement.specifier))
    return found


EXTRAS = PYPROJECT["project"]["optional-dependencies"]
DIRECT = pins(
    [
        *PYPROJECT["project"]["dependencies"],
        *[each for extra in EXTRAS.values() for each in extra],
        *PYPROJECT["dependency-groups"]["dev"],
        *PYPROJECT["dependency-groups"]["docs"],
    ]
)
LOCKED = pins([line for line in LOCK if not line.startswith("#")])
# installed before the lock, as the build that suits the machine
TORCH = pins(PYPROJECT["tool"]["uv"]["constraint-dependencies"])


def test_one_version_everywhere():
    newest, *_ = re.findall(r"^## \[(\d[^]]*)\]", CHANGELOG, re.MULTILINE)
    declared = PYPROJECT["project"]["version"]
    assert declared == newest == CITATION["version"]
    assert declared == hetspike.__version__, "run `make setup`: another version is installed"


def check_authors(authors: list[dict[str, str]]) -> None:
    """Persons or entities, as the Citation File Format has them."""
    assert authors
    for author in authors:
        assert "name" in author or author.keys() & {"family-names", "given-names"}
        assert author.keys() <= {"name", "family-names", "given-names", "affiliation", "orcid"}
        assert all(isinstance(value, str) and value for value in author.values())


def test_citation_keeps_to_its_format():
    """What the schema of the Citation File Format 1.2.0 asks of the keys that we use."""
    texts = ("message", "title", "version", "date-released", "license", "type", "cff-version")
    assert CITATION.keys() == {*texts, "authors", "references"}
    assert all(isinstance(CITATION[name], str) for name in texts)
    assert CITATION["cff-version"] == "1.2.0"
    assert CITATION["type"] in ("software", "dataset")
    check_authors(CITATION["authors"])
    for reference in CITATION["references"]:
        assert {"type", "title", "authors"} <= reference.keys()
        assert reference.keys() <= {"type", "scope", "title", "authors", "year", "doi", "url"}
        assert reference["type"] in ("article", "software", "data", "conference-paper")
        assert isinstance(reference["year"], int)
        assert re.fullmatch(r"10\.\d{4,9}(\.\d+)?/[A-Za-z0-9:/_;\-.()\[\]]+", reference["doi"])
        assert re.fullmatch(r"https?://\S+", reference["url"])
        check_authors(reference["authors"])


def test_citation_names_us_and_the_paper():
    assert CITATION["license"] == PYPROJECT["project"]["license"]
    assert CITATION["title"].startswith(f"{PYPROJECT['project']['name']}: ")
    (paper,) = CITATION["references"]
    assert paper["doi"] == "10.48550/arXiv.2412.05505"


def test_changes_are_tagged():
    unreleased, *releases = re.findall(r"^## (.*)$", CHANGELOG, re.MULTILINE)
    assert unreleased == "[Unreleased]"
    assert releases and all(
        re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", release) for release in releases
    )
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert {*re.findall(r"^### (.*)$", CHANGELOG, re.MULTILINE)} <= kinds
    entries = re.findall(r"^- (.*)$", CHANGELOG, re.MULTILINE)
    assert entries
    assert [each for each in entries if not re.match(r"\[(code|data|results)\] ", each)] == []


@pytest.mark.parametrize("name", DIRECT)
def test_a_direct_dependency_is_locked_within_its_range(name):
    (pin,) = (LOCKED | TORCH)[name]
    (allowed,) = DIRECT[name]
    assert SpecifierSet(allowed).contains(pin.removeprefix("==")), "run `make lock`"


def test_conda_users_get_the_same_pins():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *_, from_pip = environment["dependencies"]
    assert pins(from_pip["pip"]) == {name: (LOCKED | TORCH)[name] for name in DIRECT}


def test_the_lock_holds_pins_alone():
    # hosts, local paths and options of pip belong to a machine, not to the product
    line = re.compile(r"#.*|[a-z0-9-]+==[\w.]+( ; .+)?")
    assert [text for text in LOCK if not line.fullmatch(text) or "/" in text] == []


def test_the_lock_leaves_out_what_crashes_beside_a_cpu_torch():
    cuda = [name for name in LOCKED if name.startswith(("nvidia-", "cuda-"))]
    assert cuda == []
    assert not {"torch", "torchaudio", "torchvision", "triton"} & LOCKED.keys()


def committed() -> list[Path]:
    """Files that are committed, or would be with the next `git add --all`."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if listing.returncode:
        pytest.skip("not a git checkout: committed files are not checked")
    return [ROOT / name for name in listing.stdout.split("\0") if (ROOT / name).is_file()]


def test_no_large_file_is_committed():
    assert [path for path in committed() if path.stat().st_size > 1_000_000] == []


def test_no_notebook_or_weights_are_committed():
    assert [path for path in committed() if path.suffix in WEIGHTS_AND_NOTEBOOKS] == []


def test_nothing_that_is_read_is_run():
    """No loader that runs what it reads; `documents` gives a safe one of its own to `yaml.load`."""
    unsafe = re.compile(
        r"\b(eval|exec|__import__)\(|yaml\.(load_all|full_load|unsafe_load)|(Full|Unsafe)Loader"
        r"|yaml\.load\((?!text, Reader\))|allow_pickle=True|torch\.load\((?!.*weights_only=True)"
        r"|import (pickle|marshal|shelve|dill|joblib)|read_pickle|shell=True|os\.system"
    )
    allowed = re.compile(r"\.eval\(\)")  # of a network
    # a job, which Snakemake pickles itself, on a socket that its user alone can open
    passed_on = {ROOT / "workflow/scripts" / name for name in ("job.py", "job_server.py")}
    found = []
    for path in committed():
        if path.suffix in (".py", ".smk") or path.name == "Snakefile":
            if path.is_relative_to(ROOT / "tests") or path in passed_on:
                continue
            for number, line in enumerate(path.read_text().splitlines(), 1):
                if unsafe.search(allowed.sub("", line)):
                    found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert found == []


def test_published_results_judge_the_last_epoch():
    """What this version judges; the epoch that validation selected stands beside."""
    results = published("reproduce")["results/default/tables/results.csv"].decode()
    assert "selected_accuracy" in results.partition("\n")[0].split(",")


@pytest.mark.parametrize(
    "page", ["README.md", "docs/RESULTS.md", "docs/DECISIVE.md", "docs/ARTIFACT.md"]
)
def test_pages_tell_of_no_earlier_rules(page):
    assert "version 0.2.0" not in (ROOT / page).read_text()


def test_what_the_stages_name_is_what_is_published():
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    assert stages.keys() == {"reproduce", "decisive", "smoke"}
    for stage, content in stages.items():
        named = {name for entry in content["outs"] + content["metrics"] for name in entry}
        assert named == published(stage).keys()


def test_every_dataset_of_the_default_study_is_pictured():
    named = published("reproduce")
    study = parse_study(shipped("default"))
    figures = {f"figures/samples-{name}.png" for name in study.datasets}
    assert figures <= {name.removeprefix("results/default/") for name in named}


def test_pointers_and_table_of_sources_agree():
    with (ROOT / "data/sources.csv").open(newline="") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    raw = ROOT / "data/raw"
    pointers = {str(path.relative_to(raw))[: -len(".dvc")]: path for path in raw.rglob("*.dvc")}
    assert pointers.keys() == rows.keys()
    for name, path in pointers.items():
        content = yaml.safe_load(path.read_text())
        (out,) = content["outs"]
        # an unquoted md5 of digits alone would be a number
        assert out.pop("md5") == rows[name]["md5"] and len(rows[name]["md5"]) == 32
        # not cached: no second copy of gigabytes, and `dvc diff` lists published results alone
        assert out == {"hash": "md5", "path": Path(name).name, "push": False, "cache": False}
        assert content["frozen"] is True
        assert [source["path"] for source in content.get("deps", [])] == [
            url for url in [rows[name]["url"]] if url
        ]
        assert rows[name]["url"] or content["desc"]  # or how to fetch it by hand
        assert all(rows[name][column] for column in ("dataset", "version", "licence", "citation"))
        assert re.fullmatch(r"\d*", rows[name]["bytes"])
