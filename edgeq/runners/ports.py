"""Serial ports by what is behind them on USB."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeq import registry
from edgeq.errors import PortError
from edgeq.runners.usb import bare_number
from edgeq.target import Target

if TYPE_CHECKING:
    from edgeq.runners.contract import Device  # which loads what makes firmware


@dataclass(frozen=True)
class SerialPort:
    """A port of this machine; ids are -1 where it isn't on USB."""

    device: str
    title: str
    vendor_id: int
    product_id: int
    serial_number: str


def present() -> tuple[SerialPort, ...]:
    """Every serial port of this machine. Pseudo-terminals are not among them.

    Raises:
        MissingDependencyError: pyserial is not installed.
    """
    registry.require(registry.Row("", "device", ("serial",)), "finding serial ports")
    from serial.tools import list_ports

    return tuple(
        SerialPort(
            str(p.device),
            str(p.description or p.device),
            -1 if p.vid is None else int(p.vid),
            -1 if p.pid is None else int(p.pid),
            str(p.serial_number or ""),
        )
        for p in sorted(list_ports.comports(), key=lambda p: str(p.device))
    )


def is_here(serial_number: str) -> bool:
    """Whether a serial port of this machine belongs to what USB calls so; without pyserial nobody knows."""
    bare = bare_number(serial_number)
    return bool(bare) and registry.installed("serial") and any(bare_number(p.serial_number) == bare for p in present())


def console_of(
    target: Target, ports: tuple[SerialPort, ...], serial_number: str = "", *, no_other: bool = False
) -> SerialPort:
    """The port that the target's USB ids say is its console, for `--port auto`.

    Args:
        serial_number: of the debug probe, where it is known; tells two equal boards apart.
        no_other: the console is that probe's; where it isn't here, it isn't here.

    Raises:
        PortError: none or several; what is there is listed.
    """
    ids = {(u.vendor_id, u.product_id) for u in target.board.usb}
    found = [p for p in ports if (p.vendor_id, p.product_id) in ids]
    if serial_number:
        same = [p for p in found if bare_number(p.serial_number) == bare_number(serial_number)]
        found = same or ([] if no_other else found)
    if len(found) == 1:
        return found[0]
    listing = ", ".join(f"{p.device} ({p.title})" for p in ports) or "none at all"
    if found:
        raise PortError(
            f"several ports could be {target.name}: {', '.join(p.device for p in found)}",
            next_step="name one with --port",
            ports=[p.device for p in found],
        )
    wanted = ", ".join(f"{u.title} {u.vendor_id:04x}:{u.product_id:04x}" for u in target.board.usb)
    wanted = wanted or "no USB id (its target file has none)"
    raise PortError(
        f"no serial port of {target.name} is here: looked for {wanted}; ports here: {listing}",
        next_step="plug the board in, name the port with --port, or use the virtual board with --sim",
        ports=[p.device for p in ports],
    )


def port_of(serial_number: str, name: str, look: Callable[[], tuple[SerialPort, ...]] = present) -> str:
    """The serial port of the device with that serial number.

    Args:
        name: what the user calls it, for the message.

    Raises:
        PortError: none or several.
    """
    found = [p.device for p in look() if bare_number(p.serial_number) == bare_number(serial_number)]
    if len(found) == 1:
        return found[0]
    raise PortError(
        f"'{name}' ({serial_number}) has "
        + (f"{len(found)} serial ports: {', '.join(found)}" if found else "no serial port here"),
        next_step="name one with --port" if found else "plug it in; `edgeq devices` shows what is here",
        ports=found,
    )


def follow(port: str, look: Callable[[], tuple[SerialPort, ...]] = present) -> Callable[[], str]:
    """Gives a port's name whenever it is asked: where the port is on USB, that of the same device's same port.

    The function that is returned raises PortError while it isn't there. What isn't on USB keeps its name.
    """

    def of_device(number: str) -> list[str]:
        return [p.device for p in look() if p.serial_number == number]

    here = [p for p in (look() if "://" not in port else ()) if p.device == port and p.serial_number]
    if not here:
        return lambda: port
    number = here[0].serial_number
    place = of_device(number).index(port)

    def now() -> str:
        found = of_device(number)
        if place < len(found):
            return found[place]
        raise PortError(
            "it isn't plugged in",
            where=f"{port} (serial number {number})",
            next_step="plug it in again",
            reason="absent",
        )

    return now


def console_of_flashed(target: Target, device: Device, timeout_s: float = 15.0) -> SerialPort:
    """The console of a board that has just been flashed, by its serial number where it had one before; see below."""
    number = device.serial_number or device.id
    return wait_for_console(target, number, no_other=device.has_console, timeout_s=timeout_s)


def wait_for_console(
    target: Target,
    serial_number: str = "",
    *,
    no_other: bool = False,
    timeout_s: float = 15.0,
    look: Callable[[], tuple[SerialPort, ...]] = present,
) -> SerialPort:
    """The same, for a board that has just been flashed: its ports go away and come back for a few seconds.

    Raises:
        PortError: not within `timeout_s`, or several.
    """
    end = time.monotonic() + timeout_s
    while True:
        try:
            return console_of(target, look(), serial_number, no_other=no_other)
        except PortError:
            if time.monotonic() >= end:
                raise
            time.sleep(0.25)
