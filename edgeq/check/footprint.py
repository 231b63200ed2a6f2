"""What the firmware around a model takes, before it is built: footprint.toml, measured on real builds."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from edgeq.toml_schema import build

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOOTPRINT_FILE = Path(__file__).with_name("footprint.toml")


@dataclass(frozen=True)
class Footprint:
    """Sizes of compiled firmware, without the model.

    Attributes:
        runtime_code_bytes: start-up, console, wire protocol, C library; everything but model and kernels.
        runtime_ram_bytes: their variables, without arena, input buffer and stack.
        stack_bytes: what the linker script reserves.
        layer_code_bytes: a layer's call, its parameter struct and its share of `model.c`, on average.
        layer_ram_bytes: a layer's cycle counter.
        kernel_code_bytes: kernel source (as in Kernel.sources) → its code and constants.
        source: how these were measured.
    """

    runtime_code_bytes: int
    runtime_ram_bytes: int
    stack_bytes: int
    layer_code_bytes: int
    layer_ram_bytes: int
    kernel_code_bytes: Mapping[str, int]
    source: str

    def code_bytes(self, layers: int, kernel_sources: Sequence[str]) -> int:
        """Estimated flash for code: runtime, the layers' calls, and each kernel file once.

        A kernel file without a figure counts as the largest one.
        """
        unknown = max(self.kernel_code_bytes.values(), default=0)
        compiled = {source for source in kernel_sources if source.endswith((".c", ".S"))}
        kernels = sum(self.kernel_code_bytes.get(source, unknown) for source in compiled)
        return self.runtime_code_bytes + layers * self.layer_code_bytes + kernels

    def ram_bytes(self, layers: int) -> int:
        """Estimated RAM of the runtime's variables."""
        return self.runtime_ram_bytes + layers * self.layer_ram_bytes


@lru_cache(maxsize=1)
def footprint() -> Footprint:
    """The sizes in footprint.toml.

    Raises:
        TargetFileError: the file isn't valid.
    """
    with FOOTPRINT_FILE.open("rb") as stream:
        return build(Footprint, tomllib.load(stream), str(FOOTPRINT_FILE))
