"""What the generated C looks like and what compilers say of it; that it computes is tests/conformance's."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from conformance.machine import generate, portable
from hypothesis import given, settings
from hypothesis import strategies as st
from models_flatbuffer import O, T, model_bytes, single_op_model

from edgeq import resources, target
from edgeq.codegen import SourceTree
from edgeq.codegen import generate as source_tree
from edgeq.codegen.project import GCC_C_FLAGS, gcc_machine_flags, zig_machine_flags
from edgeq.codegen.tree import Manifest, build_id
from edgeq.graph import Graph
from edgeq.kernels import lower
from edgeq.memory import plan_memory
from edgeq.target import Target
from edgeq.tflite import parse

BOARD: Target = target.load("nucleo-l4r5zi")
KERNELS = resources.folder("firmware_templates") / "kernels"
LIBC = resources.folder("firmware_templates") / "runtime" / "libc"
ZIG = (sys.executable, "-m", "ziglang")
STRICT = ("-std=c11", "-Wall", "-Wextra", "-Werror")


def network(names: Sequence[str] = ("in", "conv", "relu", "flat", "out"), name: str = "net") -> Graph:
    """CONV_2D, RELU, RESHAPE, FULLY_CONNECTED, with these names for the tensors between."""
    rng = np.random.default_rng(0)
    tensors = [
        T((1, 6, 6, 4), scale=0.5, name=names[0]),
        T((8, 3, 3, 4), scale=0.1, data=rng.integers(-127, 128, (8, 3, 3, 4))),
        T((8,), "INT32", scale=0.05, data=rng.integers(-999, 999, 8)),
        T((1, 4, 4, 8), scale=1.0, zero_point=-3, name=names[1]),
        T((1, 4, 4, 8), scale=1.0, zero_point=-128, name=names[2]),
        T((1, 128), scale=1.0, zero_point=-128, name=names[3]),
        T((5, 128), scale=0.1, data=rng.integers(-127, 128, (5, 128))),
        T((1, 5), scale=4.0, name=names[4]),
    ]
    operators = [
        O("CONV_2D", [0, 1, 2], [3], {"stride_h": 1, "stride_w": 1, "padding": "VALID"}, version=3),
        O("RELU", [3], [4], version=2),
        O("RESHAPE", [4], [5], {"new_shape": [1, 128]}),
        O("FULLY_CONNECTED", [5, 6, -1], [7], version=4),
    ]
    return parse(model_bytes(tensors, operators, [0], [7]), name=name)


def files_of(graph: Graph) -> dict[str, bytes]:
    """The portable tree."""
    return generate(graph, portable(BOARD.core))[2]


def tree_of(graph: Graph) -> SourceTree:
    """The whole project for the board."""
    program = lower(graph, BOARD.core)
    return source_tree(program, plan_memory(graph, program.lowerings), BOARD)


def write(files: dict[str, bytes], folder: Path) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def run(argv: Sequence[str | Path], cwd: Path) -> str:
    done = subprocess.run([str(a) for a in argv], cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    assert not done.stderr.strip(), done.stderr
    return done.stdout


def gcc() -> str:
    program = shutil.which("gcc")
    if program is None:
        pytest.skip("gcc is not on PATH")
    return program


def test_the_same_graph_gives_the_same_bytes() -> None:
    assert files_of(network()) == files_of(network())
    assert dict(tree_of(network()).files) == dict(tree_of(network()).files)


def test_the_build_is_told_by_firmware_and_manifest_and_changes_with_any_source() -> None:
    def tree(graph: Graph) -> SourceTree:
        program = lower(graph, BOARD.core)
        return source_tree(program, plan_memory(program.graph, program.lowerings), BOARD)

    made, same, other = tree(network()), tree(network()), tree(network(name="other"))
    build = made.manifest.build
    assert re.fullmatch("[0-9a-f]{16}", build)
    assert f'#define EDGEQ_BUILD "{build}"'.encode() in made.files["board/build.h"]
    assert Manifest.from_json(made.files["edgeq.json"].decode()).build == build == same.manifest.build
    assert other.manifest.build != build
    assert build_id({**made.files, "README.md": b""}) == build_id(made.files)
    changed = {**made.files, "kernels/edgeq_kernels.h": b""}
    assert build_id(changed) != build_id(made.files)


def test_structure() -> None:
    files = files_of(network())
    assert set(files) == {
        "model.h",
        "model.c",
        "kernels/edgeq_kernels.h",
        "kernels/conv_2d_s8.c",
        "kernels/rescale.c",
        "kernels/fully_connected_s8.c",
    }
    source, header = files["model.c"].decode(), files["model.h"].decode()
    invoke = source[source.index("void model_invoke") :]
    calls = re.findall(r"edgeq_\w+(?=\(&)", invoke)
    assert calls == ["edgeq_conv_2d_s8", "edgeq_rescale_s8", "edgeq_fully_connected_s8"]
    assert re.findall(r"LAYER_DONE\((\d+)u\)", invoke) == ["0", "1", "2", "3"]
    for line in (
        '#define MODEL_NAME "net"',
        "#define MODEL_LAYER_COUNT 4u",
        "#define MODEL_INPUT_0_BYTES 144u",
        "#define MODEL_OUTPUT_0_BYTES 5u",
    ):
        assert line in header
    assert not re.search(r"[ \t]$", source + header, re.MULTILINE)


HOSTILE = (
    "*/ int x; /*",
    'a"; int y = "',
    "line\nbreak\r",
    "日本語 ü",
    "\\",
    "??/",
    "%s%n",
    "a" * 500,
    "\x00\x1b[2J",
    "//\\",
)


@pytest.mark.parametrize("name", HOSTILE)
def test_names_can_not_break_out(tmp_path: Path, name: str) -> None:
    _compiles(network([name] * 5, name), tmp_path)


@settings(max_examples=15, derandomize=True, deadline=None)
@given(st.text(st.sampled_from("*/\"\\?<>#\n\r\t%{}()'`$ü\u202e"), max_size=30))
def test_no_name_can_break_out(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    _compiles(network([name] * 5, name), tmp_path_factory.mktemp("name"))


def _compiles(graph: Graph, folder: Path) -> None:
    write(files_of(graph), folder)
    run([gcc(), *STRICT, "-trigraphs", "-Wcomment", "-fsyntax-only", "-I.", "model.c"], folder)


@pytest.mark.parametrize("compiler", ["gcc", "zig", "arm-none-eabi-gcc", "zig-arm"])
def test_kernels_and_model_compile_without_any_warning(tmp_path: Path, compiler: str) -> None:
    """-Wconversion too: an implicit narrowing in arithmetic that must be exact is never meant."""
    flags = (*STRICT, "-Wconversion", "-Wno-sign-conversion", "-Wshadow", "-Wpedantic", "-O2", "-c")
    arm = compiler in ("arm-none-eabi-gcc", "zig-arm")
    folders = ("portable", "dsp") if arm else ("portable",)
    kernels = {f"kernels/{p.name}": p.read_bytes() for f in folders for p in sorted((KERNELS / f).iterdir())}
    write({**files_of(network()), **kernels}, tmp_path)
    argv: tuple[str | Path, ...]
    if compiler.startswith("zig"):
        machine = (*zig_machine_flags(BOARD), "-ffreestanding", f"-I{LIBC}") if arm else ()
        argv = (*ZIG, "cc", *machine)
    else:
        if shutil.which(compiler) is None:
            pytest.skip(f"{compiler} is not on PATH")
        argv = (compiler, *((*gcc_machine_flags(BOARD), *GCC_C_FLAGS) if arm else ()))
    for name in ("model.c", *(n for n in kernels if n.endswith(".c"))):
        run([*argv, *flags, "-I.", name, "-o", "out.o"], tmp_path)


def _c_sources() -> list[Path]:
    return [p for p in sorted(KERNELS.rglob("*")) if p.suffix in (".c", ".h")]


@pytest.mark.parametrize("path", _c_sources(), ids=lambda p: p.name)
def test_kernels_use_three_headers_no_heap_no_globals(path: Path) -> None:
    """And the compiler's own for the vectors of cores that have them."""
    text = path.read_text()
    included = set(re.findall(r"#include <([^>]+)>", text))
    assert included <= {"stdint.h", "stddef.h", "string.h", *(("arm_mve.h",) if path.parent.name == "mve" else ())}
    code = re.sub(r"/\*.*?\*/|\"[^\"]*\"", "", text, flags=re.DOTALL)
    assert not re.search(r"\b(malloc|free|calloc|realloc|printf|setjmp)\b", code)
    statics = re.findall(r"^\s*static (?!inline|const)[^(]*?[=;]", code, re.MULTILINE)
    assert not statics, statics
    if "f32" not in path.name and path.suffix == ".c":
        assert not re.search(r"\b(float|double)\b", code)


