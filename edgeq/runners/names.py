"""Devices by names of one's own: a file `devices.toml`, which edgeq writes and people may edit.

[[device]]
name = "bench-3"
serial_number = "0672FF555185754867113245"
target = "nucleo-l4r5zi"        # may be left out where USB tells it

[[device]]
name = "far-7"
target = "nucleo-g0b1re"
port = "rfc2217://lab.example:4007"
hardware = true

[[device]]
name = "pi-5"
target = "raspberry-pi-5"
host = "pi@pi-5.local"
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from edgeq import toml_schema
from edgeq.errors import TargetFileError, UsageError
from edgeq.files import write_whole
from edgeq.runners.usb import bare_number

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

COORDINATOR = "127.0.0.1:20408"
"""Where labgrid's coordinator is when nothing is said (labgrid's own default)."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_HEAD = "# Devices by name. `edgeq devices name` writes this file; see docs/devices.md.\n"
_WAYS = ("port", "host", "adb", "place")


@dataclass(frozen=True)
class Named:
    """One device. What leads to it is its serial_number, port, host, adb or place, or the runner "virtual".

    Attributes:
        name: letters, digits, '.', '_' and '-'.
        serial_number: of the device on USB (of a board: of its debug probe), or of a phone.
        target: which board it is, "" where that can be seen or doesn't matter.
        note: whatever a person wants to remember.
        port: its console: a serial port or a pyserial URL; "" = found by the serial number.
        hardware: of a port that doesn't show it: whether a real board is behind it; see `edgeq.measure.origin`.
        probe: what `flash` takes as the device, where that isn't the serial number.
        runner: with which it is flashed, "" = the first that finds it. "virtual": a virtual board, made for the run.
        host: a Linux computer, [USER@]NAME[:PORT], by SSH.
        adb: a phone, as `adb devices` calls it.
        place: a labgrid place; coordinator: HOST[:PORT] of labgrid's coordinator ("" = 127.0.0.1:20408).
    """

    name: str
    serial_number: str = ""
    target: str = ""
    note: str = ""
    port: str = ""
    hardware: bool | None = None
    probe: str = ""
    runner: str = ""
    host: str = ""
    adb: str = ""
    place: str = ""
    coordinator: str = ""

    @property
    def flash_id(self) -> str:
        """What `flash` takes as the device: its probe, or else its serial number or port."""
        return self.probe or self.serial_number or self.port

    @property
    def address(self) -> str:
        """What leads to it, for people."""
        if self.place:
            return f"labgrid place {self.place} at {self.coordinator or COORDINATOR}"
        ways = (
            self.port,
            self.host,
            self.adb and f"adb {self.adb}",
            self.serial_number and f"USB {self.serial_number}",
        )
        return next((way for way in ways if way), "virtual board" if self.runner == "virtual" else self.probe)


@dataclass(frozen=True)
class Names:
    """The file."""

    device: tuple[Named, ...] = ()

    def find(self, name: str) -> Named | None:
        """The device of that name."""
        return next((d for d in self.device if d.name == name), None)

    def of(self, serial_number: str) -> Named | None:
        """The name of a device; see `bare_number` for how serial numbers are compared."""
        wanted = bare_number(serial_number)
        return next((d for d in self.device if wanted and bare_number(d.serial_number) == wanted), None)


def read(path: Path) -> Names:
    """The names in a file; none where there is no file.

    Raises:
        TargetFileError: it isn't TOML, has unknown keys, or a name twice.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return Names()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as failed:
        raise TargetFileError(f"can't be read: {failed}", where=str(path), next_step="mend or remove it") from failed
    names = toml_schema.build(Names, table, str(path))
    for key in ("name", "serial_number"):
        given = [str(getattr(d, key)).lower() for d in names.device if getattr(d, key)]
        twice = next((value for value in given if given.count(value) > 1), None)
        if twice is not None:
            raise TargetFileError(f"two devices have the {key} '{twice}'", where=str(path), next_step="remove one")
    for device in names.device:
        _check(device, str(path))
    return names


def _check(device: Named, where: str) -> None:
    """Raise TargetFileError for an entry that leads nowhere, or to two places."""
    ways = [key for key in _WAYS if getattr(device, key)]
    if len(ways) > 1:
        raise TargetFileError(
            f"'{device.name}' has {' and '.join(ways)}: it can be in one place only",
            where=where,
            next_step="remove one",
        )
    if not (ways or device.serial_number or device.probe or device.runner == "virtual"):
        raise TargetFileError(
            f"nothing leads to '{device.name}'",
            where=where,
            next_step=f'give serial_number, {", ".join(_WAYS)}, or runner = "virtual"',
        )


def add(path: Path, named: Named) -> Names:
    """Give a device a name; what had that name, or was that device, is replaced.

    Raises:
        UsageError: not a name, nothing leads to it, or the file can't be written.
        TargetFileError: the file is damaged.
    """
    if not _NAME.fullmatch(named.name):
        raise UsageError(f"'{named.name}' is no name for a device", next_step="use letters, digits, '.', '_' and '-'")
    try:
        _check(named, "")
    except TargetFileError as wrong:
        raise UsageError(wrong.what, next_step=wrong.next_step) from wrong
    serial = bare_number(named.serial_number)
    others = [
        d for d in read(path).device if d.name != named.name and not (serial and bare_number(d.serial_number) == serial)
    ]
    return _write(path, (*others, named))


def remove(path: Path, name: str) -> Names:
    """Forget a name.

    Raises:
        UsageError: there is no such name.
    """
    names = read(path)
    if names.find(name) is None:
        known = ", ".join(d.name for d in names.device) or "none"
        raise UsageError(f"no device is called '{name}'", where=str(path), next_step=f"names: {known}", name=name)
    return _write(path, tuple(d for d in names.device if d.name != name))


def _write(path: Path, devices: tuple[Named, ...]) -> Names:
    text = _HEAD
    for device in sorted(devices, key=lambda d: d.name):
        # JSON's strings are TOML's basic strings.
        lines = [f"{k} = {json.dumps(v, ensure_ascii=False)}" for k, v in asdict(device).items() if v not in ("", None)]
        text += "\n[[device]]\n" + "\n".join(lines) + "\n"
    write_whole(path, text)
    return Names(devices)
