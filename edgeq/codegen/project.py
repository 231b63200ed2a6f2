"""The firmware around a model: runtime, board, linker script, Makefile and README.

Everything comes from `firmware_templates/`: `runtime/` and the board's sources (`board_files`) as they are,
`boards/*.j2` with the target's and the model's values put in. The flags of both compilers are here too, because the
folder's own Makefile and `edgeq.toolchains` must build the same image.
"""

from __future__ import annotations

from pathlib import Path

from edgeq import resources
from edgeq.codegen.board_files import board_sources, board_values
from edgeq.codegen.tree import MANIFEST_NAME, Manifest
from edgeq.target import USES, Target

STACK_BYTES = 2048
"""What the linker script reserves for the stack unless told otherwise."""

LINKER_SCRIPT = "board/linker.ld"

C_FLAGS = (
    "-std=c11",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-ffreestanding",
    "-ffunction-sections",
    "-fdata-sections",
    "-fomit-frame-pointer",
    "-ffp-contract=off",  # a fused multiply-add rounds once where the reference rounds twice
    "-fno-unwind-tables",
    "-fno-asynchronous-unwind-tables",
    "-DMODEL_LAYER_HOOK",
    "-I.",
    "-Iruntime/libc",
)
"""For every source, relative to the tree's root. runtime/libc has the <string.h> that zig lacks; the layer
hook makes the model call `model_layer_done` after each layer."""

FAST = ("-O2",)
ZIG_SMALL = ("-Os", "-Xclang", "-Oz")
GCC_SMALL = ("-Os",)
"""The model and its kernels are compiled for speed (gcc's -O3 is slower than -O2 on them), all that is around them
for size. zig takes -Oz for -Os unless clang is told behind its back."""

ZIG_C_FLAGS = ("-g0",)
GCC_C_FLAGS = ("-fno-tree-loop-distribute-patterns",)
"""gcc would make the loops of memcpy() calls of memcpy(), freestanding or not."""

_LINK_FLAGS = (
    "-Wl,--gc-sections",
    "-Wl,--build-id=none",
    "-Wl,--entry=Reset_Handler",
)
ZIG_LINK_FLAGS = ("-O2", *_LINK_FLAGS)
GCC_LINK_FLAGS = ("-nostdlib", "-Wl,--fatal-warnings", *_LINK_FLAGS)
GCC_LIBRARIES = ("-lgcc",)
"""Last on the command line. libgcc (zig: compiler_rt, by itself) has what the core can't do in hardware."""

_FOLDERS = ("board", "kernels", "runtime", "runtime/libc")


def zig_machine_flags(target: Target) -> tuple[str, ...]:
    """How `zig cc` is told the core."""
    compiler = target.core.compiler
    return ("-target", compiler.zig_target, f"-mcpu={compiler.zig_cpu}")


def gcc_machine_flags(target: Target) -> tuple[str, ...]:
    """How arm-none-eabi-gcc is told the core."""
    return target.core.compiler.gcc_flags


def is_model(source: str) -> bool:
    """Whether a file of the tree is the model's or a kernel: those are compiled for speed."""
    return not source.startswith(("board/", "runtime/", "main.c"))


def zig_flags(target: Target, source: str) -> tuple[str, ...]:
    """Everything `zig cc` is told to compile a file of the tree."""
    small = FAST if is_model(source) else ZIG_SMALL
    return (*zig_machine_flags(target), *ZIG_C_FLAGS, *C_FLAGS, *small)


def gcc_flags(target: Target, source: str) -> tuple[str, ...]:
    """Everything arm-none-eabi-gcc is told to compile a file of the tree."""
    small = FAST if is_model(source) else GCC_SMALL
    return (*gcc_machine_flags(target), *GCC_C_FLAGS, *C_FLAGS, *small)


