"""Arithmetic element by element, activations, comparisons."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from edgeq.importers.lowering.context import Lowering, Rule
from edgeq.importers.lowering.net import narrow_type

_BOOL = "bool"


def unary(kind: str, at: Lowering) -> None:
    """One input, one output of its shape."""
    at.give(at.op(kind, [at.input()], at.shape()))


def binary(kind: str, at: Lowering) -> None:
    """Two inputs that broadcast; more (Sum, Max) one after the other."""
    value = at.input()
    for position in range(1, len(at.node.inputs)):
        value = at.binary(kind, value, at.input(position))
    at.give(value)


def compare(kind: str, at: Lowering) -> None:
    """Two inputs, a truth value."""
    at.give(at.binary(kind, at.input(), at.input(1), _BOOL))


def divide(at: Lowering) -> None:
    """By a constant: MUL with its reciprocal, which quantizes; else DIV."""
    divisor = at.constant(1)
    if divisor is not None and divisor.dtype.kind == "f" and np.all(divisor != 0):
        return at.give(at.binary("MUL", at.input(), at.number(1.0 / divisor.astype(np.float64))))
    return binary("DIV", at)


def mean(at: Lowering) -> None:
    """The mean of several inputs."""
    binary("ADD", at)
    total = at.context.lookup(at.node.outputs[0])
    at.give(at.binary("MUL", total, at.number(1.0 / len(at.node.inputs))))


def power(at: Lowering) -> None:
    """Squares and roots by their own operators."""
    exponent = at.constant(1)
    value = at.input()
    known = float(exponent.reshape(-1)[0]) if exponent is not None and exponent.size == 1 else None
    if known == 1.0:
        at.give(value)
    elif known == 2.0:
        at.give(at.op("MUL", [value, value], at.shape(), fusedActivationFunction=0))
    elif known == 0.5:
        at.give(at.op("SQRT", [value], at.shape()))
    elif known == -0.5:
        at.give(at.op("RSQRT", [value], at.shape()))
    else:
        at.give(at.binary("POW", value, at.input(1)))


def reciprocal(at: Lowering) -> None:
    """1 / x."""
    at.give(at.binary("DIV", at.number(1.0), at.input()))


def clip(at: Lowering) -> None:
    """RELU, RELU6 and RELU_N1_TO_1 where the bounds are theirs, else MINIMUM and MAXIMUM."""
    low, high = _bound(at, 1, "min"), _bound(at, 2, "max")
    value = at.input()
    kinds: dict[tuple[float | None, float | None], str] = {
        (0.0, 6.0): "RELU6",
        (0.0, None): "RELU",
        (-1.0, 1.0): "RELU_N1_TO_1",
        (0.0, 1.0): "RELU_0_TO_1",
    }
    if at.type_of(value) == "float32" and (low, high) in kinds:
        return at.give(at.op(kinds[low, high], [value], at.shape()))
    dtype = at.type_of(value)
    for kind, bound in (("MAXIMUM", low), ("MINIMUM", high)):
        if bound is not None:
            limit = at.context.writer.constant(np.array(bound, dtype), "bound")
            value = at.op(kind, [value, limit], at.shape())
    return at.give(value)


def _bound(at: Lowering, position: int, attribute: str) -> float | None:
    if at.node.has(position):
        value = float(np.ravel(at.known(position, f"its {attribute}"))[0])
    elif attribute in at.node.attributes:
        value = at.node.number(attribute)
    else:
        return None
    return None if abs(value) > 3e38 else value


def leaky_relu(at: Lowering) -> None:
    """LEAKY_RELU."""
    at.give(at.op("LEAKY_RELU", [at.input()], at.shape(), alpha=at.node.number("alpha", 0.01)))


def prelu(at: Lowering) -> None:
    """PRELU; one slope for all is a LEAKY_RELU."""
    slope = at.constant(1)
    if slope is not None and slope.size == 1:
        return at.give(at.op("LEAKY_RELU", [at.input()], at.shape(), alpha=float(slope.reshape(-1)[0])))
    return at.give(at.op("PRELU", [at.input(), at.input(1)], at.shape()))


def elu(at: Lowering) -> None:
    """ELU, whose alpha is 1."""
    if at.node.number("alpha", 1.0) != 1.0:
        raise at.unsupported("TensorFlow Lite's ELU has alpha 1")
    unary("ELU", at)


def hard_sigmoid(at: Lowering) -> None:
    """max(0, min(1, alpha x + beta)) as RELU6 over six times that, divided by six."""
    alpha, beta = at.node.number("alpha", 0.2), at.node.number("beta", 0.5)
    at.give(_hard_sigmoid(at, at.input(), alpha, beta))


def _hard_sigmoid(at: Lowering, value: str, alpha: float, beta: float) -> str:
    shape = at.shape_of(value)
    if abs(6 * alpha - 1) > 1e-6:
        value = at.op("MUL", [value, at.number(6 * alpha)], shape)
    moved = at.op("ADD", [value, at.number(6 * beta)], shape)
    return at.op("MUL", [at.op("RELU6", [moved], shape), at.number(1 / 6)], shape)


def swish(at: Lowering) -> None:
    """x sigmoid(alpha x)."""
    value = at.input()
    alpha = at.node.number("alpha", 1.0)
    inner = value if alpha == 1.0 else at.op("MUL", [value, at.number(alpha)], at.shape())
    at.give(at.op("MUL", [value, at.op("LOGISTIC", [inner], at.shape())], at.shape()))


def softplus(at: Lowering) -> None:
    """log(1 + exp x), as max(x, 0) + log(1 + exp(-|x|)), which doesn't overflow."""
    at.give(_softplus(at, at.input()))


