"""Wrong configurations through Snakemake's command line: one line each, and nothing is run."""

import json
import math
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from projects import ROOT, SMOKE, copy_project, snakemake

from hetspike.documents import MOST_BYTES, MOST_NODES, parse
from hetspike.errors import UserError
from hetspike.study.study import parse_study

LONGEST = 300  # characters of a message
PART = "Configurations"

RECIPE = SMOKE["float_training"]
RECORDED = {
    **SMOKE["datasets"]["sim-gestures"],
    "source": {"folder": "data/raw", "protocol": "random", "protocol_seed": 3, "validation": 0.1},
    "augmentation": {"mirror": 0.5, "shear": 0.3, "shift": 5, "turn": 30, "cut": 30},
    "float_training": RECIPE
    | {
        "cooldown_epochs": 1,
        "mixup": {"alpha": 0.5, "probability": 0.5, "epochs": 3},
        "precision": "float32",
    },
}
FISHER = SMOKE["searches"]["fisher"]
FULL: dict[str, Any] = SMOKE | {  # every key that there is, but for `shares`
    "device": "cpu",
    "datasets": SMOKE["datasets"] | {"cifar10-dvs": RECORDED},
    "searches": SMOKE["searches"]
    | {
        "random": {"search": "random", "budgets": [3], "draws": 2, "settings": {}},
        "fisher-uniform": FISHER | {"candidates": {"uniform": [2, 4]}, "against": "fisher"},
    },
    "distillation": {"share": 0.5, "temperature": 2.0, "rows": ["float-tuned", "uniform-2"]},
}
OPTIONAL = {
    *("kernels", "device", "augmentation", "mixup", "precision", "cooldown_epochs", "draws"),
    *("candidates", "against", "distillation"),
}
NAMED_BY_USERS = {"datasets", "schemes", "candidates", "searches"}  # whose keys are names


class Answer(NamedTuple):
    rc: int
    said: str

    @property
    def line(self) -> str:
        """What is said in the end, of an attempt that has to be refused in one line."""
        assert self.rc == 1, f"{self.rc}: {self.said[-2000:]}"
        assert "Traceback" not in self.said, self.said[-2000:]
        *others, last = self.said.splitlines()
        assert last.startswith("hetspike: "), self.said[-2000:]
        assert len(last) < LONGEST, last
        assert last.isprintable(), repr(last)
        assert [each for each in others if not each.startswith(("Using ", "Config file "))] == []
        return last


Run = Callable[..., Answer]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(ROOT, tmp_path_factory.mktemp("wrong") / "project")


@pytest.fixture(scope="module")
def run(project: Path) -> Run:
    """run(*argv, **env): a dry run in the project."""

    def dry_run(*argv: str, **env: str) -> Answer:
        done = snakemake(project, "-n", *argv, **env)
        return Answer(done.returncode, done.stdout)

    return dry_run


