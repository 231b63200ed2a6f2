"""How operators work on transposed values as they lie in memory: their parameters and constants follow the axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from edgeq.importers.lowering.net import Shape, Step
from edgeq.importers.lowering.rewriter import Rewriter, Rule, inverse
from edgeq.importers.lowering.views import View, memory_order, reshaped, runs, transposed, whole

_UNARY = (
    "ABS",
    "CAST",
    "CEIL",
    "COS",
    "ELU",
    "EXP",
    "FLOOR",
    "GELU",
    "HARD_SWISH",
    "LEAKY_RELU",
    "LOG",
    "LOGICAL_NOT",
    "LOGISTIC",
    "NEG",
    "RELU",
    "RELU6",
    "RELU_0_TO_1",
    "RELU_N1_TO_1",
    "ROUND",
    "RSQRT",
    "SIGN",
    "SIN",
    "SQRT",
    "SQUARE",
    "TANH",
)
_BROADCAST = (
    "ADD",
    "DIV",
    "EQUAL",
    "FLOOR_DIV",
    "FLOOR_MOD",
    "GREATER",
    "GREATER_EQUAL",
    "LESS",
    "LESS_EQUAL",
    "LOGICAL_AND",
    "LOGICAL_OR",
    "MAXIMUM",
    "MINIMUM",
    "MUL",
    "NOT_EQUAL",
    "POW",
    "PRELU",
    "SELECT_V2",
    "SQUARED_DIFFERENCE",
    "SUB",
)
_REDUCTIONS = ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD")
_MAX_BROADCAST_RANK = 4  # what the integer kernels of TensorFlow Lite 2.14 and its microcontroller version can do


@dataclass(frozen=True)
class _Choice:
    """A memory layout for an operator on several operands.

    Attributes:
        fine: the output's shape with axes split where some operand's view needs it.
        axes: of `fine`, in memory order.
        cost: elements that would have to be transposed to bring all operands there.
    """

    fine: Shape
    axes: tuple[int, ...]
    cost: int


def transpose(r: Rewriter, step: Step) -> bool:
    axes = r.old.values[step.inputs[1]].data
    if axes is None:
        return False
    r.views[step.outputs[0]] = transposed(r.view(step.inputs[0]), [int(a) for a in axes])
    return True


def reshape(r: Rewriter, step: Step) -> bool:
    view = reshaped(r.view(step.inputs[0]), r.old.values[step.outputs[0]].shape)
    if view is None:
        return False
    r.views[step.outputs[0]] = view
    return True


def unary(r: Rewriter, step: Step) -> bool:
    view = r.view(step.inputs[0])
    base = r.value_of(view)
    r.views[step.outputs[0]] = _on(view, r.emit(step, [base.name], base.shape))
    return True


def broadcast(r: Rewriter, step: Step) -> bool:
    """Element by element: in whatever layout costs least."""
    shape = r.old.values[step.outputs[0]].shape
    rank = len(shape)
    views = [r.view(name) for name in step.inputs]
    padded = [reshaped(v, (1,) * (rank - len(v.shape)) + v.shape) for v in views]
    operands = [v for v in padded if v is not None]
    if len(operands) < len(views):
        return False
    choice = _layout(r, operands, shape)
    if choice is None:
        return False
    finest = [reshaped(v, _with_ones(choice.fine, shape, v.shape)) for v in operands]
    turned = [transposed(v, choice.axes) for v in finest if v is not None]
    memory = tuple(choice.fine[a] for a in choice.axes)
    target, wanted = _shapes_to_compute_in(r, turned, memory)
    if len(target) > max(_MAX_BROADCAST_RANK, len(shape)):
        return False
    inputs = [r.written_out(_same(reshaped(v, w))) for v, w in zip(turned, wanted, strict=True)]
    made = r.emit(step, inputs, target)
    back = transposed(_same(reshaped(whole(made, target), memory)), inverse(choice.axes))
    r.views[step.outputs[0]] = _same(reshaped(back, shape))
    return True


def _layout(r: Rewriter, operands: list[View], shape: Shape) -> _Choice | None:
    """The cheapest among the operands' own layouts and the plain one; on a tie an operand's own."""
    loose = [v for v in operands if not r.is_constant(v)]
    best: _Choice | None = None
    for view in sorted((v for v in loose if v.shape == shape), key=lambda v: v.in_order):
        fine = tuple(n for run, d in zip(runs(view), shape, strict=True) for n in (_lengths(view, run) or (d,)))
        finest = [reshaped(v, _with_ones(fine, shape, v.shape)) for v in operands]
        if any(v is None for v in finest):
            continue
        whole_view = _same(reshaped(view, fine))
        axes = memory_order(whole_view, r.value_of(view).shape)
        if axes is None:
            continue
        cost = sum(
            prod(v.shape) for v in finest if v is not None and not r.is_constant(v) and not transposed(v, axes).in_order
        )
        if best is None or cost < best.cost:
            best = _Choice(fine, axes, cost)
    plain = sum(prod(v.shape) for v in loose if not v.in_order)
    return best if best is not None and best.cost <= plain and len(best.fine) <= 6 else None


def _shapes_to_compute_in(r: Rewriter, operands: list[View], memory: Shape) -> tuple[Shape, list[Shape]]:
    """(the output's shape, each operand's): a base's own shape where no axis is broadcast, so that nothing is reshaped;
    else `memory`, with neighbouring axes joined that no operand tells apart when there are many."""
    full = [prod(v.shape) == prod(memory) for v in operands]
    if all(f or prod(v.shape) == 1 for f, v in zip(full, operands, strict=True)):
        lying = [v for f, v in zip(full, operands, strict=True) if f and v.in_order and not r.is_constant(v)]
        bases = [r.value_of(v).shape for v in lying]
        target = bases[0] if bases else memory
        return target, [target if f else (1,) * len(target) for f in full]
    shapes = [list(memory), *(list(v.shape) for v in operands)]
    axis = 0
    while len(shapes[0]) > _MAX_BROADCAST_RANK and axis + 1 < len(shapes[0]):
        pairs = [(s[axis : axis + 2], shapes[0][axis : axis + 2]) for s in shapes]
        if all(own == whole_pair or own == [1, 1] for own, whole_pair in pairs):
            for s in shapes:
                s[axis : axis + 2] = [s[axis] * s[axis + 1]]
        else:
            axis += 1
    return tuple(shapes[0]), [tuple(s) for s in shapes[1:]]


def along(r: Rewriter, step: Step) -> tuple[View, tuple[int, ...]] | None:
    """The first input, and the axes that bring it into the order of memory."""
    view = r.view(step.inputs[0])
    axes = memory_order(view, r.value_of(view).shape)
    return None if axes is None else (view, axes)


def turned(r: Rewriter, view: View, axes: Sequence[int]) -> str:
    return r.written_out(transposed(view, axes))


def finish(r: Rewriter, step: Step, made: str, axes: Sequence[int], position: int = 0) -> None:
    """`made` is the output with its axes in the order `axes`."""
    back = transposed(whole(made, r.new.values[made].shape), inverse(axes))
    r.views[step.outputs[position]] = back


def concatenation(r: Rewriter, step: Step) -> bool:
    shape = r.old.values[step.outputs[0]].shape
    views = [r.view(name) for name in step.inputs]
    options = dict(step.options)
    place = options["axis"] % len(shape)
    orders = {memory_order(v, r.value_of(v).shape) for v in views if not r.is_constant(v)}
    costs = {
        axes: sum(prod(v.shape) for v in views if not r.is_constant(v) and not transposed(v, axes).in_order)
        for axes in sorted(axes for axes in orders if axes is not None)
    }
    plain = sum(prod(v.shape) for v in views if not r.is_constant(v) and not v.in_order)
    identity = tuple(range(len(shape)))
    axes = min(costs, key=lambda a: (costs[a], a == identity), default=identity)
    if costs.get(axes, plain + 1) > plain:
        axes = identity
    made = r.output(step, [shape[a] for a in axes])
    inputs = tuple(turned(r, v, axes) for v in views)
    r.new.steps.append(Step("CONCATENATION", inputs, (made,), {**options, "axis": axes.index(place)}))
    finish(r, step, made, axes)
    return True


def reduction(r: Rewriter, step: Step) -> bool:
    found = along(r, step)
    reduced = r.old.values[step.inputs[1]].data
    if found is None or reduced is None:
        return False
    view, axes = found
    places = {int(a) % len(axes) for a in np.atleast_1d(reduced)}
    moved = sorted(axes.index(p) for p in places)
    kept = bool(step.options.get("keepDims"))
    left = [a for a in axes if kept or a not in places]
    shape = tuple(1 if a in places else view.shape[a] for a in left)
    ends = [turned(r, view, axes), r.new.constant(np.array(moved, np.int32), "axes")]
    made = r.emit(step, ends, shape)
    finish(r, step, made, [sorted(left).index(a) for a in left])
    return True


def rows(r: Rewriter, step: Step) -> bool:
    """Operators whose constant operands have one entry (or row) per axis: PAD, STRIDED_SLICE, TILE, …"""
    found = along(r, step)
    tables = [r.old.values[name] for name in step.inputs[1:]]
    if found is None or any(t.data is None for t in tables):
        return False
    view, axes = found
    inputs = [turned(r, view, axes)]
    for table in tables:
        assert table.data is not None
        per_axis = table.data.ndim and len(table.data) == len(axes) and table.dtype == "int32"
        inputs.append(r.new.constant(table.data[list(axes)] if per_axis else table.data, table.name))
    shape = r.old.values[step.outputs[0]].shape
    made = r.emit(step, inputs, tuple(shape[a] for a in axes))
    finish(r, step, made, axes)
    return True


def split(r: Rewriter, step: Step) -> bool:
    found = along(r, step)
    place = r.old.values[step.inputs[2]].data
    if found is None or place is None:
        return False
    view, axes = found
    moved = axes.index(int(np.ravel(place)[0]) % len(axes))
    inputs = (
        turned(r, view, axes),
        r.new.add(r.old.values[step.inputs[1]]),
        r.new.constant(np.array(moved, np.int32), "axis"),
    )
    shapes = [r.old.values[name].shape for name in step.outputs]
    made = [r.output(step, [shape[a] for a in axes], i) for i, shape in enumerate(shapes)]
    r.new.steps.append(Step(step.kind, inputs, tuple(made), step.options))
    for position, name in enumerate(made):
        finish(r, step, name, axes, position)
    return True


def gather(r: Rewriter, step: Step) -> bool:
    """Constant places in a row along one axis."""
    found = along(r, step)
    places = r.old.values[step.inputs[1]]
    if found is None or places.data is None or places.data.ndim != 1:
        return False
    view, axes = found
    moved = axes.index(step.options["axis"] % len(axes))
    shape = r.old.values[step.outputs[0]].shape
    made = r.output(step, [shape[a] for a in axes])
    inputs = (turned(r, view, axes), r.written_out(r.view(step.inputs[1])))
    r.new.steps.append(Step("GATHER", inputs, (made,), {**step.options, "axis": moved}))
    finish(r, step, made, axes)
    return True


def last_axis(r: Rewriter, step: Step) -> bool:
    """SOFTMAX and the like, which work along the last axis: any order of the others will do."""
    found = along(r, step)
    if found is None or found[1][-1] != len(found[1]) - 1:
        return False
    view, axes = found
    shape = r.old.values[step.outputs[0]].shape
    ends = [turned(r, view, axes), *(r.written_out(r.view(n)) if n else "" for n in step.inputs[1:])]
    made = r.emit(step, ends, tuple(shape[a] for a in axes))
    finish(r, step, made, axes)
    return True


def fully_connected(r: Rewriter, step: Step) -> bool:
    """Flattened features in another order: the weights' columns take it over."""
    view = r.view(step.inputs[0])
    weights = r.view(step.inputs[1])
    if view.in_order:
        return False
    parts = runs(view)
    stored = r.value_of(weights).data
    if any(parts[:-1]) or stored is None:
        return len(view.shape) > 2 and last_axis(r, step)
    matrix = r.written_out(weights)
    data = r.new.values[matrix].data
    assert data is not None
    order = view.order
    columns = data.reshape(len(data), *view.factors).transpose(0, *(1 + order.index(i) for i in range(len(order))))
    moved = r.new.constant(np.ascontiguousarray(columns.reshape(data.shape)), weights.base)
    flat = r._reshape(view.base, view.shape)
    rest = [r.written_out(r.view(n)) if n else "" for n in step.inputs[2:]]
    made = r.emit(step, [flat, moved, *rest], r.old.values[step.outputs[0]].shape)
    r.views[step.outputs[0]] = whole(made, r.new.values[made].shape)
    return True


