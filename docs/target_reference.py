"""Writes the schema reference in docs/targets.md from the docstrings of edgeq.target.schema.

python docs/target_reference.py           rewrite the section between the markers
python docs/target_reference.py --check   exit with 1 when it isn't up to date
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from edgeq.target import schema

PAGE = Path(__file__).with_name("targets.md")
BEGIN, END = "<!-- schema: begin (docs/target_reference.py) -->", "<!-- schema: end -->"
_WORDS = {str: "text", int: "integer", float: "number", bool: "true or false"}
_FILES = ((schema.Board, "A board"), (schema.Soc, "A soc"), (schema.Core, "A core"))


def reference() -> str:
    """The section, as Markdown."""
    parts: list[str] = []
    done: set[type] = set()
    for cls, title in _FILES:
        for table, key in _tables(cls, ""):
            if table in done:
                continue
            done.add(table)
            heading = f"### {title}" if not key else f"#### `{key}`"
            parts += [heading, "", _summary(table), "", *_rows(table), ""]
    return "\n".join(parts).rstrip() + "\n"


def updated(page: str) -> str:
    """The page with a fresh section."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{reference()}\n{END}{tail}"


def explained(cls: type) -> Mapping[str, str]:
    """Attribute → its words in the docstring of `cls`."""
    section = inspect.getdoc(cls) or ""
    found: dict[str, str] = {}
    name = ""
    for line in section.partition("Attributes:\n")[2].splitlines():
        match = re.match(r"    (\w+): (.*)", line)
        if match:
            name, found[match[1]] = match[1], match[2]
        elif line.strip() and name:
            found[name] += " " + line.strip()
    return found


def _tables(cls: type, key: str) -> Iterator[tuple[type, str]]:
    yield cls, key
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        inner, is_list = _dataclass_in(hints[field.name])
        if inner is not None:
            path = f"{key.strip('[]')}.{field.name}" if key else field.name
            yield from _tables(inner, f"[[{path}]]" if is_list else f"[{path}]")


def _dataclass_in(hint: Any) -> tuple[type | None, bool]:
    if dataclasses.is_dataclass(hint):
        return typing.cast(type, hint), False
    for argument in get_args(hint):
        if dataclasses.is_dataclass(argument):
            return typing.cast(type, argument), get_origin(hint) is tuple
    return None, False


def _summary(cls: type) -> str:
    text = (inspect.getdoc(cls) or "").partition("Attributes:")[0]
    return " ".join(text.split()).replace(" The order matters", "\n\nThe order matters")


def _rows(cls: type) -> list[str]:
    hints, words = typing.get_type_hints(cls), explained(cls)
    rows = ["| key | | |", "|---|---|---|"]
    for field in dataclasses.fields(cls):
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        rows.append(
            f"| `{field.name}` | {_type(hints[field.name])}{', required' if required else ''} | {words[field.name]} |"
        )
    return rows


def _type(hint: Any) -> str:
    inner, is_list = _dataclass_in(hint)
    if inner is not None:
        return "tables" if is_list else "table"
    if get_origin(hint) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(hint))
    if get_origin(hint) in (typing.Union, types.UnionType):
        return _type(next(a for a in get_args(hint) if a is not type(None)))
    if get_origin(hint) is tuple:
        return f"list of {_type(get_args(hint)[0])}"
    return _WORDS.get(hint, "table")


if __name__ == "__main__":
    old = PAGE.read_text(encoding="utf-8")
    new = updated(old)
    if "--check" in sys.argv[1:]:
        sys.exit(old != new)
    PAGE.write_text(new, encoding="utf-8")
