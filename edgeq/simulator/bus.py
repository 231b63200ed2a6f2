"""Addresses to devices: the peripherals of a SoC behind the emulator's memory-mapped pages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from edgeq.events import Listener, Notice
from edgeq.simulator import private_bus
from edgeq.simulator.engine import Engine
from edgeq.simulator.peripherals import make
from edgeq.simulator.peripherals.device import Clocks, Device, Wires
from edgeq.simulator.private_bus import PrivateBus
from edgeq.target import Peripheral

_PAGE = 4096
_SLOT = 0x400  # no peripheral of these chips shares a kilobyte with another


class UnansweredError(Exception):
    """Nothing is at that address."""

    def __init__(self, address: int, size: int, write: bool) -> None:
        super().__init__(f"0x{address:08X}")
        self.address, self.size, self.write = address, size, write


def _nobody(byte: int) -> None:
    """What a serial port other than the console sends."""


class Bus:
    """All devices of a board."""

    def __init__(
        self,
        rows: Iterable[Peripheral],
        console: str,
        wires: Wires,
        private: PrivateBus,
        listener: Listener,
    ) -> None:
        unheard = replace(wires, transmit=_nobody)
        self.devices: dict[str, Device] = {
            row.name: make(row, wires if row.name == console else unheard) for row in rows
        }
        self._private = private
        self._listener = listener
        self._slots: dict[int, Device] = {}
        self._silent: set[str] = set()
        self.clocks = next((d for d in self.devices.values() if isinstance(d, Clocks)), None)
        for device in self.devices.values():
            for slot in range(device.row.base // _SLOT, -(-(device.row.base + device.row.size_bytes) // _SLOT)):
                self._slots[slot] = device
        # Asked about time in every round of the run loop: only those that can have something to say.
        self.timed = [d for d in self.devices.values() if type(d).next_event is not Device.next_event]

    def attach(self, engine: Engine) -> None:
        """Map every page that holds a device."""
        pages = sorted({slot * _SLOT // _PAGE for slot in self._slots if slot * _SLOT < private_bus.BASE})
        while pages:
            first = last = pages.pop(0)
            while pages and pages[0] == last + 1:
                last = pages.pop(0)
            engine.attach(first * _PAGE, (last - first + 1) * _PAGE, self.read, self.write)
        engine.attach(private_bus.BASE, private_bus.SIZE, self.read, self.write)

    def reset(self) -> None:
        """All devices as after reset."""
        self._private.reset()
        if self.clocks is not None:
            self.clocks.reset()  # first: a flash controller without wait states wants a slow clock
        for device in self.devices.values():
            if device is not self.clocks:
                device.reset()

    def answers(self, address: int) -> bool:
        """Whether an address is a device's, or one of the core's own registers."""
        return address // _SLOT in self._slots or 0 <= address - private_bus.BASE < private_bus.SIZE

    def read(self, address: int, size: int) -> int:
        """What the core reads there.

        Raises:
            UnansweredError: no device is there.
        """
        device = self._slots.get(address // _SLOT)
        if device is not None:
            offset = address - device.row.base
            return 0 if self._off(device, offset) else device.read(offset, size)
        if private_bus.BASE <= address < private_bus.BASE + private_bus.SIZE:
            return self._private.read(address, size)
        raise UnansweredError(address, size, write=False)

    def write(self, address: int, size: int, value: int) -> None:
        """What the core writes there.

        Raises:
            UnansweredError: no device is there.
        """
        device = self._slots.get(address // _SLOT)
        if device is not None:
            if not device.writable:
                raise UnansweredError(address, size, write=True)
            offset = address - device.row.base
            if not self._off(device, offset):
                device.write(offset, size, value)
        elif private_bus.BASE <= address < private_bus.BASE + private_bus.SIZE:
            self._private.write(address, size, value)
        else:
            raise UnansweredError(address, size, write=True)

    def _off(self, device: Device, offset: int) -> bool:
        enable = device.clock_enable(offset)
        if enable is None or self.clocks is None:
            return False
        if self.clocks.words.get(enable.register, 0) >> enable.bit & 1:
            return False
        name = f"{device.row.name} ({device.row.base + offset:#010x})"
        if device.row.name not in self._silent:
            self._silent.add(device.row.name)
            self._listener(
                Notice(
                    f"{name} is used while its clock is off (RCC register 0x{enable.register:02X} "
                    f"bit {enable.bit}): reads give 0, writes are lost",
                    "simulate",
                )
            )
        return True


def earliest(bus: Bus, private: PrivateBus, limit: int) -> int:
    """The next cycle at which a device does something by itself, `limit` at the latest."""
    soonest = min(limit, private.next_event())
    for device in bus.timed:
        soonest = min(soonest, device.next_event())
    return soonest
