"""A network whose operators are better run in another order than the file's."""

from __future__ import annotations

import numpy as np
from models_flatbuffer import O, T, model_bytes


def towers() -> bytes:
    """Two towers over one input, each wide before it is narrow, which the file walks in step."""
    rng = np.random.default_rng(2)
    scale = 0.05
    tensors = [T((1, 12, 12, 8), scale=scale)]
    operators, wide = [], []
    for size in (1, 3):
        at = len(tensors)
        tensors += [
            T((16, size, size, 8), scale=0.01, data=rng.integers(-127, 128, (16, size, size, 8))),
            T((16,), "INT32", scale=scale * 0.01, data=rng.integers(-1000, 1000, 16)),
            T((1, 12, 12, 16), scale=0.1, zero_point=3),
        ]
        options = {"padding": "SAME", "stride_w": 1, "stride_h": 1, "dilation_w_factor": 1, "dilation_h_factor": 1}
        operators.append(O("CONV_2D", [0, at, at + 1], [at + 2], options, version=3))
        wide.append(at + 2)
    pooled = []
    for index in wide:
        options = {"padding": "VALID", "stride_w": 2, "stride_h": 2, "filter_width": 2, "filter_height": 2}
        tensors.append(T((1, 6, 6, 16), scale=0.1, zero_point=3))
        operators.append(O("MAX_POOL_2D", [index], [len(tensors) - 1], options, version=2))
        pooled.append(len(tensors) - 1)
    tensors.append(T((1, 6, 6, 16), scale=0.15, zero_point=-2))
    operators.append(O("ADD", pooled, [len(tensors) - 1], version=2))
    return model_bytes(tensors, operators, [0], [len(tensors) - 1])
