"""SourceTree → one static program for a Linux computer or an Android phone.

Static with musl: nothing has to be installed on the device, and the same file runs under any Linux and Android of that
architecture.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from edgeq import process
from edgeq.codegen.tree import Manifest, SourceTree
from edgeq.errors import ToolError
from edgeq.events import Listener, Progress, silent
from edgeq.files import write_tree, write_whole
from edgeq.target import Core
from edgeq.toolchains.cache import default_cache
from edgeq.toolchains.zig import TOOLCHAIN, zig_command, zig_environment

FLAGS = (
    "-std=gnu11",
    "-O3",  # loops are vectorised; the microcontrollers' -O2 doesn't
    "-Wall",
    "-Wextra",
    "-Werror",
    "-ffp-contract=off",  # a fused multiply-add rounds once where the reference rounds twice
    "-fno-sanitize=undefined",
    "-g0",
    "-DMODEL_LAYER_HOOK",
    "-I.",
    "-pthread",
    "-static",
)
# The first static link for an architecture compiles musl: 100 s on two cores, once.
_TIMEOUT_S = 900.0
_ERROR_LINES = 12


@dataclass(frozen=True, eq=False)
class DeviceProgram:
    """A model as a program.

    Attributes:
        elf: the file to run.
        toolchain: title and version of the compiler.
        zig_target: what it was compiled for.
    """

    elf: bytes
    manifest: Manifest
    toolchain: str
    zig_target: str


def build_program(
    tree: SourceTree, core: Core, *, cache: Path | None = None, listener: Listener = silent
) -> DeviceProgram:
    """Compile a tree of `edgeq.codegen.generate_program` for a core.

    Args:
        cache: a folder for what was built before; the platform's convention without it.

    Raises:
        MissingDependencyError: ziglang isn't installed.
        ToolError: the compiler refused; facts: command, stderr.
    """
    stored = cache or default_cache()
    version = TOOLCHAIN.version()
    compiler = core.compiler
    flags = ("-target", compiler.zig_target, f"-mcpu={compiler.zig_cpu}", *FLAGS)
    kept = stored / "programs" / _key(tree, version, flags)
    if kept.is_file():
        return DeviceProgram(kept.read_bytes(), tree.manifest, version, compiler.zig_target)
    listener(Progress("compile", 0, 1, "programs", f"{compiler.zig_target}, with the C library the first time"))
    with tempfile.TemporaryDirectory(prefix="edgeq-") as folder:
        write_tree(Path(folder), tree.files)
        output = Path(folder) / "program"
        argv = [*zig_command(), "cc", *flags, *tree.sources, "-o", "program"]
        said = process.run(
            argv, timeout_s=_TIMEOUT_S, cwd=Path(folder), environment=zig_environment(stored), check=False
        )
        if said.exit_code != 0:
            raise _refused(said, compiler.zig_target)
        content = output.read_bytes()
    listener(Progress("compile", 1, 1, "programs"))
    kept.parent.mkdir(parents=True, exist_ok=True)
    write_whole(kept, content)
    return DeviceProgram(content, tree.manifest, version, compiler.zig_target)


def _key(tree: SourceTree, version: str, flags: tuple[str, ...]) -> str:
    digest = hashlib.sha256("\0".join((version, *flags)).encode())
    for path, content in sorted(tree.files.items()):
        digest.update(f"\0{path}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _refused(said: process.Transcript, target: str) -> ToolError:
    lines = (said.stderr.strip() or said.stdout.strip()).splitlines()
    first = next((i for i, line in enumerate(lines) if "error" in line.lower()), 0)
    return ToolError(
        f"zig cc refused to make the program for {target}:\n" + os.linesep.join(lines[first : first + _ERROR_LINES]),
        where=target,
        next_step="the lines above are the compiler's own; the first of them is usually the cause",
        command=list(said.argv),
        exit_code=said.exit_code,
        stderr=said.stderr[-8000:],
    )
