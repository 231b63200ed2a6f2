"""Sums over axes and what is made of them: matrix products, means, softmax, normalizations."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeq.importers.lowering.context import Lowering, Rule


def gemm(at: Lowering) -> None:
    """FULLY_CONNECTED with the weights as (outputs, inputs)."""
    weights = at.constant(1)
    value = at.input()
    if at.node.integer("transA"):
        value = at.transpose(value, (1, 0))
    alpha, beta = at.node.number("alpha", 1.0), at.node.number("beta", 1.0)
    if weights is None:
        second = at.input(1) if not at.node.integer("transB") else at.transpose(at.input(1), (1, 0))
        made = _product(at, value, second)
        if alpha != 1.0:
            made = at.binary("MUL", made, at.number(alpha))
        return at.give(_plus(at, made, beta))
    matrix = (weights if at.node.integer("transB") else weights.T) * np.float32(alpha)
    bias = at.constant(2)
    if bias is not None and bias.size in (1, len(matrix)):
        row = np.broadcast_to(bias.reshape(-1), (len(matrix),)) * np.float32(beta)
        return at.give(at.linear(value, matrix, row))
    return at.give(_plus(at, at.linear(value, matrix), beta))


def _plus(at: Lowering, value: str, beta: float) -> str:
    if not at.node.has(2):
        return value
    added = at.input(2)
    if beta != 1.0:
        added = at.binary("MUL", added, at.number(beta))
    return at.binary("ADD", value, added)


def matmul(at: Lowering) -> None:
    """FULLY_CONNECTED by a constant matrix, else BATCH_MATMUL."""
    weights = at.constant(1)
    if weights is not None and weights.ndim == 2:
        value = at.input()
        made = at.linear(at.reshape(value, (1, *at.shape())) if len(at.shape()) == 1 else value, weights.T)
    else:
        made = _product(at, at.input(), at.input(1))
    at.give(at.reshape(made, at.out_shape()))


def _product(at: Lowering, first: str, second: str) -> str:
    a, b = at.shape_of(first), at.shape_of(second)
    if len(a) == 1:
        first, a = at.reshape(first, (1, *a)), (1, *a)
    if len(b) == 1:
        second, b = at.reshape(second, (*b, 1)), (*b, 1)
    shape = (*np.broadcast_shapes(a[:-2], b[:-2]), a[-2], b[-1])
    return at.op("BATCH_MATMUL", [first, second], shape, adjX=False, adjY=False)


def softmax(kind: str, at: Lowering) -> None:
    """SOFTMAX along the last axis; other axes are moved there. Before opset 13 all axes from `axis` on count as one."""
    shape = at.shape()
    rank = len(shape)
    modern = at.context.graph.opset >= 13
    axis = at.node.integer("axis", -1 if modern else 1) % rank
    options: dict[str, Any] = {"beta": 1.0} if kind == "SOFTMAX" else {}
    if not modern and axis != rank - 1:
        flat = (int(np.prod(shape[:axis])), int(np.prod(shape[axis:])))
        made = at.op(kind, [at.reshape(at.input(), flat)], flat, **options)
        return at.give(at.reshape(made, shape))
    order = [*(i for i in range(rank) if i != axis), axis]
    moved = at.transpose(at.input(), order)
    made = at.op(kind, [moved], at.shape_of(moved), **options)
    return at.give(at.transpose(made, [order.index(i) for i in range(rank)]))


def reduce(kind: str, at: Lowering) -> None:
    """ReduceMean and the like."""
    at.give(_reduced(at, kind, at.input()))


def _reduced(at: Lowering, kind: str, value: str) -> str:
    rank = len(at.shape())
    axes = at.axes(1, rank)
    if axes is None or not axes:
        if at.node.integer("noop_with_empty_axes"):
            return value
        axes = list(range(rank))
    return at.reduce(kind, value, axes, keep=at.node.integer("keepdims", 1) == 1)


def reduce_l2(at: Lowering) -> None:
    """The root of the sum of squares."""
    value = at.input()
    total = _reduced(at, "SUM", at.op("MUL", [value, value], at.shape()))
    at.give(at.op("SQRT", [total], at.shape_of(total)))


def reduce_sum_square(at: Lowering) -> None:
    """The sum of squares."""
    value = at.input()
    at.give(_reduced(at, "SUM", at.op("MUL", [value, value], at.shape())))


def reduce_l1(at: Lowering) -> None:
    """The sum of magnitudes."""
    at.give(_reduced(at, "SUM", at.op("ABS", [at.input()], at.shape())))


def global_pool(kind: str, at: Lowering) -> None:
    """MEAN or REDUCE_MAX over everything behind the channels."""
    at.give(at.reduce(kind, at.input(), list(range(2, len(at.shape()))), keep=True))


def argmax(kind: str, at: Lowering) -> None:
    """ARG_MAX or ARG_MIN."""
    if at.node.integer("select_last_index"):
        raise at.unsupported("TensorFlow Lite takes the first of equal maxima")
    shape = at.shape()
    axis = at.node.integer("axis") % len(shape)
    left = [d for i, d in enumerate(shape) if i != axis]
    place = at.context.writer.constant(np.array(axis, np.int32), "axis")
    made = at.op(kind, [at.input(), place], left, "int32", outputType=schema.TensorType.INT32)
    at.give(at.reshape(made, at.out_shape()))


def batch_norm(at: Lowering) -> None:
    """MUL and ADD per channel (folded into the layer before where there is one)."""
    scale, shift, mean, variance = (at.known(i, "its parameters").astype(np.float64) for i in range(1, 5))
    factor = scale / np.sqrt(variance + at.node.number("epsilon", 1e-5))
    along = (-1, *[1] * (len(at.shape()) - 2))
    made = at.binary("MUL", at.input(), at.number(factor.reshape(along)))
    at.give(at.binary("ADD", made, at.number((shift - mean * factor).reshape(along))))


def layer_norm(at: Lowering) -> None:
    """Mean and variance over the last axes, then scale and shift."""
    rank = len(at.shape())
    axes = list(range(at.node.integer("axis", -1) % rank, rank))
    made = _normalized(at, at.input(), axes)
    made = at.binary("MUL", made, at.input(1))
    at.give(at.binary("ADD", made, at.input(2)) if at.node.has(2) else made)


def instance_norm(at: Lowering) -> None:
    """Mean and variance over height and width."""
    rank = len(at.shape())
    made = _normalized(at, at.input(), list(range(2, rank)))
    along = (-1, *[1] * (rank - 2))
    made = at.binary("MUL", made, at.reshape(at.input(1), (at.shape()[1], *along[1:])))
    at.give(at.binary("ADD", made, at.reshape(at.input(2), (at.shape()[1], *along[1:]))))


def group_norm(at: Lowering) -> None:
    """Mean and variance over groups of channels (opset 21's scale and shift per channel)."""
    shape = at.shape()
    groups = at.node.integer("num_groups", 1)
    grouped = at.reshape(at.input(), (shape[0], groups, -(-int(np.prod(shape[1:])) // groups)))
    made = at.reshape(_normalized(at, grouped, [2]), shape)
    along = (shape[1], *[1] * (len(shape) - 2))

    def per_channel(position: int) -> str:
        stored = at.known(position, "its parameters").reshape(-1)
        return at.number(np.repeat(stored, shape[1] // len(stored)).reshape(along))

    at.give(at.binary("ADD", at.binary("MUL", made, per_channel(1)), per_channel(2)))


def _normalized(at: Lowering, value: str, axes: list[int]) -> str:
    centred = at.binary("SUB", value, at.reduce("MEAN", value, axes, keep=True))
    square = at.op("MUL", [centred, centred], at.shape_of(centred))
    variance = at.reduce("MEAN", square, axes, keep=True)
    moved = at.binary("ADD", variance, at.number(at.node.number("epsilon", 1e-5)))
    return at.binary("MUL", centred, at.op("RSQRT", [moved], at.shape_of(moved)))


def lp_normalization(at: Lowering) -> None:
    """x / sqrt(sum x²)."""
    if at.node.integer("p", 2) != 2:
        raise at.unsupported("only p = 2 can be had")
    value = at.input()
    axis = at.node.integer("axis", -1) % len(at.shape())
    total = at.reduce("SUM", at.op("MUL", [value, value], at.shape()), [axis], keep=True)
    at.give(at.binary("DIV", value, at.op("SQRT", [total], at.shape_of(total))))


RULES: dict[str, Rule] = {
    "ArgMax": partial(argmax, "ARG_MAX"),
    "ArgMin": partial(argmax, "ARG_MIN"),
    "BatchNormalization": batch_norm,
    "Gemm": gemm,
    "GlobalAveragePool": partial(global_pool, "MEAN"),
    "GlobalMaxPool": partial(global_pool, "REDUCE_MAX"),
    "GroupNormalization": group_norm,
    "InstanceNormalization": instance_norm,
    "LayerNormalization": layer_norm,
    "LogSoftmax": partial(softmax, "LOG_SOFTMAX"),
    "LpNormalization": lp_normalization,
    "MatMul": matmul,
    "ReduceL1": reduce_l1,
    "ReduceL2": reduce_l2,
    "ReduceMax": partial(reduce, "REDUCE_MAX"),
    "ReduceMean": partial(reduce, "MEAN"),
    "ReduceMin": partial(reduce, "REDUCE_MIN"),
    "ReduceProd": partial(reduce, "REDUCE_PROD"),
    "ReduceSum": partial(reduce, "SUM"),
    "ReduceSumSquare": reduce_sum_square,
    "Softmax": partial(softmax, "SOFTMAX"),
}
