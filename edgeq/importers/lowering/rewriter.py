"""One walk over a Net in which transposed values are remembered as Views instead of written; see `transposes`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edgeq.importers.lowering.net import Net, NetWriter, Shape, Step, Value
from edgeq.importers.lowering.views import View, joined, memory_order, transposed, whole


class Rewriter:
    """The walk.

    Args:
        rules: by operator, how it works on views; False where it can't, and gets its inputs written out.
        layouts: by input, the axes in which it is to come; None as it is.

    Attributes:
        old, new: the network walked over, and the one that is written.
        views: how each value of the old network is to be had from one of the new.
    """

    def __init__(
        self, net: Net, rules: Mapping[str, Rule], layouts: dict[str, tuple[int, ...] | None], free_ends: bool
    ) -> None:
        self.old = net
        self._rules = rules
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
                self.views[name] = transposed(whole(name, shape), inverse(axes))
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
                self.written[key] = self.new.transpose(base.name, inverse(axes), name)
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
        rule = self._rules.get(step.kind)
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

    # --- ends ---

    def _output(self, name: str) -> str:
        view = self.view(name)
        base = self.value_of(view)
        axes = memory_order(view, base.shape)
        written = any(view.base in step.outputs for step in self.new.steps)
        taken = view.base in self.layouts or view.base in self.old.inputs
        if self.free_ends and axes and len(axes) > 2 and axes == channels_last(view.shape) and written and not taken:
            self.layouts[name] = axes
            return self._reshape(view.base, tuple(view.shape[a] for a in axes))
        return self.written_out(view, name)


def channels_last(shape: Shape) -> tuple[int, ...]:
    """Axes that bring (N, C, …) to (N, …, C)."""
    return (0, *range(2, len(shape)), 1)


def inverse(axes: Sequence[int]) -> tuple[int, ...]:
    """Axes that undo a transposition."""
    return tuple(axes.index(i) for i in range(len(axes)))


Rule = Callable[[Rewriter, Step], bool]
