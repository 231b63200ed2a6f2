"""How a file with several precisions says so, and what of it is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models import digits_int8_tflite
from nested_models import nested_digits

from edgeq import tflite
from edgeq.errors import ModelFileError, UsageError
from edgeq.graph import DType, slice_weights
from edgeq.tflite.nested import METADATA, METADATA_DATA, attach
from edgeq.tflite.objects import pack, unpack

EVERY = np.arange(-128, 128).astype(np.int8)


def test_slices_are_what_they_are_said_to_be() -> None:
    assert np.array_equal(slice_weights(EVERY, 8), EVERY)
    four = slice_weights(EVERY, 4)
    assert np.array_equal(four, np.clip(np.floor(EVERY / 16 + 0.5), -8, 7))
    two = slice_weights(EVERY, 2)
    assert sorted(set(two.tolist())) == [-3, -1, 1, 3]
    assert np.abs(EVERY.astype(int) - 32 * two.astype(int)).max() == 32, "the middle of a quarter is at most half away"


def test_a_file_reads_as_it_was_written() -> None:
    made = nested_digits()
    graph = tflite.parse(made.tflite)
    assert graph.nested is not None
    again = tflite.parse(attach(made.tflite, graph.nested)).nested
    assert again is not None and again.precisions == graph.nested.precisions == (8, 4, 2)
    for a, b in zip(again.layers, graph.nested.layers, strict=True):
        assert (a.weights, a.bias) == (b.weights, b.bias)
        for bits in (4, 2):
            assert np.array_equal(a.levels[bits].scale, b.levels[bits].scale)
            assert np.array_equal(a.levels[bits].bias, b.levels[bits].bias)


def test_other_metadata_stay_and_repeated_attaching_adds_nothing() -> None:
    made = nested_digits().tflite
    model = unpack(made)
    names = [m.name for m in model.metadata]
    graph = tflite.parse(made)
    assert graph.nested is not None
    assert [m.name for m in unpack(attach(made, graph.nested)).metadata] == names


@pytest.mark.parametrize("bits", [8, 4, 2])
def test_a_precision_alone_is_the_graph_at_that_precision(bits: int) -> None:
    made = nested_digits().tflite
    whole, alone = tflite.parse(made), tflite.parse(tflite.at_precision(made, bits))
    assert alone.nested is None
    expected = tflite.graph_at(whole, bits)
    changed = 0
    for a, b in zip(alone.tensors, expected.tensors, strict=True):
        assert (a.name, a.shape, a.dtype) == (b.name, b.shape, b.dtype)
        assert (a.data is None and b.data is None) or np.array_equal(a.data, b.data)
        if a.dtype is DType.INT4:
            changed += 1
            assert np.array_equal(a.quant.scale, b.quant.scale)
    assert changed == (0 if bits == 8 else len(whole.nested.layers))


def test_a_precision_that_is_not_there_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="no precision of 3 bits") as refused:
        tflite.at_precision(nested_digits().tflite, 3)
    assert "8, 4, 2" in refused.value.next_step
    with pytest.raises(UsageError, match="one precision only"):
        tflite.at_precision(digits_int8_tflite(), 4)


def _spoiled(change: Callable[[dict[str, Any]], None]) -> bytes:
    model = unpack(nested_digits().tflite)
    entry = next(m for m in model.metadata if m.name in (METADATA, METADATA.decode()))
    head = json.loads(bytes(model.buffers[entry.buffer].data))
    change(head)
    model.buffers[entry.buffer].data = np.frombuffer(json.dumps(head).encode(), np.uint8)
    return pack(model)


SPOILS: dict[str, Callable[[dict[str, Any]], None]] = {
    "version": lambda h: h.update(version=2),
    "no 8": lambda h: h.update(precisions=[4, 2]),
    "rising": lambda h: h.update(precisions=[2, 4, 8]),
    "only 8": lambda h: h.update(precisions=[8]),
    "3 bits": lambda h: h.update(precisions=[8, 3]),
    "tensor": lambda h: h["layers"][0].update(weights=10**6),
    "negative": lambda h: h["layers"][0].update(bias=-1),
    "another's bias": lambda h: h["layers"][0].update(bias=0),
    "text": lambda h: h["layers"][0].update(weights="1"),
    "channels": lambda h: h["layers"][0].update(channels=h["layers"][0]["channels"] + 1),
    "twice": lambda h: h["layers"].append(h["layers"][0]),
    "no layers": lambda h: h.update(layers=[]),
    "a list": lambda h: h.update(layers={"a": 1}),
}


@pytest.mark.parametrize("spoil", SPOILS.values(), ids=SPOILS)
def test_metadata_that_do_not_fit_are_refused(spoil: Callable[[dict[str, Any]], None]) -> None:
    with pytest.raises(ModelFileError, match=r"metadata 'edgeq\.nested' are damaged"):
        tflite.parse(_spoiled(spoil))


def test_numbers_that_are_missing_or_no_scales_are_refused() -> None:
    for content in (b"", b"\0" * 8, None):
        model = unpack(nested_digits().tflite)
        entry = next(m for m in model.metadata if m.name in (METADATA_DATA, METADATA_DATA.decode()))
        held = bytes(model.buffers[entry.buffer].data)
        broken = b"\xff" * len(held) if content is None else content
        model.buffers[entry.buffer].data = np.frombuffer(broken, np.uint8)
        with pytest.raises(ModelFileError, match="damaged"):
            tflite.parse(pack(model))


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.integers(0, 10**9), st.integers(0, 255))
def test_a_changed_byte_ends_in_a_graph_or_an_error_that_says_where(at: int, value: int) -> None:
    data = bytearray(nested_digits().tflite)
    start = bytes(data).index(b'{"version"')  # the header, and what stands around it
    data[max(0, start - 200) + at % 800] = value
    try:
        tflite.parse(bytes(data))
    except ModelFileError as refused:
        assert refused.next_step
