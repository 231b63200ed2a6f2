"""The kernels' C by itself: no warning from any compiler here, and no call but of three functions of <string.h>."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from edgeq import resources, target
from edgeq.codegen.project import C_FLAGS, GCC_C_FLAGS, gcc_machine_flags
from edgeq.kernels import KERNELS

_STRICT = ("-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-O2", "-ffp-contract=off")
_BOARDS = {"m0plus": "raspberry-pi-pico", "m4": "nucleo-l4r5zi", "m55": "corstone-300"}
_LIBC = {"memcpy", "memmove", "memset"}
_HELPERS = re.compile(r"__(aeabi_\w+|clzsi2|\w+di3|\w+si3|gnu_\w+|mul\w+|div\w+|udiv\w+)")
"""Of the compiler's own library: what the core can't do in hardware."""
_SOFT_FLOAT = re.compile(r"__aeabi_([fd]|\w+2[fd]$)")


def _sources(isa: Sequence[str] | None) -> tuple[str, ...]:
    """C and assembly of every row that the core can run; of a computer the portable ones."""
    rows = [k for k in KERNELS if set(k.requires) <= set(isa or ())]
    return tuple(sorted({s for k in rows for s in k.sources if s.endswith((".c", ".S"))}))


def _compiler(name: str) -> list[str | Path]:
    """Its command line for a core (by gcc), or this computer."""
    kind, _, core = name.partition(" ")
    if not core:
        if shutil.which(kind) is None:
            pytest.skip(f"{kind} is not on PATH")
        return [kind, *_STRICT]
    board = target.load(_BOARDS[core])
    libc = resources.folder("firmware_templates") / "runtime" / "libc"
    flags = (*(f for f in C_FLAGS if not f.startswith(("-D", "-I"))), "-O2", "-g0", f"-I{libc}", "-Wconversion")
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is not on PATH")
    return ["arm-none-eabi-gcc", *gcc_machine_flags(board), *GCC_C_FLAGS, *flags]


def _undefined(objects: Path, tool: str) -> dict[str, set[str]]:
    """Object → symbols that it expects of others."""
    said = subprocess.run([tool, "-A", "-u", *sorted(objects.glob("*.o"))], capture_output=True, text=True, check=True)
    found: dict[str, set[str]] = {}
    for line in said.stdout.splitlines():
        place, _, symbol = line.rpartition(" ")
        found.setdefault(Path(place.partition(":")[0]).stem, set()).add(symbol)
    return found


_SLOW = ("clang", "gcc m4", "gcc m55")


# The Cortex-M0+ does all floating point by calls, so that integer kernels are seen to have none.
@pytest.mark.parametrize("name", ["gcc m0plus", *(pytest.param(n, marks=pytest.mark.slow) for n in _SLOW)])
def test_kernels_compile_without_warning_and_call_nothing_else(name: str, tmp_path: Path) -> None:
    root = resources.folder("firmware_templates") / "kernels"
    core = name.partition(" ")[2]
    isa = target.load(_BOARDS[core]).core.isa if core else None
    kernels = tmp_path / "kernels"
    kernels.mkdir()
    for path in root.glob("*/*.*"):
        if path.suffix in (".h", ".inc"):
            shutil.copy(path, kernels)
    objects = tmp_path / "objects"
    objects.mkdir()
    sources = _sources(isa)
    files = []
    for source in map(Path, sources):
        name_here = source.name.replace(".S", "_assembly.S")  # some have a C file of the same name
        shutil.copy(root / source, kernels / name_here)
        files.append(f"../kernels/{name_here}")
    command = [*_compiler(name), "-I..", "-c", *files]
    done = subprocess.run(command, cwd=objects, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    assert len(list(objects.glob("*.o"))) == len(sources)
    symbols = _undefined(objects, "arm-none-eabi-nm" if core and shutil.which("arm-none-eabi-nm") else "nm")
    for where, wanted in symbols.items():
        beyond = {s for s in wanted if not s.startswith("edgeq_") and s not in _LIBC}
        known = {
            s
            for s in beyond
            if s == "_GLOBAL_OFFSET_TABLE_" or (core and _HELPERS.fullmatch(s.replace("__aeabi_memcpy", "")))
        }
        assert beyond == known, f"{where} calls {sorted(beyond - known)}"
        soft = {s for s in beyond if _SOFT_FLOAT.match(s)}
        assert "f32" in where or not soft, f"{where} computes in floating point: {sorted(soft)}"
