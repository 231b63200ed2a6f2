"""Resource variables (VAR_HANDLE, READ_VARIABLE, ASSIGN_VARIABLE, CALL_ONCE) as variable tensors of the graph.

A file names a variable by a handle that an operator makes. Here READ_VARIABLE reads a tensor that lives from one
inference to the next, ASSIGN_VARIABLE writes it, and what CALL_ONCE's subgraph assigns is its value after a reset.
Operators keep their places; VAR_HANDLE and CALL_ONCE have nothing left to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edgeq.graph import DType, Op, Tensor

Part = tuple[Sequence[Tensor], Sequence[Op]]
"""Tensors and operators of a subgraph."""

INIT = "init_subgraph_index"


def uses_variables(ops: Sequence[Op]) -> bool:
    """Whether there is anything to do."""
    return any(op.kind == "VAR_HANDLE" for op in ops)


def resolve(tensors: Sequence[Tensor], ops: Sequence[Op], parts: Sequence[Part]) -> tuple[list[Tensor], list[Op]]:
    """Tensors with one more per variable, and operators that name these.

    Args:
        parts: all subgraphs, for those that CALL_ONCE names.

    Raises:
        ValueError: a handle that nothing made, or a variable whose shape nothing tells.
    """
    made = list(tensors)
    started = _started(ops, parts)
    names = _names(ops)
    states: dict[str, int] = {}

    def state(handle: int, like: int) -> int:
        name = names.get(handle)
        if name is None:
            raise ValueError("a variable is used that no VAR_HANDLE names")
        if name not in states:
            shape = made[like]
            first = started.get(name)
            states[name] = len(made)
            made.append(
                Tensor(
                    index=len(made),
                    name=name or "variable",
                    shape=shape.shape,
                    dtype=shape.dtype,
                    quant=shape.quant,
                    is_variable=True,
                    initial=None if first is None or first.shape != shape.shape else first.data,
                )
            )
        return states[name]

    changed: list[Op] = []
    for op in ops:
        if op.kind == "READ_VARIABLE" and op.inputs and op.outputs:
            changed.append(replace(op, inputs=(state(op.inputs[0], op.outputs[0]),)))
        elif op.kind == "ASSIGN_VARIABLE" and len(op.inputs) == 2:
            changed.append(replace(op, inputs=(op.inputs[1],), outputs=(state(op.inputs[0], op.inputs[1]),)))
        elif op.kind == "CALL_ONCE":
            made.append(Tensor(len(made), "initialization", (0,), DType.INT8))
            changed.append(replace(op, inputs=(), outputs=(len(made) - 1,)))
        else:
            changed.append(op)
    return made, changed


def _names(ops: Sequence[Op]) -> dict[int, str]:
    """Handle tensor → the variable's name."""
    found = {}
    for op in ops:
        if op.kind == "VAR_HANDLE" and op.outputs:
            found[op.outputs[0]] = op.text("container") + "/" + op.text("shared_name")
    return found


def _started(ops: Sequence[Op], parts: Sequence[Part]) -> dict[str, Tensor]:
    """Variable's name → the constant that it is set to at the start."""
    found = {}
    for call in (op for op in ops if op.kind == "CALL_ONCE"):
        number = call.integer(INIT, -1)
        if not 0 < number < len(parts):
            raise ValueError(f"CALL_ONCE names subgraph {number} of {len(parts)}")
        tensors, inner = parts[number]
        names = _names(inner)
        for op in inner:
            if op.kind == "ASSIGN_VARIABLE" and len(op.inputs) == 2 and op.inputs[0] in names:
                value = tensors[op.inputs[1]]
                if value.data is not None:
                    found[names[op.inputs[0]]] = value
    return found
