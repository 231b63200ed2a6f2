"""gemmlowp's fixed-point arithmetic on whole numbers, value for value, for tables worked out when code is generated."""

from __future__ import annotations

from edgeq.kernels.arithmetic import Multiplier, requantized

INT16, INT32 = (1 << 15) - 1, (1 << 31) - 1


def truncated(value: int, divisor: int) -> int:
    """C's division."""
    return value // divisor if value >= 0 else -(-value // divisor)


def wrapped(value: int) -> int:
    """The lowest 32 bits, signed."""
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)


def saturated(value: int, most: int) -> int:
    """Within -most - 1 to most."""
    return max(min(value, most), -most - 1)


def high_mul(a: int, b: int, most: int = INT32) -> int:
    """SaturatingRoundingDoublingHighMul of 16 or 32 bits: the product of two fractions."""
    if a == b == -most - 1:
        return most
    product = a * b
    half = (most + 1) >> 1
    return truncated(product + (half if product >= 0 else 1 - half), most + 1)


def round_shift(x: int, exponent: int) -> int:
    """RoundingDivideByPOT: ties away from zero."""
    if exponent == 0:
        return x
    remainder = x & ((1 << exponent) - 1)
    threshold = ((1 << exponent) - 1 >> 1) + (1 if x < 0 else 0)
    return (x >> exponent) + (1 if remainder > threshold else 0)


def multiplied(x: int, m: Multiplier) -> int:
    """MultiplyByQuantizedMultiplier, sums in 32 bits."""
    return requantized(wrapped(x), m)


def inverse_square_root(value: int) -> Multiplier:
    """1 / sqrt(value) for value > 0 as a multiplier (GetInvSqrtQuantizedMultiplierExp in
    tensorflow/lite/kernels/internal/quantization_util.cc, with the shift to the left)."""
    if value <= 1:
        return Multiplier(INT32, 0)
    right = 11
    while value >= 1 << 29:
        value //= 4
        right += 1
    pairs = (32 - value.bit_length() - 1) // 2 - 1
    right -= pairs
    value <<= 2 * pairs
    half = round_shift(value >> 1, 1)
    three_halves = (1 << 28) + (1 << 27)
    x = 1 << 28  # 1 with three integer bits
    for _ in range(5):
        cube = saturated(high_mul(high_mul(x, x), x) << 6, INT32)
        x = saturated((high_mul(three_halves, x) - high_mul(half, cube)) << 3, INT32)
    x = high_mul(x, 1518500250)  # sqrt(1/2)
    if right < 0:
        return Multiplier(x << -right, 0)
    return Multiplier(x, -right)
