"""Whether a model fits: every verdict, every figure, and what is said when it doesn't."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from graphs import graph
from hypothesis import given, settings
from hypothesis import strategies as st
from models_flatbuffer import O, T, model_bytes, single_op_model
from planes import plane_network
from towers import towers

from edgeq import pipeline
from edgeq import target as targets
from edgeq.check import MODEL_RULES, Estimate, FitReport, after_build, check, describe_peak
from edgeq.check.advice import peak
from edgeq.check.model_rules import findings
from edgeq.errors import UnsupportedError, UsageError
from edgeq.kernels import KERNELS, Lowering, Objective
from edgeq.memory import arrange, plan_memory
from edgeq.optimize import compile_program
from edgeq.report.fit import fit_text
from edgeq.selection import compile_model, footprint
from edgeq.target import Target
from edgeq.tflite import parse, read

random = np.random.default_rng(11)
CONV = {"stride_w": 1, "stride_h": 1, "padding": "SAME", "dilation_w_factor": 1, "dilation_h_factor": 1}


@pytest.fixture(scope="module")
def real() -> Target:
    return targets.load("nucleo-l4r5zi")


@pytest.fixture(scope="module")
def board(real: Target) -> Target:
    """With the portable kernels only: their scratch doesn't change as the others get faster."""
    isa = tuple(feature for feature in real.core.isa if feature not in ("dsp", "mve"))
    return replace(real, core=replace(real.core, isa=isa))


def smaller(board: Target, **sizes: int) -> Target:
    """The board with other memory sizes."""
    memory = tuple(replace(m, size_bytes=sizes.get(m.name, m.size_bytes)) for m in board.soc.memory)
    return replace(board, soc=replace(board.soc, memory=memory))


def weights(*shape: int, dtype: str = "INT8", **quant: object) -> T:
    values = random.integers(-100, 100, shape)
    return T(shape, dtype, data=values, **quant)  # type: ignore[arg-type]


def network(side: int = 8, channels: int = 16) -> bytes:
    """CONV_2D, ADD (a skip connection), FULLY_CONNECTED; int8."""
    image = (1, side, side, channels)
    tensors = [
        T(image, scale=0.1, name="image"),
        weights(channels, 3, 3, channels, scale=[0.01] * channels, axis=0),
        weights(channels, dtype="INT32", scale=[0.001] * channels),
        T(image, scale=0.2, name="conv"),
        T(image, scale=0.3, name="sum"),
        T((1, side * side * channels), scale=0.3, name="flat"),
        weights(4, side * side * channels, scale=0.02),
        T((1, 4), scale=0.5, name="scores"),
        T((2,), "INT32", data=[1, -1]),
    ]
    ops = [
        O("CONV_2D", [0, 1, 2], [3], CONV, 3),
        O("ADD", [0, 3], [4], {}, 2),
        O("RESHAPE", [4, 8], [5]),
        O("FULLY_CONNECTED", [5, 6, -1], [7], {}, 4),
    ]
    return model_bytes(tensors, ops, [0], [7])


def rules_of(report: FitReport) -> list[str]:
    return [f.rule for f in report.findings]


def test_a_model_that_fits(board: Target) -> None:
    report = check(parse(network(), name="net"), board)
    assert report.fits and report.supported and report.advice == () and report.findings == ()
    assert [op.op for op in report.operators] == ["CONV_2D", "ADD", "RESHAPE", "FULLY_CONNECTED"]
    assert report.macs == 8 * 8 * 16 * 9 * 16 + 4 * 1024
    parts = {p.name: p for b in report.budgets for p in b.parts}
    assert parts["arena"].size_bytes == report.plan.arena_bytes  # type: ignore[union-attr]
    assert parts["input buffer"].size_bytes == 1024
    assert parts["weights"].size_bytes >= 9 * 16 * 16 + 4 * 1024
    assert {name for name, p in parts.items() if p.estimated} == {"code", "runtime"}
    assert all(p.source for p in parts.values())
    assert report.ram.used_bytes + report.ram.headroom_bytes == 655_360
    assert report.ram.headroom_percent == pytest.approx(100 * report.ram.headroom_bytes / 655_360)


