"""Layers whose weights hold several precisions: one array of int8 weights, of which each precision's kernel uses the
highest bits.

The array is the 8-bit kernel's, packed as ever; the kernels of the lower precisions cut a word of weights down after
loading it. Scales and biases are each precision's own. docs/nested.md says why the weights are not kept as planes of
bits.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from edgeq.graph import Graph, NestedLayer, Op
from edgeq.kernels import conv, convolution, dsp, fully_connected
from edgeq.kernels.channels import Channels
from edgeq.kernels.contract import Kernel, Lowering

_PORTABLE = MappingProxyType({"CONV_2D": "conv_2d", "FULLY_CONNECTED": "fully_connected"})


SOURCES = (
    *(f"portable/{name}_top.c" for name in _PORTABLE.values()),
    *(source for width in dsp.TOP.values() for source in (width.tile_source, width.rows_source)),
)
"""The files that lower precisions add."""


def lower_at(graph: Graph, op: Op, kernel: Kernel, base: Lowering, bits: int) -> tuple[Kernel, Lowering]:
    """A layer at a lower precision.

    Args:
        graph: at that precision (`edgeq.tflite.graph_at`).
        kernel, base: what serves it at 8 bits; the weights are those of `base`.

    Returns:
        The kernel as it is used then (with its files), and the lowering; its weights are the same bytes.
    """
    types = f"int8, of the weights the highest {bits} bits"
    if not kernel.requires:
        made, name = kernel.lower(graph, op), f"{_PORTABLE[op.kind]}_top"
        (call,) = made.calls
        called = replace(call, fields=MappingProxyType({**call.fields, "bits": str(bits)}))
        source = f"portable/{name}.c"
        lowered = replace(made, calls=(called,), constants=(base.constants[0], *made.constants[1:]))
        return replace(kernel, symbol=f"edgeq_{name}", types=types, sources=(source,)), lowered
    width = dsp.TOP[bits]
    channels = _channels(graph, op)
    made = _lower_dsp(graph, op, base, channels, width)
    source = width.rows_source if _is_vector(base) else width.tile_source
    shared = f"dsp/{'mat_vec' if _is_vector(base) else 'mat_mul'}_top_dsp.inc"
    return replace(kernel, types=types, sources=(*kernel.sources, shared, source)), replace(
        made, constants=(base.constants[0], *made.constants[1:])
    )


def fits(graphs: tuple[Graph, ...], bits: tuple[int, ...], layer: NestedLayer) -> bool:
    """Whether the DSP kernels are exact for a layer at each of these precisions; `graphs` are at them."""
    return all(
        dsp.sums_stay_small(_channels(graph, op), dsp.TOP[b].scaled)
        for graph, b in zip(graphs, bits, strict=True)
        for op in graph.ops
        if layer.weights in op.inputs
    )


def _is_vector(lowering: Lowering) -> bool:
    return lowering.calls[0].struct == "edgeq_dsp_fully_connected_params"


def _channels(graph: Graph, op: Op) -> Channels:
    if op.kind == "CONV_2D":
        p = convolution.parts(graph, op)
        return p.channels(p.weights.reshape(p.window.out_c, -1))
    return fully_connected.channels_of(fully_connected.parts(graph, op))


def _lower_dsp(graph: Graph, op: Op, base: Lowering, channels: Channels, width: dsp.Width) -> Lowering:
    if not _is_vector(base):
        return conv.lower_tiles(convolution.parts(graph, op), channels, base.macs, base.scratch_bytes, width)
    rows = 1 if op.kind == "CONV_2D" else fully_connected.parts(graph, op).rows
    return fully_connected.lower_rows(rows, channels, base.macs, width)