def with_file(run: Run, project: Path, content: str | bytes, name: str = "study.yaml") -> Answer:
    (project / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return run("--configfile", name)


def with_study(run: Run, project: Path, study: dict[str, Any]) -> Answer:
    """Without the profile, which costs as much time as all else."""
    (project / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    return run("--configfile", "study.yaml", "--workflow-profile", "none")


Keys = tuple[str | int, ...]


def spots(value: Any, keys: Keys = ()) -> Iterator[tuple[Keys, Any]]:
    """Every value of a configuration, with the keys and positions that lead to it."""
    if keys:
        yield keys, value
    inner = value.items() if isinstance(value, dict) else []
    if isinstance(value, list):
        inner = enumerate(value)
    for key, each in inner:
        yield from spots(each, (*keys, key))


def changed(keys: Keys, change: Callable[[Any, str | int], None]) -> dict[str, Any]:
    """The full configuration after a change of the value that the keys lead to."""
    study = deepcopy(FULL)
    inner: Any = study
    for key in keys[:-1]:
        inner = inner[key]
    change(inner, keys[-1])
    return study


def nested(depth: int) -> list[Any]:
    return [nested(depth - 1)] if depth else []


ODD: list[Any] = [  # no value of any key
    *([], [1], {"a": 1}, True, False, math.nan, math.inf, -math.inf, -1, -0.5, 1e300, 10**30),
    *("", "no such thing", "a\0b", "\x1b[31mred", "two\nlines", "2024-01-01", "1:30", "0x10"),
    *("yes", "é" * 300, "9" * 30_000, nested(20), [0] * 1000, None),
]


def is_wrong(value: Any, keys: Keys, right: Any) -> bool:
    """Whether an odd value is wrong in the place of a right one."""
    key = next(each for each in reversed(keys) if isinstance(each, str))
    if value is None:
        return key not in OPTIONAL and not (key == "float_training" and "datasets" in keys)
    if key == "folder":  # a folder may have many names
        return not isinstance(value, str) or value in ("", "a\0b", "\x1b[31mred", "two\nlines")
    if key == "study":  # so may a study
        return value not in ("2024-01-01", "yes", "0x10")
    if keys == ("seeds",):
        return value != [1]
    if isinstance(right, bool):
        return value not in (True, False, "yes")
    return not (key == "settings" and value == {})


def one_value_wrong() -> Iterator[tuple[Keys, dict[str, Any]]]:
    for keys, right in spots(FULL):
        for value in ODD:
            if is_wrong(value, keys, right):
                yield keys, changed(keys, lambda at, key, value=value: at.__setitem__(key, value))


def one_key_wrong() -> Iterator[tuple[Keys, dict[str, Any]]]:
    def rename(at: Any, key: str | int) -> None:
        at["N o" if keys[-2:-1] and keys[-2] in NAMED_BY_USERS else f"{key}x"] = at.pop(key)

    for keys, right in spots(FULL):
        if isinstance(keys[-1], str):
            yield keys, changed(keys, rename)
            named = keys[-2:-1] and keys[-2] in NAMED_BY_USERS
            own = len(keys) > 1 and keys[-1] in ("float_training", "candidates")
            if not (named or own or keys[-1] in OPTIONAL - {"candidates"}):
                yield keys, changed(keys, lambda at, key: at.pop(key))
        if isinstance(right, dict):
            yield keys, changed(keys, lambda at, key: at[key].update(surprise=1))


def mentioned(keys: Keys, line: str) -> bool:
    """Whether a message leads to a wrong value: by its key, or by that of what holds it."""
    return any(str(key) in line for key in keys if isinstance(key, str))


@pytest.mark.timeout(1200)
def test_one_wrong_value(run, project, tried):
    every = list(one_value_wrong())
    chosen = random.Random(0).sample(every, 230)
    for keys, study in chosen:
        assert mentioned(keys, with_study(run, project, study).line), keys
    tried(PART, "one value of another kind, or out of all bounds", refused=len(chosen))


def test_every_wrong_value_is_refused_by_the_parser():
    parse_study(FULL)
    for keys, study in random.Random(1).sample(list(one_value_wrong()), 1500):
        with pytest.raises(UserError) as caught:
            parse_study(study)
        assert mentioned(keys, str(caught.value)) and len(str(caught.value)) < LONGEST - 20


@pytest.mark.timeout(600)
def test_one_wrong_key(run, project, tried):
    every = list(one_key_wrong())
    chosen = random.Random(0).sample(every, 50)
    for keys, study in chosen:
        line = with_study(run, project, study).line
        assert mentioned(keys, line) or "surprise" in line, keys
    tried(PART, "one key unknown, missing or misspelt", refused=len(chosen))


# Values that are wrong beside others


def put(*keys: str | int, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(study: dict[str, Any]) -> None:
        inner: Any = study
        for key in keys[:-1]:
            inner = inner[key]
        inner[keys[-1]] = value

    return change


def take(*keys: str) -> Callable[[dict[str, Any]], None]:
    def change(study: dict[str, Any]) -> None:
        inner: Any = study
        for key in keys[:-1]:
            inner = inner[key]
        del inner[keys[-1]]

    return change


ROWS = {f"row{n}": FISHER | {"budgets": [2 + k / 50 for k in range(100)]} for n in range(6)}
SIZE = SMOKE["datasets"]["sim-gestures"]["network"]
CLASHING = [
    (put("shares", value="smoke"), "shares: a study has its own"),
    (put("shares", value="nowhere"), "there is neither config/nowhere.yaml nor results/nowhere"),
    (put("float_training", "epochs", value=1), "warmup_epochs 1 and cooldown_epochs 0"),
    (put("float_training", "warmup_epochs", value=5), "not less than epochs 5"),
    (
        put("float_training", "mixup", value={"alpha": 1, "probability": 1, "epochs": 6}),
        "mixup.epoc",
    ),
    (put("qat", "cooldown_epochs", value=1), "cooldown_epochs 1"),
    (put("qat", "mixup", value={}), "qat.mixup"),
    (put("searches", "dnas", "settings", "recipe", "mixup", value=None), "settings.recipe.mixup"),
    (
        put("searches", "dnas", "settings", "recipe", "precision", value="float32"),
        "recipe.precision",
    ),
    (put("searches", "random", "settings", value={"recordings": 3}), "random.settings.recordings"),
    (put("searches", "random", "search", value="dnas"), "searches.random.settings.recipe"),
    (put("searches", "fisher", "search", value="random"), "fisher.settings.recordings"),
    (put("datasets", "sim-gestures", "network", "heads", value=3), "3 heads do not divide"),
    (put("datasets", "sim-gestures", "network", "width", value=36), "multiple of 8"),
    (
        put("datasets", "sim-gestures", "network", value=SIZE | {"width": 4096, "depth": 100}),
        "mill",
    ),
    (put("datasets", "cifar10-dvs", "network", "pools", value=[False] * 4), "fits no machine"),
    (put("datasets", "cifar10-dvs", "framing", "steps", value=1000), "fits no machine"),
    (put("datasets", "cifar10-dvs", "source", "protocol", value="first90"), "protocol_seed 3: rem"),
    (take("datasets", "cifar10-dvs", "source", "protocol_seed"), "protocol_seed None: give"),
    (put("datasets", "cifar10-dvs", "source", "seed", value=1), "source.seed"),
    (put("datasets", "nmnist", value=SMOKE["datasets"]["sim-gestures"]), "nmnist.source"),
    (put("seeds", value=[0, 0]), "seeds: 0, 0: name each value once"),
    (put("seeds", value=[2**31]), "seeds.0"),
    (put("seeds", value=["0", 0]), "name each value once"),
    (put("seeds", value=[1000]), "draws of one seed could be those of another"),
    (put("seeds", value=list(range(101))), "seeds"),
    (put("schemes", "uniform", value=[2, 2]), "schemes.uniform: 2, 2"),
    (put("schemes", "uniform", value=[1]), "schemes.uniform: 1 is not a width"),
    (put("schemes", "apot", value=[3]), "schemes.apot: 3 is not a width"),
    (put("candidates", "binary", value=[2]), "candidates.binary: 2"),
    (put("candidates", value={}), "candidates"),
    (put("searches", "fisher-uniform", "candidates", value={}), "fisher-uniform.candidates"),
    (
        put("searches", "dnas", "budgets", value=[9]),
        "searches.dnas.budgets: budget 9 is out of reach",
    ),
    (put("searches", "dnas", "budgets", value=[1.99]), "searches.dnas.budgets: budget 1.99"),
    (put("searches", "dnas", "budgets", value=[3, 3.0]), "searches.dnas.budgets: 3.0, 3.0"),
    (put("searches", "dnas", "budgets", value=[3.00000001, 3.00000002]), "rows are called dnas-3"),
    (put("searches", "fisher", "against", value="fisher"), "'fisher' differs in nothing"),
    (put("searches", "dnas", "against", value="random"), "no row of searches with a budget of"),
    (put("searches", "dnas", "against", value="uniform-2"), "searches.dnas.against"),
    (put("searches", "fisher-uniform", "draws", value=2), "1 draws, this one 2"),
    (put("searches", "x" * 41, value=FISHER), "searches"),
    (put("searches", "uniform", value=FISHER | {"budgets": [2]}), "two rows are called uniform-2"),
    (put("searches", value=ROWS), "606 rows"),
    (put("distillation", "rows", value=["float"]), "there is no row 'float' to repeat"),
    (put("distillation", "rows", value=["float-tuned-kd"]), "no row 'float-tuned-kd'"),
    (put("distillation", "rows", value=["pot-3", "pot-3"]), "distillation.rows: pot-3, pot-3"),
    (put("distillation", "rows", value=["x" * 5000]), "distillation.rows"),
    (put("study", value="x" * 300), "'study'"),
    (put("study", value="-n"), "'study'"),
    (put("study", value="../elsewhere"), "'study'"),
    (take("float_training"), "'float_training' is missing"),
    (take("candidates"), "'candidates' is missing"),
    (put("__use_yte__", value=True), "__use_yte__"),
    (put("__use_yte__", value=False), "__use_yte__"),
    (put("pathvars", value={"results": "/"}), "key 'pathvars' is Snakemake's own"),
    *((put(f"key{n}" * 20, value=n), "unknown key") for n in range(2)),
]


@pytest.mark.timeout(600)
def test_values_that_clash(run, project, tried):
    for change, words in CLASHING:
        study = deepcopy(FULL)
        change(study)
        assert words in with_study(run, project, study).line, words
    unheard = [
        (
            SMOKE | {"searches": {}, "candidates": {"uniform": [2]}},
            "candidates: no row of searches",
        ),
        (SMOKE | {"searches": {}, "schemes": {}, "candidates": None}, "name a row to quantize"),
        (SMOKE | {"datasets": {"cifar10-dvs": RECORDED}}, "float_training: every dataset has one"),
        (SMOKE | {"seeds": list(range(100)), "schemes": {"uniform": [2]}, "searches": ROWS}, "row"),
    ]
    for study, words in unheard:
        assert words in with_study(run, project, study).line, words
    tried(PART, "values that do not go together", refused=len(CLASHING) + len(unheard))


# Files that are no configuration

GOOD = yaml.safe_dump(SMOKE, sort_keys=False)
JSON = json.dumps(SMOKE)
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [" + ", ".join([f"*{a}"] * 9) + "]\n"
    for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
DOCUMENTS: dict[str, tuple[str | bytes, str]] = {
    "nothing": ("", "has no keys"),
    "a comment": ("# nothing\n", "has no keys"),
    "a word": ("smoke\n", "has no keys"),
    "a number": ("3\n", "has no keys"),
    "a list": ("- study: smoke\n", "has no keys"),
    "null": ("null", "has no keys"),
    "an empty mapping": ("{}", "'study' is missing"),
    "two documents": (f"{GOOD}---\n{GOOD}", "another document"),
    "a tab": (GOOD.replace("\n  ", "\n\t"), "found character '\\t'"),
    "a NUL": (GOOD + "# \0", "special characters"),
    "Latin-1": ((GOOD + "# é").encode("latin-1"), "UTF-8"),
    "UTF-16": (GOOD.encode("utf-16"), "UTF-8"),
    "noise": (bytes(range(256)), "UTF-8"),
    "an image": ((ROOT / "docs/figures/default/energy.png").read_bytes()[:5000], "UTF-8"),
    "a megabyte": (GOOD + "# " + "x" * 1_000_000, f"{MOST_BYTES:,} bytes"),
    "a long text": (GOOD.replace("study: smoke", "study: " + "x" * 50_000), "'study'"),
    "a long key": (GOOD + "x" * 1000 + ": 1\n", "unknown key 'xxx"),
    "a very long key": (GOOD + "x" * 5000 + ": 1\n", "line"),
    "a key of lines": (GOOD + '"a\\nb": 1\n', "unknown key 'a\\nb'"),
    "brackets": ("[" * 10_000, "nested too deeply"),
    "closed brackets": ("[" * 10_000 + "]" * 10_000, "nested too deeply"),
    "mappings in mappings": ("{a: " * 400 + "1" + "}" * 400, "nested too deeply"),
    "objects in objects": ('{"a": ' * 900 + "1" + "}" * 900, "nested too deeply"),
    "a value in many lists": (GOOD + "x: " + "[" * 40 + "]" * 40, "nested too deeply"),
    "aliases of aliases": (BOMB, f"{MOST_NODES:,} values"),
    "merges of merges": (
        BOMB.replace("[x, x, x, x, x, x, x, x, x]", "{k: 1}")
        .replace(": &", ": &")
        .replace(" [*", " {<<: [*")
        .replace("]", "]}"),
        f"{MOST_NODES:,} values",
    ),
    "an alias in itself": ("study: &a [*a]", "nested too deeply"),
    "a merge of itself": ("study: &a {<<: *a}", "key 'study'"),
    "an unknown alias": ("study: *nobody", "undefined alias"),
    "a merge of a text": ("study: {<<: smoke}", "expected a mapping"),
    "a key twice": (GOOD + "seeds: [5]\n", "key 'seeds' occurs twice"),
    "an inner key twice": (
        GOOD.replace("  epochs: 5", "  epochs: 5\n  epochs: 6"),
        "'epochs' occurs",
    ),
    "a merge twice": (GOOD + "x: {<<: {}, <<: {}}\n", "key '<<' occurs twice"),
    "a key twice in JSON": (JSON[:-1] + ', "seeds": [5]}', "key 'seeds' occurs twice"),
    "a number as a key": (GOOD + "1: 2\n", "key 1 is no text"),
    "null as a key": (GOOD + "~: 2\n", "key None is no text"),
    "a list as a key": (GOOD + "? [1]\n: 2\n", "a key that is no text"),
    "a truth value as a key": (GOOD + "true: 2\n", "key True is no text"),
    "many digits": (GOOD.replace("epochs: 5", "epochs: " + "9" * 5000), "5000 digits"),
    "many digits in JSON": (JSON.replace('"epochs": 5', '"epochs": ' + "9" * 5000), "study.yaml: "),
    "NaN in JSON": (JSON.replace('"learning_rate": 0.01', '"learning_rate": NaN'), "learning_rate"),
    "an unfinished object": (JSON[:-1], "study.yaml: line 1"),
    "an unfinished text": (GOOD + 'x: "', "study.yaml: line"),
    "half of it": (GOOD[: GOOD.index("warmup_epochs") + 3], "study.yaml: line"),
    "a colon too many": (GOOD + "x: y: z\n", "mapping values are not allowed"),
    "a later version": ("%YAML 3.0\n---\n" + GOOD, "incompatible YAML"),
    "an object of Python": ("study: !!python/object/apply:os.getcwd []", "constructor for the tag"),
    "a name of Python": ("study: !!python/name:os.getcwd ", "constructor for the tag"),
    "a module of Python": ("study: !!python/module:os ", "constructor for the tag"),
    "a tuple of Python": (
        GOOD.replace("seeds:", "seeds: !!python/tuple"),
        "constructor for the tag",
    ),
    "a date by its tag": ("study: !!timestamp 2024-99-99", "constructor for the tag"),
    "bytes": ("study: !!binary aGk=", "constructor for the tag"),
    "a set": ("study: !!set {a, b}", "constructor for the tag"),
    "a tag of somebody": ("study: !mine 1", "constructor for the tag"),
    "a truth value that is none": ("study: !!bool perhaps", "study.yaml"),
    "a number that is none": ("study: !!int many", "study.yaml"),
    "a fraction that is none": ("study: !!float many", "study.yaml"),
    "a mapping that is none": ("study: !!map [1]", "expected a mapping node"),
    "an hour and a half of epochs": (GOOD.replace("epochs: 5", "epochs: 1:30"), "epochs"),
    "a hexadecimal width": (GOOD.replace("width: 32", "width: 0x20"), "width"),
    "a yes for a number": (GOOD.replace("depth: 1", "depth: yes"), "depth"),
    "a true for a number": (GOOD.replace("depth: 1", "depth: true"), "depth"),
    "a true for a seed": (GOOD.replace("seeds:\n- 0", "seeds:\n- true"), "seeds.0"),
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("half", [0, 1])
def test_documents_that_are_no_configuration(run, project, half, tried):
    chosen = list(DOCUMENTS.items())[half::2]
    for name, (content, words) in chosen:
        assert content not in (GOOD, JSON), name
        line = with_file(run, project, content).line
        assert words in line, (name, line)
    tried(PART, "a document that is no configuration", refused=len(chosen))


def test_files_that_cannot_be_read(run, project, tried):
    os.mkfifo(project / "pipe")
    (project / "loop").symlink_to("loop")
    (project / "dangling").symlink_to("nowhere")
    files = ["missing.yaml", "config", ".", "/dev/zero", "/dev/null", "pipe", "loop", "dangling"]
    files += ["x" * 300, "x/" * 3000, "", "/proc/self/mem", "two\nlines"]
    for file in files:
        line = run("--configfile", file).line
        assert "name a YAML or JSON file" in line or "cannot be read" in line, line
    tried(PART, "a file that is missing, endless or no file", refused=len(files))


def test_documents_that_mean_the_same(run, project, tried):
    same = {
        "as it was": GOOD,
        "JSON": JSON,
        "JSON with tabs": json.dumps(SMOKE, indent="\t"),
        "a byte order mark": "\ufeff" + GOOD,
        "lines of Windows": GOOD.replace("\n", "\r\n"),
        "zeros in front": GOOD.replace("epochs: 5", "epochs: 005"),
        "a fraction that is whole": GOOD.replace("epochs: 5", "epochs: 5.0"),
        "a number as a text": GOOD.replace("epochs: 5", "epochs: '5'").replace(
            "train: 1", "train: +1"
        ),
    }
    for name, text in same.items():
        assert parse_study(parse(text, name)) == parse_study(SMOKE), name
    answer = with_file(run, project, same["a byte order mark"])
    assert answer.rc == 0 and re.search(r"^train_float +4$", answer.said, re.MULTILINE)
    tried(PART, "another way to write the same", right=len(same))


def test_files_are_read_as_pyyaml_reads_them():
    for path in [*(ROOT / "config").glob("*.yaml"), ROOT / "profiles/default/config.yaml"]:
        text = path.read_text()
        assert parse(text, path.name) == yaml.safe_load(text)


# Command lines

COMMANDS: list[tuple[str, str]] = [
    *(
        (f"--config {given}", given.partition("=")[0])
        for given in [
            *("study", "=3", "study=", "study=3", "study=[x]", "study=A", "seeds=0", "seeds=[]"),
            *("seeds=[a]", "seeds=[0,0]", "seeds=[-1]", "seeds=[0", "seeds=[1e400]", "seeds=x:[0]"),
            *("seeds=[0.5]", "seeds={a:1}", "seeds=[true]", "kernels=quick", "device=gpu", "qat=3"),
            *("qat={epochs:0}", "qat={epochs:99999999999999}", "qat={epochs:1,epochs:2}", "qat={}"),
            *("datasets={}", "datasets=[]", "searches={}", "searches=[1]", "schemes=3", "speed=2"),
            *("schemes={uniform:[1]}", "schemes={uniform:[]}", "schemes={cubic:[3]}", "shares=x"),
            *(
                "shares=nowhere",
                "shares=default",
                "distillation={share:2}",
                "boundary_layers=4-bit",
            ),
            *("__use_yte__=true", "pathvars=3", "pathvars={a:b}", "a=!!python/name:os.getcwd"),
            *("qat={__use_yte__:true}", "float_training=x", "candidates=", "searches="),
        ]
    ),
    ("--config seeds=[0] seeds=[1]", "--config seeds is given twice"),
    ("--config seeds=[0] --config study=x", "--config is given twice"),
    ("--config seeds=[0] -C study=x", "--config is given twice"),
    ("--configfile config/smoke.yaml --configfile config/default.yaml", "--configfile is given tw"),
    ("--configfile config/smoke.yaml config/missing.yaml", "config/missing.yaml"),
    ("--configfile config/smoke.yaml config/claims.yaml", "unknown key 'paper'"),
    ("--configfile config/claims.yaml", "'study' is missing"),
    ("--configfile config/tolerances.yaml", "'study' is missing"),
    ("--configfile profiles/default/config.yaml", "'study' is missing"),
    ("--configfile Snakefile", "Snakefile"),
    ("--configfile environment.yml", "'study' is missing"),
    ("--configfile config/paper.yaml config/smoke.yaml", "epochs"),
]


@pytest.mark.timeout(600)
def test_command_lines(run, tried):
    for command, words in COMMANDS:
        argv = [each.replace(":", ": ") if "{" in each else each for each in command.split(" ")]
        line = run(*argv).line
        assert words in line, (command, line)
    tried(PART, "a command line with wrong settings", refused=len(COMMANDS))


# Nothing is run

RAN = "open('ran', 'w').close()"
TEMPLATE = f"__use_yte__: true\nstudy: ?{RAN}\n"
OBJECT = "study: !!python/object/apply:builtins.open [ran, w]\n"
TRAPS = {
    "template.yaml": TEMPLATE,
    "loop.yaml": f"__use_yte__: yes\n?for _ in [{RAN}]:\n  study: x\n",
    "definitions.yaml": f"__use_yte__: 1\n__definitions__:\n  - {RAN}\n",
    "object.yaml": OBJECT,
    "name.yaml": "study: !!python/name:antigravity.fly_out ''\n",
    "template.json": json.dumps({"__use_yte__": True, "study": f"?{RAN}"}),
    "traps/template/config.yaml": f"__use_yte__: true\ncores: ?{RAN}\n",
    "traps/object/config.yaml": "cores: !!python/object/apply:builtins.open [ran, w]\n",
    "traps/file/config.yaml": "configfile: template.yaml\n",
    "traps/values/config.yaml": f'config: ["study=?{RAN}"]\n',
    "traps/mapping/config.yaml": f'config: {{__use_yte__: true, study: "?{RAN}"}}\n',
}
SCRIPT = str(Path(sys.executable).with_name("snakemake"))
WAYS: list[tuple[list[str], dict[str, str]]] = [
    *((["--configfile", name], {}) for name in TRAPS if "/" not in name),
    *((["--configfile", "config/smoke.yaml", name], {}) for name in TRAPS if "/" not in name),
    (["--configfile", "template.yaml", "config/smoke.yaml"], {}),
    (["--config", f"study=?{RAN}"], {}),
    (["--config", "__use_yte__=True", f"study=?{RAN}"], {}),
    (["--config", f'qat={{__use_yte__: true, epochs: "?{RAN}"}}'], {}),
    (["--config", OBJECT.strip().replace(": ", "=", 1)], {}),
    *((["--profile", f"traps/{name}"], {}) for name in ("template", "object", "file", "values")),
    (["--profile", "traps/mapping"], {}),
    *((["--workflow-profile", f"traps/{name}"], {}) for name in ("template", "object", "file")),
    ([], {"SNAKEMAKE_PROFILE": "traps/template"}),
]


@pytest.fixture
def trapped(project: Path) -> Iterator[Path]:
    """The project with files that leave another one behind where they are run."""
    for name, content in TRAPS.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(content)
    yield project
    for name in ("traps", "config", "profiles"):
        shutil.rmtree(project / name)
    for name in ("config", "profiles"):
        shutil.copytree(ROOT / name, project / name)


def test_no_configuration_is_run(run, trapped, tried):
    for argv, env in WAYS:
        assert run(*argv, **env).line
        assert not (trapped / "ran").exists(), argv
    lying_there = ["config/default.yaml", "profiles/default/config.yaml"]
    for file in lying_there:
        (trapped / file).write_text(TEMPLATE)
        assert "__use_yte__" in run().line
        assert not (trapped / "ran").exists(), file
        shutil.copy(ROOT / file, trapped / file)
    tried(PART, "a configuration or profile that is a program", refused=len(WAYS + lying_there))


@pytest.mark.parametrize(
    "command", [["-m", "snakemake"], [Path(sys.executable).parent / "snakemake"]]
)
def test_no_configuration_is_run_by_a_command_as_typed(trapped, command):
    run = subprocess.run(
        [sys.executable, *command, "-n", "--configfile", "template.yaml"],
        cwd=trapped,
        env=os.environ | {"PYTHONPATH": str(trapped / "src")},
        capture_output=True,
        text=True,
    )
    assert "__use_yte__" in Answer(run.returncode, run.stderr).line
    assert not (trapped / "ran").exists()


def test_a_workflow_without_its_plugin_refuses_to_go_on(trapped, tmp_path, monkeypatch):
    plugin = tmp_path / "snakemake_report_plugin_hetspike"
    plugin.mkdir()
    (plugin / "__init__.py").write_text(
        "from snakemake_interface_report_plugins.reporter import ReporterBase as Reporter\n"
    )
    command = [sys.executable, "-m", "snakemake", "-n", "--configfile", "template.yaml"]
    run = subprocess.run(
        command,
        cwd=trapped,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}:{trapped / 'src'}"},
        capture_output=True,
        text=True,
    )
    assert "no plugin of hetspike" in Answer(run.returncode, run.stderr).line
    (trapped / "ran").unlink()  # the template is one that runs
