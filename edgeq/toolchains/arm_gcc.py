"""arm-none-eabi-gcc, where it is on PATH: what people who ship firmware trust."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from edgeq import process
from edgeq.codegen import project
from edgeq.errors import MissingDependencyError
from edgeq.target import Target

PROGRAM = "arm-none-eabi-gcc"
_TIMEOUT_S = 60.0


@lru_cache(maxsize=4)
def _gcc_version(program: str) -> str:
    first_line = process.run([program, "--version"], timeout_s=_TIMEOUT_S).stdout.partition("\n")[0]
    number = re.search(r"\) *(\d+(?:\.\d+)+(?: \d+)?)", first_line) or re.search(r"(\d+(?:\.\d+)+)", first_line)
    return number[1] if number else first_line.strip()


@dataclass(frozen=True)
class ArmGcc:
    """arm-none-eabi-gcc as a Toolchain."""

    name: str = "gcc"

    def version(self) -> str:
        """See Toolchain."""
        program = shutil.which(PROGRAM)
        if program is None:
            raise MissingDependencyError(
                f"the toolchain 'gcc' needs {PROGRAM}, which is not on PATH",
                next_step="install it (Debian, Ubuntu: `apt install gcc-arm-none-eabi`; macOS: `brew install "
                "--cask gcc-arm-embedded`), or choose `--toolchain zig`",
                program=PROGRAM,
            )
        return f"{PROGRAM} {_gcc_version(program)}"

    def compile_argv(self, target: Target, source: str, output: Path) -> Sequence[str | Path]:
        """See Toolchain."""
        return [PROGRAM, *project.gcc_flags(target, source), "-c", source, "-o", output]

    def link_argv(self, target: Target, objects: Sequence[Path], output: Path) -> Sequence[str | Path]:
        """See Toolchain."""
        flags = (*project.gcc_machine_flags(target), *project.GCC_LINK_FLAGS, "-T", project.LINKER_SCRIPT)
        return [PROGRAM, *flags, *objects, *project.GCC_LIBRARIES, "-o", output]

    def environment(self, cache: Path) -> Mapping[str, str]:
        """See Toolchain."""
        return {"LC_ALL": "C"}  # messages in English: the overflow of a region is read from them


TOOLCHAIN = ArmGcc()
