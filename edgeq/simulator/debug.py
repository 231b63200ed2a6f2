"""What a debugger has asked of the core: the state behind DHCSR, DFSR and DEMCR. Armv7-M ARM (DDI 0403), C1.6."""

from __future__ import annotations

from dataclasses import dataclass

from edgeq.simulator.faults import BoardFault

DFSR, DHCSR, DCRSR, DCRDR, DEMCR = 0xE000_ED30, 0xE000_EDF0, 0xE000_EDF4, 0xE000_EDF8, 0xE000_EDFC
C_DEBUGEN, C_HALT, C_STEP, C_MASKINTS = 1 << 0, 1 << 1, 1 << 2, 1 << 3
S_REGRDY, S_HALT, S_SLEEP, S_LOCKUP, S_RETIRE_ST, S_RESET_ST = 1 << 16, 1 << 17, 1 << 18, 1 << 19, 1 << 24, 1 << 25
KEY = 0xA05F
VC_CORERESET, VC_HARDERR, TRCENA = 1 << 0, 1 << 10, 1 << 24
HALTED, BKPT, VCATCH = 1 << 0, 1 << 1, 1 << 3


@dataclass
class DebugState:
    """Survives a reset of the core, as on silicon, where only switching it off clears these bits.

    Attributes:
        control: C_DEBUGEN, C_STEP and C_MASKINTS of DHCSR.
        halted: the core is in debug state.
        catches: DEMCR, with TRCENA.
        events: DFSR: why it halted.
        was_reset: S_RESET_ST; retired: S_RETIRE_ST. Reading DHCSR clears both.
        resets: how many there have been.
        held: the reset pin is low.
        locked_up: what the core can't come back from by itself.
    """

    control: int = 0
    halted: bool = False
    catches: int = 0
    events: int = 0
    was_reset: bool = True
    retired: bool = False
    resets: int = 0
    held: bool = False
    locked_up: BoardFault | None = None

    @property
    def enabled(self) -> bool:
        """Whether a debugger is attached: breakpoints halt."""
        return bool(self.control & C_DEBUGEN)

    def catching(self, event: int) -> bool:
        """Whether that event of DEMCR halts the core."""
        return self.enabled and bool(self.catches & event)

    def status(self, asleep: bool) -> int:
        """DHCSR as it is read."""
        value = self.control | S_REGRDY
        value |= (C_HALT | S_HALT if self.halted else 0) | (S_SLEEP if asleep else 0)
        value |= S_LOCKUP if self.locked_up is not None and not self.halted else 0
        return value | (S_RETIRE_ST if self.retired else 0) | (S_RESET_ST if self.was_reset else 0)
