"""Shapes that belong together, as hypothesis strategies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from edgeq.kernels import arithmetic

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Window:
    """A plane, a filter on it, and the options of the operator (strides, padding, …)."""

    size: tuple[int, int]
    filter: tuple[int, int]
    out: tuple[int, int]
    options: dict[str, Any]


@st.composite
def window(draw: st.DrawFn, most: int = 8, dilated: bool = True) -> Window:
    """Of a convolution."""
    size = draw(st.integers(1, most)), draw(st.integers(1, most))
    filters = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    strides = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    dilations = (draw(st.integers(1, 3)), draw(st.integers(1, 3))) if dilated and draw(st.booleans()) else (1, 1)
    padding = draw(st.sampled_from(("SAME", "VALID")))
    parts = list(zip(size, filters, strides, dilations, strict=True))
    out = [arithmetic.output_size(*part, padding) for part in parts]
    if min(out) < 1:
        padding = "SAME"
        out = [arithmetic.output_size(*part, padding) for part in parts]
    options: dict[str, Any] = {"padding": padding, "stride_h": strides[0], "stride_w": strides[1]}
    if dilated:
        options |= {"dilation_h_factor": dilations[0], "dilation_w_factor": dilations[1]}
    return Window(size, filters, (out[0], out[1]), options)


@st.composite
def pooled(draw: st.DrawFn, most: int = 8) -> Window:
    """Of a pooling."""
    made = draw(window(most, dilated=False))
    return Window(
        made.size,
        made.filter,
        made.out,
        {**made.options, "filter_height": made.filter[0], "filter_width": made.filter[1]},
    )


@st.composite
def broadcastable(draw: st.DrawFn, most_rank: int = 4) -> tuple[Shape, Shape, Shape]:
    """Two shapes and what they broadcast to."""
    rank = draw(st.integers(1, most_rank))
    out = tuple(draw(st.integers(1, 5)) for _ in range(rank))
    first, second = [], []
    for size in out:
        which = draw(st.integers(0, 3))
        first.append(1 if which == 1 else size)
        second.append(1 if which == 2 else size)
    cut = draw(st.integers(0, rank - 1)) if draw(st.booleans()) else 0
    a, b = tuple(first), tuple(second[cut:])
    shape = tuple(np.broadcast_shapes(a, b))
    return (a, b, shape) if draw(st.booleans()) else (b, a, shape)


def shapes(most_rank: int = 4, most: int = 5) -> st.SearchStrategy[Shape]:
    """Any shape of at least one dimension."""
    return st.lists(st.integers(1, most), min_size=1, max_size=most_rank).map(tuple)
