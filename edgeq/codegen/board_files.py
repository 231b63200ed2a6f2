"""The C of a board: what every board has, what its family of chips has, and what follows from the target's files.

`firmware_templates/boards/common/` belongs to all. A chip's `firmware` names a folder beside it, such as "stm32/f4",
and the C of each folder on the way to it is part of the family. What differs between the boards and chips of a family
is in `board/config.h` and in the vector table, both made of the target's description.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from edgeq import resources
from edgeq.errors import TargetFileError, UnsupportedError
from edgeq.target import Peripheral, Target

Pin = tuple[int, int]
_PIN_NAMES = (
    re.compile(r"P(?P<letter>[A-K])(?P<pin>\d{1,2})"),  # ST: PD8
    re.compile(r"P(?P<port>\d)\.(?P<pin>\d{2})"),  # Nordic: P0.06
    re.compile(r"GP(?P<pin>\d{1,2})"),  # Raspberry Pi: GP0
    re.compile(r"P(?P<port>\d)(?P<pin>\d{2})"),  # Renesas: P209
)
_ARMV6M = ("NMI_Handler", "HardFault_Handler", *[""] * 7, "SVC_Handler", "", "", "PendSV_Handler", "SysTick_Handler")
_ARMV7M = (
    "NMI_Handler", "HardFault_Handler", "MemManage_Handler", "BusFault_Handler", "UsageFault_Handler", "", "", "", "",
    "SVC_Handler", "DebugMon_Handler", "", "PendSV_Handler", "SysTick_Handler",
)  # fmt: skip
_ARMV8M = (*_ARMV7M[:5], "SecureFault_Handler", *_ARMV7M[6:])
"""Exceptions 2 to 15 (DDI 0419, DDI 0403E, DDI 0553: "The vector table"); "" = reserved."""


def board_sources(target: Target) -> dict[str, bytes]:
    """File name → contents, of the C that is used as it is.

    Raises:
        UnsupportedError: there is no firmware for the target's chip.
    """
    boards = resources.folder("firmware_templates") / "boards"
    family = PurePosixPath(target.soc.firmware)
    if not target.soc.firmware or not (boards / family).is_dir():
        raise UnsupportedError(
            f"there is no firmware for the {target.soc.title}",
            where=target.name,
            next_step=f"`edgeq export --format c --target {target.name}` makes a package for a project of your own",
            soc=target.soc.name,
        )
    levels = [boards / "common", *(boards / folder for folder in (*reversed(family.parents), family) if folder.parts)]
    return {path.name: path.read_bytes() for folder in levels for path in _sources(folder)}


def _sources(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in (".c", ".h", ".S"))


def board_values(target: Target, sources: Mapping[str, bytes]) -> dict[str, object]:
    """What the templates of board/ need to know of the target.

    Args:
        sources: of the family: what they use has to be in the target's files.

    Raises:
        TargetFileError: the target's files don't say what the family needs to know.
    """
    port = console_port(target)
    console = target.board.console
    named = {"CONSOLE_TX": console.tx, "CONSOLE_RX": console.rx}
    if target.board.window_pin is not None:
        named["WINDOW"] = target.board.window_pin.pin
    pins = [(name, parse_pin(text, target)) for name, text in named.items() if text]
    used = b"\n".join(sources.values())
    given = {
        "console.tx and console.rx": (b"EDGEQ_CONSOLE_TX_PIN", bool(console.tx and console.rx)),
        "console.alternate_function": (b"EDGEQ_CONSOLE_FUNCTION", console.alternate_function >= 0),
        f"clock_enable of the peripheral {port.name}": (b"EDGEQ_CONSOLE_CLOCK_BIT", port.clock_enable is not None),
    }
    for key, (word, present) in given.items():
        if word in used and not present:
            raise _silent(target, key)
    return {
        "soc_title": target.soc.title,
        "interrupts": target.soc.interrupts,
        "console_irq": port.irq,
        "exceptions": exceptions(target),
        "port": port,
        "pins": pins,
        "alternate_function": console.alternate_function,
        "max_clock_hz": target.soc.max_clock_hz,
        "wait_states": target.wait_states,
    }


def console_port(target: Target) -> Peripheral:
    """The registers of the console.

    Raises:
        TargetFileError: the chip's file doesn't say where they are.
    """
    name = target.board.console.peripheral
    port = next((p for p in target.soc.peripheral if p.name == name), None)
    if port is None or not 0 <= port.irq < target.soc.interrupts:
        raise _silent(target, f"[[peripheral]] with name = '{name}', base and irq")
    return port


def exceptions(target: Target) -> tuple[str, ...]:
    """Names of the handlers of exceptions 2 to 15; "" where the core has none."""
    if target.core.architecture == "armv6-m":
        return _ARMV6M
    return _ARMV8M if target.core.architecture.startswith("armv8") else _ARMV7M


def parse_pin(name: str, target: Target) -> Pin:
    """Port and pin of a name such as "PD8", "P0.06", "GP0" or "P209".

    Raises:
        TargetFileError: it isn't one.
    """
    for pattern in _PIN_NAMES:
        found = pattern.fullmatch(name)
        if found:
            groups = found.groupdict()
            port = "ABCDEFGHIJK".index(groups["letter"]) if "letter" in groups else int(groups.get("port", 0))
            return port, int(groups["pin"])
    raise TargetFileError(
        f"'{name}' is not a pin's name",
        where=str(target.path),
        next_step="name it as the chip's documents do: PD8, P0.06, GP0",
        key="pin",
    )


def _silent(target: Target, key: str) -> TargetFileError:
    return TargetFileError(
        f"firmware for {target.name} needs {key}, which its files don't give",
        where=str(target.path),
        next_step="docs/targets.md explains each key; a board that edgeq has shows an example: nucleo-l4r5zi",
        key=key,
    )
