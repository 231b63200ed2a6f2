"""The table itself: rows that exist, rules that say what they check, refusals in sentences."""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models_flatbuffer import T, single_op_model

from edgeq import resources, target
from edgeq.errors import EdgeqError, UnsupportedError
from edgeq.graph import Graph
from edgeq.kernels import KERNELS, Kernel, choose, lower, operators
from edgeq.kernels.contract import Rule, describe
from edgeq.target import Core
from edgeq.tflite import parse

CORE: Core = target.load("nucleo-l4r5zi").core
FEATURES = {frozenset(target.load(name).core.isa) for name in target.names()}
ROOT = resources.folder("firmware_templates") / "kernels"
ROWS = pytest.mark.parametrize("row", KERNELS, ids=lambda row: f"{row.op}-{row.symbol or 'alias'}-{row.types}")


@ROWS
def test_a_row_s_sources_exist_and_define_its_symbol(row: Kernel) -> None:
    text = "".join((ROOT / source).read_text() for source in row.sources)
    if not row.symbol:
        assert not row.sources
        return
    headers = "".join(p.read_text() for p in ROOT.rglob("*.h"))
    defined = rf"^(void {row.symbol}\([^;]*?\) \{{|EDGEQ_[A-Z]+\({row.symbol},| +\.global {row.symbol}$)"
    assert re.search(defined, text, re.MULTILINE | re.DOTALL), "not defined"
    assert re.search(rf"^void {row.symbol}\(", headers, re.MULTILINE), "not declared"


@ROWS
def test_a_row_asks_for_features_that_some_core_has(row: Kernel) -> None:
    assert any(set(row.requires) <= isa for isa in FEATURES)
    assert row.why
    special = any(not source.startswith("portable/") for source in row.sources)
    assert special == bool(row.requires)


def test_each_operator_ends_with_a_row_for_every_core() -> None:
    for op in operators():
        assert [k for k in KERNELS if k.op == op][-1].requires == (), op


def _rules() -> dict[str, Rule]:
    return {rule.__name__: rule for kernel in KERNELS for rule in kernel.rules}


@pytest.mark.parametrize("rule", _rules().values(), ids=lambda rule: rule.__name__)
def test_a_rule_has_a_sentence(rule: Rule) -> None:
    text = " ".join((rule.__doc__ or "").split())
    assert text.endswith(".") and text[0].isupper(), text
    named = [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]
    assert all(name.isidentifier() for name in named), "a placeholder is a fact's name"


S = T((1, 4, 4, 8), scale=0.5)
CONV = {"stride_h": 1, "stride_w": 1, "padding": "SAME"}


def _weights(**changes: Any) -> T:
    return T(**{"shape": (2, 1, 1, 8), "scale": 0.1, "data": np.ones((2, 1, 1, 8)), **changes})


def _conv(**changes: Any) -> bytes:
    parts = {
        "inp": S,
        "weights": _weights(),
        "bias": T((2,), "INT32", scale=0.05, data=[1, 2]),
        "out": T((1, 4, 4, 2), scale=1.0),
        "options": CONV,
        "version": 3,
        **changes,
    }
    ends = [parts["inp"], parts["weights"], parts["bias"]]
    return single_op_model("CONV_2D", ends, parts["out"], parts["options"], parts["version"])


