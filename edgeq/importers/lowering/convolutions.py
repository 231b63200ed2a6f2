"""Convolutions, pooling and resizing: what TensorFlow Lite computes with the channels last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeq.importers.lowering.context import Lowering, Rule
from edgeq.importers.lowering.net import Array

_SAME, _VALID = schema.Padding.SAME, schema.Padding.VALID
_NEVER_NEGATIVE = ("Relu", "Sigmoid", "HardSigmoid", "Softplus", "Exp", "Softmax", "Abs", "Sqrt")
_KEEPS_THE_SIGN = ("MaxPool", "AveragePool", "Concat", "Reshape", "Dropout", "Identity", "Transpose", "Pad")


@dataclass(frozen=True)
class _Windows:
    """How a kernel goes over (height, width); one-dimensional networks have height 1."""

    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    begin: tuple[int, int]
    size: tuple[int, int]
    out: tuple[int, int]

    @property
    def reach(self) -> tuple[int, int]:
        """Rows and columns under the kernel, holes included."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True))  # type: ignore[return-value]

    @property
    def rows(self) -> list[tuple[int, int]]:
        """Rows and columns missing before and behind the input; what no window reads isn't counted."""
        return [
            (b, max(0, (o - 1) * s + r - n - b))
            for b, o, s, r, n in zip(self.begin, self.out, self.strides, self.reach, self.size, strict=True)
        ]

    @property
    def same(self) -> bool:
        """Whether TensorFlow's SAME padding is this one."""
        for (b, e), o, s, n in zip(self.rows, self.out, self.strides, self.size, strict=True):
            if o != -(-n // s) or b != (b + e) // 2:
                return False
        return True


def _windows(at: Lowering, kernel: Sequence[int], size: Sequence[int], out: Sequence[int]) -> _Windows:
    count = len(kernel)
    strides = at.node.integers("strides") or [1] * count
    dilations = at.node.integers("dilations") or [1] * count
    begin = _begin(at, kernel, strides, dilations, size, out)

    def two(values: Sequence[int], filler: int) -> tuple[int, int]:
        whole = [filler] * (2 - count) + [int(v) for v in values]
        return whole[0], whole[1]

    return _Windows(two(kernel, 1), two(strides, 1), two(dilations, 1), two(begin, 0), two(size, 1), two(out, 1))


def _begin(
    at: Lowering,
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    size: Sequence[int],
    out: Sequence[int],
) -> list[int]:
    auto = at.node.text("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        found = []
        for k, s, d, n, o in zip(kernel, strides, dilations, size, out, strict=True):
            total = max(0, (o - 1) * s + (k - 1) * d + 1 - n)
            found.append(total // 2 if auto == "SAME_UPPER" else total - total // 2)
        return found
    pads = at.node.integers("pads") or [0] * (2 * len(kernel))
    return pads[: len(kernel)]


def _image(at: Lowering, position: int = 0) -> str:
    """An input as (N, H, W, C)."""
    value = at.channels_last(at.input(position))
    shape = at.shape_of(value)
    if len(shape) == 3:
        return at.reshape(value, (shape[0], 1, *shape[1:]))
    if len(shape) != 4:
        raise at.unsupported(f"it works along {len(shape) - 2} axes; TensorFlow Lite's kernels work along one or two")
    return value


def _give_image(at: Lowering, value: str) -> None:
    """(N, H, W, C) as the node's output."""
    shape = at.shape_of(value)
    if len(at.out_shape()) == 3:
        value = at.reshape(value, (shape[0], *shape[2:]))
    at.give(at.channels_first(value))


def _padded(at: Lowering, value: str, windows: _Windows, fill: float | None = None) -> tuple[str, int]:
    """(the input with what SAME can't express written out, the padding that is left to the kernel)."""
    if not any(map(any, windows.rows)):
        return value, _VALID
    if windows.same:
        return value, _SAME
    return at.pad(value, [(0, 0), *windows.rows, (0, 0)], fill), _VALID


def conv(at: Lowering) -> None:
    """CONV_2D; DEPTHWISE_CONV_2D with one input channel per group; other groups side by side."""
    weights = at.known(1, "its kernel")
    bias = at.constant(2)
    if at.node.has(2) and bias is None:
        raise at.unsupported("its bias is computed while the model runs")
    image = _image(at)
    spatial = weights.shape[2:]
    windows = _windows(at, spatial, at.shape()[2:], at.out_shape()[2:])
    image, padding = _padded(at, image, windows)
    kernel = weights.reshape(*weights.shape[:2], *windows.kernel)
    groups = at.node.integer("group", 1)
    channels = at.shape_of(image)[3]
    if groups == channels and groups > 1:
        return _give_image(at, _depthwise(at, image, kernel, bias, windows, padding))
    outputs = len(kernel) // groups
    parts = []
    for number, part in enumerate(at.split(image, [channels // groups] * groups, 3)):
        chosen = slice(number * outputs, (number + 1) * outputs)
        part_bias = np.zeros(outputs) if bias is None else bias[chosen]
        parts.append(_convolution(at, part, kernel[chosen], part_bias, windows, padding))
    return _give_image(at, at.concatenate(parts, 3))


def _convolution(at: Lowering, image: str, kernel: Array, bias: Array, windows: _Windows, padding: int) -> str:
    filters = at.context.writer.constant(np.ascontiguousarray(kernel.transpose(0, 2, 3, 1)), at.node.inputs[1])
    shape = (at.shape_of(image)[0], *windows.out, len(kernel))
    return at.op("CONV_2D", [image, filters, at.number(bias)], shape, padding=padding, **_steps(windows))


def _depthwise(at: Lowering, image: str, kernel: Array, bias: Array | None, windows: _Windows, padding: int) -> str:
    count = len(kernel)
    filters = at.context.writer.constant(
        np.ascontiguousarray(kernel.reshape(count, *windows.kernel).transpose(1, 2, 0)[None]), at.node.inputs[1]
    )
    shape = at.shape_of(image)
    return at.op(
        "DEPTHWISE_CONV_2D",
        [image, filters, at.number(np.zeros(count) if bias is None else bias)],
        (shape[0], *windows.out, count),
        padding=padding,
        depthMultiplier=count // shape[3],
        **_steps(windows),
    )


def _steps(windows: _Windows) -> dict[str, Any]:
    return {
        "strideH": windows.strides[0],
        "strideW": windows.strides[1],
        "dilationHFactor": windows.dilations[0],
        "dilationWFactor": windows.dilations[1],
        "fusedActivationFunction": 0,
    }


def conv_transpose(at: Lowering) -> None:
    """TRANSPOSE_CONV without padding, then what ONNX's padding takes away is cut off."""
    weights = at.known(1, "its kernel")  # (inputs, outputs per group, …)
    if any(d != 1 for d in at.node.integers("dilations") or []):
        raise at.unsupported("TRANSPOSE_CONV has no dilation")
    image = _image(at)
    shape = at.shape_of(image)
    count = len(weights.shape) - 2
    strides = [1] * (2 - count) + (at.node.integers("strides") or [1] * count)
    kernel = weights.reshape(*weights.shape[:2], *[1] * (2 - count), *weights.shape[2:])
    out = [1] * (2 - count) + list(at.out_shape()[2:])
    full = [(n - 1) * s + max(k, s) for n, s, k in zip(shape[1:3], strides, kernel.shape[2:], strict=True)]
    begin = [0] * (2 - count) + _cut(at, count, shape, kernel.shape, strides, out)
    groups = at.node.integer("group", 1)
    bias = at.constant(2)
    parts = []
    for number, part in enumerate(at.split(image, [shape[3] // groups] * groups, 3)):
        rows = slice(number * len(weights) // groups, (number + 1) * len(weights) // groups)
        filters = np.ascontiguousarray(kernel[rows].transpose(1, 2, 3, 0))
        whole = (shape[0], *full, kernel.shape[1])
        ends = [at.integers(whole), at.context.writer.constant(filters, at.node.inputs[1]), part]
        if bias is not None:
            ends.append(at.number(bias[number * kernel.shape[1] : (number + 1) * kernel.shape[1]]))
        parts.append(
            at.op("TRANSPOSE_CONV", ends, whole, "float32", padding=_VALID, strideH=strides[0], strideW=strides[1])
        )
    made = at.concatenate(parts, 3)
    extra = [max(0, b + o - f) for b, o, f in zip(begin, out, full, strict=True)]
    if any(extra):  # output_padding beyond the last window: only the bias is there, or zero
        if bias is not None and bias.any():
            raise at.unsupported("its output_padding lies beyond the last window")
        made = at.pad(made, [(0, 0), (0, extra[0]), (0, extra[1]), (0, 0)])
    channels = at.shape_of(made)[3]
    ends_at = [b + o for b, o in zip(begin, out, strict=True)]
    _give_image(at, at.slice(made, [0, *begin, 0], [shape[0], *ends_at, channels]))


def _cut(
    at: Lowering, count: int, shape: Sequence[int], kernel: Sequence[int], strides: Sequence[int], out: Sequence[int]
) -> list[int]:
    """Rows and columns that ONNX's padding takes off the beginning."""
    auto = at.node.text("auto_pad", "NOTSET")
    extra = at.node.integers("output_padding") or [0] * count
    if auto == "NOTSET" and at.node.integers("output_shape") is None:
        return (at.node.integers("pads") or [0] * (2 * count))[:count]
    sizes = zip(shape[1:3][-count:], strides[-count:], kernel[-count:], out[-count:], extra, strict=True)
    totals = [max(0, (n - 1) * s + k + e - o) for n, s, k, o, e in sizes]
    return [t // 2 if auto != "SAME_LOWER" else t - t // 2 for t in totals]


def max_pool(at: Lowering) -> None:
    """MAX_POOL_2D; padding that SAME can't express becomes zeros behind a ReLU, else a mirrored edge."""
    if len(at.node.outputs) > 1 and at.node.outputs[1]:
        raise at.unsupported("it gives the places of its maxima too")
    windows = _windows(at, at.node.integers("kernel_shape") or [], at.shape()[2:], at.out_shape()[2:])
    if windows.dilations != (1, 1):
        raise at.unsupported("MAX_POOL_2D has no dilation")
    image, padding = _image(at), _VALID
    if any(map(any, windows.rows)):
        if windows.same:
            padding = _SAME
        elif _never_negative(at, at.node.inputs[0]):
            image = at.pad(image, [(0, 0), *windows.rows, (0, 0)])
        else:
            image = _mirrored(at, image, windows)
    _give_image(at, _pool(at, "MAX_POOL_2D", image, windows, padding))


def _mirrored(at: Lowering, image: str, windows: _Windows) -> str:
    """The edge repeated outwards: each window holds these values already, so its maximum is the same."""
    if any(2 * max(row) > k for row, k in zip(windows.rows, windows.kernel, strict=True)):
        return at.pad(image, [(0, 0), *windows.rows, (0, 0)], float(np.finfo(np.float32).min))
    rows = [(0, 0), *windows.rows, (0, 0)]
    shape = [d + b + e for d, (b, e) in zip(at.shape_of(image), rows, strict=True)]
    mode = schema.MirrorPadMode.SYMMETRIC
    return at.op("MIRROR_PAD", [image, at.integers(np.array(rows, np.int32))], shape, mode=mode)


def _never_negative(at: Lowering, name: str) -> bool:
    maker = at.context.makers.get(name)
    if maker is None:
        return False
    if maker.op in _NEVER_NEGATIVE:
        return True
    if maker.op == "Clip":
        low = at.context.at(maker).constant(1)
        return float(low) >= 0 if low is not None else maker.number("min", -1.0) >= 0
    return maker.op in _KEEPS_THE_SIGN and all(
        _never_negative(at, n) for n in maker.inputs[: None if maker.op == "Concat" else 1]
    )


def average_pool(at: Lowering) -> None:
    """AVERAGE_POOL_2D; where ONNX counts its padding otherwise, a constant corrects the edges."""
    windows = _windows(at, at.node.integers("kernel_shape") or [], at.shape()[2:], at.out_shape()[2:])
    if windows.dilations != (1, 1):
        raise at.unsupported("AVERAGE_POOL_2D has no dilation")
    image = _image(at)
    counted = at.node.integer("count_include_pad", 0) == 1
    padded = any(map(any, windows.rows))
    if not padded or (windows.same and not counted):
        padding = _SAME if padded else _VALID
        return _give_image(at, _pool(at, "AVERAGE_POOL_2D", image, windows, padding))
    image = at.pad(image, [(0, 0), *windows.rows, (0, 0)])
    made = _pool(at, "AVERAGE_POOL_2D", image, windows, _VALID)
    area = float(np.prod(windows.kernel))
    share = area / _counted(at, windows, counted)
    if np.any(share != 1):
        made = at.binary("MUL", made, at.number(share[None, :, :, None]))
    return _give_image(at, made)


def _counted(at: Lowering, windows: _Windows, with_padding: bool) -> Array:
    """How many elements ONNX divides each window's sum by."""
    pads = at.node.integers("pads") or [0] * 4
    count = len(pads) // 2
    ends = ([0] * (2 - count) + pads[count:]) if with_padding else [0, 0]
    along = []
    for axis in range(2):
        size, begin = windows.size[axis], windows.begin[axis]
        low, high = (0, begin + size + ends[axis]) if with_padding else (begin, begin + size)
        starts = np.arange(windows.out[axis]) * windows.strides[axis]
        stops = np.minimum(starts + windows.kernel[axis], high)
        along.append(np.maximum(stops - np.maximum(starts, low), 1))
    return np.outer(along[0], along[1]).astype(np.float64)


def _pool(at: Lowering, kind: str, image: str, windows: _Windows, padding: int) -> str:
    shape = at.shape_of(image)
    return at.op(
        kind,
        [image],
        (shape[0], *windows.out, shape[3]),
        padding=padding,
        strideH=windows.strides[0],
        strideW=windows.strides[1],
        filterHeight=windows.kernel[0],
        filterWidth=windows.kernel[1],
        fusedActivationFunction=0,
    )


def resize(at: Lowering) -> None:
    """RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR."""
    mode = at.node.text("mode", "nearest")
    if mode not in ("nearest", "linear", "bilinear"):
        raise at.unsupported(f"there is no {mode} interpolation in TensorFlow Lite")
    before, after = at.shape(), at.out_shape()
    if before[:2] != after[:2]:
        raise at.unsupported("it resizes the batch or the channels")
    default = "asymmetric" if at.node.op == "Upsample" else "half_pixel"
    coordinates = at.node.text("coordinate_transformation_mode", default)
    image = _image(at)
    shape = at.shape_of(image)
    out = ([1] if len(after) == 3 else []) + list(after[2:])
    centers = coordinates in ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric")
    kind = "RESIZE_NEAREST_NEIGHBOR" if mode == "nearest" else "RESIZE_BILINEAR"
    made = at.op(
        kind,
        [image, at.integers(out)],
        (shape[0], *out, shape[3]),
        alignCorners=coordinates == "align_corners",
        halfPixelCenters=centers,
    )
    _give_image(at, made)


def depth_to_space(at: Lowering) -> None:
    """DEPTH_TO_SPACE; PyTorch's order of channels (CRD) is brought into TensorFlow's first."""
    size = at.node.integer("blocksize", 1)
    value = at.input()
    channels = at.shape()[1]
    if at.node.text("mode", "DCR") == "CRD":
        order = np.arange(channels).reshape(channels // size**2, size**2).T.reshape(-1)
        value = at.op("GATHER", [value, at.integers(order)], at.shape(), axis=1, batchDims=0)
    image = at.channels_last(value)
    n, h, w, c = at.shape_of(image)
    _give_image(at, at.op("DEPTH_TO_SPACE", [image], (n, h * size, w * size, c // size**2), blockSize=size))


def space_to_depth(at: Lowering) -> None:
    """SPACE_TO_DEPTH."""
    size = at.node.integer("blocksize", 1)
    image = at.channels_last(at.input())
    n, h, w, c = at.shape_of(image)
    _give_image(at, at.op("SPACE_TO_DEPTH", [image], (n, h // size, w // size, c * size**2), blockSize=size))


RULES: dict[str, Rule] = {
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "Resize": resize,
    "Upsample": resize,
    "DepthToSpace": depth_to_space,
    "SpaceToDepth": space_to_depth,
}
