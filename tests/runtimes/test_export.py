"""What `export` writes for TensorFlow Lite Micro: golden text, C that compiles, C++ that names real calls."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from layers import convolution, dense
from models_flatbuffer import O, T, model_bytes, single_op_model

from edgeq import tflite
from edgeq.errors import UnsupportedError, UsageError
from edgeq.graph import Graph
from edgeq.runtimes import export, load
from edgeq.runtimes.tflm_export import identifier, resolver_calls

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def network() -> bytes:
    """A convolution, RELU twice, and a fully connected layer."""
    flat = T((1, 1, 1, 4), scale=0.5)
    return model_bytes(
        [
            T((1, 2, 2, 1), scale=0.5, name="image"),
            T((4, 2, 2, 1), scale=0.25, data=np.arange(16).reshape(4, 2, 2, 1), name="w"),
            T((4,), "INT32", scale=0.125, data=[1, 2, 3, 4], name="b"),
            flat,
            flat,
            flat,
            T((3, 4), scale=0.25, data=np.ones((3, 4)), name="v"),
            T((1, 3), scale=0.5, name="scores"),
        ],
        [
            O("CONV_2D", [0, 1, 2], [3], {"padding": "VALID", "stride_w": 1, "stride_h": 1}),
            O("RELU", [3], [4]),
            O("RELU", [4], [5]),
            O("FULLY_CONNECTED", [5, 6, -1], [7]),
        ],
        [0],
        [7],
    )


@pytest.fixture(scope="module")
def written(network: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    files, _ = export(tflite.parse(network, name="Tiny net-1"), network)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("name", ["tiny_net_1_model.h", "tiny_net_1_resolver.h", "README.md"])
def test_golden(written: Path, name: str) -> None:
    text = (written / name).read_text("utf-8")
    text = re.sub(r"[0-9a-f]{64}", "SHA256", text)
    text = re.sub(r"edgeq \d[\w.]*\w", "edgeq VERSION", text)
    assert text == (GOLDEN / name).read_text("utf-8")


def test_the_resolver_names_exactly_the_operators_used(network: bytes) -> None:
    calls = resolver_calls(tflite.parse(network), load("tflm"))
    assert calls == ("AddConv2D", "AddRelu", "AddFullyConnected")


def test_the_array_is_the_model(written: Path, network: bytes) -> None:
    source = (written / "tiny_net_1_model.c").read_text("utf-8")
    assert bytes(int(b, 16) for b in re.findall(r"0x([0-9a-f]{2}),", source)) == network


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
def test_the_array_compiles_and_is_aligned(written: Path, tmp_path: Path, network: bytes) -> None:
    (tmp_path / "main.c").write_text(
        '#include "tiny_net_1_model.h"\n#include <stdint.h>\n'
        "int main(void) { return (uintptr_t)tiny_net_1_model % 16 != 0 || "
        f"sizeof(tiny_net_1_model) != {len(network)} || TINY_NET_1_ARENA_BYTES % 16 != 0; }}\n"
    )
    program = tmp_path / "aligned"
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{written}"]
    subprocess.run(
        ["gcc", *flags, str(tmp_path / "main.c"), str(written / "tiny_net_1_model.c"), "-o", str(program)], check=True
    )
    assert subprocess.run([str(program)], check=False).returncode == 0


@pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not installed")
def test_the_resolver_compiles_against_the_calls_it_needs(written: Path, tmp_path: Path) -> None:
    header = tmp_path / "tensorflow/lite/micro/micro_mutable_op_resolver.h"
    header.parent.mkdir(parents=True)
    header.write_text(
        "#pragma once\nenum TfLiteStatus { kTfLiteOk, kTfLiteError };\nnamespace tflite {\n"
        "template <unsigned N> struct MicroMutableOpResolver {\n  static_assert(N == 3);\n"
        "  TfLiteStatus AddConv2D() { return kTfLiteOk; }\n  TfLiteStatus AddRelu() { return kTfLiteOk; }\n"
        "  TfLiteStatus AddFullyConnected() { return kTfLiteOk; }\n};\n}\n"
    )
    (tmp_path / "main.cc").write_text(
        '#include "tiny_net_1_model.h"\n#include "tiny_net_1_resolver.h"\n'
        "int main() { tiny_net_1_tflm::OpResolver r; return tiny_net_1_tflm::RegisterOps(r) + tiny_net_1_model[0]; }\n"
    )
    flags = ["-std=c++17", "-Wall", "-Wextra", "-Werror", f"-I{written}", f"-I{tmp_path}", "-fsyntax-only"]
    subprocess.run(["g++", *flags, str(tmp_path / "main.cc")], check=True)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("kws int8", "kws_int8"), ("2nd-try", "model_2nd_try"), ("…", "model"), ("Größe", "gr_e"), ("a.b", "a_b")],
)
def test_names_are_c(name: str, expected: str) -> None:
    assert identifier(name) == expected


def test_a_name_cannot_end_a_comment(network: bytes) -> None:
    files, _ = export(tflite.parse(network, name="a*/b\nc"), network)
    assert files["a_b_c_model.h"].decode().startswith("/* a* /b c: a TensorFlow Lite model")


def refused(graph: Graph) -> UnsupportedError:
    with pytest.raises(UnsupportedError) as found:
        export(graph, b"")
    return found.value


def test_what_tflm_refuses_is_not_exported() -> None:
    error = refused(dense(activations="FLOAT32"))
    assert error.exit_code == 1
    assert "FULLY_CONNECTED #0" in error.what
    assert "dynamic-range" in error.what
    custom = tflite.parse(single_op_model("Sparkle", [T((1, 4), scale=0.5)], T((1, 4), scale=0.5)))
    assert "'Sparkle' is a custom operator" in refused(custom).what


def test_no_arena_no_export() -> None:
    graph = tflite.parse(single_op_model("SignalStacker", [T((1, 4), scale=0.5)], T((1, 4), scale=0.5)))
    assert "SignalStacker #0" in refused(graph).what
    assert "memory that the model doesn't show" in refused(graph).what


def test_other_runtimes_have_no_export() -> None:
    with pytest.raises(UsageError, match="no export for litert"):
        export(convolution(), b"", "litert")
