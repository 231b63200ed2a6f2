"""Multiply-accumulates as the field counts them: by shapes, padding included, everything else free."""

from __future__ import annotations

from edgeq.graph import Graph, Op


def macs(graph: Graph, op: Op) -> int:
    """Of one operator: output (transposed: input) positions times weights; 0 for operators that add up no products."""
    weights = graph.input_of(op, 1)
    if weights is None or not op.outputs:
        return 0
    out = graph.output_of(op)
    channels = out.shape[-1] if out.shape else 0
    if op.kind == "TRANSPOSE_CONV":
        inp = graph.input_of(op, 2)
        deep = inp is not None and inp.shape and inp.shape[-1]
        return inp.elements // inp.shape[-1] * weights.elements if inp is not None and deep else 0
    if op.kind == "BATCH_MATMUL":
        depth = weights.shape[-1 if op.options.get("adj_y") else -2] if len(weights.shape) > 1 else 0
        return out.elements * depth
    if op.kind in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED") and channels:
        return out.elements // channels * weights.elements
    return 0


def total_macs(graph: Graph) -> int:
    """Of a whole graph."""
    return sum(macs(graph, op) for op in graph.ops)
