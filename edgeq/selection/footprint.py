"""What the firmware around a model takes, before it is built: footprint.toml, measured on real builds."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from edgeq.target import Core, Target
from edgeq.toml_schema import build

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOOTPRINT_FILE = Path(__file__).with_name("footprint.toml")
VECTOR_BYTES = 4
CORE_EXCEPTIONS = 16
"""Words at the start of every vector table (DDI 0403E, "The vector table")."""


@dataclass(frozen=True)
class Runtime:
    """The firmware of a family of chips without model, kernels and vector table.

    Attributes:
        code_bytes: start-up, clocks, console, wire protocol, C library.
        ram_bytes: their variables, without arena, input buffer and stack.
    """

    code_bytes: int
    ram_bytes: int


@dataclass(frozen=True)
class CoreCode:
    """Compiled code that depends on the core's instruction set.

    Attributes:
        architecture: of the core; a core that isn't in the file is taken for one of its architecture.
        layer_code_bytes: a layer's call, its parameter struct and its share of `model.c`, on average.
        layer_ram_bytes: a layer's cycle counter.
        kernel_code_bytes: kernel source (as in Kernel.sources) → its code and constants.
    """

    architecture: str
    layer_code_bytes: int
    layer_ram_bytes: int
    kernel_code_bytes: Mapping[str, int]


@dataclass(frozen=True)
class Sizes:
    """The file.

    Attributes:
        stack_bytes: what the linker script reserves.
        runtime: by the chip's `firmware`.
        core: by the core's name.
        source: how all this was measured.
    """

    stack_bytes: int
    runtime: Mapping[str, Runtime]
    core: Mapping[str, CoreCode]
    source: str


@dataclass(frozen=True)
class Footprint:
    """Sizes of compiled firmware for one target, without the model.

    Attributes:
        vector_bytes: of the vector table: four for each interrupt of the chip.
        source: how these were measured, and on what.
    """

    runtime: Runtime
    code: CoreCode
    vector_bytes: int
    stack_bytes: int
    source: str

    def code_bytes(self, layers: int, kernel_sources: Sequence[str]) -> int:
        """Estimated flash for code: runtime, vector table, the layers' calls, and each kernel file once.

        A kernel file without a figure counts as the largest one.
        """
        sizes = self.code.kernel_code_bytes
        unknown = max(sizes.values(), default=0)
        compiled = {source for source in kernel_sources if source.endswith((".c", ".S"))}
        kernels = sum(sizes.get(source, unknown) for source in compiled)
        return self.runtime.code_bytes + self.vector_bytes + layers * self.code.layer_code_bytes + kernels

    def ram_bytes(self, layers: int) -> int:
        """Estimated RAM of the runtime's variables."""
        return self.runtime.ram_bytes + layers * self.code.layer_ram_bytes


def footprint(target: Target) -> Footprint:
    """What firmware takes on a target: as measured for its core and its chip's family.

    Where one isn't in the file, the nearest is taken: a core of the same architecture, the largest of all families.

    Raises:
        TargetFileError: the file isn't valid.
    """
    sizes = measured()
    name = _core(sizes, target.core)
    runtime = sizes.runtime.get(target.soc.firmware) or max(sizes.runtime.values(), key=lambda r: r.code_bytes)
    family = f", family {target.soc.firmware}" if target.soc.firmware in sizes.runtime else ""
    return Footprint(
        runtime,
        sizes.core[name],
        VECTOR_BYTES * (CORE_EXCEPTIONS + target.soc.interrupts) if target.kind == "microcontroller" else 0,
        sizes.stack_bytes,
        f"{sizes.source}, {name}{family}",
    )


def core_code(core: Core) -> CoreCode:
    """What a core's code takes, or, where it isn't in the file, that of a core of its architecture.

    Raises:
        TargetFileError: the file isn't valid.
    """
    sizes = measured()
    return sizes.core[_core(sizes, core)]


def _core(sizes: Sizes, core: Core) -> str:
    if core.name in sizes.core:
        return core.name
    alike = [name for name, code in sizes.core.items() if code.architecture == core.architecture]
    return alike[0] if alike else "cortex-m4"


@lru_cache(maxsize=1)
def measured() -> Sizes:
    """footprint.toml.

    Raises:
        TargetFileError: the file isn't valid.
    """
    with FOOTPRINT_FILE.open("rb") as stream:
        return build(Sizes, tomllib.load(stream), str(FOOTPRINT_FILE))
