"""Variables: what is kept from one inference to the next."""

from __future__ import annotations

from edgeq.graph import DType, Graph, Op
from edgeq.kernels import rules
from edgeq.kernels.constants_made import shapes_are_equal
from edgeq.kernels.contract import Kernel, Lowering, Rule
from edgeq.kernels.operands import operand
from edgeq.kernels.types import MOVED


def _lower_copy(graph: Graph, op: Op) -> Lowering:
    """All of it at once."""
    inp = graph.input_of(op, 0)
    assert inp is not None
    pointer, constants = operand(inp, 0)
    fields = {"count": "1", "item_bytes": str(inp.size_bytes)}
    return Lowering.of_call((pointer, "{out0}"), "edgeq_fill_params", fields, constants=constants)


def _lower_nothing(graph: Graph, op: Op) -> Lowering:
    return Lowering()


def _row(op: str, symbol: str, which: tuple[Rule, ...], why: str) -> Kernel:
    return Kernel(
        symbol=symbol,
        op=op,
        types="any",
        max_version=1,
        sources=("portable/copy.c",) if symbol else (),
        rules=which,
        lower=_lower_copy if symbol else _lower_nothing,
        why=why,
    )


_MOVES = (
    rules.arity(1, 1),
    rules.shapes_are_static,
    rules.nothing_is_empty,
    rules.types((MOVED,), MOVED),
    shapes_are_equal,
)

KERNELS = (
    _row("READ_VARIABLE", "edgeq_fill", _MOVES, "every core"),
    _row("ASSIGN_VARIABLE", "edgeq_fill", _MOVES, "every core"),
    _row(
        "VAR_HANDLE", "", (rules.arity(0, 0), rules.types((), (DType.RESOURCE,))), "no code: the variable has a place"
    ),
    _row("CALL_ONCE", "", (rules.arity(0, 0),), "no code: model_reset() sets what it sets"),
)
