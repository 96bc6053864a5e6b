"""Rooms import in one direction, and a module does no work of the layers above it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "hetspike"


def name_of(path: Path) -> str:
    """src/hetspike/search/dnas.py -> search.dnas, src/hetspike/search/__init__.py -> search."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}
MODULES.pop("")  # the package's own file: it stands to the right of all and is looked at by itself


def test_rooms_import_in_one_direction():
    """The contracts of import-linter in pyproject.toml."""
    root = PACKAGE.parents[1]
    tool = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run([tool, "--no-cache"], cwd=root, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout


def test_importing_the_package_stays_cheap():
    code = "import sys, hetspike; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# the command line is the one module whose output is what it prints
@pytest.mark.parametrize("module", [name for name in MODULES if name != "cli"])
def test_a_module_does_not_print(module):
    tree = MODULES[module]
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    assert not [c.lineno for c in calls if isinstance(c, ast.Name) and c.id == "print"]
