"""Take out the TRANSPOSE operators that a channels-first network leaves behind.

The operators are walked in order once. A TRANSPOSE isn't written but remembered: its output is a View of its input.
An operator that can work on the input's own axes (arithmetic, CONCATENATION, MEAN, PAD, SPLIT, FULLY_CONNECTED, …)
does, its parameters and constants permuted, and its output is again a View. An operator that can't gets the view
written out; where two permutations have cancelled, that is nothing at all. What the ends of the network are left with
becomes their own layout, where the caller allows it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np

from edgeq.importers.lowering.net import Net, NetWriter, Shape, Step, Value
from edgeq.importers.lowering.views import View, joined, memory_order, reshaped, runs, transposed, whole

_UNARY = frozenset(
    [
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
    ]
)
_BROADCAST = frozenset(
    [
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
    ]
)
_REDUCTIONS = frozenset(["MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD"])
_MAX_CHOICES = 4  # inputs whose two layouts are tried in all combinations


def remove_transposes(net: Net, *, free_ends: bool) -> Net:
    """The same network with as few elements transposed as this pass can do.

    Args:
        free_ends: inputs and outputs may come in another layout; `layouts` of the result says which did.
    """
    choices: list[list[tuple[int, ...] | None]] = [
        [None, _channels_last(net.values[name].shape)]
        if free_ends and 3 <= len(net.values[name].shape) <= 5 and i < _MAX_CHOICES
        else [None]
        for i, name in enumerate(net.inputs)
    ]
    found = [
        _Rewriter(net, dict(zip(net.inputs, layouts, strict=True)), free_ends).run() for layouts in product(*choices)
    ]
    return min(found, key=_cost)


def _channels_last(shape: Shape) -> tuple[int, ...]:
    return (0, *range(2, len(shape)), 1)


def _cost(net: Net) -> tuple[int, int, int]:
    moved = sum(net.values[s.inputs[0]].elements for s in net.steps if s.kind == "TRANSPOSE")
    return moved, sum(s.kind in ("TRANSPOSE", "RESHAPE") for s in net.steps), len(net.layouts)


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


class _Rewriter:
    def __init__(self, net: Net, layouts: dict[str, tuple[int, ...] | None], free_ends: bool) -> None:
        self.old = net
        self.free_ends = free_ends
        self.new = NetWriter(net.values)
        self.views: dict[str, View] = {}
        self.layouts: dict[str, tuple[int, ...]] = {}
        self.written: dict[tuple[Any, ...], str] = {}
        for name in net.inputs:
            value = net.values[name]
            axes = layouts[name]
            if axes is None:
                self.new.add(value)
                self.views[name] = whole(name, value.shape)
            else:
                shape = tuple(value.shape[a] for a in axes)
                self.new.add(Value(name, shape, value.dtype))
                self.views[name] = transposed(whole(name, shape), _inverse(axes))
                self.layouts[name] = axes

    def run(self) -> Net:
        for step in self.old.steps:
            self._step(step)
        outputs = tuple(self._output(name) for name in self.old.outputs)
        return Net(self.new.values, tuple(self.new.steps), self.old.inputs, outputs, self.layouts)

    # --- views ---

    def view(self, name: str) -> View:
        """How a value of the old network is to be had from one of the new."""
        if name not in self.views:
            value = self.old.values[name]
            if value.data is None:
                raise KeyError(name)
            self.new.add(value)
            self.views[name] = whole(name, value.shape)
        return self.views[name]

    def value_of(self, view: View) -> Value:
        return self.new.values[view.base]

    def is_constant(self, view: View) -> bool:
        return self.value_of(view).data is not None

    def written_out(self, view: View, name: str = "") -> str:
        """A value of the new network that holds the view."""
        base = self.value_of(view)
        if base.data is not None:
            data = base.data.reshape(view.split).transpose(view.order).reshape(view.shape)
            return base.name if view.in_order and base.shape == view.shape else self.new.constant(data, base.name)
        if view.in_order:
            return self._reshape(base.name, view.shape, name)
        key = (view.base, *joined(view), view.shape)
        if key not in self.written:
            axes = memory_order(view, base.shape)
            if axes is not None and tuple(view.shape[a] for a in axes) == base.shape:
                self.written[key] = self.new.transpose(base.name, _inverse(axes), name)
            else:
                split, order = joined(view)
                turned = self.new.transpose(self._reshape(base.name, split), order, name)
                self.written[key] = self._reshape(turned, view.shape, name)
        return self.written[key]

    def _reshape(self, source: str, shape: Shape, name: str = "") -> str:
        if self.new.values[source].shape == shape:
            return source
        key = ("RESHAPE", source, shape)
        if key not in self.written:
            self.written[key] = self.new.reshape(source, shape, name)
        return self.written[key]

    # --- operators ---

    def _step(self, step: Step) -> None:
        rule = _RULES.get(step.kind)
        if rule is None or not rule(self, step):
            self._plain(step)

    def _plain(self, step: Step) -> None:
        """The operator as it was, its inputs written out."""
        inputs = tuple(self.written_out(self.view(name), name) if name else "" for name in step.inputs)
        for name in step.outputs:
            self.new.add(self.old.values[name])
            self.views[name] = whole(name, self.old.values[name].shape)
        self.new.steps.append(Step(step.kind, inputs, step.outputs, step.options))

    def emit(self, step: Step, inputs: Sequence[str], shape: Shape, position: int = 0) -> str:
        """The operator on other inputs; its output has another shape than before."""
        name = self.output(step, shape, position)
        self.new.steps.append(Step(step.kind, tuple(inputs), (name,), step.options))
        return name

    def output(self, step: Step, shape: Sequence[int], position: int = 0) -> str:
        """The value that takes the place (and the name) of an operator's output, in another shape."""
        old = self.old.values[step.outputs[position]]
        return self.new.add(Value(old.name, tuple(shape), old.dtype))

    def transpose(self, step: Step) -> bool:
        axes = self.old.values[step.inputs[1]].data
        if axes is None:
            return False
        self.views[step.outputs[0]] = transposed(self.view(step.inputs[0]), [int(a) for a in axes])
        return True

    def reshape(self, step: Step) -> bool:
        view = reshaped(self.view(step.inputs[0]), self.old.values[step.outputs[0]].shape)
        if view is None:
            return False
        self.views[step.outputs[0]] = view
        return True

    def unary(self, step: Step) -> bool:
        view = self.view(step.inputs[0])
        base = self.value_of(view)
        self.views[step.outputs[0]] = _on(view, self.emit(step, [base.name], base.shape))
        return True

    def broadcast(self, step: Step) -> bool:
        """Element by element: in whatever layout costs least."""
        shape = self.old.values[step.outputs[0]].shape
        rank = len(shape)
        views = [self.view(name) for name in step.inputs]
        padded = [reshaped(v, (1,) * (rank - len(v.shape)) + v.shape) for v in views]
        operands = [v for v in padded if v is not None]
        if len(operands) < len(views):
            return False
        choice = self._layout(operands, shape)
        if choice is None:
            return False
        finest = [reshaped(v, _with_ones(choice.fine, shape, v.shape)) for v in operands]
        turned = [transposed(v, choice.axes) for v in finest if v is not None]
        memory = tuple(choice.fine[a] for a in choice.axes)
        target = self._plain_shape(turned, memory)
        inputs = []
        for view in turned:
            elements = prod(view.shape)
            wanted = target if elements == prod(memory) else (view.shape if target == memory else (1,) * len(target))
            inputs.append(self.written_out(_same(reshaped(view, wanted))))
        made = self.emit(step, inputs, target)
        back = transposed(_same(reshaped(whole(made, target), memory)), _inverse(choice.axes))
        self.views[step.outputs[0]] = _same(reshaped(back, shape))
        return True

    def _layout(self, operands: list[View], shape: Shape) -> _Choice | None:
        """The cheapest among the operands' own layouts and the plain one; on a tie an operand's own."""
        loose = [v for v in operands if not self.is_constant(v)]
        best: _Choice | None = None
        for view in sorted((v for v in loose if v.shape == shape), key=lambda v: v.in_order):
            fine = tuple(n for run, d in zip(runs(view), shape, strict=True) for n in (_lengths(view, run) or (d,)))
            finest = [reshaped(v, _with_ones(fine, shape, v.shape)) for v in operands]
            if any(v is None for v in finest):
                continue
            whole_view = _same(reshaped(view, fine))
            axes = memory_order(whole_view, self.value_of(view).shape)
            if axes is None:
                continue
            cost = sum(
                prod(v.shape)
                for v in finest
                if v is not None and not self.is_constant(v) and not transposed(v, axes).in_order
            )
            if best is None or cost < best.cost:
                best = _Choice(fine, axes, cost)
        plain = sum(prod(v.shape) for v in loose if not v.in_order)
        return best if best is not None and best.cost <= plain and len(best.fine) <= 6 else None

    def _plain_shape(self, operands: list[View], memory: Shape) -> Shape:
        """The shape to compute in: a base's own where no axis is broadcast, so that nothing is reshaped."""
        full = [v for v in operands if prod(v.shape) == prod(memory)]
        if len(full) + sum(prod(v.shape) == 1 for v in operands) < len(operands):
            return memory
        return next((self.value_of(v).shape for v in full if not self.is_constant(v)), memory)

    def along(self, step: Step) -> tuple[View, tuple[int, ...]] | None:
        """The first input, and the axes that bring it into the order of memory."""
        view = self.view(step.inputs[0])
        axes = memory_order(view, self.value_of(view).shape)
        return None if axes is None else (view, axes)

    def turned(self, view: View, axes: Sequence[int]) -> str:
        return self.written_out(transposed(view, axes))

    def finish(self, step: Step, made: str, axes: Sequence[int], position: int = 0) -> None:
        """`made` is the output with its axes in the order `axes`."""
        back = transposed(whole(made, self.new.values[made].shape), _inverse(axes))
        self.views[step.outputs[position]] = back

    def concatenation(self, step: Step) -> bool:
        shape = self.old.values[step.outputs[0]].shape
        views = [self.view(name) for name in step.inputs]
        options = dict(step.options)
        place = options["axis"] % len(shape)
        orders = {memory_order(v, self.value_of(v).shape) for v in views if not self.is_constant(v)}
        costs = {
            axes: sum(prod(v.shape) for v in views if not self.is_constant(v) and not transposed(v, axes).in_order)
            for axes in sorted(axes for axes in orders if axes is not None)
        }
        plain = sum(prod(v.shape) for v in views if not self.is_constant(v) and not v.in_order)
        identity = tuple(range(len(shape)))
        axes = min(costs, key=lambda a: (costs[a], a == identity), default=identity)
        if costs.get(axes, plain + 1) > plain:
            axes = identity
        made = self.output(step, [shape[a] for a in axes])
        inputs = tuple(self.turned(v, axes) for v in views)
        self.new.steps.append(Step("CONCATENATION", inputs, (made,), {**options, "axis": axes.index(place)}))
        self.finish(step, made, axes)
        return True

    def reduction(self, step: Step) -> bool:
        found = self.along(step)
        reduced = self.old.values[step.inputs[1]].data
        if found is None or reduced is None:
            return False
        view, axes = found
        places = {int(a) % len(axes) for a in np.atleast_1d(reduced)}
        moved = sorted(axes.index(p) for p in places)
        kept = bool(step.options.get("keepDims"))
        left = [a for a in axes if kept or a not in places]
        shape = tuple(1 if a in places else view.shape[a] for a in left)
        ends = [self.turned(view, axes), self.new.constant(np.array(moved, np.int32), "axes")]
        made = self.emit(step, ends, shape)
        self.finish(step, made, [sorted(left).index(a) for a in left])
        return True

    def rows(self, step: Step) -> bool:
        """Operators whose constant operands have one entry (or row) per axis: PAD, STRIDED_SLICE, TILE, …"""
        found = self.along(step)
        tables = [self.old.values[name] for name in step.inputs[1:]]
        if found is None or any(t.data is None for t in tables):
            return False
        view, axes = found
        inputs = [self.turned(view, axes)]
        for table in tables:
            assert table.data is not None
            per_axis = table.data.ndim and len(table.data) == len(axes) and table.dtype == "int32"
            inputs.append(self.new.constant(table.data[list(axes)] if per_axis else table.data, table.name))
        shape = self.old.values[step.outputs[0]].shape
        made = self.emit(step, inputs, tuple(shape[a] for a in axes))
        self.finish(step, made, axes)
        return True

    def split(self, step: Step) -> bool:
        found = self.along(step)
        place = self.old.values[step.inputs[2]].data
        if found is None or place is None:
            return False
        view, axes = found
        moved = axes.index(int(np.ravel(place)[0]) % len(axes))
        inputs = (
            self.turned(view, axes),
            self.new.add(self.old.values[step.inputs[1]]),
            self.new.constant(np.array(moved, np.int32), "axis"),
        )
        shapes = [self.old.values[name].shape for name in step.outputs]
        made = [self.output(step, [shape[a] for a in axes], i) for i, shape in enumerate(shapes)]
        self.new.steps.append(Step(step.kind, inputs, tuple(made), step.options))
        for position, name in enumerate(made):
            self.finish(step, name, axes, position)
        return True

    def gather(self, step: Step) -> bool:
        """Constant places in a row along one axis."""
        found = self.along(step)
        places = self.old.values[step.inputs[1]]
        if found is None or places.data is None or places.data.ndim != 1:
            return False
        view, axes = found
        moved = axes.index(step.options["axis"] % len(axes))
        shape = self.old.values[step.outputs[0]].shape
        made = self.output(step, [shape[a] for a in axes])
        inputs = (self.turned(view, axes), self.written_out(self.view(step.inputs[1])))
        self.new.steps.append(Step("GATHER", inputs, (made,), {**step.options, "axis": moved}))
        self.finish(step, made, axes)
        return True

    def last_axis(self, step: Step) -> bool:
        """SOFTMAX and the like, which work along the last axis: any order of the others will do."""
        found = self.along(step)
        if found is None or found[1][-1] != len(found[1]) - 1:
            return False
        view, axes = found
        shape = self.old.values[step.outputs[0]].shape
        ends = [self.turned(view, axes), *(self.written_out(self.view(n)) if n else "" for n in step.inputs[1:])]
        made = self.emit(step, ends, tuple(shape[a] for a in axes))
        self.finish(step, made, axes)
        return True

    def fully_connected(self, step: Step) -> bool:
        """Flattened features in another order: the weights' columns take it over."""
        view = self.view(step.inputs[0])
        weights = self.view(step.inputs[1])
        if view.in_order:
            return False
        parts = runs(view)
        stored = self.value_of(weights).data
        if any(parts[:-1]) or stored is None:
            return len(view.shape) > 2 and self.last_axis(step)
        matrix = self.written_out(weights)
        data = self.new.values[matrix].data
        assert data is not None
        order = view.order
        columns = data.reshape(len(data), *view.factors).transpose(0, *(1 + order.index(i) for i in range(len(order))))
        moved = self.new.constant(np.ascontiguousarray(columns.reshape(data.shape)), weights.base)
        flat = self._reshape(view.base, view.shape)
        rest = [self.written_out(self.view(n)) if n else "" for n in step.inputs[2:]]
        made = self.emit(step, [flat, moved, *rest], self.old.values[step.outputs[0]].shape)
        self.views[step.outputs[0]] = whole(made, self.new.values[made].shape)
        return True

    # --- ends ---

    def _output(self, name: str) -> str:
        view = self.view(name)
        base = self.value_of(view)
        axes = memory_order(view, base.shape)
        written = any(view.base in step.outputs for step in self.new.steps)
        taken = view.base in self.layouts or view.base in self.old.inputs
        if self.free_ends and axes and len(axes) > 2 and axes == _channels_last(view.shape) and written and not taken:
            self.layouts[name] = axes
            return self._reshape(view.base, tuple(view.shape[a] for a in axes))
        return self.written_out(view, name)


def _inverse(axes: Sequence[int]) -> tuple[int, ...]:
    return tuple(axes.index(i) for i in range(len(axes)))


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


_RULES: dict[str, Callable[[_Rewriter, Step], bool]] = {
    "TRANSPOSE": _Rewriter.transpose,
    "RESHAPE": _Rewriter.reshape,
    "CONCATENATION": _Rewriter.concatenation,
    "SPLIT_V": _Rewriter.split,
    "GATHER": _Rewriter.gather,
    "FULLY_CONNECTED": _Rewriter.fully_connected,
    **dict.fromkeys(_UNARY, _Rewriter.unary),
    **dict.fromkeys(_BROADCAST, _Rewriter.broadcast),
    **dict.fromkeys(_REDUCTIONS, _Rewriter.reduction),
    **dict.fromkeys(("PAD", "PADV2", "MIRROR_PAD", "STRIDED_SLICE", "TILE", "BROADCAST_TO"), _Rewriter.rows),
    **dict.fromkeys(("SOFTMAX", "LOG_SOFTMAX"), _Rewriter.last_axis),
}