REFUSALS: dict[str, tuple[Callable[[], bytes], str]] = {
    "uint8": (lambda: _conv(inp=T(S.shape, "UINT8", scale=0.5)), r"is UINT8.*older scheme"),
    "float": (lambda: _conv(inp=T(S.shape, "FLOAT32")), r"is INT8.*take FLOAT32.*representative dataset"),
    "int2 weights": (lambda: _conv(weights=_weights(dtype="INT2")), r"is INT2"),
    "int4 activations": (lambda: _conv(inp=T(S.shape, "INT4", scale=0.5)), r"is INT4"),
    "version": (lambda: _conv(version=99), r"version 99 of CONV_2D is newer"),
    "open shape": (
        lambda: _conv(inp=T(S.shape, scale=0.5, shape_signature=(1, -1, 4, 8))),
        r"open dimension in \[1, -1, 4, 8\]",
    ),
    "no quantization": (lambda: _conv(out=T((1, 4, 4, 2))), r"it is not quantized"),
    "many scales": (lambda: _conv(out=T((1, 4, 4, 2), scale=[1.0, 2.0], axis=3)), r"it has 2 scales"),
    "zero scale": (lambda: _conv(out=T((1, 4, 4, 2), scale=0.0)), r"its scale is 0\.0"),
    "zero point": (lambda: _conv(out=T((1, 4, 4, 2), scale=1.0, zero_point=300)), r"300 lies outside -128\.\.127"),
    "asymmetric weights": (lambda: _conv(weights=_weights(zero_point=3)), r"zero point 3"),
    "negative weight scale": (lambda: _conv(weights=_weights(scale=[0.1, -0.5])), r"the scale -0\.5 in channel 1"),
    "weight scales along the inputs": (
        lambda: _conv(weights=_weights(scale=[0.1] * 8, axis=3)),
        r"8 scales along dimension 3",
    ),
    "fused names": (
        lambda: _conv(out=T((1, 4, 4, 2), name="model/conv;" + "model/batch_norm;" * 9)),
        r"Tensor 'model/conv' must",
    ),
    "asymmetric channels": (
        lambda: single_op_model(
            "FULLY_CONNECTED",
            [
                T((1, 8), scale=0.5),
                T((2, 8), scale=[0.1, 0.2], zero_point=[0, 7], data=np.ones((2, 8))),
            ],
            T((1, 2), scale=1.0),
            version=5,
        ),
        r"zero point 7 in channel 1",
    ),
    "concatenation with a part left out": (
        lambda: single_op_model("CONCATENATION", [S, None], S, {"axis": 3}),
        r"Input 1 is left out",
    ),
    "weights computed": (lambda: _conv(weights=_weights(data=None)), r"needs them in the file"),
    "channels": (lambda: _conv(inp=T((1, 4, 4, 9), scale=0.5)), r"don't fit the input's 9"),
    "geometry": (lambda: _conv(out=T((1, 3, 3, 2), scale=1.0)), r"the file says \[1, 3, 3, 2\]"),
    "bias": (lambda: _conv(bias=T((3,), "INT32", scale=0.05, data=[1, 2, 3])), r"3 elements for 2"),
    "activation": (lambda: _conv(options={**CONV, "fused_activation_function": "TANH"}), r"TANH has no kernel"),
    "RELU6 too fine": (
        lambda: _conv(out=T((1, 4, 4, 2), scale=2e-9), options={**CONV, "fused_activation_function": "RELU6"}),
        r"too fine for RELU6",
    ),
    "huge factor": (lambda: _conv(out=T((1, 4, 4, 2), scale=1e-12)), r"make a factor of 5e\+10"),
    "custom": (lambda: single_op_model("TFLite_Detection_PostProcess", [S], S), r"PostProcess has no kernel.*CONV_2D"),
    "no such kernel": (lambda: single_op_model("HASHTABLE_SIZE", [S], S), r"HASHTABLE_SIZE has no kernel"),
    "add too fine": (
        lambda: single_op_model("ADD", [S, S], T(S.shape, scale=2.0**-21), version=2),
        r"less than 2\*\*-19",
    ),
    "softmax beta": (
        lambda: single_op_model("SOFTMAX", [S], T(S.shape, scale=1 / 256, zero_point=-128), {"beta": 1e-9}),
        r"more than 2\*\*-26",
    ),
    "softmax output": (lambda: single_op_model("SOFTMAX", [S], S, {"beta": 1.0}), r"units of 1/256"),
    "softmax length": (
        lambda: single_op_model(
            "SOFTMAX", [T((1, 8192), scale=0.1)], T((1, 8192), scale=1 / 256, zero_point=-128), {"beta": 1.0}
        ),
        r"8192 elements; the sum of more than 8191",
    ),
    "concatenation": (
        lambda: single_op_model("CONCATENATION", [S, S], T((1, 4, 4, 16), scale=0.25), {"axis": 3}),
        r"needs the same everywhere",
    ),
    "pooling": (
        lambda: single_op_model(
            "MAX_POOL_2D", [S], T(S.shape, scale=0.25), {**CONV, "filter_height": 1, "filter_width": 1}
        ),
        r"MAX_POOL_2D moves bytes",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_says_what_and_what_to_do(name: str) -> None:
    make, words = REFUSALS[name]
    graph = parse(make())
    choice = choose(graph, graph.ops[0], CORE)
    assert choice.kernel is None
    assert len(choice.violations) == 1
    message = choice.violations[0].message
    assert re.search(words, message), message
    assert "{" not in message
    with pytest.raises(UnsupportedError) as refused:
        lower(graph, CORE)
    assert message in str(refused.value)


def test_a_sound_operator_is_accepted_by_the_same_builders() -> None:
    graph = parse(_conv())
    assert choose(graph, graph.ops[0], CORE).kernel is not None


def test_describe_fills_in_every_fact() -> None:
    def rule(graph: Graph, op: Any) -> None:
        """It has {count} of
        {what}."""

    assert describe(rule, {"count": 3, "what": "them"}) == "It has 3 of them."


_SHAPES = st.lists(st.integers(0, 4), max_size=5).map(tuple)
_TYPES = st.sampled_from(("INT8", "INT8", "INT8", "UINT8", "INT16", "INT32", "INT64", "FLOAT32", "BOOL", "INT4"))


@st.composite
def _tensors(draw: st.DrawFn) -> T:
    shape, dtype = draw(_SHAPES), draw(_TYPES)
    number = int(np.prod(shape))
    scale: Any = draw(st.sampled_from((None, 0.5, 0.0, float("nan"), float("inf"), -1.0, 1e-38, 3e38)))
    data = draw(st.sampled_from((None, np.zeros(shape), np.ones(shape))))
    axis = 0
    if scale == 0.5 and shape and draw(st.booleans()):
        axis = draw(st.integers(0, len(shape) - 1))
        scale = [0.25] * shape[axis] or None
    if dtype == "INT4" and number % 2:
        data = None
    return T(shape, dtype, scale=scale, zero_point=draw(st.sampled_from((0, 0, -128, 5, 4000))), axis=axis, data=data)


_OPTIONS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "CONV_2D": {"stride_h": st.integers(-1, 2), "stride_w": st.integers(0, 2), "dilation_h_factor": st.integers(-1, 2)},
    "DEPTHWISE_CONV_2D": {"stride_h": st.integers(0, 2), "stride_w": st.integers(0, 2)},
    "AVERAGE_POOL_2D": {
        "stride_h": st.integers(0, 2),
        "stride_w": st.integers(0, 2),
        "filter_width": st.integers(0, 2),
    },
    "CONCATENATION": {"axis": st.integers(-9, 9)},
    "SOFTMAX": {"beta": st.sampled_from((0.0, 1.0, -1.0, float("nan"), float("inf"), 1e30))},
}


@settings(max_examples=400, derandomize=True, deadline=None)
@given(st.data())
def test_no_operator_makes_the_table_stumble(data: st.DataObject) -> None:
    """Whatever the file says: a kernel that can be lowered, or a sentence."""
    kind = data.draw(st.sampled_from(operators()))
    options = {k: data.draw(v) for k, v in _OPTIONS.get(kind, {}).items()}
    inputs = data.draw(st.lists(st.one_of(st.none(), _tensors()), max_size=4))
    outputs = data.draw(st.lists(_tensors(), min_size=0, max_size=2))
    try:
        graph = parse(single_op_model(kind, inputs, outputs, options, version=data.draw(st.integers(1, 3))))
    except EdgeqError:
        return  # the reader refuses it first
    choice = choose(graph, graph.ops[0], CORE)
    if choice.kernel is None:
        assert choice.violations and "{" not in choice.violations[0].message
    else:
        choice.kernel.lower(graph, graph.ops[0])
