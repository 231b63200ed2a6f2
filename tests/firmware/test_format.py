"""Numbers on the wire: the runtime's own formatting, held against Python's."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edgeq import resources
from edgeq.toolchains.host import compile_host

Print = Callable[[str, int], str]


@pytest.fixture(scope="session")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Print:
    """Call one of format.c's functions with an integer; returns what it sent."""
    root = resources.folder("firmware_templates")
    runtime = root / "runtime"
    sources = [runtime / "format.c", runtime / "checksum.c", Path(__file__).with_name("capture.c")]
    library = ctypes.CDLL(
        str(compile_host(sources, tmp_path_factory.mktemp("format") / "format.so", [root], shared=True))
    )
    length = ctypes.c_size_t.in_dll(library, "captured_length")
    text = (ctypes.c_char * 128).in_dll(library, "captured")
    types = {"put_decimal": ctypes.c_uint64, "put_hex_byte": ctypes.c_uint8}

    def call(name: str, value: int) -> str:
        length.value = 0
        function = library[name]
        function.restype = None
        function(types.get(name, ctypes.c_uint32)(value))
        return bytes(text[: length.value]).decode()

    return call


def single(bits: int) -> float:
    return float(struct.unpack("<f", struct.pack("<I", bits))[0])


@settings(max_examples=3000)
@given(bits=st.integers(0, 2**32 - 1))
@example(bits=0x00000001)  # the least subnormal
@example(bits=0x7F7FFFFF)  # the largest single
@example(bits=0x80000000)  # -0.0
@example(bits=0x7F800000)
@example(bits=0xFF800000)
@example(bits=0x3A03126F)  # just above 0.0005
@example(bits=0x3B000000)  # 0.001953125
@example(bits=0x3D800000)  # 0.0625: a tie, to even
@example(bits=0x3E400000)  # 0.1875: a tie, upwards to even
@example(bits=0x4B7FFFFF)
def test_any_single_prints_as_in_python(printed: Print, bits: int) -> None:
    value = single(bits)
    expected = "nan" if value != value else f"{value:.3f}"
    assert printed("put_fixed3", bits) == expected


@settings(max_examples=1000)
@given(value=st.floats(-300, 300, width=32))
def test_results_of_usual_size_print_as_in_python(printed: Print, value: float) -> None:
    (bits,) = struct.unpack("<I", struct.pack("<f", value))
    assert printed("put_fixed3", bits) == f"{value:.3f}"


@given(value=st.integers(0, 2**64 - 1))
@example(value=0)
@example(value=10)
@example(value=2**64 - 1)
def test_decimal(printed: Print, value: int) -> None:
    assert printed("put_decimal", value) == str(value)


def test_hexadecimal(printed: Print) -> None:
    assert [printed("put_hex_byte", v) for v in (0, 10, 0xA0, 255)] == ["00", "0a", "a0", "ff"]
    assert printed("put_hex_word", 0x0123ABCD) == "0123abcd"
