"""How a Cortex-M4 says what it consists of: the ROM table and the identification of its debug components.

Armv7-M ARM (DDI 0403), D1.1 (identification registers); Cortex-M4 TRM (DDI 0439), section 9.1 (ROM table).
"""

from __future__ import annotations

ROM_TABLE = 0xE00F_F000
FPB = 0xE000_2000
_PRESENT, _ABSENT = 3, 2  # the second bit says that an entry has 32 bits
# System Control Space, DWT, FPB, ITM. Tracing (TPIU, ETM) isn't there.
_ENTRIES = (
    (0xE000_E000, _PRESENT), (0xE000_1000, _PRESENT), (FPB, _PRESENT), (0xE000_0000, _PRESENT),
    (0xE004_0000, _ABSENT), (0xE004_1000, _ABSENT),
)  # fmt: skip
# Page → component class, part number, revision.
_COMPONENTS = {
    ROM_TABLE: (0x1, 0x4C4, 0),
    0xE000_E000: (0xE, 0x00C, 0),
    0xE000_1000: (0xE, 0x002, 3),
    FPB: (0xE, 0x003, 2),
    0xE000_0000: (0xE, 0x001, 3),
}
# Arm Ltd. of JEDEC's JEP106: bank 4, code 0x3B; bit 3 of PIDR2 says that the code is one of these.
_JEP106_BANK, _JEP106_CODE = 4, 0x3B


def identification(address: int) -> int:
    """What is read at an address of the ROM table or of a component's identification; 0 elsewhere."""
    page, offset = address & ~0xFFF, address & 0xFFF
    if page == ROM_TABLE and offset // 4 < len(_ENTRIES):
        base, flags = _ENTRIES[offset // 4]
        return (base - ROM_TABLE + flags) & 0xFFFF_FFFF
    if page not in _COMPONENTS or offset < 0xFD0:
        return 0
    kind, part, revision = _COMPONENTS[page]
    return {
        0xFD0: _JEP106_BANK,
        0xFE0: part & 0xFF,
        0xFE4: (_JEP106_CODE & 0xF) << 4 | part >> 8,
        0xFE8: revision << 4 | 1 << 3 | _JEP106_CODE >> 4,
        0xFF0: 0x0D, 0xFF4: kind << 4, 0xFF8: 0x05, 0xFFC: 0xB1,
    }.get(offset, 0)  # fmt: skip
