"""The C that all formats carry: it computes what the reference computes, whoever compiles it, under its own names."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import export_networks
import numpy as np
import pytest
from package_tools import STRICT, Exported, needs, run, sources

from edgeq.codegen.project import gcc_machine_flags, zig_machine_flags
from edgeq.exports.library import CONDITIONS, kernel_file
from edgeq.kernels.table import KERNELS
from edgeq.reference import Reference
from edgeq.target import load
from edgeq.tflite import parse

BOARD = load("nucleo-l4r5zi")
ARM = ("arm-none-eabi-gcc", *gcc_machine_flags(BOARD), "-O2")
ZIG = (sys.executable, "-m", "ziglang", "cc", *zig_machine_flags(BOARD), "-O2")
HERE = Path(__file__).parent
needs_gcc = needs("gcc")
needs_arm = needs("arm-none-eabi-gcc", "gcc-arm-none-eabi")
LIBC = HERE.parents[1] / "firmware_templates" / "runtime" / "libc"  # <string.h>, where newlib isn't installed


def has_newlib() -> bool:
    """Whether arm-none-eabi-gcc finds the C library that printf() comes from."""
    if shutil.which(ARM[0]) is None:
        return False
    said = subprocess.run([ARM[0], "-print-file-name=nano.specs"], capture_output=True, text=True, timeout=60)
    return Path(said.stdout.strip()).is_file()


def sample(folder: Path, kind: str) -> np.ndarray:
    """The example's input or output 0, as bytes: (inferences, bytes)."""
    text = (folder / "example" / "sample.h").read_text()
    body = re.search(rf"sample_{kind}_0\[SAMPLE_COUNT\]\[(\d+)\] = \{{(.*?)\}};", text, re.DOTALL)
    assert body is not None
    values = [int(word, 16) for word in re.findall(r"0x(..)", body[2])]
    return np.array(values, np.uint8).reshape(-1, int(body[1]))


def printed(said: str, name: str) -> list[list[float]]:
    """The lines that an example prints of an output."""
    return [[float(v) for v in line.split()[1:]] for line in said.splitlines() if line.startswith(f"{name}:")]


@needs_gcc
@pytest.mark.parametrize(("network", "output"), [("vision", "scores"), ("recurrent", "words"), ("floats", "p")])
def test_the_example_prints_what_the_reference_computes(
    exported: Exported, host_library: Callable[[str], Path], tmp_path: Path, network: str, output: str
) -> None:
    folder, library = exported("c", network), host_library(network)
    run(["gcc", *STRICT, "-I", folder / "include", folder / "example" / "main.c", library, "-o", tmp_path / "example"])
    said = run([tmp_path / "example"])
    model = getattr(export_networks, network)()
    graph = parse(model)
    reference = Reference(model, graph)
    inputs = sample(folder, "input")
    end = graph.tensors[graph.inputs[0]]
    wanted = [
        np.ravel(reference.run([row.view(end.dtype.numpy).reshape(end.shape)])[0]).astype(float).tolist()
        for row in inputs
    ]
    assert len(inputs) == (3 if network == "recurrent" else 1)
    turns = 2 if network == "recurrent" else 1  # once more after a reset
    if network == "floats":
        np.testing.assert_allclose(printed(said, output), wanted, rtol=1e-5)
    else:
        assert len(set(wanted[0])) > 2
        assert printed(said, output) == wanted * turns
    assert said.endswith(f"{network}: OK\n")


@needs_gcc
@pytest.mark.parametrize("network", ["vision", "floats"])
def test_the_example_notices_a_wrong_output(
    exported: Exported, host_library: Callable[[str], Path], tmp_path: Path, network: str
) -> None:
    folder = exported("c", network)
    text = (folder / "example" / "sample.h").read_text()
    last = text.rindex("0x")
    wrong = text[:last] + f"0x{int(text[last + 2 : last + 4], 16) ^ 4:02x}" + text[last + 4 :]
    (tmp_path / "sample.h").write_text(wrong)
    shutil.copy(folder / "example" / "main.c", tmp_path)
    run(["gcc", "-I", folder / "include", "main.c", host_library(network), "-o", "example"], tmp_path)
    said = run([tmp_path / "example"], code=1)
    assert "differs from the reference" in said
    assert said.endswith(f"{network}: FAILED\n")


