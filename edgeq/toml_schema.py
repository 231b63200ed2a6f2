"""TOML tables into frozen dataclasses, strictly: unknown keys, wrong types and missing values are errors."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeVar, get_args, get_origin

from edgeq.errors import TargetFileError

T = TypeVar("T")


def build(cls: type[T], table: Mapping[str, Any], where: str, key: str = "") -> T:
    """Make `cls` (a frozen dataclass) from a TOML table.

    Args:
        where: the file, for messages.
        key: the dotted place of `table` in it.

    Raises:
        TargetFileError: an unknown key (the nearest known one is suggested), a wrong type, or a missing key.
    """
    hints = _hints(typing.cast(Any, cls))
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]  # T is a dataclass
    for name in table:
        if name not in fields:
            near = difflib.get_close_matches(name, list(fields), n=1)
            raise TargetFileError(
                f"unknown key '{_dotted(key, name)}'",
                where=where,
                next_step=f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(sorted(fields))}",
                key=_dotted(key, name),
            )
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in table:
            values[name] = _convert(hints[name], table[name], where, _dotted(key, name))
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise TargetFileError(
                f"'{_dotted(key, name)}' is missing",
                where=where,
                next_step=f"add {name} = …",
                key=_dotted(key, name),
            )
    return cls(**values)


@lru_cache(maxsize=64)
def _hints(cls: type) -> Mapping[str, Any]:
    return types.MappingProxyType(typing.get_type_hints(cls))


def _dotted(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _convert(hint: Any, value: Any, where: str, key: str) -> Any:
    origin = get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return _convert(next(a for a in get_args(hint) if a is not type(None)), value, where, key)
    if origin is tuple:
        if not isinstance(value, list):
            raise _wrong(key, "a list", value, where)
        item = get_args(hint)[0]
        return tuple(_convert(item, v, where, f"{key}[{i}]") for i, v in enumerate(value))
    if origin is typing.Literal:
        if value not in get_args(hint):
            near = difflib.get_close_matches(str(value), get_args(hint), n=1)
            raise _wrong(key, "one of " + ", ".join(map(repr, get_args(hint))), value, where, *near)
        return value
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        item = get_args(hint)[1]
        if not isinstance(value, dict):
            raise _wrong(key, "a table", value, where)
        return types.MappingProxyType({k: _convert(item, v, where, _dotted(key, k)) for k, v in value.items()})
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise _wrong(key, "a table", value, where)
        return build(typing.cast(type, hint), value, where, key)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is object:
        return value
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        words = {int: "an integer", str: "a string", float: "a number", bool: "true or false"}
        raise _wrong(key, words.get(hint, str(hint)), value, where)
    return value


def _wrong(key: str, expected: str, value: object, where: str, near: str = "") -> TargetFileError:
    return TargetFileError(
        f"'{key}' must be {expected}, not {value!r}",
        where=where,
        next_step=f"did you mean '{near}'?" if near else "",
        key=key,
    )
