"""Firmware: an image for a target, and what its ELF says about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgeq.codegen.tree import Manifest


@dataclass(frozen=True)
class Usage:
    """Bytes by purpose, from the ELF's sections and symbols.

    Attributes:
        flash_bytes: all that is programmed: code, constants, weights and the start values of data.
        weights_bytes: the model's weights and biases as packed (section `.model_weights`).
        parameter_bytes: the model's other constants (section `.model_parameters`: multipliers and shifts, one set per
            channel or tensor).
        code_bytes: everything else: instructions, parameter structs, tables, the start values of data.
        ram_bytes: data + bss + arena + reserved stack.
        arena_bytes: size of the arena's symbol.
        stack_bytes: what the linker script reserves for the stack.
    """

    flash_bytes: int
    weights_bytes: int
    parameter_bytes: int
    code_bytes: int
    ram_bytes: int
    arena_bytes: int
    stack_bytes: int


@dataclass(frozen=True)
class Firmware:
    """A linked image.

    Attributes:
        image: the raw bytes from `base` on, as flashed.
        toolchain: name and version, e.g. "zig cc 0.17.0".
        symbols: name → (address, size) of functions and objects.
    """

    target: str
    toolchain: str
    base: int
    image: bytes
    elf: bytes
    intel_hex: str
    usage: Usage
    symbols: Mapping[str, tuple[int, int]]
    manifest: Manifest
