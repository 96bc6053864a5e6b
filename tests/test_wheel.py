"""The wheel in a fresh environment, with what `pip install hetspike` brings and nothing else."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from projects import PYPROJECT, ROOT

PAGE = (ROOT / "docs/YOUR_MODEL.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
EXTRAS = {"snakemake", "dvc", "matplotlib", "scikit-learn", "tonic", "aedat", "nirtorch"}


def brought_by(requirements: list[str]) -> set[str]:
    """Names of all distributions that an installation of these brings, of those that are here."""
    found: set[str] = set()
    waiting = [Requirement(each) for each in requirements]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        try:
            waiting += map(Requirement, distribution(name).requires or [])
        except PackageNotFoundError:  # what the lock leaves out: torchvision, CUDA's libraries
            continue
        found.add(name)
    return found


def run(*command: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command without the variables that would show it other packages."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    project = tmp_path_factory.mktemp("source")
    shutil.copytree(ROOT / "src", project / "src", ignore=shutil.ignore_patterns("*.egg-info"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, project)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "."]
    made = run(*command, folder=project)
    assert made.returncode == 0, made.stderr
    (wheel,) = project.glob("hetspike-*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The folder of executables of the environment."""
    place = tmp_path_factory.mktemp("fresh")
    venv.create(place, symlinks=True)
    packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(place)}))
    here = Path(sysconfig.get_path("purelib"))
    names = brought_by(PYPROJECT["project"]["dependencies"])
    for name in names:
        for top in {Path(file).parts[0] for file in distribution(name).files or []}:
            if top not in ("..", "__pycache__") and not (packages / top).exists():
                (packages / top).symlink_to(here / top)
    python = place / "bin/python"
    command = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps"]
    done = run(*command, "--no-index", wheel, folder=place)
    assert done.returncode == 0, done.stderr
    return python.parent


def test_the_wheel_holds_the_package_alone(wheel):
    listed = run(sys.executable, "-m", "zipfile", "-l", wheel, folder=wheel.parent).stdout
    tops = {line.split("/")[0] for line in listed.splitlines()[1:]}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"hetspike"}
    assert {"py.typed", "energy.toml", "report.html.jinja"} <= {
        *re.findall(r"hetspike/(?:\w+/)?([\w.]+)", listed)
    }


def test_an_installation_brings_no_laboratory():
    assert len(PYPROJECT["project"]["dependencies"]) == 8
    # matplotlib comes with SpikingJelly
    assert brought_by(PYPROJECT["project"]["dependencies"]) & EXTRAS <= {"matplotlib"}


def test_the_page_of_a_users_own_network_runs(installed, tmp_path):
    """docs/YOUR_MODEL.md but for its part on NIR, which is an extra."""
    page = "".join(block for block in BLOCKS if "import nir" not in block)
    (tmp_path / "page.py").write_text(page)
    ran = run(installed / "python", "page.py", folder=tmp_path)
    assert ran.returncode == 0, ran.stderr
    promised = re.findall(r"^print\(.*\)  # (?!how)(.*)$", page, re.MULTILINE)
    assert promised and [line for line in ran.stdout.splitlines() if line in promised] == promised
    inspected = run(installed / "hetspike", "inspect", "mine.safetensors", folder=tmp_path)
    assert "effective bits  3.00" in inspected.stdout, inspected.stderr


@pytest.mark.parametrize(
    ("code", "extra"),
    [
        ("import hetspike.packed.nir", "nir"),
        (
            "import numpy as np\n"
            "from hetspike.training.linear import fit_linear\n"
            "fit_linear(*[(np.eye(3), np.arange(3))] * 2, 3)",
            "study",
        ),
    ],
)
def test_what_is_not_there_is_named_with_the_extra_that_brings_it(installed, tmp_path, code, extra):
    ran = run(installed / "python", "-c", code, folder=tmp_path)
    assert re.search(rf"UserError: \w+ is not installed: .*hetspike\[{extra}\]", ran.stderr)


def test_type_checkers_see_the_signatures(installed, tmp_path):
    (tmp_path / "user.py").write_text("import hetspike\n\nreveal_type(hetspike.effective_bits)\n")
    command = [sys.executable, "-m", "mypy", "--python-executable", installed / "python"]
    seen = run(*command, "--follow-imports=silent", "user.py", folder=tmp_path)
    assert "def (layers: " in seen.stdout and "float" in seen.stdout, seen.stdout
