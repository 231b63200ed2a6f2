"""Operators that move elements, in every type that they take."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from conformance.cases import Case, Values, scales, zero_points
from conformance.shapes import shapes
from hypothesis import strategies as st
from models_flatbuffer import T, single_op_model

_ALL = ("INT8", "INT16", "INT32", "FLOAT32", "BOOL", "INT64", "UINT8")


@st.composite
def quantization(draw: st.DrawFn, dtype: str) -> dict[str, Any]:
    """Scale and zero point where the type has them."""
    if dtype in ("INT8", "UINT8"):
        return {
            "scale": draw(scales()),
            "zero_point": draw(zero_points(*((0, 255) if dtype == "UINT8" else (-128, 127)))),
        }
    return {"scale": draw(scales())} if dtype == "INT16" else {}


def _numbers(values: Any, dtype: str = "INT32") -> T:
    array = np.asarray(values)
    return T(array.shape, dtype, data=array)


@st.composite
def transposes(draw: st.DrawFn) -> Case:
    """TRANSPOSE of up to five dimensions."""
    shape = draw(shapes(5))
    order = draw(st.permutations(range(len(shape))))
    dtype = draw(st.sampled_from(("INT8", "INT16", "FLOAT32", "INT32", "INT64")))
    quant = draw(quantization(dtype))
    inp, out = T(shape, dtype, **quant), T(tuple(shape[a] for a in order), dtype, **quant)
    model = single_op_model("TRANSPOSE", [inp, _numbers(order)], out, version=4)
    return Case(model, {"in": inp, "order": order})


@st.composite
def slices(draw: st.DrawFn) -> Case:
    """SLICE, sizes of -1 too."""
    shape = draw(shapes(5))
    begin = [draw(st.integers(0, d - 1)) for d in shape]
    size = [draw(st.integers(1, d - b)) for d, b in zip(shape, begin, strict=True)]
    written = [-1 if b + s == d and draw(st.booleans()) else s for d, b, s in zip(shape, begin, size, strict=True)]
    dtype = draw(st.sampled_from(("INT8", "INT16", "FLOAT32", "INT32", "BOOL")))
    quant, index = draw(quantization(dtype)), draw(st.sampled_from(("INT32", "INT64")))
    inp, out = T(shape, dtype, **quant), T(tuple(size), dtype, **quant)
    model = single_op_model("SLICE", [inp, _numbers(begin, index), _numbers(written, index)], out, version=3)
    return Case(model, {"in": inp, "begin": begin, "size": written})


@st.composite
def strided_slices(draw: st.DrawFn) -> Case:
    """STRIDED_SLICE: steps back, open ends, positions beyond the ends, dropped dimensions."""
    shape = draw(shapes(4))
    rank = draw(st.integers(1, len(shape)))
    begin, end, stride, out = [], [], [], []
    masks = {"begin_mask": 0, "end_mask": 0, "shrink_axis_mask": 0}
    for d in range(rank):
        size = shape[d]
        if draw(st.integers(0, 4)) == 0:
            masks["shrink_axis_mask"] |= 1 << d
            at = draw(st.integers(-size, size - 1))
            begin.append(at)
            end.append(at + 1)
            stride.append(1)
            continue
        step = draw(st.sampled_from((1, 1, 2, 3, -1, -2)))
        first, last = draw(st.integers(-size - 2, size + 1)), draw(st.integers(-size - 2, size + 1))
        opens = draw(st.booleans()), draw(st.booleans())
        taken = range(size)[slice(None if opens[0] else first, None if opens[1] else last, step)]
        if not len(taken):
            opens = True, True
            taken = range(size)[::step]
        masks["begin_mask"] |= opens[0] << d
        masks["end_mask"] |= opens[1] << d
        begin.append(first)
        end.append(last)
        stride.append(step)
        out.append(len(taken))
    dtype = draw(st.sampled_from(("INT8", "INT16", "FLOAT32", "INT32", "BOOL")))
    quant = draw(quantization(dtype))
    inp = T(shape, dtype, **quant)
    made = T((*out, *shape[rank:]), dtype, **quant)
    inputs = [inp, _numbers(begin), _numbers(end), _numbers(stride)]
    model = single_op_model("STRIDED_SLICE", inputs, made, masks, version=4)
    return Case(model, {"in": inp, "begin": begin, "end": end, "stride": stride, **masks})


@st.composite
def splits(draw: st.DrawFn, kind: str) -> Case:
    """SPLIT, SPLIT_V and UNPACK."""
    shape = list(draw(shapes()))
    axis = draw(st.integers(0, len(shape) - 1))
    written = axis - len(shape) if draw(st.booleans()) else axis
    dtype = draw(st.sampled_from(("INT8", "INT16", "FLOAT32", "INT32")))
    quant = draw(quantization(dtype))
    count = draw(st.integers(1, 4))
    options: dict[str, Any]
    if kind == "UNPACK":
        inp = T(tuple(shape), dtype, **quant)
        rest = tuple(shape[:axis] + shape[axis + 1 :])
        outs = [T(rest, dtype, **quant) for _ in range(shape[axis])]
        options = {"num": shape[axis], "axis": written}
        return Case(
            single_op_model(kind, [inp], outs, options, version=3 if dtype == "BOOL" else 2), {"in": inp, **options}
        )
    parts = [draw(st.integers(1, 3))] * count if kind == "SPLIT" else [draw(st.integers(1, 3)) for _ in range(count)]
    shape[axis] = sum(parts)
    inp = T(tuple(shape), dtype, **quant)
    outs = [T((*shape[:axis], n, *shape[axis + 1 :]), dtype, **quant) for n in parts]
    options = {"num_splits": count}
    place = _numbers(written)
    inputs = [place, inp] if kind == "SPLIT" else [inp, _numbers(parts), place]
    return Case(single_op_model(kind, inputs, outs, options, version=2), {"in": inp, "axis": written, "parts": parts})


@st.composite
def packs(draw: st.DrawFn) -> Case:
    """PACK, a part of the inputs constant."""
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    shape = draw(shapes(3))
    count = draw(st.integers(1, 4))
    axis = draw(st.integers(0, len(shape)))
    dtype = draw(st.sampled_from(("INT8", "INT16", "FLOAT32", "INT32")))
    quant = draw(quantization(dtype))
    inputs = [
        T(shape, dtype, **quant, data=rng.integers(-100, 100, shape) if i and draw(st.booleans()) else None)
        for i in range(count)
    ]
    out = T((*shape[:axis], count, *shape[axis:]), dtype, **quant)
    options = {"values_count": count, "axis": axis - len(out.shape) if draw(st.booleans()) else axis}
    return Case(single_op_model("PACK", inputs, out, options, version=2), {"in": inputs, "out": out, **options})


@st.composite
def depths(draw: st.DrawFn, kind: str) -> Case:
    """SPACE_TO_DEPTH and DEPTH_TO_SPACE."""
    block = draw(st.integers(1, 3))
    n, h, w, c = (draw(st.integers(1, 3)) for _ in range(4))
    dtype = draw(st.sampled_from(("INT8", "FLOAT32", "INT32")))
    quant = draw(quantization(dtype))
    large, small = T((n, h * block, w * block, c), dtype, **quant), T((n, h, w, c * block * block), dtype, **quant)
    ends = (large, small) if kind == "SPACE_TO_DEPTH" else (small, large)
    model = single_op_model(
        kind, [ends[0]], ends[1], {"block_size": block}, version=2 if kind == "SPACE_TO_DEPTH" else 1
    )
    return Case(model, {"kind": kind, "in": ends[0], "block": block})


@st.composite
def batches(draw: st.DrawFn, kind: str) -> Case:
    """SPACE_TO_BATCH_ND with paddings, BATCH_TO_SPACE_ND with crops."""
    dims = draw(st.integers(1, 2))
    block = [draw(st.integers(1, 3)) for _ in range(dims)]
    cells = [draw(st.integers(1, 3)) for _ in range(dims)]
    full = [b * c for b, c in zip(block, cells, strict=True)]
    before = [draw(st.integers(0, n - 1)) for n in full]
    after = [draw(st.integers(0, n - 1 - b)) for n, b in zip(full, before, strict=True)]
    inner = [n - b - a for n, b, a in zip(full, before, after, strict=True)]
    n, c = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    dtype = draw(st.sampled_from(("INT8", "FLOAT32", "INT32")))
    quant = draw(quantization(dtype))
    space, batch = T((n, *inner, c), dtype, **quant), T((n * prod(block), *cells, c), dtype, **quant)
    ends = (space, batch) if kind == "SPACE_TO_BATCH_ND" else (batch, space)
    margins = list(zip(before, after, strict=True))
    inputs = [ends[0], _numbers(block), _numbers(margins)]
    return Case(
        single_op_model(kind, inputs, ends[1], version=2),
        {"kind": kind, "in": ends[0], "block": block, "margins": margins},
    )


@st.composite
def reverses(draw: st.DrawFn) -> Case:
    """REVERSE_V2 along neighbouring axes, as the reference wants them."""
    shape = draw(shapes())
    first = draw(st.integers(0, len(shape) - 1))
    axes = list(range(first, draw(st.integers(first + 1, len(shape)))))
    dtype = draw(st.sampled_from(("FLOAT32", "INT32", "INT16", "INT64", "BOOL", "UINT8")))
    quant = draw(quantization(dtype))
    inp, out = T(shape, dtype, **quant), T(shape, dtype, **quant)
    model = single_op_model("REVERSE_V2", [inp, _numbers(axes)], out, version=2)
    engine = "litert" if len(axes) > 1 else "tflite-runtime"  # 2.14 takes the first axis alone
    return Case(model, {"in": inp, "axes": axes}, (), engine)  # type: ignore[arg-type]


@st.composite
def broadcasts(draw: st.DrawFn) -> Case:
    """BROADCAST_TO."""
    out = draw(shapes())
    cut = draw(st.integers(0, len(out) - 1))
    shape = tuple(d if draw(st.booleans()) else 1 for d in out)[cut:]
    dtype = draw(st.sampled_from(("INT8", "FLOAT32", "INT32", "INT16")))
    quant = draw(quantization(dtype))
    ends = T(shape, dtype, **quant), T(out, dtype, **quant)
    model = single_op_model("BROADCAST_TO", [ends[0], _numbers(out)], ends[1], version=3)
    return Case(model, {"in": ends[0], "out": out})


@st.composite
def tiles(draw: st.DrawFn) -> Case:
    """TILE of up to three dimensions."""
    shape = draw(shapes(3, 3))
    repeats = [draw(st.integers(1, 3)) for _ in shape]
    dtype = draw(st.sampled_from(("INT8", "FLOAT32", "INT32", "BOOL", "INT64")))
    quant = draw(quantization(dtype))
    ends = T(shape, dtype, **quant), T(tuple(r * d for r, d in zip(repeats, shape, strict=True)), dtype, **quant)
    return Case(
        single_op_model("TILE", [ends[0], _numbers(repeats)], ends[1], version=1), {"in": ends[0], "repeats": repeats}
    )


@st.composite
def mirrors(draw: st.DrawFn) -> Case:
    """MIRROR_PAD, both modes."""
    mode = draw(st.sampled_from(("REFLECT", "SYMMETRIC")))
    shape = tuple(draw(st.integers(2, 5)) for _ in range(draw(st.integers(1, 4))))
    most = [d - (mode == "REFLECT") for d in shape]
    paddings = [(draw(st.integers(0, m)), draw(st.integers(0, m))) for m in most]
    dtype = draw(st.sampled_from(("INT8", "FLOAT32", "INT32")))
    quant = draw(quantization(dtype))
    ends = (
        T(shape, dtype, **quant),
        T(tuple(d + b + a for d, (b, a) in zip(shape, paddings, strict=True)), dtype, **quant),
    )
    model = single_op_model("MIRROR_PAD", [ends[0], _numbers(paddings)], ends[1], {"mode": mode}, version=2)
    return Case(model, {"in": ends[0], "paddings": paddings, "mode": mode})


@st.composite
def nearest(draw: st.DrawFn) -> Case:
    """RESIZE_NEAREST_NEIGHBOR: larger and smaller, corners, centres."""
    size = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    made = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    n, c = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    dtype = draw(st.sampled_from(("INT8", "INT16", "FLOAT32")))
    quant = draw(quantization(dtype))
    options = draw(st.sampled_from(({}, {"align_corners": True}, {"half_pixel_centers": True})))
    ends = T((n, *size, c), dtype, **quant), T((n, *made, c), dtype, **quant)
    model = single_op_model("RESIZE_NEAREST_NEIGHBOR", [ends[0], _numbers(made)], ends[1], options, version=3)
    return Case(model, {"in": ends[0], "out": made, **options})


@st.composite
def gathers(draw: st.DrawFn) -> Case:
    """GATHER: constant and computed indices, batches."""
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    shape = draw(shapes())
    axis = draw(st.integers(0, len(shape) - 1))
    batch = draw(st.integers(0, axis)) if draw(st.integers(0, 3)) == 0 else 0
    picked = (*shape[:batch], *draw(shapes(2, 4)))
    dtype = draw(st.sampled_from(("INT8", "INT16", "FLOAT32", "INT32", "INT64", "BOOL")))
    quant, index = draw(quantization(dtype)), draw(st.sampled_from(("INT32", "INT64")))
    values = rng.integers(0, shape[axis], picked).astype(index.lower())
    known = draw(st.booleans())
    inp = T(shape, dtype, **quant)
    out = T((*shape[:axis], *picked[batch:], *shape[axis + 1 :]), dtype, **quant)
    options = {"axis": axis, "batch_dims": batch}
    indices = T(picked, index, data=values if known else None)
    model = single_op_model("GATHER", [inp, indices], out, options, version=5 if batch else 4)
    runs = () if known else ((_random(rng, shape, dtype), values),)
    return Case(model, {"in": inp, "indices": picked, "known": known, **options}, runs)


def _random(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Any:
    if dtype == "BOOL":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype == "FLOAT32":
        return rng.standard_normal(shape).astype(np.float32)
    return rng.integers(-100, 100, shape).astype(dtype.lower())


@st.composite
def gathers_nd(draw: st.DrawFn) -> Case:
    """GATHER_ND with computed indices."""
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    shape = draw(shapes())
    depth = draw(st.integers(1, len(shape)))
    rows = draw(shapes(2, 4))
    dtype, index = (
        draw(st.sampled_from(("INT8", "INT16", "FLOAT32", "INT32"))),
        draw(st.sampled_from(("INT32", "INT64"))),
    )
    quant = draw(quantization(dtype))
    values = np.stack([rng.integers(0, d, rows) for d in shape[:depth]], -1).astype(index.lower())
    inp, indices = T(shape, dtype, **quant), T(values.shape, index)
    model = single_op_model("GATHER_ND", [inp, indices], T((*rows, *shape[depth:]), dtype, **quant), version=3)
    return Case(model, {"in": inp, "indices": indices}, ((_random(rng, shape, dtype), values),))


@st.composite
def embeddings(draw: st.DrawFn) -> Case:
    """EMBEDDING_LOOKUP of a constant table."""
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    table = tuple(draw(st.integers(1, 5)) for _ in range(draw(st.integers(2, 3))))
    count = draw(st.integers(1, 5))
    dtype = draw(st.sampled_from(("INT8", "FLOAT32")))
    quant = draw(quantization(dtype))
    ends = [T((count,), "INT32"), T(table, dtype, **quant, data=_random(rng, table, dtype))]
    model = single_op_model("EMBEDDING_LOOKUP", ends, T((count, *table[1:]), dtype, **quant), version=2)
    return Case(model, {"table": table, "count": count}, ((rng.integers(0, table[0], count).astype(np.int32),),))


CASES: dict[str, Values] = {
    "TRANSPOSE": transposes(),
    "SLICE": slices(),
    "STRIDED_SLICE": strided_slices(),
    "SPLIT": splits("SPLIT"),
    "SPLIT_V": splits("SPLIT_V"),
    "UNPACK": splits("UNPACK"),
    "PACK": packs(),
    "SPACE_TO_DEPTH": depths("SPACE_TO_DEPTH"),
    "DEPTH_TO_SPACE": depths("DEPTH_TO_SPACE"),
    "SPACE_TO_BATCH_ND": batches("SPACE_TO_BATCH_ND"),
    "BATCH_TO_SPACE_ND": batches("BATCH_TO_SPACE_ND"),
    "REVERSE_V2": reverses(),
    "BROADCAST_TO": broadcasts(),
    "TILE": tiles(),
    "MIRROR_PAD": mirrors(),
    "RESIZE_NEAREST_NEIGHBOR": nearest(),
    "GATHER": gathers(),
    "GATHER_ND": gathers_nd(),
    "EMBEDDING_LOOKUP": embeddings(),
}
