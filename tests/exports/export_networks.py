"""Small networks for packages: of integers, with a state, of floats. Scales keep their outputs away from the limits."""

from __future__ import annotations

import numpy as np
from models_flatbuffer import O, T, model_bytes


def vision() -> bytes:
    """CONV_2D, DEPTHWISE_CONV_2D, CONV_2D 1x1, AVERAGE_POOL_2D, RESHAPE, FULLY_CONNECTED: 8x8x4 → 6, all int8."""
    rng = np.random.default_rng(11)

    def weights(*shape: int) -> T:
        return T(shape, scale=0.01, data=rng.integers(-127, 128, shape))

    def bias(count: int) -> T:
        return T((count,), "INT32", scale=0.001, data=rng.integers(-2000, 2000, count))

    tensors = [
        T((1, 8, 8, 4), scale=0.1, name="image"),
        weights(8, 3, 3, 4),
        bias(8),
        T((1, 8, 8, 8), scale=0.1, zero_point=-3),
        weights(1, 3, 3, 8),
        bias(8),
        T((1, 8, 8, 8), scale=0.1, zero_point=5),
        weights(16, 1, 1, 8),
        bias(16),
        T((1, 8, 8, 16), scale=0.1, zero_point=-20),
        T((1, 4, 4, 16), scale=0.1, zero_point=-20),
        T((1, 256), scale=0.1, zero_point=-20),
        weights(6, 256),
        bias(6),
        T((1, 6), scale=0.3, zero_point=4, name="scores"),
    ]
    same = {"stride_h": 1, "stride_w": 1, "padding": "SAME"}
    pool = {"stride_h": 2, "stride_w": 2, "filter_height": 2, "filter_width": 2, "padding": "VALID"}
    operators = [
        O("CONV_2D", [0, 1, 2], [3], same, version=3),
        O("DEPTHWISE_CONV_2D", [3, 4, 5], [6], {**same, "depth_multiplier": 1}, version=3),
        O("CONV_2D", [6, 7, 8], [9], same, version=3),
        O("AVERAGE_POOL_2D", [9], [10], pool, version=2),
        O("RESHAPE", [10], [11], {"new_shape": [1, 256]}),
        O("FULLY_CONNECTED", [11, 12, 13], [14], version=4),
    ]
    return model_bytes(tensors, operators, [0], [14])


def recurrent() -> bytes:
    """SVDF with its state, 6 → 4, int8: what it says of an input depends on those before."""
    rng = np.random.default_rng(12)
    tensors = [
        T((1, 6), scale=0.1, zero_point=2, name="frame"),
        T((4, 6), scale=0.01, data=rng.integers(-127, 128, (4, 6))),
        T((4, 5), "INT16", scale=2**-15, data=rng.integers(-32767, 32768, (4, 5))),
        T((4,), "INT32", scale=2**-24, data=rng.integers(-1000, 1000, 4)),
        T((1, 20), "INT16", scale=2**-9, is_variable=True),
        T((1, 4), scale=0.05, zero_point=-3, name="words"),
    ]
    svdf = O("SVDF", [0, 1, 2, 3, 4], [5], {"rank": 1, "fused_activation_function": "RELU"}, version=3)
    return model_bytes(tensors, [svdf], [0], [5])


def floats() -> bytes:
    """FULLY_CONNECTED and SOFTMAX, 5 → 3, float32: exponentials, which aren't rounded as the reference rounds them."""
    rng = np.random.default_rng(13)
    tensors = [
        T((1, 5), "FLOAT32", name="x"),
        T((3, 5), "FLOAT32", data=rng.standard_normal((3, 5))),
        T((3,), "FLOAT32", data=rng.standard_normal(3)),
        T((1, 3), "FLOAT32"),
        T((1, 3), "FLOAT32", name="p"),
    ]
    operators = [O("FULLY_CONNECTED", [0, 1, 2], [3]), O("SOFTMAX", [3], [4], {"beta": 1.0})]
    return model_bytes(tensors, operators, [0], [4])
