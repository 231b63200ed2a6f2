"""A debug probe for pyOCD with a virtual board behind it.

pyOCD is the real one, and so are its flash algorithms: they run on the simulated core, against the simulated flash
controller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pyocd.core import exceptions
from pyocd.probe.debug_probe import DebugProbe

from edgeq.errors import DeviceError
from edgeq.events import Listener
from edgeq.runners import locks
from edgeq.simulator import kept
from edgeq.simulator.board import VirtualBoard
from edgeq.simulator.debug_port import DebugWire, WireError
from edgeq.simulator.kept import Address
from edgeq.target import DebugPort, Target


@contextmanager
def virtual_probe(name: str, target: Target, listener: Listener) -> Iterator[VirtualProbe]:
    """Switch a kept board on, with a probe on it, for as long as the context lasts.

    Raises:
        InputFileError: the board's folder is damaged.
        PortError: another process has the board.
        UnsupportedError: the target's virtual board has no debug port.
    """
    address = kept.parse(name)
    kept.require_probe(target)
    kept.require_folder(address)
    with locks.hold(address.folder, [address.key], "edgeq flash"):
        board = VirtualBoard(
            target, None, listener=listener, kept=kept.files_of(address, target, make=True), defects=address.defects
        )
        debugger = board.debugger()
        try:
            yield VirtualProbe(address, target, DebugWire(_debug_port(target), debugger))
        except DeviceError as failed:
            fault = debugger.board.debug.locked_up
            if fault is None:
                raise
            raise DeviceError(
                f"{failed.what}; the virtual board's core has locked up: {fault.what}",
                where=failed.where,
                next_step=failed.next_step,
                **failed.facts,
            ) from failed
        finally:
            board.close()


def _debug_port(target: Target) -> DebugPort:
    assert target.soc.debug_port is not None  # kept.require_probe
    return target.soc.debug_port


class VirtualProbe(DebugProbe):  # type: ignore[misc]
    """A probe that talks SWD, at any speed."""

    def __init__(self, address: Address, target: Target, wire: DebugWire) -> None:
        super().__init__()
        self._address, self._target, self._wire = address, target, wire
        if address.locked:
            self._wire.lock()
        self._open = False
        self._protocol: Any = None

    # What pyOCD wants to know

    @property
    def vendor_name(self) -> str:
        """As pyOCD shows it."""
        return "edgeq"

    @property
    def product_name(self) -> str:
        """As pyOCD shows it."""
        return f"virtual {self._target.board.title}"

    @property
    def supported_wire_protocols(self) -> Sequence[Any]:
        """SWD."""
        return [DebugProbe.Protocol.DEFAULT, DebugProbe.Protocol.SWD]

    @property
    def unique_id(self) -> str:
        """The board's name."""
        return self._address.key

    @property
    def wire_protocol(self) -> Any:
        """None until it is connected."""
        return self._protocol

    @property
    def is_open(self) -> bool:
        """Whether it is open."""
        return self._open

    @property
    def capabilities(self) -> set[Any]:
        """It sends the sequences that wake a debug port, and selects banks of its registers."""
        return {self.Capability.SWJ_SEQUENCE, self.Capability.BANKED_DP_REGISTERS}

    # Control

    def open(self) -> None:
        """Nothing to open."""
        self._open = True

    def close(self) -> None:
        """Nothing to close."""
        self._open = False

    def connect(self, protocol: Any = None) -> None:
        """Always SWD."""
        self._protocol = DebugProbe.Protocol.SWD

    def disconnect(self) -> None:
        """Let go."""
        self._protocol = None

    def set_clock(self, frequency: float) -> None:
        """Any speed is right."""

    def reset(self) -> None:
        """Pull the reset pin, and let it go."""
        self.assert_reset(True)
        self.assert_reset(False)

    def assert_reset(self, asserted: bool) -> None:
        """Pull the reset pin, or let it go."""
        self._wire.debugger.hold_reset(asserted)

    def is_reset_asserted(self) -> bool:
        """Whether the reset pin is low."""
        return self._wire.debugger.board.debug.held

    # Transfers

    def read_dp(self, addr: int, now: bool = True) -> Any:
        """A register of the debug port; with `now` off, a function that gives it."""
        return _later(self._wire.read_dp(addr & 0xF), now)

    def write_dp(self, addr: int, data: int) -> None:
        """A register of the debug port."""
        self._wire.write_dp(addr & 0xF, data)

    def read_ap(self, addr: int, now: bool = True) -> Any:
        """A register of the selected access port."""
        with _faults():
            return _later(self._wire.read_ap(addr), now)

    def write_ap(self, addr: int, data: int) -> None:
        """A register of the selected access port."""
        with _faults():
            self._wire.write_ap(addr, data)

    def read_ap_multiple(self, addr: int, count: int = 1, now: bool = True) -> Any:
        """The same register several times."""
        with _faults():
            return _later(self._wire.read_ap_several(addr, count), now)

    def write_ap_multiple(self, addr: int, values: Sequence[int]) -> None:
        """The same register several times."""
        with _faults():
            self._wire.write_ap_several(addr, values)


def _later(value: Any, now: bool) -> Any | Callable[[], Any]:
    return value if now else lambda: value


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except WireError as fault:
        raise exceptions.TransferFaultError(fault_address=fault.address) from fault
