"""Target: what a model is built for. Facts are data: `targets/{cores,socs,boards,linux,phones}/*.toml`.

Every file goes through one strict loader, the user's own too. `schema` says what a file may hold, `model` what
follows from it, `validate` what the types can't say, `files` where they are.
"""

from edgeq.target.files import load, load_core, load_file, names, validate_file
from edgeq.target.model import Target
from edgeq.target.schema import (
    NO_CONSOLE,
    USES,
    Board,
    ClockEnable,
    Cluster,
    Compiler,
    Console,
    Core,
    Delegate,
    FlashMethod,
    FlashTiming,
    Kind,
    Memory,
    MemoryUse,
    Peripheral,
    Power,
    Reserved,
    SecondStage,
    SlowReads,
    Soc,
    System,
    Tried,
    UsbId,
    WaitStates,
    WindowPin,
)

__all__ = [
    "NO_CONSOLE",
    "USES",
    "Board",
    "ClockEnable",
    "Cluster",
    "Compiler",
    "Console",
    "Core",
    "Delegate",
    "FlashMethod",
    "FlashTiming",
    "Kind",
    "Memory",
    "MemoryUse",
    "Peripheral",
    "Power",
    "Reserved",
    "SecondStage",
    "SlowReads",
    "Soc",
    "System",
    "Target",
    "Tried",
    "UsbId",
    "WaitStates",
    "WindowPin",
    "load",
    "load_core",
    "load_file",
    "names",
    "validate_file",
]
