"""Reading an ELF file: the image to flash, symbols, and bytes by purpose."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgeq.errors import ToolError
from edgeq.target import Target
from edgeq.toolchains.firmware import Usage

GAP = 0x00
"""What lies between sections in an image; objcopy's, so that the folder's Makefile makes the same file."""

_MAX_IMAGE_BYTES = 1 << 26

_ALLOC = 0x2  # SHF_ALLOC, System V ABI
_KINDS = ("STT_FUNC", "STT_OBJECT", "STT_NOTYPE")


@dataclass(frozen=True)
class Section:
    """One section that takes memory.

    Attributes:
        address: where it lies while the program runs; load_address: where its contents are flashed.
        data: its contents, b"" where it has none (bss).
    """

    name: str
    address: int
    load_address: int
    size_bytes: int
    data: bytes


@dataclass(frozen=True)
class Elf:
    """What edgeq reads from an ELF file."""

    sections: tuple[Section, ...]
    symbols: Mapping[str, tuple[int, int]]
    entry: int

    def section(self, name: str) -> Section | None:
        """The section of that name."""
        return next((s for s in self.sections if s.name == name), None)


def read(content: bytes) -> Elf:
    """Read the sections and symbols of a linked ELF file.

    Symbols of functions have the Thumb bit cleared. Where a name is defined more than once (local symbols),
    the global one counts, then the first.

    Raises:
        ToolError: it isn't an ELF file.
    """
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        file = ELFFile(io.BytesIO(content))
        segments = [s for s in file.iter_segments() if s["p_type"] == "PT_LOAD"]
        sections = tuple(
            _section(s, segments) for s in file.iter_sections() if s["sh_flags"] & _ALLOC and s["sh_size"] > 0
        )
        return Elf(sections, _symbols(file), int(file["e_entry"]) & ~1)
    except (ELFError, ValueError) as failed:
        raise ToolError(f"the linker's output can't be read: {failed}", where="firmware.elf") from failed


def _section(section: Any, segments: list[Any]) -> Section:
    address = int(section["sh_addr"])
    load_address = address
    for segment in segments:  # by what they load: in the address space they may overlap (bss around data)
        if segment["p_vaddr"] <= address < segment["p_vaddr"] + segment["p_filesz"]:
            load_address = address - segment["p_vaddr"] + segment["p_paddr"]
    data = b"" if section["sh_type"] == "SHT_NOBITS" else bytes(section.data())
    return Section(section.name, address, load_address, int(section["sh_size"]), data)


def _symbols(file: Any) -> Mapping[str, tuple[int, int]]:
    table = file.get_section_by_name(".symtab")
    if table is None:
        return {}
    found: dict[str, tuple[int, int]] = {}
    ranked: dict[str, bool] = {}
    for symbol in table.iter_symbols():
        kind, name = symbol["st_info"]["type"], symbol.name
        if not name or name.startswith("$") or kind not in _KINDS or symbol["st_shndx"] == "SHN_UNDEF":
            continue
        is_global = symbol["st_info"]["bind"] != "STB_LOCAL"
        if name in found and (ranked[name] or not is_global):
            continue
        address = int(symbol["st_value"])
        found[name] = (address & ~1 if kind == "STT_FUNC" else address, int(symbol["st_size"]))
        ranked[name] = is_global
    return found


def image(elf: Elf) -> tuple[int, bytes]:
    """Load address of the first byte, and all bytes to program from there; gaps are zero.

    Raises:
        ToolError: there is nothing to load.
    """
    loaded = [s for s in elf.sections if s.data]
    if not loaded:
        raise ToolError("the linker's output has nothing to load", where="firmware.elf")
    base = min(s.load_address for s in loaded)
    end = max(s.load_address + len(s.data) for s in loaded)
    if end - base > _MAX_IMAGE_BYTES:
        raise ToolError(
            f"the linker's output is spread over {end - base:,} bytes, from {base:#010x} to {end:#010x}",
            where="firmware.elf",
            next_step="let `holds` put code and weights of the target into memories that follow each other",
        )
    content = bytearray([GAP]) * (end - base)
    for s in loaded:
        content[s.load_address - base : s.load_address - base + len(s.data)] = s.data
    return base, bytes(content)


def intel_hex(base: int, content: bytes) -> str:
    """An image as Intel HEX, 16 bytes a record."""
    from intelhex import IntelHex

    out = io.StringIO()
    text = IntelHex()
    text.puts(base, content)
    text.write_hex_file(out, eolstyle="native")
    return out.getvalue()


def usage(elf: Elf, target: Target) -> Usage:
    """Bytes by purpose.

    RAM is the sum of the sections that lie in RAM; flash is, in each memory, all from the first byte to the last one,
    without what lies in a reserved piece of it.
    """
    flash = [m for m in target.memory if m.kind == "flash"]
    flash_bytes = sum(_extent(elf, m.base, m.base + m.size_bytes) for m in flash)
    ram = [m for m in target.soc.memory if m.kind == "ram"]
    in_ram = [s for s in elf.sections if any(m.base <= s.address < m.base + m.size_bytes for m in ram)]
    sizes = {s.name: s.size_bytes for s in elf.sections}
    weights_bytes, parameter_bytes = sizes.get(".model_weights", 0), sizes.get(".model_parameters", 0)
    return Usage(
        flash_bytes=flash_bytes,
        weights_bytes=weights_bytes,
        parameter_bytes=parameter_bytes,
        code_bytes=flash_bytes - weights_bytes - parameter_bytes,
        ram_bytes=sum(s.size_bytes for s in in_ram),
        arena_bytes=elf.symbols.get("model_arena", (0, 0))[1],
        stack_bytes=sizes.get(".stack", 0),
    )


def _extent(elf: Elf, start: int, end: int) -> int:
    """From the first to the last byte that is loaded there."""
    here = [s for s in elf.sections if s.data and start <= s.load_address < end]
    return max(s.load_address + len(s.data) for s in here) - min(s.load_address for s in here) if here else 0
