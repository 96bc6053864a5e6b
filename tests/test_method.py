"""docs/METHOD.md: its examples run from top to bottom, and every function that it names has one."""

import doctest
import re
from pathlib import Path
from pkgutil import iter_modules, resolve_name

import pytest
import torch

import hetspike

PAGE = (Path(__file__).parents[1] / "docs/METHOD.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
MODULES = {module.name for module in iter_modules(hetspike.__path__)}
# what the page says in code style and lies in a module, as `search.space.Space.best`
NAMED = sorted(
    {name for name in re.findall(r"`([a-z_]+(?:\.\w+)+)`", PAGE) if name.split(".")[0] in MODULES}
)


def test_the_examples_come_out_as_the_page_says():
    # without its fences the page keeps its line numbers, and a failure names the line
    text = re.sub(r"^```.*$", "", PAGE, flags=re.MULTILINE)
    page = doctest.DocTestParser().get_doctest(text, {}, "docs/METHOD.md", "docs/METHOD.md", 0)
    assert page.examples and len(page.examples) == sum(block.count(">>> ") for block in BLOCKS)
    report: list[str] = []
    with torch.random.fork_rng():
        torch.manual_seed(0)
        runner = doctest.DocTestRunner(verbose=False)
        failed, _ = runner.run(page, out=report.append)
    assert not failed, "".join(report)


@pytest.mark.parametrize("name", NAMED)
def test_what_the_page_names_exists_and_has_an_example(name):
    try:
        resolve_name(f"hetspike.{name}")
    except AttributeError:  # a field of a class
        owner, _, field = name.rpartition(".")
        assert field in resolve_name(f"hetspike.{owner}").__annotations__
    *_, last = name.split(".")
    assert re.search(rf"\b{last}\b", "".join(BLOCKS)), f"give {name} an example"
