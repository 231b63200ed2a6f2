"""TRANSPOSE_CONV and RESIZE_BILINEAR."""

from __future__ import annotations

import numpy as np

from edgeq.graph import DType, Graph, Op, Tensor
from edgeq.kernels import arithmetic, overlaps, rules, wide, windows
from edgeq.kernels.contract import Constant, Facts, Kernel, Lowering, Rule
from edgeq.kernels.convolution import scale_pairs
from edgeq.kernels.copies import ints
from edgeq.kernels.indexed import resize_fits
from edgeq.kernels.moves import outputs_keep_type, quantization_is_kept
from edgeq.kernels.types import INT8, INT16, INT32, SUFFIX
from edgeq.kernels.windows import Window


def _ends(graph: Graph, op: Op) -> tuple[Tensor, Tensor, Tensor]:
    weights, inp, out = graph.input_of(op, 1), graph.input_of(op, 2), graph.output_of(op)
    assert weights is not None and inp is not None
    return weights, inp, out


def transposed_window(graph: Graph, op: Op) -> Window:
    """The window of the convolution that this one is the transpose of, with input and output as they are here."""
    weights, inp, out = _ends(graph, op)
    strides = op.integer("stride_h", 1), op.integer("stride_w", 1)
    padding = op.text("padding")
    pads = []
    for size, kernel, stride in zip(out.shape[1:3], weights.shape[1:3], strides, strict=True):
        steps = arithmetic.output_size(size, kernel, stride, 1, padding)
        pads.append(arithmetic.same_padding(size, kernel, stride, 1, steps))
    return Window(
        batches=inp.shape[0],
        in_h=inp.shape[1],
        in_w=inp.shape[2],
        in_c=inp.shape[3],
        out_h=out.shape[1],
        out_w=out.shape[2],
        out_c=out.shape[3],
        filter_h=weights.shape[1],
        filter_w=weights.shape[2],
        stride_h=strides[0],
        stride_w=strides[1],
        dilation_h=1,
        dilation_w=1,
        pad_h=pads[0],
        pad_w=pads[1],
    )


def macs(graph: Graph, op: Op) -> int:
    """Multiply-accumulates: each input position meets every weight."""
    weights, inp, _ = _ends(graph, op)
    return inp.elements // inp.shape[3] * weights.elements


def _lower_transpose_conv(graph: Graph, op: Op) -> Lowering:
    weights, inp, out = _ends(graph, op)
    bias = graph.input_of(op, 3)
    assert weights.data is not None
    channels = out.shape[3]
    values = np.zeros(channels, np.int64) if bias is None or bias.data is None else bias.data.astype(np.int64)
    is_wide = inp.dtype is DType.INT16
    fields = {
        "window": transposed_window(graph, op).initializer(),
        "weights": "{const:weights}",
        "bias": "{const:bias}",
        "scales": "(const edgeq_scale *){const:scales}",
    }
    if is_wide:
        fields["narrow"] = str(int(bias is None or bias.dtype is DType.INT32))
    else:
        fields |= {"in_zero": str(arithmetic.zero_point_of(inp)), "out_zero": str(arithmetic.zero_point_of(out))}
    multipliers = arithmetic.convolution_multipliers(inp, weights, out, channels)
    packed = values.reshape(-1).astype("<i8" if is_wide else "<i4").tobytes()
    return Lowering.of_call(
        arguments=("{in2}", "{out0}"),
        struct="edgeq_conv_s16_params" if is_wide else "edgeq_conv_params",
        fields={**fields, **windows.activation_fields(op, out), "group": str(inp.shape[3])},
        constants=(
            Constant("weights", "int8_t", weights.data.astype(np.int8).tobytes()),
            Constant("bias", "int64_t" if is_wide else "int32_t", packed),
            Constant("scales", "int32_t", scale_pairs(multipliers), "parameters"),
        ),
        macs=macs(graph, op),
    )


def transposed_geometry(graph: Graph, op: Op) -> Facts | None:
    """Input {in_shape}, weights {weights}, strides {strides} and padding {padding} don't give an output {out_shape}:
    the file is damaged."""
    weights, inp, out = _ends(graph, op)
    strides = [op.integer("stride_h"), op.integer("stride_w")]
    padding = op.text("padding")
    sizes = ints(graph.input_of(op, 0))
    if padding in ("SAME", "VALID") and min(strides) > 0 and sizes == out.shape and len(out.shape) == 4:
        channels = (weights.shape[0], weights.shape[3]) == (out.shape[3], inp.shape[3])
        steps = [arithmetic.output_size(out.shape[1 + d], weights.shape[1 + d], strides[d], 1, padding) for d in (0, 1)]
        if channels and steps == list(inp.shape[1:3]) and inp.shape[0] == out.shape[0]:
            return None
    return {
        "in_shape": list(inp.shape),
        "weights": list(weights.shape),
        "strides": strides,
        "padding": padding,
        "out_shape": list(out.shape),
    }


