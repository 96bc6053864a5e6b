"""What README.md, docs/RESULTS.md and the LaTeX tables show is what is published."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from projects import ROOT, published

from hetspike.results.present import MODULES

PUBLISHED = published("reproduce")
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
ALL = {name: content for stage in STAGES for name, content in published(stage).items()}
TEX = {Path(name).stem: each.decode() for name, each in PUBLISHED.items() if name.endswith(".tex")}
SHOWN = {Path(name).stem for name in PUBLISHED if name.endswith(".md")} - {"findings"}


def test_pages_are_those_that_publishing_writes(tmp_path):
    """`publish.py` on the published files changes no page that is committed."""
    for name, content in ALL.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (tmp_path / "docs").mkdir()
    shown = re.compile(r"(<!-- (\w+ of \w+) -->\n).*?(?=<!-- end of \2 -->)", re.DOTALL)
    readme = (ROOT / "README.md").read_text()
    (tmp_path / "README.md").write_text(shown.sub(r"\1", readme))
    stages = {name: {"cmd": stage["cmd"]} for name, stage in STAGES.items()}
    head = "".join(re.findall(r"^#.*\n", (ROOT / "dvc.yaml").read_text(), re.MULTILINE))
    (tmp_path / "dvc.yaml").write_text(head + yaml.safe_dump({"stages": stages}, sort_keys=False))
    script = ROOT / "workflow/scripts/publish.py"
    run = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    written = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    pages = {path for path in written if path.parts[0] != "results"}
    assert {Path("README.md"), Path("docs/RESULTS.md"), Path("dvc.yaml")} < pages
    moved = [page for page in pages if (tmp_path / page).read_bytes() != (ROOT / page).read_bytes()]
    assert moved == []


def test_intervals_that_the_readme_tells_are_those_of_the_tables():
    told = re.findall(r"-?\d+\.\d \[-?\d+\.\d, -?\d+\.\d\]", (ROOT / "README.md").read_text())
    page = "".join((ROOT / f"docs/{each}.md").read_text() for each in ("RESULTS", "DECISIVE"))
    assert told and [each for each in told if each not in page] == []


def test_every_published_table_is_shown():
    page = (ROOT / "docs/RESULTS.md").read_text()
    for name in SHOWN - {"summary"}:
        assert f"\n## {name.capitalize().replace('-', ' ')}\n" in page


def test_every_table_for_people_is_published_as_latex():
    assert TEX.keys() == SHOWN
    assert TEX.keys() <= MODULES.keys()


# LaTeX

ENVIRONMENT = re.compile(r"\\(begin|end)\{(.*?)\}")
ESCAPED = re.compile(r"\\[%&#_${}]|\\ensuremath\{([<>]|\\pm|\\mu)\}|\\textbackslash\{\}")


@pytest.mark.parametrize("name", TEX)
def test_environments_are_nested(name):
    opened: list[str] = []
    for word, environment in ENVIRONMENT.findall(TEX[name]):
        if word == "begin":
            opened.append(environment)
        else:
            assert opened.pop() == environment
    assert opened == []
    assert [each for _, each in ENVIRONMENT.findall(TEX[name])][:2] == ["table*", "tabular"]


@pytest.mark.parametrize("name", TEX)
def test_rows_have_the_columns_of_a_booktabs_table(name):
    ((columns, body),) = re.findall(
        r"\\begin\{tabular\}\{([lr]+)\}\n\\toprule\n(.*)\n\\bottomrule\n\\end\{tabular\}%\n",
        TEX[name],
        re.DOTALL,
    )
    head, rows = body.split("\n\\midrule\n")
    for line in (head, *rows.splitlines()):
        assert line.endswith("\\\\")
        assert len(re.findall(r"(?<!\\)&", line)) == len(columns) - 1
    assert "\\hline" not in TEX[name] and "|" not in columns


@pytest.mark.parametrize("name", TEX)
def test_special_characters_are_escaped(name):
    text = TEX[name]
    assert text.isascii()
    (caption,) = re.findall(r"^\\caption\{(.*)\}$", text, re.MULTILINE)
    _, body = text.split("\\midrule")
    for written in (caption, body.split("\\bottomrule")[0]):
        plain = ESCAPED.sub("", written).replace("\\\\", "")
        assert not set(plain) & set("%#_$~^{}\\<>"), plain
    assert "&" not in ESCAPED.sub("", caption)


ENGINE = next(filter(shutil.which, ("tectonic", "pdflatex", "xelatex", "lualatex")), None)


@pytest.mark.skipif(ENGINE is None, reason="no LaTeX is installed: tables are not typeset")
def test_tables_are_typeset(tmp_path):
    for name, text in TEX.items():
        (tmp_path / f"{name}.tex").write_text(text)
    tables = "\n".join(f"\\input{{{name}}}" for name in TEX)
    page = (
        "\\documentclass[twocolumn]{article}\n\\usepackage{booktabs,graphicx}\n"
        f"\\begin{{document}}\n{tables}\n\\end{{document}}\n"
    )
    (tmp_path / "page.tex").write_text(page)
    halt = [] if ENGINE == "tectonic" else ["-halt-on-error", "-interaction=nonstopmode"]
    run = subprocess.run([str(ENGINE), *halt, "page.tex"], cwd=tmp_path, capture_output=True)
    told = run.stdout.decode(errors="replace")
    assert run.returncode == 0, told[-2000:]
    assert "Overfull \\hbox" not in told  # no table leaves the page
    assert (tmp_path / "page.pdf").stat().st_size > 0
