"""The firmware's own memcpy and its kin, under other names on the host, held against Python's bytes."""

from __future__ import annotations

import ctypes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq import resources
from edgeq.toolchains.host import compile_host

SIZE = 96
OFFSETS = st.integers(0, 40)
COUNTS = st.integers(0, 56)
CONTENT = st.binary(min_size=SIZE, max_size=SIZE)


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    source = resources.folder("firmware_templates") / "runtime" / "libc" / "memory.c"
    renamed = [f"-D{name}=own_{name}" for name in ("memcpy", "memmove", "memset", "memcmp")]
    output = tmp_path_factory.mktemp("memory") / "memory.so"
    loaded = ctypes.CDLL(str(compile_host([source], output, [], ["-ffreestanding", *renamed], shared=True)))
    for name in ("own_memcpy", "own_memmove", "own_memset"):
        getattr(loaded, name).restype = ctypes.c_void_p
    return loaded


@settings(max_examples=500)
@given(content=CONTENT, to=OFFSETS, source=OFFSETS, count=COUNTS)
def test_memmove(library: ctypes.CDLL, content: bytes, to: int, source: int, count: int) -> None:
    buffer = ctypes.create_string_buffer(content, SIZE)
    start = ctypes.addressof(buffer)
    result = library.own_memmove(ctypes.c_void_p(start + to), ctypes.c_void_p(start + source), ctypes.c_size_t(count))
    expected = bytearray(content)
    expected[to : to + count] = content[source : source + count]
    assert buffer.raw == bytes(expected)
    assert result == start + to


@settings(max_examples=500)
@given(content=CONTENT, to=OFFSETS, source=OFFSETS, count=COUNTS)
def test_memcpy(library: ctypes.CDLL, content: bytes, to: int, source: int, count: int) -> None:
    buffer = ctypes.create_string_buffer(b"\x5a" * SIZE, SIZE)
    origin = ctypes.create_string_buffer(content, SIZE)
    start = ctypes.addressof(buffer)
    result = library.own_memcpy(
        ctypes.c_void_p(start + to), ctypes.c_void_p(ctypes.addressof(origin) + source), ctypes.c_size_t(count)
    )
    expected = b"\x5a" * to + content[source : source + count] + b"\x5a" * (SIZE - to - count)
    assert buffer.raw == expected
    assert result == start + to


@given(to=OFFSETS, value=st.integers(-300, 300), count=COUNTS)
def test_memset(library: ctypes.CDLL, to: int, value: int, count: int) -> None:
    buffer = ctypes.create_string_buffer(b"\x5a" * SIZE, SIZE)
    start = ctypes.addressof(buffer)
    result = library.own_memset(ctypes.c_void_p(start + to), ctypes.c_int(value), ctypes.c_size_t(count))
    assert buffer.raw == b"\x5a" * to + bytes([value & 255]) * count + b"\x5a" * (SIZE - to - count)
    assert result == start + to


@given(left=st.binary(min_size=8, max_size=8), right=st.binary(min_size=8, max_size=8), count=st.integers(0, 8))
def test_memcmp(library: ctypes.CDLL, left: bytes, right: bytes, count: int) -> None:
    result = library.own_memcmp(left, right, ctypes.c_size_t(count))
    a, b = left[:count], right[:count]
    assert (result > 0) - (result < 0) == (a > b) - (a < b)