def firmware_files(target: Target, manifest: Manifest, stack_bytes: int = STACK_BYTES) -> dict[str, bytes]:
    """Every file of the firmware project except model.* and kernels/.

    Args:
        stack_bytes: reserved for the stack; rounded up to a multiple of 8.

    Returns:
        Relative POSIX path → contents.

    Raises:
        UnsupportedError: there is no firmware for the target's chip, or it runs an operating system.
        TargetFileError: the target's files don't say what its firmware needs to know.
    """
    target.require_firmware("build")
    boards = resources.folder("firmware_templates") / "boards"
    sources = board_sources(target)
    runtime = resources.folder("firmware_templates") / "runtime"
    files = {f"runtime/{path}": data for path, data in _folder(runtime).items()}
    files["main.c"] = files.pop("runtime/main.c")
    files |= {f"board/{name}": data for name, data in sources.items()}
    values = _values(target, manifest, -(-stack_bytes // 8) * 8) | board_values(target, sources)
    for template, path in (
        ("linker.ld.j2", LINKER_SCRIPT),
        ("config.h.j2", "board/config.h"),
        ("vectors.c.j2", "board/vectors.c"),
        ("Makefile.j2", "Makefile"),
        ("README.md.j2", "README.md"),
    ):
        files[path] = _render(boards / template, values)
    return {**files, **build_files(manifest)}


def build_files(manifest: Manifest) -> dict[str, bytes]:
    """Those of `firmware_files` that hold the manifest's `build`."""
    header = _render(resources.folder("firmware_templates") / "boards" / "build.h.j2", {"manifest": manifest})
    return {"board/build.h": header, MANIFEST_NAME: manifest.to_json().encode()}


def linux_files() -> dict[str, bytes]:
    """The files that make a command-line program of a model: its inputs' bytes in, its outputs' bytes out, timed.

    They go beside model.* and kernels/ in place of `firmware_files`; compile with `-std=gnu11 -I. -pthread` and a C
    library.
    """
    return _folder(resources.folder("firmware_templates") / "linux")


def _folder(root: Path) -> dict[str, bytes]:
    """The C of a folder and its subfolders."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.suffix in (".c", ".h", ".S")
    }


def _values(target: Target, manifest: Manifest, stack_bytes: int) -> dict[str, object]:
    regions = {use: target.region_for(use).name for use in USES}
    return {
        "target": _plain(target.name),
        "board_title": _plain(target.board.title),
        "model": _plain(manifest.model_name),
        "manifest": manifest,
        "clock_hz": target.clock_hz,
        "baud": target.board.console.baud,
        "console": target.board.console.peripheral,
        "input_bytes": sum(tensor.size_bytes for tensor in manifest.inputs),
        "stack_bytes": stack_bytes,
        "memories": tuple(m for m in target.memory if m.name in regions.values()),
        "regions": regions,
        "filled": _filled(target),
        "vector_alignment": 1 << (4 * (16 + target.soc.interrupts) - 1).bit_length(),
        "folders": _FOLDERS,
        "flags": C_FLAGS,
        "fast": FAST,
        "zig_small": ZIG_SMALL,
        "gcc_small": GCC_SMALL,
        "zig_machine": (*zig_machine_flags(target), *ZIG_C_FLAGS),
        "gcc_machine": (*gcc_machine_flags(target), *GCC_C_FLAGS),
        "zig_link": ZIG_LINK_FLAGS,
        "gcc_link": GCC_LINK_FLAGS,
        "gcc_libraries": GCC_LIBRARIES,
        "linker_script": LINKER_SCRIPT,
    }


def _filled(target: Target) -> tuple[dict[str, object], ...]:
    """The reserved pieces that the firmware itself fills, such as a second-stage bootloader."""
    pieces = []
    for piece in (*target.soc.reserved, *target.board.reserved):
        if piece.section:
            whole = next(m for m in target.soc.memory if m.name == piece.memory)
            base = whole.base if piece.at == "start" else whole.base + whole.size_bytes - piece.size_bytes
            pieces.append({"name": piece.section, "base": base, "size_bytes": piece.size_bytes, "by": piece.by})
    return tuple(pieces)


def _plain(name: str) -> str:
    """A name as it may stand in a comment, a string of C or a line of a Makefile."""
    return "".join(c if c.isprintable() and c not in '"\\$#*' else "_" for c in name)


def _render(template: Path, values: dict[str, object]) -> bytes:
    import jinja2

    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(template.read_text(encoding="utf-8")).render(values).encode()
