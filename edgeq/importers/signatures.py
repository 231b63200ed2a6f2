"""A `.tflite` with several signatures: one of them, as a file of its own."""

from __future__ import annotations

from typing import Any

from ai_edge_litert import schema_py_generated as schema

from edgeq import tflite
from edgeq.errors import UnsupportedError, UsageError
from edgeq.tflite.objects import pack, unpack

SERVING = "serving_default"
_CALLS = (schema.BuiltinOperator.WHILE, schema.BuiltinOperator.IF, schema.BuiltinOperator.CALL_ONCE)


def with_signature(data: bytes, wanted: str, where: str) -> bytes:
    """The file with the signature `wanted` alone; as it is where it has one, or none.

    Raises:
        UsageError: no such signature; or none is named, there are several, and none is `serving_default`.
        UnsupportedError: the signature's subgraph calls others.
    """
    tflite.parse(data, where)  # what is damaged is said there
    count = schema.Model.GetRootAsModel(data, 0).SignatureDefsLength()
    if not wanted and count < 2:
        return data
    model = unpack(data, where)
    found = {_text(s.signatureKey): s for s in model.signatureDefs or []}
    chosen = found[_chosen(list(found), wanted, where)]
    index = chosen.subgraphIndex or 0
    subgraph = model.subgraphs[index]
    codes = [max(c.builtinCode or 0, c.deprecatedBuiltinCode or 0) for c in model.operatorCodes]
    if index != 0:
        if any(codes[operator.opcodeIndex] in _CALLS for operator in subgraph.operators):
            raise UnsupportedError(
                f"the signature '{_text(chosen.signatureKey)}' calls other subgraphs",
                where=where,
                next_step="export this function by itself",
            )
        model.subgraphs = [subgraph]
    chosen.subgraphIndex = 0
    subgraph.inputs = [end.tensorIndex for end in chosen.inputs]
    subgraph.outputs = [end.tensorIndex for end in chosen.outputs]
    model.signatureDefs = [chosen]
    return pack(model)


def _chosen(keys: list[str], wanted: str, where: str) -> str:
    there = ", ".join(keys) or "none"
    if wanted:
        if wanted not in keys:
            raise UsageError(
                f"has no signature '{wanted}'", where=where, next_step=f"choose one of: {there}", signatures=keys
            )
        return wanted
    if SERVING in keys:
        return SERVING
    raise UsageError(
        f"has {len(keys)} signatures and none is '{SERVING}': {there}",
        where=where,
        next_step=f"name one with --signature, say --signature {keys[0]}",
        signatures=keys,
    )


def _text(name: Any) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else str(name or "")
