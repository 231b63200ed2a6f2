"""SWD debug probes (CMSIS-DAP, ST-Link, J-Link) through pyOCD's own API.

pyOCD has no verify, and with a wrong or dead flash algorithm it reports success with nothing written; with
its generic target it programs nothing at all. So generic targets are refused, and every byte is read back.
"""

from __future__ import annotations

import importlib
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from edgeq import registry
from edgeq.errors import DeviceError, InputFileError, UnsupportedError, UsageError
from edgeq.events import Listener, Notice, Progress
from edgeq.runners.contract import Capabilities, Device, FlashOptions, FlashResult
from edgeq.runners.image import Image, compare
from edgeq.simulator import kept
from edgeq.target import Target

# pyOCD's names for "some Cortex-M": no memory map, so no flash.
_GENERIC = frozenset({"", "cortex_m", "cortex_m_v8m", "coresight_template"})
_READ_BYTES = 4096
_CAPABILITIES = Capabilities(
    flash=True,
    verify=True,
    reset=True,
    erase=True,
    boots=True,
    needs="a debug probe on USB, and for some chips a CMSIS-Pack (--pack)",
)


# pyOCD's modules import each other in circles: two threads that do so at once wait for each other.
_IMPORTING = threading.Lock()


def _import_pyocd() -> None:
    with _IMPORTING:
        importlib.import_module("pyocd.core.helpers")
        importlib.import_module("pyocd.flash.loader")