@needs_gcc
def test_without_a_reset_the_state_goes_on(
    exported: Exported, host_library: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = exported("c", "recurrent")
    text = (folder / "example" / "main.c").read_text()
    assert text.count("recurrent_reset(arena);") == 1
    (tmp_path / "main.c").write_text(text.replace("recurrent_reset(arena);", "if (turn == 0) recurrent_reset(arena);"))
    shutil.copy(folder / "example" / "sample.h", tmp_path)
    run(["gcc", "-I", folder / "include", "main.c", host_library("recurrent"), "-o", "example"], tmp_path)
    assert "differs" in run([tmp_path / "example"], code=1)


@needs_gcc
def test_all_symbols_start_with_the_packages_name(host_library: Callable[[str], Path]) -> None:
    for network in ("vision", "recurrent", "floats"):
        said = run(["nm", "-g", "--defined-only", host_library(network)])
        symbols = [line.split()[2] for line in said.splitlines() if len(line.split()) == 3]
        assert f"{network}_invoke" in symbols
        assert [s for s in symbols if not s.startswith(f"{network}_")] == []


@needs_gcc
def test_two_packages_in_one_program_of_cpp(
    exported: Exported, host_library: Callable[[str], Path], tmp_path: Path
) -> None:
    (tmp_path / "main.cpp").write_text(
        '#include "vision.h"\n#include "recurrent.h"\n'
        "alignas(16) static uint8_t a[VISION_ARENA_BYTES], b[RECURRENT_ARENA_BYTES];\n"
        "int main() { vision_reset(a); recurrent_reset(b); vision_invoke(a); recurrent_invoke(b); return 0; }\n"
    )
    includes = [f"-I{exported('c', network) / 'include'}" for network in ("vision", "recurrent")]
    libraries = [host_library(network) for network in ("vision", "recurrent")]
    run(["g++", "-std=c++11", "-Wall", "-Wextra", "-Werror", *includes, "main.cpp", *libraries, "-o", "app"], tmp_path)
    run([tmp_path / "app"])


def test_only_the_kernels_that_are_called(exported: Exported) -> None:
    files = {path.name for path in (exported("c") / "src" / "kernels").iterdir() if path.suffix in (".c", ".S")}
    assert files == {"conv_2d_s8.c", "depthwise_conv_2d_s8.c", "fully_connected_s8.c", "average_pool_2d_s8.c"}


def test_all_features_that_kernels_need_have_a_condition() -> None:
    wanted = {feature for kernel in KERNELS for feature in kernel.requires}
    assert wanted <= set(CONDITIONS)
    assert "dsp" in wanted


def all_kernels(folder: Path, kind: str, when: str) -> list[Path]:
    """Every kernel of a kind, under the name of a package: what there is to compile."""
    kernels = HERE.parents[1] / "firmware_templates" / "kernels"
    for path in (*(kernels / "portable").iterdir(), *(kernels / kind).iterdir()):
        (folder / path.name).write_bytes(kernel_file(path.name, path.read_bytes(), when, "net"))
    return sorted(folder / p.name for p in (kernels / kind).iterdir() if p.suffix in (".c", ".S"))


@needs_gcc
def test_every_portable_kernel_compiles_under_another_name(tmp_path: Path) -> None:
    made = all_kernels(tmp_path, "portable", "")
    assert len(made) > 80
    run(["gcc", *STRICT, "-fsyntax-only", *made])


@needs_arm
def test_every_dsp_kernel_compiles_for_a_core_that_has_it_and_is_empty_elsewhere(tmp_path: Path) -> None:
    made = all_kernels(tmp_path, "dsp", CONDITIONS["dsp"])
    objects = tmp_path / "objects"
    objects.mkdir()
    run([*ARM, "-Wall", "-Wextra", "-Werror", "-ffreestanding", f"-I{LIBC}", "-c", *made], objects)
    symbols = run(["arm-none-eabi-nm", "-g", "--defined-only", *sorted(objects.glob("*.o"))])
    names = [line.split()[2] for line in symbols.splitlines() if len(line.split()) == 3]
    assert names and all(name.startswith("net_edgeq_") for name in names)
    run([ARM[0], "-mcpu=cortex-m0plus", "-mthumb", "-Wpedantic", "-Werror", "-c", *made], objects)
    assert run(["arm-none-eabi-nm", "-g", "--defined-only", *sorted(objects.glob("*.o"))]).count(" T ") == 0


@needs_gcc
def test_a_cores_kernels_are_refused_elsewhere(exported: Exported, tmp_path: Path) -> None:
    folder = exported("c", core="cortex-m4")
    network = folder / "src" / "vision.c"
    said = run(["gcc", f"-I{folder / 'include'}", "-c", network, "-o", tmp_path / "x.o"], code=1)
    assert said.count("error:") == 1
    assert "vision is for cores with DSP" in said
    others = [path for path in sources(folder) if path != network]
    run(["gcc", *STRICT, f"-I{folder / 'include'}", "-c", *others], tmp_path)


@needs_gcc
def test_with_portable_the_compiler_chooses(exported: Exported, tmp_path: Path) -> None:
    folder = exported("c", core="cortex-m4", with_portable=True)
    main = folder / "example" / "main.c"
    run(["gcc", *STRICT, f"-I{folder / 'include'}", *sources(folder), main, "-o", tmp_path / "example"])
    assert run([tmp_path / "example"]).endswith("vision: OK\n")


COMPILERS = [pytest.param(ARM, marks=needs_arm, id="gcc"), pytest.param(ZIG, id="zig")]


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("portable", [False, True])
def test_a_cores_kernels_compile_for_it(
    exported: Exported, tmp_path: Path, cache: Path, compiler: tuple[str, ...], portable: bool
) -> None:
    if compiler is ZIG:
        pytest.importorskip("ziglang")
    folder = exported("c", core="cortex-m4", **({"with_portable": True} if portable else {}))
    command = [*compiler, *STRICT, "-O2", "-ffreestanding", f"-I{folder / 'include'}", f"-I{LIBC}", "-c"]
    run([*command, *sources(folder)], tmp_path, ZIG_GLOBAL_CACHE_DIR=str(cache / "zig"))
    if compiler is ARM:
        said = run(["arm-none-eabi-nm", "-g", "--defined-only", *sorted(tmp_path.glob("*.o"))])
        assert ("vision_edgeq_dsp_mat_mul_paired" in said) and ("vision_edgeq_depthwise_3x3_s8_dsp" in said)
        symbols = [line.split()[2] for line in said.splitlines() if len(line.split()) == 3]
        assert all(symbol.startswith("vision_") for symbol in symbols)


@needs_arm
@needs("qemu-system-arm")
@pytest.mark.skipif(not has_newlib(), reason="no newlib for Arm: apt-get install libnewlib-arm-none-eabi")
@pytest.mark.parametrize(
    ("network", "options"),
    [
        ("vision", {"core": "cortex-m4"}),
        ("vision", {"core": "cortex-m4", "with_portable": True}),
        ("recurrent", {}),
        ("floats", {}),
    ],
)
def test_the_makefile_builds_for_an_emulated_m4_and_runs_there(
    exported: Exported, tmp_path: Path, network: str, options: dict[str, object]
) -> None:
    """What a user would do with another compiler; the emulator is QEMU's mps2-an386."""
    folder = exported("c", network, **options)
    machine = HERE / "m4"
    link = f"--specs=nano.specs --specs=nosys.specs -u _printf_float -nostartfiles -T {machine / 'm4.ld'}"
    emulator = "qemu-system-arm -M mps2-an386 -semihosting-config enable=on,target=native -nographic -monitor none"
    said = run(
        [
            "make",
            "check",
            f"BUILD={tmp_path}",
            "CC=arm-none-eabi-gcc",
            "AR=arm-none-eabi-ar",
            f"CFLAGS={' '.join(ARM[1:])} -Werror",
            f"LDFLAGS={link} -Wl,--no-warnings",
            f"LDLIBS={machine / 'm4.c'}",
            f"RUN=timeout 60 {emulator} -serial null -kernel",
        ],
        folder,
    )
    assert f"{network}: OK" in said
    library = run(["arm-none-eabi-nm", tmp_path / f"lib{network}.a"])
    assert ("_dsp" in library) == ("core" in options)


@needs_arm
def test_floats_are_not_fused(exported: Exported, tmp_path: Path) -> None:
    """A fused multiply-add rounds once where the reference rounds twice; no flag says so here."""
    folder = exported("c", "floats")
    kernel = folder / "src" / "kernels" / "fully_connected_f32.c"
    run([*ARM, "-ffreestanding", f"-I{LIBC}", "-c", kernel, "-o", tmp_path / "k.o"])
    code = subprocess.check_output(["arm-none-eabi-objdump", "-d", tmp_path / "k.o"], text=True)
    assert "vmul.f32" in code
    assert "vfma" not in code