def test_json_is_plain_and_complete(board: Target) -> None:
    found = json.loads(json.dumps(check(parse(network()), board).to_json()))
    assert found["fits"] is True
    assert found["ram"]["used_bytes"] == sum(p["bytes"] for p in found["ram"]["parts"])
    assert [p["name"] for p in found["flash"]["parts"] if p["estimated"]] == ["code"]
    assert found["arena"]["arena_bytes"] >= found["arena"]["lower_bound_bytes"]
    assert len(found["operators"]) == 4


def test_the_estimated_latency_is_told_with_its_error_or_why_there_is_none(real: Target) -> None:
    """In the report of one target as in the table of several, and for programs."""
    model = parse(network())
    report = check(model, real)
    assert isinstance(report.latency, Estimate)
    row = next(line for line in fit_text(report).splitlines() if line.startswith("latency"))
    words = (f"±{report.latency.error_percent:.1f} %", f"{report.latency.cycles:,} cycles at 120 MHz", "estimated")
    assert all(word in row for word in words)
    energy = next(line for line in fit_text(report).splitlines() if line.startswith("energy"))
    assert "µJ ±" in energy and energy.rstrip().endswith("estimated")
    found = report.to_json()["latency"]
    assert isinstance(found, dict) and found["provenance"] == "estimated" and found["cycles"] == report.latency.cycles
    pico = check(model, targets.load("raspberry-pi-pico"))
    assert "latency: not estimated: costs were fitted on cortex-m4 only" in fit_text(pico)
    assert pico.to_json()["latency"] == {"provenance": None, "reason": "costs were fitted on cortex-m4 only"}
    refused = check(parse(single_op_model("Sparkle", [T((1, 4), scale=0.5)], T((1, 4), scale=0.5))), real)
    assert "latency" not in fit_text(refused)  # what stands above it says why


@pytest.mark.parametrize("memory", ["ram", "flash"])
def test_reserves_count_to_the_byte(board: Target, memory: str) -> None:
    model = parse(network())
    left = getattr(check(model, board), memory).headroom_bytes
    reserve = f"reserve_{memory}_bytes"
    assert check(model, board, **{reserve: left}).fits
    over = check(model, board, **{reserve: left + 1})
    assert not over.fits and over.supported
    assert "1 B over" in over.advice[0]
    assert getattr(over, memory).headroom_bytes == -1
    with pytest.raises(UsageError, match="-1 bytes"):
        check(model, board, **{reserve: -1})


def test_a_ram_that_is_too_small_names_the_layers_and_a_size_that_fits(board: Target) -> None:
    model = parse(network(side=16))
    report = check(model, smaller(board, sram=12 * 1024))
    first, second = report.advice[:2]
    assert "RAM (sram) is" in first
    # ADD reads image and conv and writes in place of one of them.
    assert "input 'image' 4,096 B + output 'conv' 4,096 B" in first
    assert "CONV_2D #0 (conv)" in second and "% of the input's width and height" in second
    scaled = int(second.split("about ")[1].split(" %")[0]) * 16 // 100
    again = check(parse(network(side=scaled)), smaller(board, sram=12 * 1024))
    assert again.plan.arena_bytes <= report.plan.arena_bytes + report.ram.headroom_bytes  # type: ignore[union-attr]


def test_a_reserve_that_leaves_no_arena_says_so(board: Target) -> None:
    report = check(parse(network()), board, reserve_ram_bytes=700_000)
    assert "even without an arena it doesn't fit" in report.advice[1]
    assert "reserve 700,000 B" in report.advice[1]


def test_a_flash_that_is_too_small_names_the_largest_weights(board: Target) -> None:
    report = check(parse(network()), smaller(board, flash=12 * 1024))
    assert not report.fits
    assert "flash (flash) is" in report.advice[0]
    assert report.advice[0].index("FULLY_CONNECTED #3") < report.advice[0].index("CONV_2D #0")
    hopeless = check(parse(network()), smaller(board, flash=1024))
    assert "even without weights" in hopeless.advice[1]


