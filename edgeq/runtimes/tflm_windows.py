"""CMSIS-NN's scratch for convolutions: what its *_get_buffer_size functions answer, reimplemented.

Source: CMSIS-NN at the commit that `targets/runtimes/tflm.toml` names, Source/ConvolutionFunctions. "plain" is a core
without the DSP extension, "mve" one with Helium.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

from edgeq.graph import DType, Op

_HELIUM_CHANNELS = 124
"""Input channels that the depthwise Helium kernel buffers at a time."""
_ONE_CHANNEL_AS_CONVOLUTION = 1
"""Helium: a depthwise convolution of one input channel with more outputs than this runs as a convolution (GCC and
Clang; 8 with Arm's compiler)."""
_REVERSE_FROM_CHANNELS = 16
"""Transposed convolutions with more input channels run as a convolution with reversed filters."""


@dataclass(frozen=True)
class Window:
    """The geometry of a convolution; pairs are (height, width).

    Attributes:
        channels: of the input.
        filter_channels: of the filter's innermost dimension; fewer than `channels` in grouped convolutions.
    """

    batches: int
    input: tuple[int, int]
    channels: int
    filter: tuple[int, int]
    filter_channels: int
    output: tuple[int, int]
    outputs: int
    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: tuple[int, int]


def window_of(op: Op, data: tuple[int, ...], weights: tuple[int, ...], output: tuple[int, ...]) -> Window:
    """From NHWC shapes and an operator's options."""
    stride = (op.integer("stride_h", 1), op.integer("stride_w", 1))
    dilation = (op.integer("dilation_h_factor", 1), op.integer("dilation_w_factor", 1))
    size, kernel, made = (data[1], data[2]), (weights[1], weights[2]), (output[1], output[2])
    same = op.text("padding") == "SAME"
    padding = (0, 0)
    if same:
        first, second = (_padding(size[i], kernel[i], made[i], stride[i], dilation[i]) for i in (0, 1))
        padding = (first, second)
    return Window(
        data[0], size, data[3], kernel, weights[3], made, output[3], stride, dilation, padding
    )  # fmt: skip


def scratch(window: Window, activations: DType, isa: str) -> int:
    """Bytes of a convolution with int8 weights and int8 or int16 activations."""
    columns = prod(window.filter) * window.channels
    if activations is DType.INT16:
        return 4 * _up(columns, 8) * 2 if isa == "mve" else 2 * columns * 2
    pointwise = window.filter == (1, 1) and window.padding == (0, 0) and window.dilation == (1, 1)
    if pointwise and window.channels == window.filter_channels:
        return 0
    if isa == "mve":
        return _row_scratch(window) if _is_row(window) else 4 * _up(columns, 16)
    return 2 * _up(columns, 4) * 2


def depthwise_scratch(window: Window, int4_weights: bool, isa: str) -> int:
    """Bytes of a depthwise convolution with int8 activations."""
    if isa == "mve" and not int4_weights and window.channels == 1 and window.outputs > _ONE_CHANNEL_AS_CONVOLUTION:
        as_convolution = scratch(replace(window, filter_channels=1), DType.INT8, isa)
        return as_convolution + window.outputs * prod(window.filter)
    if window.channels != window.outputs or window.batches != 1 or window.dilation != (1, 1):
        return 0
    if not int4_weights and isa != "mve" and window.filter == (3, 3) and max(window.padding) <= 1:
        return 0
    if isa == "mve":
        return 4 * _HELIUM_CHANNELS * prod(window.filter)
    if isa == "plain" and not int4_weights:
        return 0
    return 2 * window.channels * prod(window.filter)


def transpose_scratch(window: Window, isa: str) -> tuple[int, int]:
    """Bytes of a transposed convolution's two buffers, int8."""
    if max(window.stride) <= 2 and window.channels > _REVERSE_FROM_CHANNELS:
        columns = prod(window.filter) * window.channels
        rows = 4 * _up(columns, 16) if isa == "mve" else 2 * _up(columns, 4) * 2
        return rows, columns * window.outputs
    width = (window.input[1] - 1) * window.stride[1] + max(window.filter[1], window.stride[0])
    height = max(window.filter[0], window.stride[0])
    return 4 * width * window.outputs * height, 0


def _is_row(window: Window) -> bool:
    """Whether CMSIS-NN takes it for a convolution along one row."""
    return (
        window.input[0] == 1
        and window.dilation[1] == 1
        and window.filter[0] == 1
        and window.stride[1] * window.channels % 4 == 0
        and window.channels == window.filter_channels
    )


def _row_scratch(window: Window) -> int:
    """Helium's buffer for a convolution along one row."""
    pad, kernel, stride, channels = window.padding[1], window.filter[1], window.stride[1], window.channels
    total = (window.output[1] - 1) * stride + kernel - window.input[1]
    uneven = total % 2 if total >= 0 else -(-total % 2)
    right = max(1, (pad + uneven + stride - 1) // stride) if pad + uneven != 0 else 0
    left = max(1, (pad + stride - 1) // stride) if pad != 0 else 0
    between = max(window.output[1] - (right + left), 0)
    if right + between + left != window.output[1]:
        return 4 * _up(channels * prod(window.filter), 16)
    full = kernel * channels
    before = pad * channels
    after = right * channels if uneven else before
    return max(full + before, full - channels + after)


def _padding(size: int, kernel: int, made: int, stride: int, dilation: int) -> int:
    """Rows or columns of padding in front."""
    total = (made - 1) * stride + (kernel - 1) * dilation + 1 - size
    return max(total, 0) // 2


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