def _on(view: View, base: str) -> View:
    return View(base, view.split, view.order, view.shape)


def _same(view: View | None) -> View:
    assert view is not None  # the caller has checked that the axes divide
    return view


def _lengths(view: View, run: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(view.split[axis] for axis in run)


def _with_ones(fine: Shape, shape: Shape, operand: Shape) -> Shape:
    """`fine` (the axes of `shape`, some split) with 1 wherever the operand is broadcast."""
    found: list[int] = []
    place = 0
    for length, own in zip(shape, operand, strict=True):
        count = 1
        while prod(fine[place : place + count]) < length:
            count += 1
        found += fine[place : place + count] if own == length else [1] * count
        place += count
    return tuple(found)


RULES: Mapping[str, Rule] = {
    "TRANSPOSE": transpose,
    "RESHAPE": reshape,
    "CONCATENATION": concatenation,
    "SPLIT_V": split,
    "GATHER": gather,
    "FULLY_CONNECTED": fully_connected,
    **dict.fromkeys(_UNARY, unary),
    **dict.fromkeys(_BROADCAST, broadcast),
    **dict.fromkeys(_REDUCTIONS, reduction),
    **dict.fromkeys(("PAD", "PADV2", "MIRROR_PAD", "STRIDED_SLICE", "TILE", "BROADCAST_TO"), rows),
    **dict.fromkeys(("SOFTMAX", "LOG_SOFTMAX"), last_axis),
}
