"""Channels that never change are folded into what reads them, and computed no more.

A channel whose interval is one value is a constant that a network carries along: every layer that reads it adds the
same amount to each of its sums. That amount goes into the reader's bias (exact in integers), the channel goes out of
the tensor, and with it its weights at both ends. Depthwise convolutions and pooling keep channels apart, so that a
channel goes out of a chain of them as a whole. Half of the MLPerf Tiny person detector goes this way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from edgeq.graph import DType, Graph, Op, QuantParams, Tensor, verify
from edgeq.kernels import arithmetic
from edgeq.kernels.windows import window_of
from edgeq.optimize.ranges import Interval, channel_ranges, is_served, reads_padding

_KEEP_MULTIPLE = 4
"""Kernels for cores with SIMD like channels in fours: constants stay where they fill one up."""

_TOGETHER = frozenset({"DEPTHWISE_CONV_2D", "AVERAGE_POOL_2D", "MAX_POOL_2D", "RESHAPE"})
"""Output channel c is made of input channel c alone."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Removal:
    """The smaller graph and what it no longer holds.

    Attributes:
        channels: tensor index → how many of its channels were constant and went.
    """

    graph: Graph
    channels: Mapping[int, int]


def remove_constant_channels(graph: Graph) -> Removal:
    """The same function with fewer channels. Inputs and outputs keep their shapes, operators their number and order."""
    ranges = channel_ranges(graph)
    keep = _kept(graph, ranges)
    if not keep:
        return Removal(graph, {})
    editor = _Editor(graph, ranges, keep)
    smaller = editor.graph_without()
    verify(smaller)
    return Removal(smaller, {index: int((~mask).sum()) for index, mask in keep.items()})


