"""Which elements STRIDED_SLICE takes: its masks, negative positions and open ends worked out."""

from __future__ import annotations

from dataclasses import dataclass

from edgeq.graph import Op

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Spans:
    """For each dimension of the input: the first index, the step, how many; and the output's shape."""

    begin: Shape
    stride: Shape
    size: Shape
    out_shape: Shape


def spans_of(shape: Shape, begin: Shape, end: Shape, stride: Shape, op: Op) -> Spans | None:
    """The spans of an input of `shape`; None where the arguments don't belong together.

    As in Python's slices; with masks as in tf.strided_slice: bit i of `begin_mask` or `end_mask` leaves that end open,
    of `shrink_axis_mask` takes one index and drops the dimension, of `new_axis_mask` adds one of size 1, of
    `ellipsis_mask` stands for all dimensions that aren't named.
    """
    if not len(begin) == len(end) == len(stride) or 0 in stride:
        return None
    ellipsis, new_axis = op.integer("ellipsis_mask"), op.integer("new_axis_mask")
    named = sum(1 for i in range(len(begin)) if not (ellipsis | new_axis) >> i & 1)
    if named > len(shape):
        return None
    first: list[int] = []
    step: list[int] = []
    count: list[int] = []
    out: list[int] = []
    seen = False
    for i in range(len(begin)):
        if ellipsis >> i & 1 and not seen:
            seen = True
            for _ in range(len(shape) - named):
                _whole(shape[len(first)], first, step, count, out)
        elif new_axis >> i & 1:
            out.append(1)
        elif op.integer("shrink_axis_mask") >> i & 1:
            size = shape[len(first)]
            at = begin[i] + size if begin[i] < 0 else begin[i]
            if not 0 <= at < size:
                return None
            first.append(at)
            step.append(1)
            count.append(1)
        else:
            size = shape[len(first)]
            start = None if op.integer("begin_mask") >> i & 1 else begin[i]
            stop = None if op.integer("end_mask") >> i & 1 else end[i]
            if stop is not None and op.options.get("offset"):
                stop += begin[i]
            taken = range(size)[slice(start, stop, stride[i])]
            first.append(taken.start if taken else 0)
            step.append(stride[i])
            count.append(len(taken))
            out.append(len(taken))
    while len(first) < len(shape):
        _whole(shape[len(first)], first, step, count, out)
    return Spans(tuple(first), tuple(step), tuple(count), tuple(out))


def _whole(size: int, first: list[int], step: list[int], count: list[int], out: list[int]) -> None:
    first.append(0)
    step.append(1)
    count.append(size)
    out.append(size)
