"""Transposes that channels-first networks leave behind: taken out, and the function stays."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq.importers.lowering.emit import emit
from edgeq.importers.lowering.fuse import fuse
from edgeq.importers.lowering.net import Net, NetWriter, Value
from edgeq.importers.lowering.transposes import remove_transposes
from edgeq.importers.lowering.views import reshaped, transposed, whole
from edgeq.importers.plain_float import plain_float
from edgeq.quantize.calibration import FloatRunner

RNG = np.random.default_rng(0)


class Writer(NetWriter):
    """A network with channels first, as a lowering writes it: each convolution between two transposes."""

    def input(self, shape: tuple[int, ...], name: str = "x") -> str:
        return self.add(Value(name, shape))

    def shape(self, name: str) -> tuple[int, ...]:
        return self.values[name].shape

    def conv(self, source: str, channels: int) -> str:
        image = self.transpose(source, (0, 2, 3, 1))
        n, h, w, c = self.shape(image)
        filters = self.constant(RNG.normal(0, 1, (channels, 1, 1, c)).astype(np.float32))
        bias = self.constant(RNG.normal(0, 1, channels).astype(np.float32))
        made = self.op("CONV_2D", [image, filters, bias], (n, h, w, channels), strideW=1, strideH=1, padding=1)
        return self.transpose(made, (0, 3, 1, 2))

    def unary(self, kind: str, source: str) -> str:
        return self.op(kind, [source], self.shape(source))

    def binary(self, kind: str, first: str, second: str) -> str:
        return self.op(kind, [first, second], np.broadcast_shapes(self.shape(first), self.shape(second)))

    def reduce(self, source: str, axes: list[int], keep: bool) -> str:
        shape = [1 if i in axes else d for i, d in enumerate(self.shape(source)) if keep or i not in axes]
        return self.op("MEAN", [source, self.constant(np.array(axes, np.int32))], shape, keepDims=keep)

    def concat(self, values: list[str], axis: int) -> str:
        shape = list(self.shape(values[0]))
        shape[axis] = sum(self.shape(v)[axis] for v in values)
        return self.op("CONCATENATION", values, shape, axis=axis)

    def pad(self, source: str, rows: list[tuple[int, int]]) -> str:
        shape = [d + b + e for d, (b, e) in zip(self.shape(source), rows, strict=True)]
        return self.op("PAD", [source, self.constant(np.array(rows, np.int32))], shape)

    def dense(self, source: str, units: int) -> str:
        shape = self.shape(source)
        weights = self.constant(RNG.normal(0, 1, (units, shape[-1])).astype(np.float32))
        return self.op(
            "FULLY_CONNECTED", [source, weights, self.constant(np.zeros(units, np.float32))], (*shape[:-1], units),
            keepNumDims=len(shape) > 2,
        )  # fmt: skip

    def net(self, *outputs: str, inputs: tuple[str, ...] = ("x",)) -> Net:
        return Net(self.values, tuple(self.steps), inputs, outputs)


def run(net: Net, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
    outputs = [f"y{i}" for i in range(len(net.outputs))]
    model = plain_float(emit(net, net.inputs, outputs), name="n", source="", kind="onnx")
    return FloatRunner(model).run([feed[name] for name in net.inputs])


def same_function(net: Net, *, free_ends: bool = True) -> Net:
    """The rewritten network, after comparing it with the one it was made from."""
    made = fuse(remove_transposes(net, free_ends=free_ends))
    feed = {name: RNG.normal(0, 1, net.values[name].shape).astype(np.float32) for name in net.inputs}
    turned = {name: np.ascontiguousarray(a.transpose(_axes(made, name))) for name, a in feed.items()}
    for name, wanted, found in zip(net.outputs, run(net, feed), run(made, turned), strict=True):
        np.testing.assert_allclose(
            found, wanted.transpose(made.layouts.get(name) or range(wanted.ndim)), rtol=1e-4, atol=1e-4
        )
    return made


def _axes(net: Net, name: str) -> tuple[int, ...]:
    return net.layouts.get(name) or tuple(range(len(net.values[name].shape)))


def test_a_classifier_keeps_none() -> None:
    w = Writer()
    x = w.conv(w.input((1, 3, 8, 8)), 4)
    x = w.unary("RELU", x)
    x = w.binary("ADD", x, w.unary("RELU6", w.conv(x, 4)))
    x = w.reshape(x, (1, 256))
    x = w.dense(w.unary("RELU", w.dense(x, 8)), 5)
    made = same_function(w.net(x))
    assert made.kinds() == ["CONV_2D", "CONV_2D", "ADD", "RESHAPE", "FULLY_CONNECTED", "FULLY_CONNECTED"]
    assert made.layouts == {"x": (0, 2, 3, 1)} and made.values["x"].shape == (1, 8, 8, 3)


def test_squeeze_and_excite_pads_joins_and_means() -> None:
    w = Writer()
    x = w.conv(w.input((1, 3, 6, 6)), 4)
    gate = w.unary("LOGISTIC", w.conv(w.reduce(x, [2, 3], keep=True), 4))
    x = w.binary("MUL", x, gate)
    x = w.pad(x, [(0, 0), (0, 0), (1, 0), (0, 1)])
    x = w.concat([x, w.unary("TANH", x)], 1)
    made = same_function(w.net(w.reduce(w.conv(x, 5), [2, 3], keep=False)))
    assert "TRANSPOSE" not in made.kinds() and "RESHAPE" not in made.kinds()


def test_constants_per_channel_follow_their_axis_and_fold() -> None:
    w = Writer()
    x = w.conv(w.input((1, 3, 4, 4)), 4)
    x = w.binary("MUL", x, w.constant(np.linspace(1, 2, 4, dtype=np.float32).reshape(4, 1, 1)))
    x = w.binary("ADD", x, w.constant(np.linspace(-1, 1, 4, dtype=np.float32).reshape(4, 1, 1)))
    made = same_function(w.net(w.conv(w.unary("RELU", x), 2)))
    assert made.kinds() == ["CONV_2D", "CONV_2D"]


def test_flattened_features_between_normalizations_reach_the_weights() -> None:
    w = Writer()
    x = w.reshape(w.conv(w.input((1, 3, 4, 4)), 4), (1, 64))
    x = w.binary("MUL", x, w.constant(RNG.normal(0, 1, 64).astype(np.float32)))
    made = same_function(w.net(w.dense(w.unary("RELU", x), 3)))
    assert "TRANSPOSE" not in made.kinds()


def test_an_output_image_has_its_channels_last_where_that_is_free() -> None:
    w = Writer()
    net = w.net(w.conv(w.unary("RELU", w.conv(w.input((1, 3, 4, 4)), 4)), 2))
    made = same_function(net)
    assert made.kinds() == ["CONV_2D", "CONV_2D"] and made.layouts[net.outputs[0]] == (0, 2, 3, 1)
    kept = same_function(net, free_ends=False)
    assert kept.kinds() == ["TRANSPOSE", "CONV_2D", "CONV_2D", "TRANSPOSE"] and not kept.layouts


def test_an_input_that_nothing_wants_turned_stays() -> None:
    w = Writer()
    x = w.reshape(w.input((1, 2, 3, 4)), (1, 24))
    made = same_function(w.net(w.dense(x, 3)))
    assert not made.layouts and made.kinds() == ["RESHAPE", "FULLY_CONNECTED"]


def test_an_input_joined_with_its_own_convolution() -> None:
    w = Writer()
    x = w.input((1, 2, 2, 3))
    made = same_function(w.net(w.binary("MUL", x, w.conv(x, 2))), free_ends=False)
    assert made.kinds().count("TRANSPOSE") == 2


def test_a_channel_shuffle_costs_one() -> None:
    w = Writer()
    x = w.conv(w.input((1, 3, 4, 4)), 8)
    x = w.reshape(w.transpose(w.reshape(x, (1, 2, 4, 4, 4)), (0, 2, 1, 3, 4)), (1, 8, 4, 4))
    made = same_function(w.net(w.reduce(w.conv(x, 4), [2, 3], keep=False)))
    assert made.kinds().count("TRANSPOSE") == 1


def test_softmax_over_channels_is_over_the_last_axis() -> None:
    w = Writer()
    x = w.transpose(w.conv(w.input((1, 3, 4, 4)), 5), (0, 2, 3, 1))
    x = w.transpose(w.op("SOFTMAX", [x], w.shape(x), beta=1.0), (0, 3, 1, 2))
    assert same_function(w.net(x)).kinds() == ["CONV_2D", "SOFTMAX"]


KINDS = ["conv", "transpose", "reshape", "unary", "constant", "join", "mean", "pad", "concat", "softmax", "dense"]


@st.composite
def networks(draw: st.DrawFn) -> Net:
    """Convolutions, arithmetic, transposes and reshapes at random over a few live values."""
    w = Writer()
    live = [w.input((1, draw(st.integers(1, 4)), draw(st.integers(2, 4)), draw(st.integers(1, 4))))]
    for _ in range(draw(st.integers(1, 9))):
        source = draw(st.sampled_from(live))
        shape = w.shape(source)
        rank = len(shape)
        kind = draw(st.sampled_from(KINDS))
        if kind == "conv" and rank == 4:
            live.append(w.conv(source, draw(st.integers(1, 4))))
        elif kind == "transpose":
            live.append(w.transpose(source, draw(st.permutations(range(rank)))))
        elif kind == "reshape":
            live.append(w.reshape(source, draw(st.sampled_from(_other_shapes(shape)))))
        elif kind == "unary":
            live.append(w.unary(draw(st.sampled_from(["RELU", "TANH"])), source))
        elif kind == "constant":
            ones = [d if draw(st.booleans()) else 1 for d in shape]
            live.append(w.binary("ADD", source, w.constant(RNG.normal(0, 1, ones).astype(np.float32))))
        elif kind == "join":
            others = [v for v in live if _broadcasts(w.shape(v), shape)]
            live.append(w.binary("MUL", source, draw(st.sampled_from(others))))
        elif kind == "mean" and rank > 1:
            axes = sorted(draw(st.sets(st.integers(0, rank - 1), min_size=1, max_size=rank - 1)))
            live.append(w.reduce(source, axes, draw(st.booleans())))
        elif kind == "pad":
            live.append(w.pad(source, [(draw(st.integers(0, 1)), draw(st.integers(0, 1))) for _ in shape]))
        elif kind == "concat":
            axis = draw(st.integers(0, rank - 1))
            others = [v for v in live if _fits(w.shape(v), shape, axis)]
            live.append(w.concat([source, draw(st.sampled_from(others))], axis))
        elif kind == "softmax":
            live.append(w.op("SOFTMAX", [source], shape, beta=1.0))
        elif kind == "dense" and rank > 1:
            live.append(w.dense(source, draw(st.integers(1, 4))))
        if int(np.prod(w.shape(live[-1]))) > 4000:
            live.pop()
    made = [name for name in live[1:] if name in w.values]
    outputs = [live[-1]] if len(live) > 1 else []
    if len(made) > 1 and draw(st.booleans()):
        outputs.append(draw(st.sampled_from(made)))
    return w.net(*dict.fromkeys(outputs))


def _other_shapes(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    total = int(np.prod(shape))
    found: list[tuple[int, ...]] = [(1, total), shape]
    for i in range(len(shape) - 1):
        found.append((*shape[:i], shape[i] * shape[i + 1], *shape[i + 2 :]))
    found += [(*shape[:i], 2, d // 2, *shape[i + 1 :]) for i, d in enumerate(shape) if d % 2 == 0 and len(shape) < 5]
    return found


def _fits(one: tuple[int, ...], other: tuple[int, ...], axis: int) -> bool:
    """Whether the two can be joined along an axis."""
    return (*one[:axis], *one[axis + 1 :]) == (*other[:axis], *other[axis + 1 :]) and len(one) == len(other)


def _broadcasts(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(one, other) == other
    except ValueError:
        return False


def moved(net: Net) -> int:
    """Elements that are transposed."""
    return sum(net.values[step.inputs[0]].elements for step in net.steps if step.kind == "TRANSPOSE")


@settings(max_examples=60, deadline=None)
@given(net=networks(), free_ends=st.booleans())
def test_any_network_stays_the_same_function(net: Net, free_ends: bool) -> None:
    if net.outputs:
        assert moved(same_function(net, free_ends=free_ends)) <= moved(net)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_views_are_what_numpy_makes(data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=4)))
    base = np.arange(int(np.prod(shape))).reshape(shape)
    view, array = whole("b", shape), base
    for _ in range(data.draw(st.integers(1, 5))):
        if data.draw(st.booleans()):
            axes = data.draw(st.permutations(range(array.ndim)))
            view, array = transposed(view, axes), array.transpose(axes)
        else:
            wanted = data.draw(st.sampled_from(_other_shapes(array.shape)))
            made = reshaped(view, wanted)
            if made is None:
                continue
            view, array = made, array.reshape(wanted)
        found: Any = base.reshape(view.split).transpose(view.order).reshape(view.shape)
        np.testing.assert_array_equal(found, array)


def test_a_cut_that_is_no_whole_number_is_refused() -> None:
    view = transposed(whole("b", (2, 3)), (1, 0))
    assert reshaped(view, (2, 3)) is None
