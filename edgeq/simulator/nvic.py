"""Which exception is next: pending, enabled, priorities, what is active. Armv7-M ARM (DDI 0403), B1.5 and B3.4."""

from __future__ import annotations

NMI, HARD_FAULT, MEMORY_FAULT, BUS_FAULT, USAGE_FAULT = 2, 3, 4, 5, 6
SVC, DEBUG_MONITOR, PENDSV, SYSTICK, FIRST_IRQ = 11, 12, 14, 15, 16
_CONFIGURABLE = frozenset((MEMORY_FAULT, BUS_FAULT, USAGE_FAULT, SVC, DEBUG_MONITOR, PENDSV, SYSTICK))
_IDLE_PRIORITY = 256


class Nvic:
    """Exceptions by number (interrupt line n is exception 16 + n)."""

    def __init__(self, interrupts: int, priority_bits: int = 4) -> None:
        self.count = FIRST_IRQ + interrupts
        self._mask = 0xFF & ~((1 << (8 - priority_bits)) - 1)
        self.reset()

    def reset(self) -> None:
        """As after reset: nothing enabled, nothing pending."""
        self.enabled: set[int] = {NMI, HARD_FAULT, SVC, DEBUG_MONITOR, PENDSV, SYSTICK}
        self.pending: set[int] = set()
        self.asserted: set[int] = set()
        self.active: list[int] = []
        self.priority = [0] * self.count
        self.group_shift = 0

    def set_priority(self, number: int, value: int) -> None:
        """Only the implemented upper bits are kept."""
        if number in _CONFIGURABLE or FIRST_IRQ <= number < self.count:
            self.priority[number] = value & self._mask

    def line(self, number: int, level: bool) -> bool:
        """A device's interrupt output; whether this could interrupt something now."""
        if not level:
            self.asserted.discard(number)
            return False
        self.asserted.add(number)
        return number in self.enabled

    def urgency(self, number: int) -> int:
        """Priority with the sub-priority bits cleared: what decides about pre-emption. Lower is more urgent."""
        if number == NMI:
            return -2
        if number == HARD_FAULT:
            return -1
        return self.priority[number] >> self.group_shift << self.group_shift

    def execution_priority(self, primask: int, basepri: int, faultmask: int) -> int:
        """What a new exception has to be more urgent than."""
        now = min((self.urgency(n) for n in self.active), default=_IDLE_PRIORITY)
        if basepri:
            now = min(now, basepri >> self.group_shift << self.group_shift)
        if primask:
            now = min(now, 0)
        return min(now, -1) if faultmask else now

    def waiting(self) -> int:
        """The most urgent enabled and pending exception that isn't active, 0 if there is none."""
        candidates = ((self.pending | self.asserted) & self.enabled).difference(self.active)
        if not candidates:
            return 0
        return min(candidates, key=lambda n: (self.urgency(n), self.priority[n], n))

    def activate(self, number: int) -> None:
        """The core starts handling it."""
        self.pending.discard(number)
        self.active.append(number)

    def deactivate(self, number: int) -> None:
        """The core returns from it."""
        if number in self.active:
            self.active.remove(number)
