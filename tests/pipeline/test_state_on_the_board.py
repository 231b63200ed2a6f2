"""A model with a state on the virtual board: profiled and evaluated while the board still runs."""

from __future__ import annotations

import numpy as np
from models_flatbuffer import T, single_op_model

from edgeq import pipeline
from edgeq.measure.accuracy.engines import Device, Engine, HostCode
from edgeq.tflite import parse


def stateful() -> bytes:
    """SVDF with an int16 state, 6 → 4."""
    rng = np.random.default_rng(12)
    ends = [
        T((1, 6), scale=0.1, zero_point=2, name="frame"),
        T((4, 6), scale=0.01, data=rng.integers(-127, 128, (4, 6))),
        T((4, 5), "INT16", scale=2**-15, data=rng.integers(-32767, 32768, (4, 5))),
        T((4,), "INT32", scale=2**-24, data=rng.integers(-1000, 1000, 4)),
        T((1, 20), "INT16", scale=2**-9, is_variable=True),
    ]
    options = {"rank": 1, "fused_activation_function": "RELU"}
    return single_op_model("SVDF", ends, T((1, 4), scale=0.05, zero_point=-3, name="words"), options, version=3)


def test_each_profile_starts_from_a_reset_and_each_evaluated_sample_too() -> None:
    model = stateful()
    firmware, target = pipeline.build(model, "nucleo-l4r5zi"), pipeline.load_target("nucleo-l4r5zi")
    with pipeline.simulate(firmware, target) as board:
        for _ in range(2):
            got = pipeline.profile(model, target, port=board.port, hardware=False, firmware=firmware, samples=4)
            assert got.validation.bit_exact and got.validation.samples == 4
        known = (model, parse(model))
        with Device(board.port, 115200, "simulated", "", known, firmware.manifest, target) as device:
            assert repeated(device)
            assert device.compared is not None
            assert (device.compared.samples, device.compared.differing) == (3, 0)


def test_compiled_for_this_computer_each_sample_starts_from_a_reset() -> None:
    model = stateful()
    with HostCode(model, parse(model), pipeline.load_target("nucleo-l4r5zi").core) as engine:
        assert repeated(engine)


def repeated(engine: Engine) -> bool:
    """Whether three times the same input gives the same output: with a state that goes on it doesn't."""
    found = [engine.run([np.linspace(-4, 4, 6, dtype=np.float32)[None]])[0] for _ in range(3)]
    assert np.ptp(found[0]) > 0
    return all(np.array_equal(found[0], other) for other in found)