def test_an_integer_model_needs_memcpy_and_its_kind_only(tmp_path: Path) -> None:
    write(files_of(network()), tmp_path)
    sources = [p.relative_to(tmp_path) for p in sorted(tmp_path.rglob("*.c"))]
    run(
        [
            gcc(),
            *STRICT,
            "-O2",
            "-ffreestanding",
            "-fno-stack-protector",
            "-r",
            "-nostdlib",
            "-I.",
            *sources,
            "-o",
            "all.o",
        ],
        tmp_path,
    )
    undefined = {line.split()[-1] for line in run(["nm", "-u", "all.o"], tmp_path).splitlines()}
    assert undefined <= {"memcpy", "memset", "memmove", "_GLOBAL_OFFSET_TABLE_"}
    writable = [line for line in run(["nm", "all.o"], tmp_path).splitlines() if line.split()[-2] in "dDbBcC"]
    assert not [line for line in writable if not re.search(r"layer_\d+|model_(in|out)puts", line)], writable


def test_the_layer_hook_costs_nothing_when_off(tmp_path: Path) -> None:
    files = files_of(network())
    bare = re.sub(rb"\n  LAYER_DONE\(\d+u\);", b"", files["model.c"])
    assert bare != files["model.c"]
    objects = []
    for name, text in (("with", files["model.c"]), ("without", bare)):
        folder = write({**files, "model.c": text}, tmp_path / name)
        run([gcc(), *STRICT, "-O0", "-c", "-I.", "model.c", "-o", "model.o"], folder)
        objects.append((folder / "model.o").read_bytes())
    assert objects[0] == objects[1]


