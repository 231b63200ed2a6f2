"""C for the machine that edgeq runs on: generated code under test, the simulator's native part."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from edgeq import process, registry
from edgeq.errors import MissingDependencyError, ToolError, UsageError
from edgeq.toolchains.cache import default_cache
from edgeq.toolchains.zig import zig_command, zig_environment

HOST_FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off")
"""Contraction off: a fused multiply-add rounds once where the reference rounds twice."""

_NAMES = ("cc", "gcc", "clang")
_TIMEOUT_S = 300.0
_ERROR_LINES = 12


def compile_host(
    sources: Sequence[Path],
    output: Path,
    include: Sequence[Path],
    flags: Sequence[str] = (),
    shared: bool = False,
    compiler: str = "auto",
    cache: Path | None = None,
) -> Path:
    """Compile and link C for this machine.

    Args:
        sources: C and assembly files.
        output: the program, or the library, to write; its folder is made.
        include: include folders.
        flags: added after HOST_FLAGS, so that they win.
        shared: make a library that ctypes can load.
        compiler: "zig"; "cc", "gcc" or "clang" from PATH; or "auto": zig where it is installed, else the first of
            these that there is.
        cache: zig's, as for `build_firmware`.

    Returns:
        `output`.

    Raises:
        UsageError: no such compiler.
        MissingDependencyError: none is installed.
        ToolError: it refused; facts: command, stderr.
    """
    if compiler == "auto":
        compiler = "zig" if registry.installed("ziglang") else next(filter(shutil.which, _NAMES), "zig")
    if compiler != "zig" and compiler not in _NAMES:
        raise UsageError(
            f"there is no host compiler '{compiler}'", next_step=f"choose one of: zig, {', '.join(_NAMES)}"
        )
    if compiler != "zig" and shutil.which(compiler) is None:
        raise MissingDependencyError(
            f"there is no '{compiler}' on PATH", next_step="pip install 'edgeq[build]' brings zig", program=compiler
        )
    start = [*zig_command(), "cc", "-g0", "-fno-sanitize=undefined"] if compiler == "zig" else [compiler]
    kind = ["-shared", "-fPIC"] if shared else []
    folders = [word for folder in include for word in ("-I", str(folder))]
    output.parent.mkdir(parents=True, exist_ok=True)
    argv = [*start, *HOST_FLAGS, *kind, *folders, *flags, *map(str, sources), "-lm", "-o", str(output)]
    environment = zig_environment(cache or default_cache()) if compiler == "zig" else {}
    said = process.run(argv, timeout_s=_TIMEOUT_S, environment=environment, check=False)
    if said.exit_code != 0:
        lines = (said.stderr.strip() or said.stdout.strip()).splitlines()
        first = next((i for i, line in enumerate(lines) if "error" in line.lower()), 0)
        raise ToolError(
            f"{compiler} refused to make {output.name}:\n" + "\n".join(lines[first : first + _ERROR_LINES]),
            where=output.name,
            next_step="the lines above are the compiler's own; the first of them is usually the cause",
            command=argv,
            exit_code=said.exit_code,
            stderr=said.stderr[-8000:],
        )
    return output
