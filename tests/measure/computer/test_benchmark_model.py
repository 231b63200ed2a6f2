"""The text of TensorFlow Lite's benchmark_model.

The samples have the form that tools/benchmark and core/profiling/profile_summarizer give it; the figures are made up.
"""

from __future__ import annotations

import pytest

from edgeq.errors import DeviceError
from edgeq.measure.computer.engines.benchmark_model import parse

HEAD = """STARTING!
Log parameter values verbosely: [0]
INFO: Initialized TensorFlow Lite runtime.
{applied}
The input model file size (MB): 0.0539
Initialized session in 2.184ms.
Running benchmark for at least 10 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
count=812 first=2113 curr=588 min=571 max=2113 avg=613.5 std=71
Running benchmark for at least 50 iterations and at least 2 seconds but terminate if exceeding 150 seconds.
count=3262 first=604 curr=610 min=566 max=1411 avg=612.25 std=28 p5=575 median=609 p95=655
Inference timings in us: Init: 2184, First inference: 2113, Warmup (avg): 613.5, Inference (avg): 612.25
Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE.
Memory footprint delta from the start of the tool (MB): init=1.10156 overall=3.5
Overall peak memory footprint (MB) via periodic monitoring: init=1.0 overall=6.25
"""
TABLE = """Profiling Info for Benchmark Initialization:
============================== Run Order ==============================
\t             [node type]\t  [first]\t [avg ms]\t     [%]\t  [cdf%]\t  [mem KB]\t[times called]\t[Name]
\t                 AllocateTensors\t    0.091\t    0.091\t100.000%\t100.000%\t     0.000\t        1\tAllocateTensors/0
============================== Top by Computation Time ==============================
Operator-wise Profiling Info for Regular Benchmark Runs:
============================== Run Order ==============================
\t             [node type]\t  [first]\t [avg ms]\t     [%]\t  [cdf%]\t  [mem KB]\t[times called]\t[Name]
\t                 CONV_2D\t    0.180\t    0.171\t 28.033%\t 28.033%\t     0.000\t        1\t[act/Relu]:0
\t       DEPTHWISE_CONV_2D\t    0.061\t    0.060\t  9.836%\t 37.869%\t     0.000\t        1\t[act_1/Relu]:1
============================== Top by Computation Time ==============================
\t                 CONV_2D\t    0.180\t    0.171\t 28.033%\t 28.033%\t     0.000\t        1\t[act/Relu]:0
"""


def test_times_operators_and_memory() -> None:
    run = parse(HEAD.format(applied="") + TABLE, "none", "phone")
    assert run.run_ns == (566_000, 609_000, 1_411_000)
    assert [(o.op, o.ns, o.name) for o in run.operators] == [
        ("CONV_2D", 171_000, "[act/Relu]:0"),
        ("DEPTHWISE_CONV_2D", 60_000, "[act_1/Relu]:1"),
    ]
    assert run.peak_rss_bytes == round(6.25 * 1024 * 1024)
    assert run.outputs == ()
    assert any("3262 inferences" in text for text in run.notices)


def test_delegates_that_took_part_or_nothing() -> None:
    partly = "Explicitly applied GPU delegate, and the model graph will be partially executed by the delegate"
    run = parse(HEAD.format(applied=partly), "gpu", "phone")
    assert any("GPU delegate took only part" in text for text in run.notices)
    whole = "Explicitly applied GPU delegate, and the model graph will be completely executed by the delegate"
    assert not any("delegate took" in text for text in parse(HEAD.format(applied=whole), "gpu", "phone").notices)
    silent = parse(HEAD.format(applied=""), "gpu", "phone")
    assert any("doesn't say that the gpu delegate was applied" in text for text in silent.notices)


def test_an_older_program_without_a_median() -> None:
    text = HEAD.format(applied="").replace(" p5=575 median=609 p95=655", "")
    run = parse(text, "none", "phone")
    assert run.run_ns == (566_000, 612_250, 1_411_000)
    assert any("mean stands for it" in text for text in run.notices)


def test_no_timings() -> None:
    with pytest.raises(DeviceError, match="no timings") as caught:
        parse("STARTING!\nERROR: Could not open 'model.tflite'.\n", "none", "phone")
    assert "Could not open" in str(caught.value)
