"""A module of the package imports only from its left, and does no work of the layers above it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "hetspike"

# from left to right; a package stands behind its modules, since it gathers them
ORDER_IN_WORDS = """
    errors files documents config names spacing finite modes
    events.recordings events.published events.frozen events.simulator events.embedded
    events.archives events.formats events.aedat4 events.splits events.recorded
    events.recorded_gestures events.displayed events
    frames samples container model linear levels counting watch quantizer effort contract
    traits header checkpoint sizes energy codes folding packing engine history augmentation train
    search.space search.random search.sensitivity search.fisher search.dnas search
    evaluate stats comparison costs tables
    present.notation present.accuracy present.costs present.datasets present.forms present
    figures.style figures.samples figures.training figures.accuracy figures.layers figures.energy
    figures
    claims flow report drift plans study sharing estimate
    exchange api cli
"""
ORDER = ORDER_IN_WORDS.split()


def name_of(path: Path) -> str:
    """src/hetspike/search/dnas.py -> search.dnas, src/hetspike/search/__init__.py -> search."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}
MODULES.pop("")  # the package's own file: it stands to the right of all and is looked at by itself


def imported(tree: ast.AST) -> set[str]:
    """Dotted names that a module imports, at its top or inside functions."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, (
                f"line {node.lineno}: a relative import, name the module in full"
            )
            # `from package import name`: the name may be a module or lie in the package's own file
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                is_module = inner.removeprefix("hetspike.") in MODULES
                names.add(inner if is_module else str(node.module))
    return names


def test_imports_are_found():
    tree = ast.parse(
        "import hetspike.energy\n"
        "from hetspike import frames\n"
        "def late():\n"
        "    from hetspike.events import recordings, DATASETS\n"
    )
    assert imported(tree) == {
        "hetspike.energy",
        "hetspike.frames",
        "hetspike.events.recordings",
        "hetspike.events",
    }


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_from_its_left(module):
    assert module in ORDER, f"{module} has no place yet: add it to ORDER, behind what it imports"
    left = ORDER[: ORDER.index(module)]
    own = {n.removeprefix("hetspike.") for n in imported(MODULES[module]) if "hetspike." in n}
    on_the_right = sorted(own - set(left))
    assert on_the_right == [], f"{module} imports {', '.join(on_the_right)}, on its right"


def test_importing_the_package_stays_cheap():
    code = "import sys, hetspike; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("module", MODULES)
def test_a_module_does_not_know_the_workflow(module):
    assert not {name for name in imported(MODULES[module]) if name.split(".")[0] == "snakemake"}


# the command line is the one module whose output is what it prints
@pytest.mark.parametrize("module", [name for name in MODULES if name != "cli"])
def test_a_module_does_not_print(module):
    tree = MODULES[module]
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    assert not [c.lineno for c in calls if isinstance(c, ast.Name) and c.id == "print"]