def _kept(graph: Graph, ranges: Mapping[int, Interval]) -> dict[int, Mask]:
    """Tensor index → which channels stay, for the tensors that lose some."""
    groups = _groups(graph, ranges)
    readers = _readers(graph)
    makers = {index: op for op in graph.ops for index in op.outputs}
    kept: dict[int, Mask] = {}
    for members in groups:
        channels = graph.tensors[members[0]].shape[-1]
        gone = np.ones(channels, np.bool_)
        for index in members:
            times = graph.tensors[index].shape[-1] // channels
            gone &= _removable(graph, index, ranges, readers, makers, times)
        stay = ~gone
        _fill_up(stay)
        if not stay.all():
            for index in members:
                kept[index] = np.tile(stay, graph.tensors[index].shape[-1] // channels)
    return kept


def _fill_up(stay: Mask) -> None:
    """Let constants stay until the count is a multiple of four, and at least four."""
    wanted = min(max(-(-int(stay.sum()) // _KEEP_MULTIPLE), 1) * _KEEP_MULTIPLE, stay.size)
    for channel in np.flatnonzero(~stay)[: max(wanted - int(stay.sum()), 0)]:
        stay[channel] = True


def _groups(graph: Graph, ranges: Mapping[int, Interval]) -> list[list[int]]:
    """Tensors that lose channels together or not at all, in execution order."""
    group_of: dict[int, list[int]] = {}
    for op in graph.ops:
        for index in op.outputs:
            if index not in ranges:
                continue
            source = op.inputs[0] if op.inputs else -1
            if _is_together(graph, op) and source in group_of:
                group_of[source].append(index)
                group_of[index] = group_of[source]
            else:
                group_of[index] = [index]
    return list({id(members): members for members in group_of.values()}.values())


def _is_together(graph: Graph, op: Op) -> bool:
    """Whether the operator passes channels through one by one."""
    if op.kind not in _TOGETHER or not is_served(graph, op):
        return False
    inp, out = graph.input_of(op, 0), graph.output_of(op)
    assert inp is not None
    if op.kind == "RESHAPE":  # [1, h, w, c] laid out flat: channel c comes again every c elements
        flat = len(out.shape) == 2 and out.shape[0] == 1 and inp.shape[0] == 1
        return flat or inp.shape == out.shape
    return inp.shape[-1] == out.shape[-1]


def _readers(graph: Graph) -> dict[int, list[Op]]:
    found: dict[int, list[Op]] = {}
    for op in graph.ops:
        for index in dict.fromkeys(op.inputs):
            found.setdefault(index, []).append(op)
    return found


def _removable(
    graph: Graph,
    index: int,
    ranges: Mapping[int, Interval],
    readers: Mapping[int, list[Op]],
    makers: Mapping[int, Op],
    times: int,
) -> Mask:
    """Which channels of this tensor may go, as far as it alone is concerned (a tiled tensor's as one period)."""
    tensor = graph.tensors[index]
    period = tensor.shape[-1] // times
    nothing = np.zeros(period, np.bool_)
    at_the_ends = index in graph.inputs or index in graph.outputs or tensor.is_variable
    if at_the_ends or index not in makers or not _can_shrink(graph, makers[index], readers):
        return nothing
    may = ranges[index].constant.copy()
    for op in readers.get(index, []):
        if _is_together(graph, op) and op.inputs[0] == index:
            continue  # its output is in the group and speaks for itself
        may &= _absorbs(graph, op, index, ranges[index], readers)
    return np.asarray(may.reshape(times, period).all(axis=0))


def _can_shrink(graph: Graph, op: Op, readers: Mapping[int, list[Op]]) -> bool:
    """Whether the operator that makes a tensor can make fewer channels."""
    if _is_together(graph, op):
        return op.kind != "DEPTHWISE_CONV_2D" or _owns_its_constants(graph, op, readers)
    return op.kind == "CONV_2D" and _is_plain_conv(graph, op) and _owns_its_constants(graph, op, readers)


def _is_plain_conv(graph: Graph, op: Op) -> bool:
    if not is_served(graph, op):
        return False
    inp, weights = graph.input_of(op, 0), graph.input_of(op, 1)
    return inp is not None and weights is not None and inp.shape[3] == weights.shape[3]


def _owns_its_constants(graph: Graph, op: Op, readers: Mapping[int, list[Op]]) -> bool:
    """Whether no other operator uses its weights or bias, which are about to change."""
    return all(len(readers[i]) == 1 for i in op.inputs[1:] if i >= 0) and not any(
        i in graph.outputs for i in op.inputs[1:]
    )


def _absorbs(graph: Graph, op: Op, index: int, given: Interval, readers: Mapping[int, list[Op]]) -> Mask:
    """Which constant channels of its input the operator can take into its bias."""
    nothing = np.zeros(given.low.size, np.bool_)
    if op.inputs[0] != index or op.inputs.count(index) != 1 or not _owns_its_constants(graph, op, readers):
        return nothing
    inp = graph.tensors[index]
    if op.kind == "CONV_2D" and _is_plain_conv(graph, op):
        weights = graph.input_of(op, 1)
        assert weights is not None
        window = window_of(inp, graph.output_of(op), op, weights.shape[1], weights.shape[2])
        if reads_padding(window):  # at the border the channel would read the zero point instead of its value
            return np.asarray(given.low == arithmetic.zero_point_of(inp), np.bool_)
        return np.ones(given.low.size, np.bool_)
    bias = graph.input_of(op, 2)
    if op.kind == "FULLY_CONNECTED" and is_served(graph, op) and bias is not None:
        weights = graph.input_of(op, 1)
        assert weights is not None
        whole = weights.is_constant and weights.shape[1] == given.low.size
        return np.full(given.low.size, whole and arithmetic.zero_point_of(weights) == 0)
    return nothing


class _Editor:
    """Writes the smaller graph; the given one stays as it is."""

    def __init__(self, graph: Graph, ranges: Mapping[int, Interval], keep: Mapping[int, Mask]) -> None:
        self.graph = graph
        self.ranges = ranges
        self.keep = keep
        self.tensors = list(graph.tensors)

    def graph_without(self) -> Graph:
        for index, mask in self.keep.items():
            tensor = self.tensors[index]
            self.tensors[index] = replace(tensor, shape=(*tensor.shape[:-1], int(mask.sum())))
        ops = tuple(self._edit(op) for op in self.graph.ops)
        return replace(self.graph, tensors=tuple(self.tensors), ops=ops)

    def _edit(self, op: Op) -> Op:
        given, made = self.keep.get(op.inputs[0] if op.inputs else -1), self.keep.get(op.outputs[0])
        if given is None and made is None:
            return op
        if op.kind in ("CONV_2D", "FULLY_CONNECTED"):
            if given is not None:
                op = self._fold(op, given)
            if made is not None:
                self._select_constants(op, made, axis=0)
        elif op.kind == "DEPTHWISE_CONV_2D" and made is not None:
            self._select_constants(op, made, axis=3)
        elif op.kind == "RESHAPE" and len(op.inputs) > 1 and op.inputs[1] >= 0:
            return replace(op, inputs=op.inputs[:1])  # the shape is the output's; its old copy is wrong now
        return op

    def _fold(self, op: Op, keep: Mask) -> Op:
        """Take what the constant channels contribute into the bias, and their weights out."""
        source = self.graph.tensors[op.inputs[0]]
        weights = self.tensors[op.inputs[1]]
        assert weights.data is not None
        gone = ~keep
        values = self.ranges[op.inputs[0]].low[gone] - arithmetic.zero_point_of(source)
        contribution = (weights.data[..., gone].astype(np.int64) * values).reshape(weights.shape[0], -1).sum(axis=1)
        bias = self.graph.input_of(op, 2)
        old = np.zeros(weights.shape[0], np.int64) if bias is None or bias.data is None else bias.data.astype(np.int64)
        folded = _read_only((old.reshape(-1) + contribution).astype(np.int32))  # sums wrap as the reference's do
        shrunk = _read_only(np.ascontiguousarray(weights.data[..., keep]))
        self.tensors[weights.index] = replace(weights, data=shrunk, shape=shrunk.shape)
        if bias is not None:
            self.tensors[bias.index] = replace(bias, data=folded, shape=folded.shape)
            return op
        index = len(self.tensors)
        name = f"{weights.name}/folded_bias"
        self.tensors.append(Tensor(index, name, folded.shape, DType.INT32, data=folded))
        return replace(op, inputs=(*op.inputs[:2], index))

    def _select_constants(self, op: Op, keep: Mask, axis: int) -> None:
        """Weights and bias of the output channels that stay."""
        weights = self.tensors[op.inputs[1]]
        assert weights.data is not None
        data = _read_only(np.compress(keep, weights.data, axis=axis))
        self.tensors[weights.index] = replace(
            weights, data=data, shape=data.shape, quant=_select_scales(weights.quant, keep, axis)
        )
        if len(op.inputs) > 2 and op.inputs[2] >= 0:
            bias = self.tensors[op.inputs[2]]
            assert bias.data is not None
            values = _read_only(bias.data.reshape(-1)[keep])
            quant = _select_scales(bias.quant, keep, 0)
            self.tensors[bias.index] = replace(bias, data=values, shape=values.shape, quant=quant)


def _select_scales(quant: QuantParams | None, keep: Mask, axis: int) -> QuantParams | None:
    if quant is None or not quant.per_channel or quant.quantized_dimension != axis:
        return quant
    return QuantParams(quant.scale[keep], quant.zero_point[keep], axis)


def _read_only(values: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    values.setflags(write=False)
    return values
