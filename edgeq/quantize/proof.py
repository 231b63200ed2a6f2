"""Proof that a model is integer only, or the list of what isn't and why."""

from __future__ import annotations

from edgeq.graph import Graph, Op
from edgeq.quantize.products import Leftover

_CONVERSIONS = ("QUANTIZE", "DEQUANTIZE")


def float_leftovers(graph: Graph) -> tuple[Leftover, ...]:
    """Every operator that reads or writes floating point.

    A QUANTIZE right behind a float input and a DEQUANTIZE right before a float output are the ends, as asked
    for with float32 ends, and are not listed.
    """
    return tuple(
        Leftover(op.index, op.custom_name or op.kind, graph.output_of(op).name, _reason(graph, op))
        for op in graph.ops
        if _float_tensors(graph, op) and not _is_end(graph, op)
    )


def _float_tensors(graph: Graph, op: Op) -> list[int]:
    return [i for i in (*op.inputs, *op.outputs) if i >= 0 and graph.tensors[i].dtype.is_float]


def _is_end(graph: Graph, op: Op) -> bool:
    if op.kind == "QUANTIZE":
        return op.inputs[0] in graph.inputs
    return op.kind == "DEQUANTIZE" and op.outputs[0] in graph.outputs


def _reason(graph: Graph, op: Op) -> str:
    if op.kind == "DEQUANTIZE":
        readers = [graph.label(o) for o in graph.ops if op.outputs[0] in o.inputs]
        return "feeds float to " + (", ".join(readers) or "nothing")
    if op.kind == "QUANTIZE":
        writers = [graph.label(o) for o in graph.ops if op.inputs[0] in o.outputs]
        return "takes float from " + (", ".join(writers) or "nothing")
    if op.kind == "CUSTOM":
        return "a custom operator: nobody but its author can quantize it"
    names = ", ".join(f"'{graph.tensors[i].name}'" for i in _float_tensors(graph, op)[:3])
    return f"there is no int8 form of {op.kind} in the quantizer (float tensors: {names})"
