"""An operator's builtin options as plain values, by the schema's own accessors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from ai_edge_litert import schema_py_generated as schema

# Accessors whose integers are values of an enum; all other integers are plain.
_ENUM_OF_ACCESSOR = MappingProxyType(
    {
        "Padding": "Padding",
        "FusedActivationFunction": "ActivationFunctionType",
        "WeightsFormat": "FullyConnectedOptionsWeightsFormat",
        "InDataType": "TensorType",
        "OutDataType": "TensorType",
        "QuantizedBiasType": "TensorType",
        "OutType": "TensorType",
        "OutputType": "TensorType",
        "IdxOutType": "TensorType",
        "Mode": "MirrorPadMode",
    }
)


def enum_names(enum: str) -> Mapping[int, str]:
    """Value → name of one of the schema's enums."""
    return _enum_names(enum)


@lru_cache(maxsize=64)
def _enum_names(enum: str) -> Mapping[int, str]:
    members = vars(getattr(schema, enum))
    return MappingProxyType({v: k for k, v in members.items() if isinstance(v, int) and not k.startswith("_")})


def read_options(table: Any, type_code: int) -> Mapping[str, object]:
    """The options union of an operator.

    Args:
        table: the flatbuffer table of the union, None where absent.
        type_code: its `builtin_options_type`.

    Returns:
        Keys in snake case; enum values by name, vectors as tuples of ints or floats.
    """
    name = enum_names("BuiltinOptions").get(type_code, "NONE")
    cls = getattr(schema, name, None)
    if table is None or name == "NONE" or cls is None:
        return MappingProxyType({})
    options = cls()
    options.Init(table.Bytes, table.Pos)
    limit = len(table.Bytes)
    return MappingProxyType({key: _value(options, accessor, limit) for key, accessor in _accessors(cls)})


@lru_cache(maxsize=256)
def _accessors(cls: type) -> tuple[tuple[str, str], ...]:
    names = [n for n in vars(cls) if n[0].isupper() and n != "Init" and not n.startswith("GetRootAs")]
    derived = {n + suffix for n in names for suffix in ("Length", "AsNumpy", "IsNone")}
    plain = [n for n in names if n not in derived and not n.endswith("BufferHasIdentifier")]
    return tuple((_snake(n), n) for n in plain)


def _snake(name: str) -> str:
    """`DilationWFactor` → `dilation_w_factor`, as the schema itself spells it."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _value(options: Any, accessor: str, limit: int) -> object:
    method = getattr(options, accessor)
    length = getattr(options, accessor + "Length", None)
    if length is not None:
        count = length()
        if count > limit:
            raise ValueError(f"a list of {count} values in a file of {limit} bytes")
        plain = getattr(options, accessor + "AsNumpy", None)
        if plain is not None:  # a thousand times faster, which matters where a file is hostile
            return tuple(plain().tolist()) if count else ()
        return tuple(method(i) for i in range(count))
    value = method()
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    enum = _ENUM_OF_ACCESSOR.get(accessor)
    if enum is not None and isinstance(value, int):
        return enum_names(enum).get(value, f"{enum} {value}")
    return value if isinstance(value, int | float | bool) else str(type(value).__name__)
