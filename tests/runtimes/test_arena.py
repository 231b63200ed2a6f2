"""The arena against figures of tflite-micro itself: MicroInterpreter::arena_used_bytes(), and the smallest arena that
AllocateTensors() succeeded with (0 where that wasn't found), from builds for 32 bits with short enums, at the commits
that `targets/runtimes/tflm.toml` names, CMSIS-NN's sizes as with the DSP extension."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layers import convolution, dense, single
from models_flatbuffer import T

from edgeq import tflite
from edgeq.graph import Graph
from edgeq.runtimes import ArenaEstimate, judge
from edgeq.runtimes.tflm_planner import Lifetime, place, plan_bytes

POINTWISE = convolution(weights=(8, 1, 1, 4), output=(1, 4, 4, 8), stride=2)
DEPTHWISE = {"kind": "DEPTHWISE_CONV_2D", "output": (1, 8, 8, 4)}


def arena(graph: Graph, kernels: str, isa: str = "dsp") -> ArenaEstimate:
    report = judge(graph, "tflm", kernels=kernels, isa=isa)  # type: ignore[arg-type]
    assert report.arena is not None, report.refused
    return report.arena


@pytest.mark.parametrize(
    ("graph", "cmsis_nn", "reference"),
    [
        (convolution(), (1412, 1424), (1268, 1280)),
        (POINTWISE, (884, 960), (884, 960)),
        (convolution(activations="INT16"), (2180, 2192), (2036, 2048)),
        (convolution(held="INT4"), (1412, 1424), (1556, 1568)),
        (convolution(weights=(8, 3, 3, 2)), (1412, 1424), (1268, 1280)),
        (convolution(activations="FLOAT32", held="FLOAT32"), (3472, 3472), (3536, 3536)),
        (convolution(weights=(1, 3, 3, 4), **DEPTHWISE), (980, 992), (980, 992)),
        (convolution(weights=(1, 5, 5, 4), **DEPTHWISE), (1188, 1200), (980, 992)),
        (dense(), (468, 0), (436, 0)),
        (dense(per_channel=True), (532, 0), (500, 0)),
        (dense(activations="INT16"), (484, 656), (452, 624)),
        (dense(data=(1, 5, 12), output=(1, 5, 7)), (612, 736), (516, 624)),
        (single("SOFTMAX", T((1, 10), scale=0.5), T((1, 10), scale=1 / 256, zero_point=-128)), (420, 544), (420, 544)),
        (single("TANH", T((1, 4, 4, 3), scale=0.5), T((1, 4, 4, 3), scale=1 / 128)), (436, 512), (436, 512)),
        (
            single(
                "MEAN",
                T((1, 4, 4, 3), scale=0.5),
                T((1, 3), scale=0.5),
                T((2,), "INT32", data=[1, 2]),
                options={"keep_dims": False},
            ),
            (500, 0),
            (500, 0),
        ),
        (
            single(
                "SPACE_TO_DEPTH", T((1, 4, 4, 3), scale=0.5), T((1, 2, 2, 12), scale=0.5), options={"block_size": 2}
            ),
            (452, 0),
            (452, 0),
        ),
    ],
)
def test_single_operators_to_the_byte(graph: Graph, cmsis_nn: tuple[int, int], reference: tuple[int, int]) -> None:
    for kernels, (used, smallest) in (("cmsis-nn", cmsis_nn), ("reference", reference)):
        found = arena(graph, kernels)
        assert found.used_bytes == used
        assert smallest in (0, found.needed_bytes)
        assert found.needed_bytes >= found.used_bytes


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "cmsis_nn", "reference"),
    [
        ("kws_int8", (22_820, 22_832), (22_772, 22_784)),
        ("vww_int8", (100_708, 100_720), (100_660, 100_672)),
        ("ic_int8", (54_996, 55_008), (54_340, 54_352)),
        ("ad_int8", (2_580, 3_024), (2_260, 2_704)),
        ("ic_float", (199_120, 199_120), (201_760, 201_760)),
        ("vww_float", (299_968, 299_968), (321_808, 321_808)),
        ("ad_float", (4_848, 4_848), (4_528, 4_528)),
    ],
)
def test_reference_models_to_the_byte(
    shared: Path, name: str, cmsis_nn: tuple[int, int], reference: tuple[int, int]
) -> None:
    """KWS, VWW, IC and AD in int8 with CMSIS-NN are also what an image for a Cortex-M4 reported."""
    graph = tflite.read(shared / "mlperf_tiny" / f"{name}.tflite")
    for kernels, figures in (("cmsis-nn", cmsis_nn), ("reference", reference)):
        found = arena(graph, kernels)
        assert (found.used_bytes, found.needed_bytes) == figures


def test_scratch_depends_on_the_core() -> None:
    """arm_convolve_s8_get_buffer_size: two int16 columns of 36 without Helium, four int8 columns of 48 with it."""
    sizes = {isa: arena(convolution(), "cmsis-nn", isa).scratch_bytes for isa in ("plain", "dsp", "mve")}
    assert sizes == {"plain": 144, "dsp": 144, "mve": 192}
    five = convolution(weights=(1, 5, 5, 4), **DEPTHWISE)
    sizes = {isa: arena(five, "cmsis-nn", isa).scratch_bytes for isa in ("plain", "dsp", "mve")}
    assert sizes == {"plain": 0, "dsp": 200, "mve": 12_400}


buffers = st.lists(
    st.builds(
        lambda size, first, length: Lifetime(size * 16, first, first + length),
        st.integers(0, 40),
        st.integers(0, 9),
        st.integers(0, 4),
    ),
    max_size=14,
)


@given(buffers)
def test_buffers_alive_together_never_overlap(wanted: list[Lifetime]) -> None:
    offsets = place(wanted)
    for i, a in enumerate(wanted):
        for j, b in enumerate(wanted[:i]):
            apart = a.last < b.first or b.last < a.first
            beside = offsets[i] + a.size_bytes <= offsets[j] or offsets[j] + b.size_bytes <= offsets[i]
            assert apart or beside
    most = max((sum(b.size_bytes for b in wanted if b.first <= t <= b.last) for t in range(14)), default=0)
    assert most <= plan_bytes(wanted) <= sum(b.size_bytes for b in wanted)


def test_the_largest_lies_lowest_and_gaps_are_used() -> None:
    wanted = [Lifetime(32, 0, 1), Lifetime(64, 1, 2), Lifetime(32, 2, 3), Lifetime(16, 1, 1)]
    assert place(wanted) == (64, 0, 64, 96)


def test_variables_stay_in_the_tail() -> None:
    state = np.zeros((4, 3))
    graph = single(
        "SVDF",
        T((1, 3), "FLOAT32"),
        T((1, 4), "FLOAT32"),
        T((4, 3), "FLOAT32", data=state),
        T((4, 10), "FLOAT32", data=np.zeros((4, 10))),
        T((4,), "FLOAT32", data=np.zeros(4)),
        T((1, 40), "FLOAT32", is_variable=True),
        options={"rank": 1},
    )
    assert arena(graph, "reference").tail_bytes > 160
    assert arena(graph, "reference").head_bytes == 48
