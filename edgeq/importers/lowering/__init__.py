"""ONNX operators to TensorFlow Lite's, channels last, with nothing transposed that needn't be."""

from __future__ import annotations

from edgeq.errors import UnsupportedError
from edgeq.importers.lowering import arithmetic, axes, convolutions, recurrent, reductions
from edgeq.importers.lowering.context import Context, Rule
from edgeq.importers.lowering.emit import TENSOR_TYPES, emit
from edgeq.importers.lowering.fuse import fuse
from edgeq.importers.lowering.net import Net, Value, narrow_type
from edgeq.importers.lowering.onnx_graph import Node, OnnxGraph
from edgeq.importers.lowering.transposes import remove_transposes

__all__ = ["Net", "Node", "OnnxGraph", "emit", "lower", "operators"]

_RULES: dict[str, Rule] = {
    **arithmetic.RULES,
    **axes.RULES,
    **convolutions.RULES,
    **recurrent.RULES,
    **reductions.RULES,
}


def operators() -> tuple[str, ...]:
    """The ONNX operators that can be lowered, sorted."""
    return tuple(sorted(_RULES))


def lower(graph: OnnxGraph) -> Net:
    """The network in TensorFlow Lite's operators.

    Returns:
        A Net with the inputs and outputs of `graph` in their order; `layouts` holds, by ONNX name, those ends that
        came out with their channels last.

    Raises:
        UnsupportedError: operators that can't be had; the message lists all of them.
    """
    unknown = sorted({node.op for node in graph.nodes if node.op not in _RULES})
    if unknown:
        raise UnsupportedError(
            f"uses ONNX operators that edgeq doesn't convert: {', '.join(unknown)}",
            next_step="replace these layers by ones made of convolutions and the like",
            operators=unknown,
        )
    context = Context(graph)
    for name in graph.inputs:
        shape, dtype = graph.shapes[name]
        context.bind(name, context.writer.add(Value(name, shape, narrow_type(dtype))))
    for node in graph.nodes:
        _RULES[node.op](context.at(node))
    outputs = tuple(context.lookup(name) for name in graph.outputs)
    plain = Net(context.writer.values, tuple(context.writer.steps), graph.inputs, outputs)
    _refuse_types(plain)
    called = dict(zip(outputs, graph.outputs, strict=True))
    net = fuse(remove_transposes(plain, free_ends=True))
    layouts = {called.get(name, name): layout for name, layout in net.layouts.items()}
    return Net(net.values, net.steps, net.inputs, net.outputs, layouts)


def _refuse_types(net: Net) -> None:
    wrong = [value for value in net.values.values() if value.dtype not in TENSOR_TYPES]
    if wrong:
        raise UnsupportedError(
            f"tensor '{wrong[0].name}' is of the type {wrong[0].dtype}",
            next_step="export the model with float32 arithmetic",
            tensor=wrong[0].name,
        )
