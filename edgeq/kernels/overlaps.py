"""How far an input may lie over the output of a kernel that walks forward: D of `Lowering.overlap`, from geometry.

A kernel is a sequence of steps, each of which reads input and then writes output. Before step i it has written the
output's bytes below `written[i]`; step i reads nothing below the input's byte `needed[i]`. An input that begins d bytes
after the output is intact where, unless nothing is written yet, `d + needed[j] >= written[i]` for all j >= i: D is the
largest `written[i] - needed[j]`. Any larger distance is safe too.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgeq.graph import Tensor
from edgeq.kernels.windows import Window

Offsets = npt.NDArray[np.int64]


def distance(written: Offsets, needed: Offsets, size: int) -> int:
    """D of a kernel whose steps have these offsets and whose input has `size` bytes; -size where all of it is read
    before anything is written."""
    still = np.minimum.accumulate(needed[::-1])[::-1]
    begun = written > 0
    return int(np.max((written - still)[begun], initial=-size))


def elementwise(inp: Tensor, out: Tensor) -> int:
    """Element i of the output is made of element i of the input: D > 0 where elements grow."""
    growth = out.dtype.bits // 8 - inp.dtype.bits // 8
    return max(growth, (out.elements - 1) * growth)


def broadcast(inp: Tensor, out: Tensor) -> int:
    """The same with an input that is repeated along dimensions of the output."""
    if inp.shape == out.shape:
        return elementwise(inp, out)
    read = np.broadcast_to(np.arange(inp.elements).reshape(inp.shape), out.shape).reshape(-1)
    return distance(np.arange(out.elements) * (out.dtype.bits // 8), read * (inp.dtype.bits // 8), inp.size_bytes)


def rows(count: int, in_bytes: int, out_bytes: int, *, ahead: int = 0) -> int:
    """Of a kernel that makes rows of the output of rows of the input.

    Args:
        in_bytes, out_bytes: of a row.
        ahead: how many bytes of a row are written before its input is read for the last time.
    """
    step = np.arange(count)
    return distance(step * out_bytes + ahead, step * in_bytes, count * in_bytes)


def padded(before: tuple[int, ...], shape: tuple[int, ...], out: Tensor) -> int:
    """Of a kernel that writes an output front to back, from which an input of this shape is cut from `before` on."""
    inside = np.zeros(out.shape, np.bool_)
    inside[tuple(slice(b, b + n) for b, n in zip(before, shape, strict=True))] = True
    read = np.cumsum(inside.reshape(-1)) - inside.reshape(-1)  # before each element of the output
    item = out.dtype.bits // 8
    last = int(np.flatnonzero(inside)[-1]) + 1
    return distance(np.arange(last) * item, read[:last] * item, int(inside.sum()) * item)


def taken(tables: tuple[tuple[int, ...], ...], block: int, size: int) -> int:
    """Of a kernel that copies blocks from the sums of one offset of each table, the last table's fastest."""
    places = np.zeros(1, np.int64)
    for table in tables:
        places = (places[:, None] + np.array(table, np.int64)).reshape(-1)
    return distance(np.arange(places.size) * block, places, size)


def interpolated(inp: Tensor, out: Tensor, rows: tuple[int, ...], columns: tuple[int, ...]) -> int:
    """Of a kernel that makes pixels of the output, channel by channel, of the input from these rows and columns on."""
    pixel = inp.shape[3] * inp.dtype.bits // 8
    plane = (np.array(rows)[:, None] * inp.shape[2] + np.array(columns)).reshape(-1)
    places = np.arange(inp.shape[0])[:, None] * (inp.shape[1] * inp.shape[2]) + plane
    needed = places.reshape(-1) * pixel
    step = int(inp.shape[3] > 1) * inp.dtype.bits // 8  # of two channels, the second is read after the first
    return distance(np.arange(needed.size) * pixel + step, needed + step, inp.size_bytes)


def windows(window: Window, element_bytes: int = 1, *, ahead: int = 0, tile: int = 1, in_step: bool = False) -> int:
    """Of a window that slides over a plane, row by row, all channels of a pixel before the next pixel's.

    Args:
        element_bytes: of input and output.
        ahead: how many bytes of a pixel are written before its window is read for the last time.
        tile: pixels of the output, in order over rows and planes, that are read before the first of them is written;
            where less than a tile is left, the last one goes back and is done again.
        in_step: whether a pixel's channels are read and written one after another, so that `ahead` counts only what
            is written beyond as much as is read.
    """
    needed = first_needed(window) * element_bytes
    if tile > 1 and needed.size % tile:
        needed[needed.size // tile * tile] = min(needed[-tile:])
    written = np.arange(needed.size) // tile * tile * window.out_c * element_bytes
    size = window.batches * window.in_h * window.in_w * window.in_c * element_bytes
    step = int(in_step and window.out_c > 1) * element_bytes  # of two channels, the second is read after the first
    return distance(written + ahead + step, needed + step, size)


def first_needed(window: Window) -> Offsets:
    """For each output pixel in order, the first input element that its window covers."""
    w = window
    rows = np.clip(np.arange(w.out_h) * w.stride_h - w.pad_h, 0, w.in_h)
    columns = np.clip(np.arange(w.out_w) * w.stride_w - w.pad_w, 0, w.in_w)
    plane = (rows[:, None] * w.in_w + columns).reshape(-1)
    return (np.arange(w.batches)[:, None] * (w.in_h * w.in_w) + plane).reshape(-1) * w.in_c
