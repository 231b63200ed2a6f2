"""How far an input may lie over the output of a kernel that walks forward: D of `Lowering.overlap`, from geometry.

A kernel is a sequence of steps, each of which reads input and then writes output. Before step i it has written the
output's bytes below `written[i]`; step i reads nothing below the input's byte `needed[i]`. An input that begins d bytes
after the output is intact where `d + needed[j] >= written[i]` for all j >= i, so D is the largest `written[i] -
needed[j]`; any larger distance is safe too.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgeq.graph import Tensor
from edgeq.kernels.windows import Window

Offsets = npt.NDArray[np.int64]


def distance(written: Offsets, needed: Offsets) -> int:
    """D of a kernel whose steps have these offsets, in bytes."""
    still = np.minimum.accumulate(needed[::-1])[::-1]
    return int(np.max(written - still))


def elementwise(inp: Tensor, out: Tensor) -> int:
    """Element i of the output is made of element i of the input: D > 0 where elements grow."""
    growth = out.dtype.bits // 8 - inp.dtype.bits // 8
    return max(0, (out.elements - 1) * growth)


def broadcast(inp: Tensor, out: Tensor) -> int:
    """The same with an input that is repeated along dimensions of the output."""
    if inp.shape == out.shape:
        return elementwise(inp, out)
    read = np.broadcast_to(np.arange(inp.elements).reshape(inp.shape), out.shape).reshape(-1)
    return distance(np.arange(out.elements) * (out.dtype.bits // 8), read * (inp.dtype.bits // 8))


def windows(window: Window, in_bytes: int = 1, out_bytes: int = 1, *, by_pixel: bool = False, tile: int = 1) -> int:
    """Of a window that slides over a plane, row by row, all channels of a pixel before the next pixel's.

    Args:
        in_bytes, out_bytes: of an element.
        by_pixel: whether a pixel's (or tile's) input is read completely before any of its channels is written;
            otherwise its channels are written one by one, and the window is read for each.
        tile: pixels of the output, along all rows of the plane, whose input is read before the first is written.
    """
    needed = first_needed(window) * in_bytes
    pixel = window.out_c * out_bytes
    written = np.arange(needed.size) // tile * tile * pixel
    return distance(written + (0 if by_pixel else pixel - out_bytes), needed)


def first_needed(window: Window) -> Offsets:
    """For each output pixel in order, the first input element that its window covers."""
    w = window
    rows = np.clip(np.arange(w.out_h) * w.stride_h - w.pad_h, 0, w.in_h)
    columns = np.clip(np.arange(w.out_w) * w.stride_w - w.pad_w, 0, w.in_w)
    plane = (rows[:, None] * w.in_w + columns).reshape(-1)
    return (np.arange(w.batches)[:, None] * (w.in_h * w.in_w) + plane).reshape(-1) * w.in_c
