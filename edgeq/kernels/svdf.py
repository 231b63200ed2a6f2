"""SVDF with an int8 input and an int16 or int8 state."""

from __future__ import annotations

import numpy as np

from edgeq.graph import DType, Graph, Op, Tensor
from edgeq.kernels import arithmetic, rules
from edgeq.kernels.contract import Constant, Facts, Kernel, Lowering, Rule
from edgeq.kernels.elementwise import scale_initializer
from edgeq.kernels.types import INT8, INT32, SUFFIX


def _ends(graph: Graph, op: Op) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    inp, features, times, state = (graph.input_of(op, i) for i in (0, 1, 2, 4))
    assert inp is not None and features is not None and times is not None and state is not None
    return inp, features, times, state, graph.output_of(op)


def effective_scales(graph: Graph, op: Op) -> tuple[float, float]:
    """Of the features in the state's steps, of the times in the output's (SvdfPrepare multiplies in float32)."""
    inp, features, times, state, out = _ends(graph, op)
    s = arithmetic.scale_of
    first = np.float32(np.float32(s(inp) * s(features)) / s(state))
    second = np.float32(np.float32(s(state) * s(times)) / s(out))
    return float(first), float(second)


def memory_fits(graph: Graph, op: Op) -> Facts | None:
    """Input {in_shape}, features {features}, times {times}, state {state} and rank {rank} don't give an output {out}:
    the file is damaged."""
    inp, features, times, state, out = _ends(graph, op)
    rank = op.integer("rank")
    shapes = [t.shape for t in (inp, features, times, state, out)]
    if all(len(s) == 2 for s in shapes) and rank > 0:
        (batches, inputs), (filters, deep), (also, memory) = shapes[0], shapes[1], shapes[2]
        units = filters // rank
        sound = deep == inputs and also == filters and units * rank == filters
        if sound and state.shape == (batches, memory * filters) and out.shape == (batches, units):
            return None
    return {
        "in_shape": list(inp.shape),
        "features": list(features.shape),
        "times": list(times.shape),
        "state": list(state.shape),
        "rank": rank,
        "out": list(out.shape),
    }


def state_is_a_variable(graph: Graph, op: Op) -> Facts | None:
    """Its state '{tensor}' is no variable tensor: the file is damaged."""
    state = graph.input_of(op, 4)
    assert state is not None
    return None if state.is_variable else {"tensor": state.short_name}


def weights_have_one_scale(graph: Graph, op: Op) -> Facts | None:
    """The weights '{tensor}' must have one finite, positive scale and no zero point: convert the model again."""
    for position in (1, 2):
        tensor = graph.input_of(op, position)
        assert tensor is not None
        sound = arithmetic.per_tensor(tensor.quant) and arithmetic.usable(tensor.quant)
        if not sound or arithmetic.zero_point_of(tensor):
            return {"tensor": tensor.short_name}
    return None


def svdf_factors_are_defined(graph: Graph, op: Op) -> Facts | None:
    """Its scales make factors of {factors}; they must be less than 2**30: convert the model again."""
    factors = effective_scales(graph, op)
    return None if max(factors) < (1 << 30) - 64 else {"factors": [f"{f:.3g}" for f in factors]}


def no_activation(graph: Graph, op: Op) -> Facts | None:
    """A fused {activation} on an integer SVDF has no meaning in the reference: export the model without."""
    activation = op.text("fused_activation_function", "NONE")
    return None if activation in ("NONE", "RELU") else {"activation": activation}


def _lower(graph: Graph, op: Op) -> Lowering:
    inp, features, times, state, out = _ends(graph, op)
    bias = graph.input_of(op, 3)
    assert features.data is not None and times.data is not None
    units, rank, memory = out.shape[1], op.integer("rank"), times.shape[1]
    values = np.zeros(units, np.int32) if bias is None or bias.data is None else bias.data.astype(np.int32)
    first, second = (arithmetic.quantize_multiplier(f) for f in effective_scales(graph, op))
    return Lowering.of_call(
        arguments=("{in0}", "{in4}", "{out0}"),
        struct="edgeq_svdf_params",
        fields={
            "batches": str(inp.shape[0]),
            "inputs": str(inp.shape[1]),
            "units": str(units),
            "rank": str(rank),
            "memory": str(memory),
            "features": "{const:features}",
            "times": "{const:times}",
            "bias": "{const:bias}",
            "in_zero": str(arithmetic.zero_point_of(inp)),
            "state_zero": str(arithmetic.zero_point_of(state)),
            "out_zero": str(arithmetic.zero_point_of(out)),
            "feature_scale": scale_initializer(first),
            "time_scale": scale_initializer(second),
        },
        constants=(
            Constant("features", "int8_t", features.data.astype(np.int8).tobytes()),
            Constant("times", "int16_t", times.data.astype("<i2").tobytes()),
            Constant("bias", "int32_t", values.reshape(-1).astype("<i4").tobytes()),
        ),
        macs=inp.shape[0] * (features.elements + times.elements),
    )


def svdf_rules(kinds: tuple[tuple[DType, ...], ...], out: tuple[DType, ...], *more: Rule) -> tuple[Rule, ...]:
    """The rules of every type."""
    return (
        rules.arity(5, 5),
        rules.shapes_are_static,
        rules.nothing_is_empty,
        rules.types(kinds, out),
        rules.constant(1, "features"),
        rules.constant(2, "times"),
        rules.constant(3, "biases"),
        state_is_a_variable,
        memory_fits,
        *more,
        rules.activations_come_from_the_arena,
    )


KERNELS = tuple(
    Kernel(
        symbol=f"edgeq_svdf_s8_{SUFFIX[state]}",
        op="SVDF",
        types=f"int8 (state {state.value.lower()})",
        max_version=4,
        sources=(f"portable/svdf_s8_{SUFFIX[state]}.c",),
        rules=svdf_rules(
            (INT8, INT8, (state,), INT32, (state,)),
            INT8,
            rules.quantization_is_usable(0, 4),
            weights_have_one_scale,
            svdf_factors_are_defined,
            no_activation,
        ),
        lower=_lower,
        why="every core; its state is kept, model_reset() clears it",
        exact="" if state is DType.INT16 else "equal to TFLM's definition; host interpreters crash on it",
    )
    for state in (DType.INT16, DType.INT8)
)
