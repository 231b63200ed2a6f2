"""What a toolchain is to `build.py`: command lines. It is asked for them; it runs nothing but its version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from edgeq.target import Target


class Toolchain(Protocol):
    """One compiler for microcontrollers. All paths are relative to the source tree's root, the working folder."""

    @property
    def name(self) -> str:
        """The name that `--toolchain` takes."""
        ...

    def version(self) -> str:
        """Title and version, e.g. `zig cc 0.17.0`.

        Raises:
            MissingDependencyError: it isn't installed; says how to get it.
        """
        ...

    def compile_argv(self, target: Target, source: str, output: Path) -> Sequence[str | Path]:
        """The command that compiles `source` to the object `output`."""
        ...

    def link_argv(self, target: Target, objects: Sequence[Path], output: Path) -> Sequence[str | Path]:
        """The command that links `objects` to the ELF file `output` with the tree's linker script."""
        ...

    def environment(self, cache: Path) -> Mapping[str, str]:
        """Variables that its commands need; `cache` is a folder that it may write to and keep."""
        ...