def test_memories_are_judged_one_by_one_as_the_linker_fills_them(board: Target) -> None:
    (sram,) = (m for m in board.soc.memory if m.kind == "ram")
    tight = replace(sram, name="dtcm", base=0x1000_0000, size_bytes=1536, holds=("arena",))
    rest = replace(sram, holds=("data", "stack"))
    flash = tuple(m for m in board.soc.memory if m.kind == "flash")
    split = replace(board, soc=replace(board.soc, memory=(*flash, tight, rest)))
    report = check(parse(network()), split)
    assert {b.memory: b.fits for b in report.budgets} == {"flash": True, "dtcm": False, "sram": True}
    assert report.ram.fits and not report.fits  # enough in all, but not where the arena has to be
    assert "RAM (dtcm)" in report.advice[0]


def test_the_peak_shows_what_is_kept_and_what_is_shared() -> None:
    residual = graph([32, 64, 96, 96, 32], [((0,), (1,)), ((1,), (2,)), ((2,), (3,)), ((3, 0), (4,))], [0], [4])
    asks = [Lowering(), Lowering(), Lowering(overlap={0: 0}, scratch_bytes=80), Lowering()]
    found = peak(residual, plan_memory(residual, asks))
    text = describe_peak(found)
    assert text == (
        "ADD #2 (t3): input 't2' 96 B + output 't3' 96 B + scratch 80 B + kept 't0' 32 B - 96 B in place = 208 B"
    )
    assert [b.role for b in found.live] == ["input", "output", "scratch", "kept"]


def test_operators_in_another_order_are_numbered_as_they_run_and_as_they_are_built(board: Target) -> None:
    graph = parse(towers())
    report, built = check(graph, board), arrange(compile_program(graph, board.core))
    assert report.plan == built.plan
    assert report.plan is not None
    assert report.plan.ordering is not None
    assert report.plan.ordering.order == (0, 2, 1, 3, 4)
    steps = [(step.op.index, step.op.kind, step.kernel.symbol, step.lowering.macs) for step in built.program.steps]
    assert [(op.index, op.op, op.kernel, op.macs) for op in report.operators] == steps
    assert report.peak is not None
    assert report.peak.label == built.program.graph.label(built.program.graph.ops[report.peak.op_index])
    at_least = f"at least {report.plan.ordering.file_peak_bytes:,} B instead of {report.plan.arena_bytes:,} B"
    assert [notice for notice in report.notices if at_least in notice]


