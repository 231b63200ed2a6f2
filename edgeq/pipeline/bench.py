"""Several devices of a device file at once: each is locked, reached where it is, and given back whatever happens."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

from edgeq.errors import EdgeqError, UsageError
from edgeq.events import Event, Listener, Progress, silent
from edgeq.runners import labgrid, locks
from edgeq.runners.contract import Device
from edgeq.runners.locks import Claims
from edgeq.runners.names import COORDINATOR, Named
from edgeq.runners.ports import SerialPort
from edgeq.simulator import kept

T = TypeVar("T")


@dataclass(frozen=True)
class Rules:
    """How devices are taken.

    Attributes:
        locks: the folder of the locks; the same for all who share the devices.
        command: what others are told who wait for one.
        wait_s: how long to wait for a device that is in use.
        cache: where isolated environments (labgrid's) are.
    """

    locks: Path
    command: str
    wait_s: float = 0.0
    cache: Path | None = None

    def claims(self, listener: Listener = silent) -> Claims:
        """The locks of a run; it has none yet."""
        return Claims(self.locks, self.command, wait_s=self.wait_s, listener=listener)


@dataclass(frozen=True)
class Way:
    """How a device is reached now.

    Attributes:
        port: its console, a port or pyserial URL; "" = to be found by its USB id.
        device: what `flash` takes as the device, "" any.
        host: for SSH; adb: a phone's serial number.
        sim: a virtual board.
        claim: takes what else the run turns out to need, and gives it back together with the device.
    """

    port: str = ""
    device: str = ""
    host: str = ""
    adb: str = ""
    sim: bool = False
    claim: locks.Claim = locks.unclaimed


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What became of one device's run: a result, or an error.

    Attributes:
        seconds: how long it took, waiting included.
    """

    device: Named
    result: T | None
    error: EdgeqError | None
    seconds: float


def keys_of_port(port: str) -> tuple[str, ...]:
    """What has to be locked for a port: it, and what it belongs to on USB."""
    key = locks.key_of_port(port)
    numbers = {locks.key_of_usb(p.serial_number) for p in _ports() if p.serial_number and _key(p) == key}
    return (key, *sorted(numbers))


def with_ports(claim: locks.Claim) -> locks.Claim:
    """The same, and the serial ports of what it takes on USB: for a run that is going to talk to the board."""

    def both(keys: Sequence[str]) -> None:
        claim([*keys, *(_key(p) for p in _ports() if p.serial_number and locks.key_of_usb(p.serial_number) in keys)])

    return both


def claim_found(device: Device, console: str | None, claim: locks.Claim) -> None:
    """Take what a runner has found.

    Args:
        console: where the board is to be asked afterwards, "" or "auto" on its own ports, None not at all: a monitor of
            its console need not end then.

    Raises:
        PortError: somebody has it; it says who.
    """
    keys = locks.keys_of_found(device)
    if console is None:
        claim(keys)
    elif console in ("", "auto"):
        with_ports(claim)(keys)
    else:
        claim([*keys, locks.key_of_port(console)])


def _ports() -> tuple[SerialPort, ...]:
    from edgeq import registry
    from edgeq.runners import ports

    return ports.present() if registry.installed("serial") else ()


def _key(port: SerialPort) -> str:
    return locks.key_of_port(port.device)


@contextmanager
def reach(device: Named, rules: Rules, *, console: bool = True, listener: Listener = silent) -> Iterator[Way]:
    """Hold a device for as long as the context lasts.

    Args:
        console: a device known by its serial number must have a serial port now. False for phones, and for one that is
            to be flashed: after that it is looked for again, because it may come back under another name.

    Raises:
        PortError: it is in use, or has no console here.
        MissingDependencyError, DeviceError: see `edgeq.runners.labgrid.acquired`.
    """
    from edgeq.runners.ports import port_of

    with ExitStack() as stack:
        claim = stack.enter_context(rules.claims(listener))
        claim(locks.keys_of(device))
        if device.place:
            place = stack.enter_context(
                labgrid.acquired(
                    device.place,
                    device.coordinator or COORDINATOR,
                    rules.cache,
                    wait_s=rules.wait_s,
                    listener=listener,
                )
            )
            yield Way(port=place.port, device=device.flash_id or place.port, host=place.host, claim=claim)
        elif device.host or device.adb:
            yield Way(host=device.host, adb=device.adb, claim=claim)
        elif device.port or not device.serial_number:
            sim = device.runner == "virtual" and not device.port
            port = device.port or (device.probe if kept.is_address(device.probe) else "")
            if port:
                claim(keys_of_port(port))
            yield Way(port=port, device="" if sim else device.flash_id, sim=sim, claim=claim)
        else:
            port = port_of(device.serial_number, device.name) if console else ""
            if port:
                claim(keys_of_port(port))
            yield Way(port=port, device=device.flash_id, adb=device.serial_number, claim=claim)


def on_each(
    devices: Sequence[Named], work: Callable[[Named, Listener], T], listener: Listener = silent
) -> tuple[Outcome[T], ...]:
    """Do the same on several devices at once. What fails on one leaves the others' results alone.

    Args:
        work: device and listener → result. It runs in a thread of its own; the listener's stages carry the device's
            name. When this call is interrupted, the listener raises, so that each device is given back.

    Returns:
        In the order of `devices`.

    Raises:
        UsageError: a device twice.
    """
    twice = [d.name for i, d in enumerate(devices) if d.name in [e.name for e in devices[:i]]]
    if twice:
        raise UsageError(f"'{twice[0]}' is named twice", next_step="name each device once", name=twice[0])
    stop = threading.Event()

    def one(device: Named) -> Outcome[T]:
        def tell(event: Event) -> None:
            if stop.is_set():
                raise _Stopped
            prefix = f"{device.name}: "
            if isinstance(event, Progress):
                listener(replace(event, stage=prefix + event.stage))
            else:
                listener(replace(event, text=prefix + event.text))

        started = time.monotonic()
        error: EdgeqError | None
        try:
            return Outcome(device, work(device, tell), None, time.monotonic() - started)
        except EdgeqError as failed:
            error = failed
        except _Stopped:
            error = EdgeqError("interrupted", where=device.name)
        except Exception as bug:  # the others' results are worth having
            error = EdgeqError(
                f"{type(bug).__name__}: {bug} (a bug of edgeq's)",
                where=device.name,
                next_step="please report it with the traceback in the JSON",
                traceback=traceback.format_exc(),
            )
        return Outcome(device, None, error, time.monotonic() - started)

    with ThreadPoolExecutor(max(1, len(devices))) as pool:
        futures = [pool.submit(one, device) for device in devices]
        try:
            return tuple(future.result() for future in futures)
        except BaseException:
            stop.set()
            raise


class _Stopped(Exception):  # noqa: N818 - nothing went wrong
    """The call was interrupted."""


def exit_code(outcomes: Sequence[Outcome[T]], passed: Callable[[T], bool]) -> int:
    """0: all is well; 1: some answer is no; else the code of what failed (5 where failures are of several kinds)."""
    codes = {o.error.exit_code for o in outcomes if o.error is not None}
    codes |= {int(not passed(o.result)) for o in outcomes if o.result is not None}
    failures = codes - {0, 1}
    return (failures.pop() if len(failures) == 1 else 5) if failures else max(codes, default=0)
