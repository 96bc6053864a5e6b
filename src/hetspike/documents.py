"""A strict reader of YAML and JSON configurations. It never runs code that a file contains.

YAML is read with the core schema of YAML 1.2, plus the merge key `<<` of YAML 1.1: 010 is ten, and
`yes`, 1:30 and dates are texts. The reader refuses

    text that is neither YAML nor JSON
    a key that occurs twice in one mapping, since the first value would be ignored
    a key that is not a text, and a key by which Snakemake would run a template
    a file that is too large, or that its aliases expand to too many values
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from hetspike.errors import UserError, shortened

MOST_BYTES = 2**16  # four times the largest file here
MOST_NODES = 2**15  # keys and values; a value that aliases repeat counts each time
DEEPEST = 30  # mappings and lists inside each other
ACTED_ON = ("__use_yte__", "pathvars")  # keys that Snakemake uses before a study is checked


class Reader(yaml.SafeLoader):
    """PyYAML's safe loader, restricted to the types of the core schema."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.sizes: dict[yaml.Node, int] = {}  # complete node -> number of nodes in it and below

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        node = super().compose_node(parent, index)
        if isinstance(node, yaml.CollectionNode):
            pairs = isinstance(node, yaml.MappingNode)
            inner = [each for pair in node.value for each in pair] if pairs else node.value
            self.sizes[node] = 1 + sum(self.sizes.get(each, 1) for each in inner)
            if self.sizes[node] > MOST_NODES:
                raise _mistake(f"more than {MOST_NODES:,} values", node)
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _mistake("a key that is no text", key)
        if twice := repeated([key.value for key, _ in node.value]):
            raise _mistake(f"key '{shortened(twice)}' occurs twice", node)
        return node

    def construct_integer(self, node: yaml.ScalarNode) -> int:
        if len(node.value) > 100:
            raise _mistake(f"a number of {len(node.value)} digits", node)
        return int(node.value)


TAG = "tag:yaml.org,2002:"
Reader.yaml_implicit_resolvers = {}
for name, first, pattern in (
    ("bool", "tTfF", r"true|True|TRUE|false|False|FALSE"),
    ("int", "-+0123456789", r"[-+]?[0-9]+"),
    (
        "float",
        "-+0123456789.",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
    ),
    ("null", ["~", "n", "N", ""], r"~|null|Null|NULL|"),
    ("merge", "<", r"<<"),
):
    Reader.add_implicit_resolver(TAG + name, re.compile(rf"({pattern})\Z"), [*first])
Reader.yaml_constructors = {
    TAG + "str": Reader.construct_yaml_str,
    TAG + "bool": Reader.construct_yaml_bool,
    TAG + "int": Reader.construct_integer,
    TAG + "float": Reader.construct_yaml_float,
    TAG + "null": Reader.construct_yaml_null,
    TAG + "seq": Reader.construct_yaml_seq,
    TAG + "map": Reader.construct_yaml_map,
    None: Reader.construct_undefined,
}


def read(path: str | Path) -> Any:
    """Read a file. Raises UserError with one line that names the file."""
    source = shortened(str(path), 100)
    try:
        # a pipe may never end, and /dev/zero does not
        is_file, data = Path(path).is_file(), b""
        if is_file:
            with open(path, "rb") as file:
                data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{source} cannot be read: {reason}: name another file") from None
    if not is_file:
        raise UserError(f"{source} is missing or no file: name a YAML or JSON file")
    if len(data) > MOST_BYTES:
        raise UserError(f"{source} has more than {MOST_BYTES:,} bytes: it is no configuration")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{source} is not in UTF-8: save it as such") from None
    return parse(text, source)


def parse(text: str, source: str) -> Any:
    """Parse JSON or YAML. Raises UserError with one line that names `source`."""
    try:
        try:
            content = json.loads(text, object_pairs_hook=_mapping)
        except json.JSONDecodeError:
            content = yaml.load(text, Reader)  # Reader is a safe loader
        _check(content)
    except yaml.YAMLError as error:
        raise UserError(f"{source}: {_explain(error)}: correct it") from None
    except RecursionError:
        raise UserError(f"{source}: nested too deeply: it is no configuration") from None
    except (ValueError, LookupError) as error:  # for example a value that does not fit its tag
        raise UserError(f"{source}: {shortened(str(error), 120)}: correct it") from None
    return content


def read_mapping(path: str | Path) -> dict[str, Any]:
    """Read a file of keys and values. Raises UserError as `read` does, and for other content."""
    content = read(path)
    if not isinstance(content, dict):
        raise UserError(f"{shortened(str(path), 100)} has no keys: write `key: value` at its top")
    return content


def overrides(entries: Sequence[str]) -> dict[str, Any]:
    """Parse texts `key=value`, each value written as in a file.

    Raises UserError for a key that is given twice, and for the value `{}`, which changes nothing.

    >>> overrides(["study=quick", "seeds=[0, 1]"])
    {'study': 'quick', 'seeds': [0, 1]}
    """
    config: dict[str, Any] = {}
    for entry in entries:
        key, sign, text = entry.partition("=")
        where = f"--config {shortened(key, 40)}"
        if not (sign and key):
            raise UserError(f"{where}: write KEY=VALUE")
        if key in ACTED_ON:
            raise UserError(f"{where} is Snakemake's own, and not for a study: remove it")
        if key in config:
            raise UserError(f"{where} is given twice: remove one")
        config[key] = parse(text, where)
        if config[key] == {}:
            raise UserError(f"{where}={{}} adds nothing to what is there: give its keys")
    return config


def repeated(keys: list[str]) -> str | None:
    """Return the first key that occurs twice."""
    return next((key for key, times in Counter(keys).items() if times > 1), None)


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a dictionary of an object of JSON. Raises ValueError for a key that occurs twice."""
    if twice := repeated([key for key, _ in pairs]):
        raise ValueError(f"key '{shortened(twice)}' occurs twice")
    return dict(pairs)


def _check(content: Any, depth: int = 0) -> None:
    if depth > DEEPEST:  # there is no end where an alias is inside the value that it names
        raise RecursionError
    if isinstance(content, dict):
        for key in content:
            if not isinstance(key, str):
                raise ValueError(f"key {shortened(repr(key))} is no text")
            if key in ACTED_ON:
                raise ValueError(f"key '{key}' is Snakemake's own, and not for a study")
    if isinstance(content, dict | list):
        for each in content.values() if isinstance(content, dict) else content:
            _check(each, depth + 1)


def _mistake(what: str, node: yaml.Node) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=what, problem_mark=node.start_mark)


def _explain(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or "no YAML"
    return (f"line {mark.line + 1}: " if mark else "") + shortened(str(what), 120)
