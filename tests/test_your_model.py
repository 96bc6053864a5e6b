"""docs/YOUR_MODEL.md runs as it stands: its Python in order, then its commands."""

import io
import re
import shlex
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from projects import hetspike
from trained_files import write_frames, write_trained

import hetspike as package
from hetspike.errors import UserError

PAGE = (Path(__file__).parents[1] / "docs/YOUR_MODEL.md").read_text()
CODE = "".join(re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
SHELL = "".join(re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))


@pytest.fixture(scope="module")
def read(tmp_path_factory) -> tuple[Path, dict, list[str]]:
    """The folder, the names and the printed lines that the page's Python leaves."""
    folder = tmp_path_factory.mktemp("page")
    names: dict = {}
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        patch.chdir(folder)
        exec(compile(CODE, "docs/YOUR_MODEL.md", "exec"), names)
    return folder, names, printed.getvalue().splitlines()


def test_what_is_printed_is_what_the_page_says(read):
    promised = re.findall(r"^print\(.*\)  # (?!how)(.*)$", CODE, re.MULTILINE)
    assert len(promised) == 4
    _, _, lines = read
    assert [line for line in lines if line in promised] == promised


def test_the_file_is_small_and_answers_as_the_trained_network(read):
    folder, names, _ = read
    test = names["test"]
    trained, packed = (package.logits_of(names[each], test) for each in ("quantized", "packed"))
    assert package.accuracy(packed, trained.argmax(1)) > 0.9  # scales are rounded to 16 bits
    assert package.accuracy(packed, test.labels) > 0.9  # of three classes
    sizes = [(folder / f"{name}.safetensors").stat().st_size for name in ("float", "mine")]
    assert sizes[0] > 6 * sizes[1]


def test_the_engine_refuses_it_as_the_page_says(read):
    folder, names, _ = read
    with pytest.raises(UserError, match="does not hold a network that hetspike builds"):
        package.run((folder / "mine.safetensors").read_bytes(), names["test"].frames)
    with pytest.raises(UserError, match=r"patch_embed1\.pool1 \(MaxPool2d\)"):
        names["to_nir"](names["packed"], names["example"])


def test_the_commands_run(read):
    folder, *_ = read
    # what a study would have left there, smaller
    for path in set(re.findall(r"results/\S+", SHELL)):
        (write_frames if path.endswith(".zip") else write_trained)(folder / path)
    commands = [shlex.split(line) for line in SHELL.splitlines()]
    assert [command[:2] for command in commands] == [
        ["hetspike", verb] for verb in ("inspect", "pack", "inspect", "run")
    ]
    for _, *arguments in commands:
        done = hetspike(*arguments, cwd=folder)
        assert (done.returncode, done.stderr) == (0, ""), arguments
    assert "accuracy" in done.stdout