def _softplus(at: Lowering, value: str) -> str:
    shape = at.shape_of(value)
    small = at.op("EXP", [at.op("NEG", [at.op("ABS", [value], shape)], shape)], shape)
    log = at.op("LOG", [at.op("ADD", [small, at.number(1.0)], shape)], shape)
    return at.op("ADD", [at.op("RELU", [value], shape), log], shape)


def mish(at: Lowering) -> None:
    """x tanh(softplus x)."""
    value = at.input()
    at.give(at.op("MUL", [value, at.op("TANH", [_softplus(at, value)], at.shape())], at.shape()))


def softsign(at: Lowering) -> None:
    """x / (1 + |x|)."""
    value = at.input()
    below = at.op("ADD", [at.op("ABS", [value], at.shape()), at.number(1.0)], at.shape())
    at.give(at.op("DIV", [value, below], at.shape()))


def selu(at: Lowering) -> None:
    """gamma (max(x, 0) + alpha (exp(min(x, 0)) - 1)), with ELU for the latter."""
    alpha, gamma = at.node.number("alpha", 1.67326319), at.node.number("gamma", 1.05070102)
    value, shape = at.input(), at.shape()
    below = at.op("ELU", [at.op("MINIMUM", [value, at.number(0.0)], shape)], shape)
    below = at.op("MUL", [below, at.number(alpha * gamma)], shape)
    above = at.op("MUL", [at.op("RELU", [value], shape), at.number(gamma)], shape)
    at.give(at.op("ADD", [above, below], shape))


def gelu(at: Lowering) -> None:
    """GELU."""
    approximate = at.node.text("approximate", "none") == "tanh"
    at.give(at.op("GELU", [at.input()], at.shape(), approximate=approximate))


def erf(at: Lowering) -> None:
    """Only inside a GELU written out: x/2 (1 + erf(x / sqrt 2)) in any order of its factors."""
    raise at.unsupported(
        "TensorFlow Lite has no ERF; export GELU as one operator (opset 20 or later), or use its tanh approximation"
    )


def where(at: Lowering) -> None:
    """SELECT_V2."""
    shapes = (at.shape(0), at.shape(1), at.shape(2))
    ends = [at.input(0), at.input(1), at.input(2)]
    at.give(at.op("SELECT_V2", ends, np.broadcast_shapes(*shapes), at.type_of(ends[1])))


def cast(at: Lowering) -> None:
    """CAST; nothing where both types are one in a `.tflite`."""
    before, after = at.type_of(at.input()), at.out_type()
    if before == after:
        return at.give(at.input())
    found = at.constant(0)
    if found is not None:
        return at.give(at.context.writer.constant(found.astype(narrow_type(after)), at.node.outputs[0]))
    return at.give(at.op("CAST", [at.input()], at.shape(), after))


def identity(at: Lowering) -> None:
    """Nothing."""
    at.give(at.input())


def _table(rule: Callable[[str, Lowering], None], **kinds: str) -> dict[str, Rule]:
    return {name: partial(rule, kind) for name, kind in kinds.items()}


RULES: dict[str, Rule] = {
    **_table(
        unary,
        Abs="ABS", Ceil="CEIL", Cos="COS", Exp="EXP", Floor="FLOOR", HardSwish="HARD_SWISH", Log="LOG", Neg="NEG",
        Not="LOGICAL_NOT", Relu="RELU", Round="ROUND", Sigmoid="LOGISTIC", Sign="SIGN", Sin="SIN", Sqrt="SQRT",
        Tanh="TANH",
    ),
    **_table(
        binary,
        Add="ADD", Sub="SUB", Mul="MUL", Max="MAXIMUM", Min="MINIMUM", Sum="ADD", And="LOGICAL_AND", Or="LOGICAL_OR",
    ),
    **_table(
        compare,
        Equal="EQUAL", Greater="GREATER", GreaterOrEqual="GREATER_EQUAL", Less="LESS", LessOrEqual="LESS_EQUAL",
    ),
    "Cast": cast,
    "Clip": clip,
    "Div": divide,
    "Dropout": identity,
    "Elu": elu,
    "Erf": erf,
    "Gelu": gelu,
    "HardSigmoid": hard_sigmoid,
    "Identity": identity,
    "LeakyRelu": leaky_relu,
    "Mean": mean,
    "Mish": mish,
    "PRelu": prelu,
    "Pow": power,
    "Reciprocal": reciprocal,
    "Selu": selu,
    "Softplus": softplus,
    "Softsign": softsign,
    "Swish": swish,
    "Where": where,
}  # fmt: skip
