"""UNIDIRECTIONAL_SEQUENCE_LSTM of int8 with an int16 cell, and of float32; no peepholes, projection, normalization."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from edgeq.graph import DType, Graph, Op, Tensor
from edgeq.kernels import arithmetic, rules
from edgeq.kernels.arithmetic import quantize_multiplier, scale_of, zero_point_of
from edgeq.kernels.contract import Constant, Facts, Kernel, Lowering
from edgeq.kernels.elementwise import scale_initializer
from edgeq.kernels.float_layers import NEAR, literal
from edgeq.kernels.types import FLOAT, INT8

_WEIGHTS, _RECURRENT, _BIASES = range(1, 5), range(5, 9), range(12, 16)
_HIDDEN, _CELL = 18, 19
_PLAIN = (*range(9, 12), 16, 17, *range(20, 24))
_GATE_SCALE = np.float32(2.0**-12)  # gates enter their activations with three integer bits


def _tensor(graph: Graph, op: Op, position: int) -> Tensor:
    tensor = graph.input_of(op, position)
    assert tensor is not None
    return tensor


def is_plain(graph: Graph, op: Op) -> Facts | None:
    """Its input {position} (peepholes 9-11, projection 16-17, layer normalization 20-23) has no kernel, or a gate's
    part is left out: edgeq has LSTMs with all four gates and nothing more; export the model that way."""
    extra = [p for p in _PLAIN if graph.input_of(op, p) is not None]
    missing = [p for p in (*_WEIGHTS, *_RECURRENT, *_BIASES, _HIDDEN, _CELL) if graph.input_of(op, p) is None]
    return {"position": [*extra, *missing][0]} if extra or missing else None


def parts_have_types(graph: Graph, op: Op) -> Facts | None:
    """Input {position}, '{tensor}', is {dtype}, not {allowed}: edgeq has LSTMs of int8 with an int16 cell; convert the
    model again with `edgeq convert`."""
    wanted = dict.fromkeys((*_WEIGHTS, *_RECURRENT, _HIDDEN), DType.INT8)
    wanted |= dict.fromkeys(_BIASES, DType.INT32) | {_CELL: DType.INT16}
    for position, dtype in wanted.items():
        tensor = _tensor(graph, op, position)
        if tensor.dtype is not dtype:
            return {
                "position": position,
                "tensor": tensor.short_name,
                "dtype": tensor.dtype.value,
                "allowed": dtype.value,
            }
    return None


def parts_are_known(graph: Graph, op: Op) -> Facts | None:
    """Input '{tensor}' must be a constant with one scale and no zero point, or, of the state, a variable with one
    scale: convert the model again."""
    for position in (*_WEIGHTS, *_RECURRENT):
        tensor = _tensor(graph, op, position)
        sound = arithmetic.per_tensor(tensor.quant) and arithmetic.usable(tensor.quant)
        if not tensor.is_constant or not sound or zero_point_of(tensor):
            return {"tensor": tensor.short_name}
    for position in _BIASES:
        if not _tensor(graph, op, position).is_constant:
            return {"tensor": _tensor(graph, op, position).short_name}
    for position in (_HIDDEN, _CELL):
        tensor = _tensor(graph, op, position)
        sound = arithmetic.per_tensor(tensor.quant) and arithmetic.usable(tensor.quant)
        if not tensor.is_variable or not sound:
            return {"tensor": tensor.short_name}
    return None


def float_parts_are_known(graph: Graph, op: Op) -> Facts | None:
    """Input '{tensor}' must be float32, and a constant or, of the state, a variable, with the activation TANH: convert
    the model again."""
    for position in (*_WEIGHTS, *_RECURRENT, *_BIASES, _HIDDEN, _CELL):
        tensor = _tensor(graph, op, position)
        placed = tensor.is_variable if position in (_HIDDEN, _CELL) else tensor.is_constant
        tanh = op.text("fused_activation_function", "NONE") == "TANH"
        if tensor.dtype is not DType.FLOAT32 or not placed or not tanh:
            return {"tensor": tensor.short_name}
    return None


def lstm_shapes_fit(graph: Graph, op: Op) -> Facts | None:
    """Input {in_shape}, weights {weights}, states {hidden} and output {out} don't belong together: the file is
    damaged."""
    inp, out = _tensor(graph, op, 0), graph.output_of(op)
    units = _tensor(graph, op, 1).shape[0] if _tensor(graph, op, 1).shape else 0
    shapes = {p: _tensor(graph, op, p).shape for p in (*_WEIGHTS, *_RECURRENT, *_BIASES, _HIDDEN, _CELL)}
    if len(inp.shape) == 3 and units:
        batches = inp.shape[1] if op.options.get("time_major") else inp.shape[0]
        sound = all(shapes[p] == (units, inp.shape[2]) for p in _WEIGHTS)
        sound = sound and all(shapes[p] == (units, units) for p in _RECURRENT)
        sound = sound and all(shapes[p] == (units,) for p in _BIASES)
        if sound and shapes[_HIDDEN] == shapes[_CELL] == (batches, units) and out.shape == (*inp.shape[:2], units):
            return None
    return {
        "in_shape": list(inp.shape),
        "weights": list(shapes[1]),
        "hidden": list(shapes[_HIDDEN]),
        "out": list(out.shape),
    }


def cell_is_a_power_of_two(graph: Graph, op: Op) -> Facts | None:
    """The cell's scale is {scale}; it must be a power of two from 2**-15 to 2**-10, as converters make it, with the
    activation TANH: convert the model again."""
    scale = float(scale_of(_tensor(graph, op, _CELL)))
    fraction, exponent = math.frexp(scale)
    tanh = op.text("fused_activation_function", "NONE") == "TANH"
    return None if tanh and fraction == 0.5 and -15 <= exponent - 1 <= -10 else {"scale": scale}


def _matrix(graph: Graph, op: Op, positions: range) -> npt.NDArray[np.int8]:
    parts = []
    for position in positions:
        data = _tensor(graph, op, position).data
        assert data is not None
        parts.append(data.astype(np.int8))
    return np.stack(parts)


def _ends(graph: Graph, op: Op) -> dict[str, str]:
    """`batches` to `time_major` of the parameters."""
    inp = _tensor(graph, op, 0)
    major = bool(op.options.get("time_major"))
    steps, batches = inp.shape[:2] if major else (inp.shape[1], inp.shape[0])
    return {
        "batches": str(batches),
        "steps": str(steps),
        "inputs": str(inp.shape[2]),
        "units": str(_tensor(graph, op, 1).shape[0]),
        "time_major": str(int(major)),
    }


def _clip(op: Op) -> float:
    clip = op.options.get("cell_clip", 0.0)
    return float(clip) if isinstance(clip, int | float) else 0.0


def _lower_float(graph: Graph, op: Op) -> Lowering:
    """LstmStepFloat (tensorflow/lite/kernels/lstm_eval.cc)."""
    fields, constants, size = _ends(graph, op), [], 0
    for name, positions in (("weights", _WEIGHTS), ("recurrent", _RECURRENT), ("bias", _BIASES)):
        data = [d for p in positions if (d := _tensor(graph, op, p).data) is not None]
        constants.append(Constant(name, "float", np.stack(data).astype("<f4").tobytes()))
        fields[name] = f"{{const:{name}}}"
        size += sum(d.size for d in data) if name != "bias" else 0
    limit = _clip(op)
    fields["clip"] = literal(limit if limit > 0 else float(np.finfo(np.float32).max))
    return Lowering.of_call(
        arguments=("{in0}", f"{{in{_HIDDEN}}}", f"{{in{_CELL}}}", "{out0}", "{scratch}"),
        struct="edgeq_lstm_f32_params",
        fields=fields,
        constants=tuple(constants),
        scratch_bytes=16 * int(fields["units"]),
        macs=int(fields["steps"]) * int(fields["batches"]) * size,
    )


def _lower(graph: Graph, op: Op) -> Lowering:
    """PopulateQuantizedLstmParams8x8_16 and PopulatePrecomputedZPTimesWeightsWithBias
    (tensorflow/lite/kernels/unidirectional_sequence_lstm.cc); factors in float32."""
    inp, hidden, cell = _tensor(graph, op, 0), _tensor(graph, op, _HIDDEN), _tensor(graph, op, _CELL)
    weights, recurrent = _matrix(graph, op, _WEIGHTS), _matrix(graph, op, _RECURRENT)
    biases = []
    for position in _BIASES:
        data = _tensor(graph, op, position).data
        assert data is not None
        biases.append(data.astype(np.int64))
    bias = np.stack(biases) - zero_point_of(inp) * weights.astype(np.int64).sum(axis=2)
    recurrent_bias = -zero_point_of(hidden) * recurrent.astype(np.int64).sum(axis=2)
    scales = []
    for gate in range(4):
        for source, position in ((inp, _WEIGHTS[gate]), (hidden, _RECURRENT[gate])):
            real = np.float32(np.float32(scale_of(_tensor(graph, op, position)) * scale_of(source)) / _GATE_SCALE)
            scales.append(scale_initializer(quantize_multiplier(float(real))))
    ends = _ends(graph, op)
    limit = _clip(op) / float(scale_of(cell))
    hidden_scale = float(np.float32(2.0**-15 / float(scale_of(hidden)) * 2.0**-15))
    return Lowering.of_call(
        arguments=("{in0}", f"{{in{_HIDDEN}}}", f"{{in{_CELL}}}", "{out0}", "{scratch}"),
        struct="edgeq_lstm_params",
        fields={
            **ends,
            "weights": "{const:weights}",
            "recurrent": "{const:recurrent}",
            "bias": "{const:bias}",
            "recurrent_bias": "{const:recurrent_bias}",
            "scales": "{" + ", ".join(scales) + "}",
            "cell_exponent": str(math.frexp(float(scale_of(cell)))[1] - 1),
            "clip": str(int(min(max(limit, 0.0), 32767.0))),
            "hidden_scale": scale_initializer(quantize_multiplier(hidden_scale)),
            "hidden_zero": str(zero_point_of(hidden)),
        },
        constants=(
            Constant("weights", "int8_t", weights.tobytes()),
            Constant("recurrent", "int8_t", recurrent.tobytes()),
            Constant("bias", "int32_t", bias.astype("<i4").tobytes()),
            Constant("recurrent_bias", "int32_t", recurrent_bias.astype("<i4").tobytes()),
        ),
        scratch_bytes=8 * int(ends["units"]),
        macs=int(ends["steps"]) * int(ends["batches"]) * (weights.size + recurrent.size),
    )


KERNELS = (
    Kernel(
        symbol="edgeq_lstm_s8",
        op="UNIDIRECTIONAL_SEQUENCE_LSTM",
        types="int8 (cell int16)",
        max_version=4,
        sources=("portable/lstm_s8.c",),
        rules=(
            rules.arity(1, 24),
            rules.shapes_are_static,
            rules.types((INT8, (*INT8, DType.INT32, DType.INT16)), INT8),
            is_plain,
            parts_have_types,
            parts_are_known,
            lstm_shapes_fit,
            cell_is_a_power_of_two,
            rules.quantization_is_usable(0),
            rules.activations_come_from_the_arena,
        ),
        lower=_lower,
        why="every core; its state is kept, model_reset() clears it",
    ),
    Kernel(
        symbol="edgeq_lstm_f32",
        op="UNIDIRECTIONAL_SEQUENCE_LSTM",
        types="float32",
        max_version=4,
        sources=("portable/lstm_f32.c",),
        rules=(
            rules.arity(1, 24),
            rules.shapes_are_static,
            rules.types((FLOAT,), FLOAT),
            is_plain,
            float_parts_are_known,
            lstm_shapes_fit,
            rules.activations_come_from_the_arena,
        ),
        lower=_lower_float,
        why="every core; slow without a floating-point unit; its state is kept, model_reset() clears it",
        exact=NEAR,
    ),
)
