"""Docstrings as Markdown, and what else mkdocs.yml asks for before pages are written."""

import re
from textwrap import dedent

import griffe

import hetspike

TERM = re.compile(r"(\S.*?) {2,}(\S.*)")


class Docstrings(griffe.Extension):
    """The package as its readers see it."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: object) -> None:
        """What users call stands in the package, whichever module it comes from."""
        pkg.exports = hetspike.__all__
        for name in hetspike.__all__:
            home = getattr(hetspike, name)
            pkg.set_member(name, griffe.Alias(name, f"{home.__module__}.{home.__qualname__}"))

    def on_instance(self, *, obj: griffe.Object, **kwargs: object) -> None:
        if obj.docstring:
            paragraphs = re.split(r"\n\s*\n", obj.docstring.value)
            obj.docstring.value = "\n\n".join(map(markdown, paragraphs))

    def on_class_members(self, *, cls: griffe.Class, **kwargs: object) -> None:
        """Fields stand as one block in their class: its docstring says what they mean."""
        if cls.decorators:  # a dataclass: its signature has them
            return
        sources = [dedent(each.source) for each in cls.attributes.values() if each.is_public]
        if fields := [each for each in sources if each.split(":")[0].isidentifier()]:
            text = cls.docstring.value if cls.docstring else ""
            code = "\n".join(fields)
            cls.docstring = griffe.Docstring(f"{text}\n\n```python\n{code}\n```", parent=cls)


def markdown(paragraph: str) -> str:
    """Examples and indented lines as code, lines `name   meaning` as a list, the rest as prose."""
    first, *_ = lines = paragraph.splitlines()
    if first.startswith(">>>"):
        return f"```pycon\n{paragraph}\n```"
    if first.startswith("    "):
        return paragraph
    if not TERM.fullmatch(first):
        return prose(paragraph)
    terms: list[tuple[str, str]] = []
    for line in lines:
        if start := TERM.fullmatch(line):
            terms.append(start.groups())
        else:
            name, meaning = terms.pop()
            terms.append((name, f"{meaning} {line.strip()}"))
    return "\n\n".join(f"`{name}`\n:   {prose(meaning)}" for name, meaning in terms)


def prose(text: str) -> str:
    """Text in which `<` and `*` are those of mathematics, except in code."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"[<*]", r"\\\g<0>", part) for part in parts[::2]]
    return "`".join(parts)


def on_page_content(html: str, **kwargs: object) -> str:
    """Names in code lead to the reference where it has them; short cells stay on one line."""
    named = re.sub(
        r"<code>((?:hetspike\.)?([a-z_]+\.[\w.]+))</code>",
        r'<autoref identifier="hetspike.\2" optional><code>\1</code></autoref>',
        html,
    )
    return re.sub(r"<td(?=[^>]*>[^<]{,36}</td>)", '<td class="short"', named)
