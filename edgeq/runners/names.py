"""Names of one's own for devices: a file `devices.toml`, which edgeq writes and people may edit.

[[device]]
name = "bench-3"
serial_number = "0672FF555185754867113245"
target = "nucleo-l4r5zi"        # may be left out
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

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_HEAD = "# Names of devices, by the serial number that `edgeq devices` shows. `edgeq devices name` writes this file.\n"


@dataclass(frozen=True)
class Named:
    """One name.

    Attributes:
        name: letters, digits, '.', '_' and '-'.
        serial_number: of the device on USB (of a board: of its debug probe), or of a phone.
        target: which board it is, "" where that can be seen or doesn't matter.
        note: whatever a person wants to remember.
    """

    name: str
    serial_number: str
    target: str = ""
    note: str = ""


@dataclass(frozen=True)
class Names:
    """The file."""

    device: tuple[Named, ...] = ()

    def find(self, name: str) -> Named | None:
        """The device of that name."""
        return next((d for d in self.device if d.name == name), None)

    def of(self, serial_number: str) -> Named | None:
        """The name of a device; serial numbers are compared without regard to case."""
        wanted = serial_number.lower()
        return next((d for d in self.device if wanted and d.serial_number.lower() == wanted), None)


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
        given = [str(getattr(d, key)).lower() for d in names.device]
        twice = next((value for value in given if given.count(value) > 1), None)
        if twice is not None:
            raise TargetFileError(f"two devices have the {key} '{twice}'", where=str(path), next_step="remove one")
    return names


def add(path: Path, named: Named) -> Names:
    """Give a device a name; what had that name, or was that device, is replaced.

    Raises:
        UsageError: not a name, or the file can't be written.
    """
    if not _NAME.fullmatch(named.name):
        raise UsageError(f"'{named.name}' is no name for a device", next_step="use letters, digits, '.', '_' and '-'")
    others = [
        d for d in read(path).device if d.name != named.name and d.serial_number.lower() != named.serial_number.lower()
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
        lines = [f"{k} = {json.dumps(v, ensure_ascii=False)}" for k, v in asdict(device).items() if v]
        text += "\n[[device]]\n" + "\n".join(lines) + "\n"
    write_whole(path, text)
    return Names(devices)