@dataclass(frozen=True)
class Pyocd:
    """The runner."""

    name: str = "pyocd"
    capabilities: Capabilities = _CAPABILITIES

    def looked_for(self, target: Target) -> str:
        """What `find` looks for and where."""
        return "a debug probe that pyOCD knows (CMSIS-DAP, ST-Link, J-Link) on USB"

    def find(self, target: Target, options: FlashOptions) -> list[Device]:
        """Debug probes that are there now (what hangs on them is not known before connecting)."""
        registry.require(registry.RUNNERS["pyocd"], "the runner 'pyocd'")
        self._check_target(target)
        _import_pyocd()
        if options.virtual:
            return [self._virtual(target, options.virtual)]
        from pyocd.core.exceptions import Error
        from pyocd.core.helpers import ConnectHelper

        try:
            # blocking=True, pyOCD's default, waits for a probe for ever.
            probes = ConnectHelper.get_all_connected_probes(blocking=False, print_wait_message=False)
        except (Error, OSError) as failed:
            raise DeviceError(
                f"pyOCD can't look for probes: {failed}", next_step="see `pyocd list`, and its udev rules"
            ) from failed
        return [Device(self.name, str(p.unique_id), str(p.description), "debug probe") for p in probes]

    def flash(
        self, image: Image, target: Target, device: Device, options: FlashOptions, listener: Listener
    ) -> FlashResult:
        """Connect, program, read back and compare, reset.

        Raises:
            UnsupportedError: pyOCD doesn't know the chip, or has no flash where the image goes.
            DeviceError: connecting or programming failed, or what was read back differs.
        """
        self._check_target(target)
        if options.pack is not None and not options.pack.is_file():
            raise InputFileError(
                "there is no such CMSIS-Pack",
                where=str(options.pack),
                next_step=f"download {target.soc.pyocd_pack or 'the pack'} from https://www.keil.arm.com/packs/",
            )
        _import_pyocd()
        from pyocd.core.exceptions import Error

        started = time.monotonic()
        with _warnings_to(listener), self._probe(target, device, listener) as probe:
            try:
                with self._connected(probe, target, options) as (session, notices):
                    _check_memory_map(session, image, target)
                    _program(session, image, listener)
                    _compare(session, image, target, listener)
                    session.target.reset()
            except (Error, OSError) as failed:
                raise _explained(failed, target, device) from failed
        wire = "SWD to the virtual board" if kept.is_address(device.id) else "SWD"
        return FlashResult(
            device,
            image.base,
            len(image.data),
            verified=True,
            verification=f"{len(image.data):,} bytes read back over {wire} and compared",
            reset=True,
            seconds=time.monotonic() - started,
            notices=notices,
        )

    def _virtual(self, target: Target, name: str) -> Device:
        """A virtual board that was named. It is made when it is flashed.

        Raises:
            UnsupportedError, UsageError: it is none that pyOCD could reach, or not the target's.
        """
        registry.require(registry.RUNNERS["virtual"], "a virtual board")
        address = kept.parse(name)
        kept.require_probe(target)
        if address.target != target.name:
            raise UsageError(f"is no {target.name}", where=name, next_step=f"name virtual:{target.name}")
        return Device(self.name, str(address), f"virtual {target.board.title}", "this computer")

    @contextmanager
    def _probe(self, target: Target, device: Device, listener: Listener) -> Iterator[Any]:
        if kept.is_address(device.id):
            from edgeq.runners.pyocd_virtual import virtual_probe

            with virtual_probe(device.id, target, listener) as probe:
                yield probe
            return
        from pyocd.core.exceptions import Error, ProbeDisconnected
        from pyocd.core.helpers import ConnectHelper

        try:
            probes = ConnectHelper.get_all_connected_probes(
                blocking=False, unique_id=device.id, print_wait_message=False
            )
            if not probes:
                raise ProbeDisconnected(f"the probe {device.id} is gone")
        except (Error, OSError) as failed:
            raise _explained(failed, target, device) from failed
        yield probes[0]

    @contextmanager
    def _connected(self, probe: Any, target: Target, options: FlashOptions) -> Iterator[tuple[Any, tuple[str, ...]]]:
        """A session, and what there is to say of it. A locked chip is opened only where that is allowed."""
        from pyocd.core.exceptions import Error

        session = self._session(probe, target, options, unlock=False)
        notices: tuple[str, ...] = ()
        try:
            try:
                session.open()
            except (Error, KeyError) as failed:  # KeyError: pyOCD reads on from a core that a locked nRF52 doesn't show
                if not _is_locked(session):
                    raise failed if isinstance(failed, Error) else Error(f"no core answers ({failed})") from failed
                session.close()
                if not options.allow_erase:
                    raise DeviceError(
                        "the chip is protected against reading, and only erasing everything on it opens it",
                        where=target.name,
                        next_step="add --allow-erase if everything on it may go",
                        locked=True,
                    ) from failed
                session = self._session(probe, target, options, unlock=True)
                session.open()
                notices = ("the chip was protected: everything on it was erased first, as --allow-erase allows",)
            yield session, notices
        finally:
            session.close()

    def _check_target(self, target: Target) -> None:
        if target.soc.pyocd_target in _GENERIC:
            raise UnsupportedError(
                f"the chip of {target.name} has no pyOCD target, and with a generic one pyOCD would program "
                "nothing and report success",
                where=target.name,
                next_step=f"set pyocd_target in targets/socs/{target.soc.name}.toml, or use another of its "
                f"runners: {', '.join(r for r in target.board.runners if r != self.name)}",
            )

    def _session(self, probe: Any, target: Target, options: FlashOptions, *, unlock: bool) -> Any:
        from pyocd.core.exceptions import TargetSupportError
        from pyocd.core.session import Session

        choices: dict[str, Any] = {
            "target_override": target.soc.pyocd_target,
            # nRF52's default unlocks a protected chip by erasing it.
            "auto_unlock": unlock,
            "hide_programming_progress": True,
            # pyOCD would change into another folder, read pyocd.yaml there and execute pyocd_user.py.
            "project_dir": os.getcwd(),  # noqa: PTH109
            "no_config": True,
            "user_script": os.devnull,
            # Every page is written and then compared: nothing relies on what was there before.
            "smart_flash": False,
            "fast_program": False,
            "cache.enable_memory": False,
        }
        if options.pack is not None:
            choices["pack"] = str(options.pack)
        if options.frequency_hz:
            choices["frequency"] = options.frequency_hz
        try:
            return Session(probe, options=choices)
        except TargetSupportError as unknown:
            pack = target.soc.pyocd_pack
            raise UnsupportedError(
                f"pyOCD doesn't know the chip '{target.soc.pyocd_target}'"
                + (" from this pack" if options.pack else " without its CMSIS-Pack"),
                where=target.name,
                next_step=f"give --pack FILE.pack ({pack}, from https://www.keil.arm.com/packs/), or run "
                f"`pyocd pack install {target.soc.pyocd_target}` once"
                if pack
                else "see `pyocd list --targets`",
                pyocd_target=target.soc.pyocd_target,
                pack=pack,
            ) from unknown


