"""`zig cc`, from the package ziglang: clang and lld for every core, installed by pip."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from edgeq import process, registry
from edgeq.codegen import project
from edgeq.target import Target

_TIMEOUT_S = 60.0


def zig_command() -> tuple[str, ...]:
    """The argv that starts zig.

    Raises:
        MissingDependencyError: the package ziglang isn't installed.
    """
    registry.require(registry.TOOLCHAINS["zig"], "the toolchain 'zig'")
    return (sys.executable, "-m", "ziglang")


def zig_environment(cache: Path) -> Mapping[str, str]:
    """Where zig keeps what it has built, its compiler_rt above all: seven seconds to make it, once."""
    return {"ZIG_GLOBAL_CACHE_DIR": str(cache / "zig"), "ZIG_LOCAL_CACHE_DIR": str(cache / "zig")}


@lru_cache(maxsize=1)
def _zig_version() -> str:
    return process.run([*zig_command(), "version"], timeout_s=_TIMEOUT_S).stdout.strip()


@dataclass(frozen=True)
class Zig:
    """`zig cc` as a Toolchain."""

    name: str = "zig"

    def version(self) -> str:
        """See Toolchain."""
        return f"zig cc {_zig_version()}"

    def compile_argv(self, target: Target, source: str, output: Path) -> Sequence[str | Path]:
        """See Toolchain."""
        return [*zig_command(), "cc", *project.zig_flags(target, source), "-c", source, "-o", output]

    def link_argv(self, target: Target, objects: Sequence[Path], output: Path) -> Sequence[str | Path]:
        """See Toolchain."""
        script = ("-T", project.LINKER_SCRIPT)
        flags = (*project.zig_machine_flags(target), *project.ZIG_C_FLAGS, *project.ZIG_LINK_FLAGS, *script)
        return [*zig_command(), "cc", *flags, *objects, "-o", output]

    def environment(self, cache: Path) -> Mapping[str, str]:
        """See Toolchain."""
        return zig_environment(cache)


TOOLCHAIN = Zig()