@pytest.mark.parametrize("seed", [120, 122])  # of two where stripes give the smaller arena, not other kernels
def test_operators_in_stripes_are_judged_alone_and_sized_as_they_are_built(real: Target, seed: int) -> None:
    graph = parse(plane_network(seed))
    usual, report = check(graph, real), check(graph, real, objective=Objective.RAM)
    built = compile_model(graph, real.core, Objective.RAM)
    assert report.plan == built.plan
    assert any(step.inside for step in built.program.steps)
    assert _part(report, "arena") == built.plan.arena_bytes < _part(usual, "arena")
    for section in ("weights", "parameters"):
        made = [c for step in built.program.steps for c in step.lowering.constants if c.section == section]
        alignment = {"weights": 32, "parameters": 4}[section]
        assert _part(report, section) == sum(-(-len(c.data) // alignment) * alignment for c in made)
    assert {op.name for op in report.operators} == {op.name for op in usual.operators}
    assert [op.index for op in report.operators] == list(range(len(graph.ops)))
    assert report.macs == usual.macs
    assert sum("in stripes of" in choice for choice in report.choices) >= 1


def _part(report: FitReport, name: str) -> int:
    return sum(part.size_bytes for budget in report.budgets for part in budget.parts if part.name == name)


def test_an_operator_without_kernel_is_named_and_the_others_judged(board: Target) -> None:
    tensors = [T((1, 8), scale=0.1, name=n) for n in ("in", "mid", "out")]
    model = model_bytes(tensors, [O("MyOp", [0], [1]), O("RELU", [1], [2], {}, 2)], [0], [2])
    report = check(parse(model), board)
    bad, good = report.operators
    assert (bad.op, bad.kernel, bad.supported) == ("MyOp", "", False)
    assert bad.violations[0].rule == "operator_has_a_kernel" and "MyOp" in bad.violations[0].message
    assert good.supported and not report.fits
    assert report.ram.parts[0].estimated  # its scratch isn't known


def test_a_version_from_the_future_is_refused(board: Target) -> None:
    model = single_op_model("RELU", [T((1, 8), scale=0.1)], T((1, 8), scale=0.1), version=99)
    (op,) = check(parse(model), board).operators
    assert "version 99 of RELU" in op.violations[0].message


def conv(kind: str, kernel: T, bias: str = "FLOAT32") -> bytes:
    shape = (1, 4, 4, 3)
    quant = {} if kind.startswith("FLOAT") else {"scale": 0.1}
    inputs = [T(shape, kind, **quant, name="x"), kernel, weights(5, dtype=bias)]  # type: ignore[arg-type]
    return single_op_model("CONV_2D", inputs, T((1, 4, 4, 5), kind, **quant, name="y"), CONV, 3)  # type: ignore[arg-type]


def half_model() -> bytes:
    kernel = (5, 3, 3, 3)
    tensors = [
        weights(*kernel, dtype="FLOAT16"),
        T(kernel, "FLOAT32"),
        T((1, 4, 4, 3), "FLOAT32"),
        weights(5, dtype="FLOAT32"),
        T((1, 4, 4, 5), "FLOAT32"),
    ]
    ops = [O("DEQUANTIZE", [0], [1]), O("CONV_2D", [2, 1, 3], [4], CONV)]
    return model_bytes(tensors, ops, [2], [4])


def island_model() -> bytes:
    """int8, with one operator left in float."""
    tensors = [
        T((1, 8), scale=0.1),
        T((1, 8), scale=0.1),
        T((1, 8), "FLOAT32"),
        T((1, 8), "FLOAT32", name="left over"),
        T((1, 8), scale=0.1),
    ]
    ops = [O("RELU", [0], [1], {}, 2), O("DEQUANTIZE", [1], [2]), O("SIN", [2], [3]), O("QUANTIZE", [3], [4])]
    return model_bytes(tensors, ops, [0], [4])


@pytest.mark.parametrize(
    ("model", "rule", "words"),
    [
        (
            single_op_model("SIN", [T((1, 8), "FLOAT32")], T((1, 8), "FLOAT32")),
            "not_a_float_model",
            "This is a float model",
        ),
        (half_model(), "not_a_float_model", "float16"),
        (conv("FLOAT32", weights(5, 3, 3, 3, scale=0.1)), "not_dynamic_range", "dynamic range"),
        (island_model(), "no_float_left", "SIN #2 (left over)"),
        (
            conv("UINT8", T((5, 3, 3, 3), "UINT8", 0.1, data=np.ones((5, 3, 3, 3))), "INT32"),
            "not_uint8",
            "TensorFlow 1",
        ),
        (
            single_op_model("RELU_N1_TO_1", [T((1, 8), "INT16", 0.1)], T((1, 8), "INT16", 0.1)),
            "not_int16",
            "16x8",
        ),
    ],
)
def test_a_model_of_another_kind_gets_the_one_sentence_that_helps(
    board: Target, model: bytes, rule: str, words: str
) -> None:
    report = check(parse(model), board)
    assert rules_of(report) == [rule]
    assert words in report.findings[0].message and "edgeq convert" in report.findings[0].message
    assert not report.fits
    assert report.advice == ()  # first things first


def test_float_runs_and_is_said_to_be_slow(board: Target) -> None:
    report = check(parse(conv("FLOAT32", weights(5, 3, 3, 3, dtype="FLOAT32"))), board)
    assert report.fits
    assert "1 of 1 operators compute in float" in report.notices[0] and "edgeq convert" in report.notices[0]


def test_open_dimensions(board: Target) -> None:
    def relu(*signature: int) -> bytes:
        return single_op_model(
            "RELU", [T((1, 8), scale=0.1, shape_signature=signature, name="x")], T((1, 8), scale=0.1), {}, 2
        )

    frozen = check(parse(relu(-1, 8)), board)
    assert frozen.fits and "frozen to 1" in frozen.notices[0]
    refused = check(parse(relu(1, -1)), board)
    assert rules_of(refused) == ["inputs_have_fixed_shapes"] and "[1, -1]" in refused.findings[0].message


def test_ends_that_firmware_cannot_carry(board: Target) -> None:
    wide = single_op_model("CAST", [T((1, 8), "COMPLEX64", name="x")], T((1, 8), "INT32"))
    assert "ends_can_be_carried" in rules_of(check(parse(wide), board))
    constant = model_bytes([T((4,), scale=1.0, data=[1, 2, 3, 4], name="c")], [], [0], [0])
    assert set(rules_of(check(parse(constant), board))) == {"not_empty", "ends_are_computed"}


@pytest.mark.parametrize(
    ("inputs", "outputs", "rule"),
    [((1,), (2, 0), "ends_are_computed"), ((0, 1), (2,), "ends_are_computed"), ((1,), (), "not_empty")],
)
def test_what_check_refuses_of_the_ends_build_refuses_too(
    real: Target, inputs: Sequence[int], outputs: Sequence[int], rule: str
) -> None:
    x = T((1, 4), scale=0.5)
    model = model_bytes([replace(x, data=np.zeros((1, 4))), x, x], [O("RELU", [1], [2])], inputs, outputs)
    assert rule in rules_of(check(parse(model), real))
    with pytest.raises(UnsupportedError) as refused:
        pipeline.generate(model, real)
    assert refused.value.facts["rules"] == [rule]


def test_a_renamed_constant_is_a_verdict_and_not_an_error(board: Target) -> None:
    tensors = [T((4,), scale=1.0, data=[1, 2, 3, 4]), T((2,), "INT32", data=[2, 2]), T((2, 2), scale=1.0)]
    model = parse(model_bytes(tensors, [O("RESHAPE", [0, 1], [2])], [], [2]))
    (op,) = check(model, board).operators
    assert not op.supported


def test_every_rule_has_a_message_of_its_own() -> None:
    texts = [rule.__doc__ or "" for rule in MODEL_RULES]
    assert all(len(t) > 40 for t in texts) and len(set(texts)) == len(texts)


def test_the_footprint_knows_every_kernel_and_the_stack(real: Target) -> None:
    from edgeq.codegen.project import STACK_BYTES

    for board in (targets.load(name) for name in targets.names()):
        sizes = footprint(board)
        assert sizes.stack_bytes == STACK_BYTES
        if not board.soc.firmware:
            continue
        assert f"{board.core.name}, family {board.soc.firmware}" in sizes.source, "run benchmarks/footprint.py"
        runs = [k for k in KERNELS if set(k.requires) <= set(board.core.isa)]
        figures = sizes.code.kernel_code_bytes
        missing = {s for k in runs for s in k.sources if s.endswith((".c", ".S"))} - set(figures)
        assert not missing, "run benchmarks/footprint.py"
    sizes = footprint(real)
    assert sizes.vector_bytes == 4 * (16 + 95)
    none = sizes.code_bytes(0, [])
    assert sizes.code_bytes(0, ["one.c", "one.c", "one.h"]) == none + max(sizes.code.kernel_code_bytes.values())


def test_an_unknown_core_counts_as_one_of_its_architecture(real: Target) -> None:
    other = replace(real, core=replace(real.core, name="cortex-m3x", architecture="armv6-m"))
    assert footprint(other).code == footprint(targets.load("nucleo-g0b1re")).code
    unknown = replace(real, soc=replace(real.soc, firmware="mine"))
    assert footprint(unknown).runtime.code_bytes >= footprint(real).runtime.code_bytes
    assert "family" not in footprint(unknown).source


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize("name", ["kws", "vww", "ic", "ad"])
def test_estimates_hold_against_the_built_firmware(shared: Path, real: Target, name: str) -> None:
    pytest.importorskip("ziglang")
    from edgeq.codegen import generate
    from edgeq.optimize import compile_program
    from edgeq.toolchains.build import build_firmware

    model = read(shared / "mlperf_tiny" / f"{name}_int8.tflite")
    report = check(model, real)
    assert report.fits
    program = compile_program(model, real.core)
    usage = build_firmware(generate(program, plan_memory(program.graph, program.lowerings), real), real, "zig").usage
    assert report.ram.used_bytes == usage.ram_bytes
    assert report.flash.used_bytes == pytest.approx(usage.flash_bytes, rel=0.03)
    exact = after_build(
        report, flash_bytes=usage.flash_bytes, weights_bytes=usage.weights_bytes, ram_bytes=usage.ram_bytes
    )
    assert (exact.flash.used_bytes, exact.ram.used_bytes) == (usage.flash_bytes, usage.ram_bytes)
    assert not exact.flash.estimated and not exact.ram.estimated


def test_exact_sizes_after_a_build_replace_the_estimates(board: Target) -> None:
    report = check(parse(network()), board, reserve_flash_bytes=100, reserve_ram_bytes=50)
    exact = after_build(report, flash_bytes=20_000, weights_bytes=7_000, ram_bytes=9_000)
    assert exact.flash.used_bytes == 20_100 and exact.ram.used_bytes == 9_050
    assert not exact.flash.estimated and not exact.ram.estimated
    assert report.flash.estimated  # the first report is as it was


def test_checking_loads_nothing_heavy() -> None:
    heavy = ["tensorflow", "unicorn", "serial", "pyocd", "elftools", "ziglang", "jinja2", "tflite_runtime", "pandas"]
    code = f"import sys, edgeq.check; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


DTYPES = ["INT8", "INT8", "INT8", "INT32", "FLOAT32", "UINT8", "INT16", "BOOL", "INT64", "INT4", "FLOAT16"]
SHAPES = st.lists(st.integers(0, 5), max_size=5).map(tuple)
OPERATORS = sorted({k.op for k in KERNELS})


@st.composite
def any_tensor(draw: st.DrawFn, shape: Sequence[int] | None = None) -> T:
    shape = draw(SHAPES) if shape is None else shape
    dtype = draw(st.sampled_from(DTYPES))
    scale = draw(st.sampled_from([None, 0.1, 0.5, 0.0, float("nan"), float("inf"), -1.0, 1e30, 1e-30]))
    if shape and shape[0] > 1 and draw(st.booleans()):
        scale = [0.1] * shape[0]  # type: ignore[assignment]
    count = int(np.prod(shape))
    values = draw(st.lists(st.integers(-3, 3), min_size=count, max_size=count)) if count < 8 else [1] * count
    data = np.array(values).reshape(shape) if draw(st.integers(0, 2)) == 0 else None
    zero = draw(st.sampled_from([0, 0, 3, -128, 200, 1 << 40]))
    return T(shape, dtype, scale, zero, data=data)


NUMBERS = ("stride_w", "stride_h", "dilation_w_factor", "dilation_h_factor", "filter_width", "filter_height", "axis")


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_no_operator_however_odd_ends_in_a_traceback(board: Target, real: Target, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(OPERATORS))
    common = data.draw(st.one_of(st.none(), SHAPES))
    inputs = data.draw(st.lists(st.one_of(any_tensor(common), any_tensor(), st.none()), max_size=4))
    output = data.draw(any_tensor(common))
    model = parse(single_op_model(kind, inputs, replace(output, data=None), version=data.draw(st.integers(0, 5))))
    known = dict(model.ops[0].options)
    for name in [n for n in NUMBERS if n in known]:
        known[name] = data.draw(st.integers(-2, 4), label=name)
    model = replace(model, ops=(replace(model.ops[0], options=known),))
    report = check(model, data.draw(st.sampled_from([board, real])))
    json.dumps(report.to_json())
    assert findings(model) == findings(model, frozenset())
    assert report.fits or report.findings or not report.supported