def _is_locked(session: Any) -> bool:
    """Whether the chip that could not be connected to says that it is protected, where pyOCD knows how to ask."""
    from pyocd.core.exceptions import Error

    try:
        return bool(session.target.is_locked())
    except (Error, OSError, AttributeError, AssertionError, KeyError, TypeError):
        return False  # it doesn't know, or it didn't get far enough to be asked


def _check_memory_map(session: Any, image: Image, target: Target) -> None:
    """Every byte must go into what pyOCD has a flash algorithm for; RAM would be written as willingly."""
    address, end = image.base, image.base + len(image.data)
    while address < end:
        region = session.target.memory_map.get_region_for_address(address)
        if region is None or not region.is_flash:
            raise UnsupportedError(
                f"pyOCD's '{target.soc.pyocd_target}' has no flash at {address:#010x}",
                where=target.name,
                next_step="give the chip's own pack with --pack; a generic target can't program",
                address=address,
            )
        address = region.end + 1


def _program(session: Any, image: Image, listener: Listener) -> None:
    from pyocd.flash.loader import MemoryLoader

    total = len(image.data)
    # pyOCD connects to whatever runs there; its clocks, wait states and interrupts needn't suit the flash algorithm.
    session.target.reset_and_halt()

    def advance(fraction: float) -> None:
        listener(Progress("flash", fraction * total, total, "bytes", "programming"))

    loader = MemoryLoader(session, progress=advance, chip_erase="sector")
    loader.add_data(image.base, image.data)
    loader.commit()


def _compare(session: Any, image: Image, target: Target, listener: Listener) -> None:
    for offset in range(0, len(image.data), _READ_BYTES):
        count = min(_READ_BYTES, len(image.data) - offset)
        got = bytes(session.target.read_memory_block8(image.base + offset, count))
        compare(image, offset, got, target.name, listener)


def _explained(failed: BaseException, target: Target, device: Device) -> DeviceError:
    from pyocd.core import exceptions

    if isinstance(failed, exceptions.ProbeError):
        step = "check the probe's cable, and that no other debugger (an IDE, OpenOCD) holds it"
    elif isinstance(failed, exceptions.TransferError):
        step = "the probe is there but the chip doesn't answer: check power and SWD wires, hold reset and try again"
    elif isinstance(failed, exceptions.FlashFailure):
        step = "check write protection and the supply voltage; a chip erase may help"
    else:
        step = "check the board's power and the SWD wires; `pyocd commander` shows more"
    return DeviceError(
        f"pyOCD failed: {failed}",
        where=f"{target.name} on {device.title}",
        next_step=step,
        pyocd_error=type(failed).__name__,
    )


class _Forward(logging.Handler):
    def __init__(self, listener: Listener) -> None:
        super().__init__(logging.WARNING)
        self._listener = listener

    def emit(self, record: logging.LogRecord) -> None:
        self._listener(Notice(f"pyOCD: {record.getMessage()}", "flash"))


@contextmanager
def _warnings_to(listener: Listener) -> Iterator[None]:
    """pyOCD's warnings as notices instead of lines on stderr."""
    logger = logging.getLogger("pyocd")
    handler, propagate = _Forward(listener), logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


RUNNER = Pyocd()
