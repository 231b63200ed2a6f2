"""Names for addresses, from an ELF."""

from __future__ import annotations

import bisect
import io


class Symbols:
    """Functions (and objects) of an ELF, by address."""

    def __init__(self, elf: bytes | None) -> None:
        table: dict[int, str] = {}
        if elf is not None:
            table = _read(elf)
        self._starts = sorted(table)
        self._names = [table[start] for start in self._starts]

    def name(self, address: int) -> str:
        """`main+0x12`, or "" when no symbol lies within 64 KiB below."""
        at = bisect.bisect_right(self._starts, address) - 1
        if at < 0 or address - self._starts[at] > 0x10000:
            return ""
        offset = address - self._starts[at]
        return self._names[at] + (f"+0x{offset:x}" if offset else "")


def _read(elf: bytes) -> dict[int, str]:
    from elftools.elf.elffile import ELFFile
    from elftools.elf.sections import SymbolTableSection

    found: dict[int, str] = {}
    for section in ELFFile(io.BytesIO(elf)).iter_sections():
        if not isinstance(section, SymbolTableSection):
            continue
        for symbol in section.iter_symbols():
            if symbol["st_info"]["type"] == "STT_FUNC" and symbol.name:
                found[symbol["st_value"] & ~1] = symbol.name
    return found