def test_the_layer_hook_is_called_after_each_layer(tmp_path: Path) -> None:
    graph = network()
    folder = write(files_of(graph), tmp_path)
    (folder / "hook.c").write_text(
        '#include "model.h"\n'
        "unsigned seen[8], count;\n"
        "void model_layer_done(unsigned layer) { seen[count++] = layer; }\n"
    )
    sources = [p.relative_to(folder) for p in sorted(folder.rglob("*.c"))]
    run([gcc(), *STRICT, "-shared", "-fPIC", "-DMODEL_LAYER_HOOK", "-I.", *sources, "-o", "m.so"], folder)
    library = ctypes.CDLL(str(folder / "m.so"))
    library.model_invoke((ctypes.c_uint8 * 4096)())
    assert ctypes.c_uint.in_dll(library, "count").value == 4
    assert list((ctypes.c_uint * 8).in_dll(library, "seen"))[:4] == [0, 1, 2, 3]


def test_int32_min_and_float_constants_are_written_exactly(tmp_path: Path) -> None:
    bias = [-(1 << 31), (1 << 31) - 1]
    ends = [T((1, 2), scale=1.0), T((2, 2), scale=1.0, data=[[1, 2], [3, 4]]), T((2,), "INT32", scale=1.0, data=bias)]
    dequantize = parse(single_op_model("DEQUANTIZE", [T((3,), scale=0.1)], T((3,), "FLOAT32"), version=2))
    assert f"{float(np.float32(0.1)).hex()}f" in files_of(dequantize)["model.c"].decode()
    graph = parse(single_op_model("FULLY_CONNECTED", ends, T((1, 2), scale=1.0), version=4))
    assert b"(-2147483647 - 1),2147483647" in files_of(graph)["model.c"]
    _compiles(graph, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("compiler", ["gcc", "zig"])
def test_the_line_in_the_readme_compiles_the_tree(tmp_path: Path, compiler: str) -> None:
    tree = tree_of(network())
    write(dict(tree.files), tmp_path)
    lines = re.findall(r"^    (make.*?)(?: +#.*)?$", tree.files["README.md"].decode(), re.MULTILINE)
    assert len(lines) == 2
    if compiler == "gcc" and shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is not on PATH")
    if shutil.which("make") is None:
        pytest.skip("make is not on PATH")
    line = lines[0] if compiler == "gcc" else lines[1].replace("python3", sys.executable)
    done = subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "firmware.elf").stat().st_size > 1000
