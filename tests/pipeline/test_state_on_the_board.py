"""A model with a state on the virtual board: profiled, and profiled again while the board still runs."""

from __future__ import annotations

import numpy as np
from models_flatbuffer import T, single_op_model

from edgeq import pipeline


def test_a_second_profile_starts_from_a_reset() -> None:
    rng = np.random.default_rng(12)
    ends = [
        T((1, 6), scale=0.1, zero_point=2, name="frame"),
        T((4, 6), scale=0.01, data=rng.integers(-127, 128, (4, 6))),
        T((4, 5), "INT16", scale=2**-15, data=rng.integers(-32767, 32768, (4, 5))),
        T((4,), "INT32", scale=2**-24, data=rng.integers(-1000, 1000, 4)),
        T((1, 20), "INT16", scale=2**-9, is_variable=True),
    ]
    options = {"rank": 1, "fused_activation_function": "RELU"}
    model = single_op_model("SVDF", ends, T((1, 4), scale=0.05, zero_point=-3, name="words"), options, version=3)
    firmware = pipeline.build(model, "nucleo-l4r5zi")
    with pipeline.simulate(firmware, "nucleo-l4r5zi") as board:
        for _ in range(2):
            got = pipeline.profile(
                model, "nucleo-l4r5zi", port=board.port, hardware=False, firmware=firmware, samples=4
            )
            assert got.validation.bit_exact and got.validation.samples == 4