def transposed_scales_fit(graph: Graph, op: Op) -> Facts | None:
    """The weights '{tensor}' {found}; TRANSPOSE_CONV takes symmetric weights with one scale, or one per output channel:
    convert the model again."""
    weights, _, _ = _ends(graph, op)
    quant = weights.quant
    if quant is None:
        return {"tensor": weights.short_name, "found": "have no scales"}
    if quant.per_channel and quant.quantized_dimension != 0:
        return {"tensor": weights.short_name, "found": f"have scales along dimension {quant.quantized_dimension}"}
    if np.any(quant.zero_point):
        return {"tensor": weights.short_name, "found": "have a zero point"}
    if not np.all(np.isfinite(quant.scale) & (quant.scale >= 0)):
        return {"tensor": weights.short_name, "found": "have a scale that is negative or no number"}
    return None


def transposed_bias_fits(graph: Graph, op: Op) -> Facts | None:
    """The bias '{tensor}' has {elements} elements for {channels} output channels: the file is damaged."""
    bias, out = graph.input_of(op, 3), graph.output_of(op)
    if bias is None or bias.elements == out.shape[-1]:
        return None
    return {"tensor": bias.short_name, "elements": bias.elements, "channels": out.shape[-1]}


def _transposed(dtype: DType, biases: tuple[DType, ...], *more: Rule) -> Kernel:
    is_wide = dtype is DType.INT16
    return Kernel(
        symbol=f"edgeq_transpose_conv_{SUFFIX[dtype]}",
        op="TRANSPOSE_CONV",
        types="int16 (int8 weights)" if is_wide else "int8",
        max_version=5,
        sources=(f"portable/transpose_conv_{SUFFIX[dtype]}.c",),
        rules=(
            rules.arity(3, 4),
            rules.shapes_are_static,
            rules.nothing_is_empty,
            rules.types((INT32, INT8, (dtype,), biases), (dtype,)),
            rules.constant(0, "output shape"),
            rules.constant(1, "weights"),
            rules.constant(3, "biases"),
            rules.rank(1, (4,)),
            rules.rank(2, (4,)),
            transposed_geometry,
            rules.quantization_is_usable(2),
            transposed_scales_fit,
            *more,
            transposed_bias_fits,
            rules.activation_is_known,
            rules.activation_range_fits,
            rules.activations_come_from_the_arena,
        ),
        lower=_lower_transpose_conv,
        why="every core; gathers, so that no sums are kept",
    )


_FRACTION = 1 << 10


def interpolation(size: int, out_size: int, corners: bool, centres: bool) -> list[int]:
    """For each index of the output: the two of the input around it and the distance from the first in 1/1024
    (ResizeBilinearInteger in reference/resize_bilinear.h)."""
    scale = (_FRACTION * size + out_size // 2) // out_size
    if corners and out_size > 1:
        scale = (_FRACTION * (size - 1) + (out_size - 1) // 2) // (out_size - 1)
    table = []
    for place in range(out_size):
        position = place * scale + (scale // 2 - _FRACTION // 2 if centres else 0)
        first = max(int(position / _FRACTION), 0)
        second = min(int((position + _FRACTION - 1) / _FRACTION), size - 1)
        table += [first, second, position - _FRACTION * first]
    return table


def _lower_bilinear(graph: Graph, op: Op) -> Lowering:
    inp, out = graph.input_of(op, 0), graph.output_of(op)
    assert inp is not None
    corners, centres = bool(op.options.get("align_corners")), bool(op.options.get("half_pixel_centers"))
    tables = [interpolation(inp.shape[d], out.shape[d], corners, centres) for d in (1, 2)]
    n, h, w, c = inp.shape
    return Lowering.of_call(
        arguments=("{in0}", "{out0}"),
        struct="edgeq_resize_params",
        fields={
            "batches": str(n),
            "in_h": str(h),
            "in_w": str(w),
            "depth": str(c),
            "out_h": str(out.shape[1]),
            "out_w": str(out.shape[2]),
            "rows": "{const:rows}",
            "columns": "{const:columns}",
        },
        constants=tuple(
            Constant(name, "int32_t", np.array(table, "<i4").tobytes(), "parameters")
            for name, table in zip(("rows", "columns"), tables, strict=True)
        ),
        overlap={0: overlaps.interpolated(inp, out, tuple(tables[0][::3]), tuple(tables[1][::3]))},
    )


KERNELS = (
    _transposed(DType.INT16, (DType.INT64, DType.INT32), wide.zero_points_are_zero, wide.wide_factor_is_defined(2, 1)),
    _transposed(DType.INT8, INT32, rules.factor_is_defined(2, 1)),
    *(
        Kernel(
            symbol=f"edgeq_resize_bilinear_{SUFFIX[dtype]}",
            op="RESIZE_BILINEAR",
            types=dtype.value.lower(),
            max_version=4,
            sources=(f"portable/resize_bilinear_{SUFFIX[dtype]}.c",),
            rules=(
                rules.arity(2, 2),
                rules.shapes_are_static,
                rules.nothing_is_empty,
                rules.types(((dtype,), INT32), (dtype,)),
                rules.constant(1, "size"),
                rules.rank(0, (4,)),
                outputs_keep_type,
                resize_fits,
                quantization_is_kept,
                rules.activations_come_from_the_arena,
            ),
            lower=_lower_bilinear,
            why="every core; positions and weights from tables",
        )
        for dtype in (*INT16, *INT8)
    ),
)
