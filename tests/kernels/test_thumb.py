"""Armv6-M: the packing of two channels in a word, and the 64-bit multiplication in 32 bits."""

from __future__ import annotations

import ctypes
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq import resources, target
from edgeq.kernels.arithmetic import Multiplier
from edgeq.kernels.channels import Channels
from edgeq.kernels.thumb import pack
from edgeq.toolchains.host import compile_host

_INT32 = st.one_of(
    st.integers(-(2**31), 2**31 - 1),
    st.builds(lambda base, step: base + step, st.sampled_from([0, 2**15, 2**16, -(2**16), 2**30]), st.integers(-2, 2)),
    st.sampled_from([-(2**31), 2**31 - 1, -(2**31) + 1, 0x7FFF_8000, 0x7FFF_7FFF]),
)


@pytest.fixture(scope="module")
def high_mul(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("high_mul")
    header = resources.folder("firmware_templates") / "kernels" / "portable" / "edgeq_kernels.h"
    (folder / "kernels").mkdir()
    shutil.copy(header, folder / "kernels")
    (folder / "both.c").write_text(
        '#include "kernels/edgeq_kernels.h"\n'
        "int32_t long_one(int32_t a, int32_t b) { return edgeq_high_mul_64(a, b); }\n"
        "int32_t short_one(int32_t a, int32_t b) { return edgeq_high_mul_32(a, b); }\n"
    )
    compile_host([folder / "both.c"], folder / "both.so", [folder], shared=True)
    return ctypes.CDLL(str(folder / "both.so"))


@given(_INT32, _INT32)
def test_four_short_products_are_the_long_one(high_mul: ctypes.CDLL, a: int, b: int) -> None:
    assert high_mul.short_one(a, b) == high_mul.long_one(a, b)


def _sums(packed: np.ndarray, starts: np.ndarray, column: np.ndarray) -> np.ndarray:
    """What the assembly does, in numpy's integers modulo 2^32."""
    found = []
    for words, start in zip(packed, starts, strict=True):
        for pair in range(2):
            total, high = int(start[2 * pair]), int(start[2 * pair + 1])
            for first in range(0, column.size, int(start[4])):
                part = 1 << 15
                for k in range(first, first + int(start[4])):
                    part += int(words[k, pair]) * int(column[k])
                part &= 0xFFFF_FFFF
                total += part
                high += (part - (part >> 31 << 32)) >> 16
            found += [(total - (high << 16)) & 0xFFFF_FFFF, high & 0xFFFF_FFFF]
    return np.array(found, np.uint32).view(np.int32)


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.integers(1, 9), st.integers(1, 21), st.sampled_from([2, 30, 127]), st.booleans())
def test_two_channels_in_a_word_come_apart_again(seed: int, count: int, depth: int, size: int, ends: bool) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.integers(-size, size + 1, (count, depth)).astype(np.int8)
    bias = rng.integers(-(2**20), 2**20, count).astype(np.int32)
    column = rng.choice([-128, 127], depth) if ends else rng.integers(-128, 128, depth)
    channels = Channels(weights, bias, (Multiplier(1 << 30, 0),) * count, -7, 3, -128, 127)
    constants = {c.name: np.frombuffer(c.data, "<i4") for c in pack(channels)}
    padded = -(-depth // 4) * 4
    inputs = np.zeros(padded, np.int64)
    inputs[:depth] = column
    packed = constants["weights"].reshape(-1, padded, 2)
    sums = _sums(packed, constants["starts"].reshape(-1, 5), inputs)
    expected = bias + weights.astype(np.int64) @ (column.astype(np.int64) + 7)
    assert np.array_equal(sums[:count], expected)


def test_only_a_core_that_has_no_more_takes_these_rows() -> None:
    assert "armv6-m" in target.load("raspberry-pi-pico").core.isa
    assert "armv6-m" not in target.load("nucleo-l4r5zi").core.isa
