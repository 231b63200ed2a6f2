"""Writes docs/boards/: a page for each board that edgeq makes firmware for or can flash, from the targets' files.

python docs/board_pages.py           write them
python docs/board_pages.py --check   exit with 1 when they aren't up to date
"""

from __future__ import annotations

import sys
from pathlib import Path

from edgeq import registry
from edgeq import target as targets
from edgeq.target import FlashMethod, Target

FOLDER = Path(__file__).parent / "boards"
# Which `[[flash_method]]` belongs to which runner, where their names differ.
_RUNNER_OF = {"swd": "pyocd", "jlink": "pyocd"}
_TO_DO = {
    "pyocd": "edgeq flash build/ --target {name} --runner pyocd{pack}",
    "stm32-uart": "edgeq flash build/ --target {name} --runner stm32-uart --device /dev/ttyUSB0",
    "bossac": "edgeq flash build/ --target {name} --runner bossac --allow-erase",
}


def boards() -> list[Target]:
    """Microcontroller boards that a runner of edgeq can reach."""
    found = (targets.load(name) for name in targets.names())
    return [t for t in found if t.kind == "microcontroller" and (set(t.board.runners) - {"virtual"})]


def page(target: Target) -> str:
    """The page of one board."""
    board = target.board
    lines = [
        f"# {board.title}",
        "",
        f"`--target {target.name}`: {target.soc.title}, {target.core.title}, {target.clock_hz / 1e6:g} MHz"
        f"{'; ' + board.url if board.url else ''}",
        "",
        "<!-- made by docs/board_pages.py from the target's files -->",
        "",
        "## Wiring",
        "",
        *_wiring(target),
        "",
        "## First flash",
        "",
        *_first_flash(target),
        "",
        "## Ways to flash it, best first",
        "",
    ]
    for runner in board.runners:
        if runner != "virtual":
            lines += _way(target, runner)
    lines += [*_by_hand(target), *_limits(target)]
    lines += ["## What each message means", "", *_messages(target), ""]
    lines += [
        "Of its console and of the USB: [devices](../devices.md). More on the ways: [flashing](../flashing.md). Every "
        f"figure's source: `edgeq targets show {target.name}`.",
        "",
    ]
    return "\n".join(lines)


_TRIED = {
    "no": "none",
    "built": "built only",
    "qemu": "run in QEMU",
    "virtual": "run on its virtual board",
    "silicon": "run on the board",
}


# Which ways a message of docs/flashing.md's table can come from, by how it begins; others can come from all.
_MESSAGES_OF = {
    "the chip is protected": ("pyocd", "stm32-uart", "dfu"),
    "this DAPLink erases": ("daplink-drive",),
    "this bootloader erases": ("bossac",),
    "… could not program": ("stlink-drive", "daplink-drive"),
    "the board has not restarted": ("uf2",),
    "the drive went away": ("uf2",),
    "no boot ROM answers": ("stm32-uart",),
    "the boot ROM refuses": ("stm32-uart",),
    "the bootloader 2341": ("bossac",),
    "No DFU capable": ("dfu",),
    "pyOCD doesn't know": ("pyocd",),
    "pyOCD failed": ("pyocd",),
    "the virtual board's flash": ("virtual-probe",),
    "there is no virtual": ("virtual-probe",),
    "is a damaged virtual board": ("virtual-probe",),
    "the port went away": ("stm32-uart", "bossac"),
}


def _messages(target: Target) -> list[str]:
    """The rows of docs/flashing.md's table that this board's ways can give."""
    text = (FOLDER.parent / "flashing.md").read_text("utf-8").partition("## What each message means")[2]
    head, line, *rows = [line for line in text.splitlines() if line.startswith("|")]
    kept, here = [], {*target.board.runners, *(("virtual-probe",) if _stays(target) else ())}
    for row in rows:
        message = row.strip("| ")
        of = next((ways for start, ways in _MESSAGES_OF.items() if message.startswith(start)), None)
        packed = "CMSIS-Pack" not in message or target.soc.pyocd_pack
        if packed and (of is None or set(of) & here):
            kept.append(row.replace("](devices.md)", "](../devices.md)"))
    return [head, line, *kept]


def _stays(target: Target) -> bool:
    """Whether a virtual board of it can be flashed through pyOCD, and stay."""
    return target.has_virtual_board and target.soc.debug_port is not None


def _tried(target: Target) -> str:
    return _TRIED[target.board.firmware_tried] if target.soc.firmware else "none"


def _wiring(target: Target) -> list[str]:
    board = target.board
    pins = f" (transmit {board.console.tx}, receive {board.console.rx})" if board.console.tx else ""
    lines = [f"- Console: {board.console.peripheral}{pins}, {board.console.baud} baud, 8N1. {board.console.source}."]
    for usb in board.usb:
        lines.append(f"- On USB it shows as `{usb.vendor_id:04x}:{usb.product_id:04x}`: {usb.title}.")
    if board.window_pin is not None:
        lines.append(
            f"- For energy meters: {board.window_pin.pin}, {board.window_pin.title}. It pulses low at both edges of a "
            "window of inferences."
        )
    return lines


def _first_flash(target: Target) -> list[str]:
    if not target.soc.firmware:
        return [
            "edgeq has no start-up code for this chip yet: `edgeq check` tells whether a model fits, and `edgeq flash` "
            "writes firmware of your own."
        ]
    erase = " --allow-erase" if target.board.runners[0] == "bossac" else ""
    lines = [
        f"    edgeq check model.tflite --target {target.name}",
        f"    edgeq build model.tflite --target {target.name} -o build/",
        "    edgeq devices",
        f"    edgeq flash build/ --target {target.name}{erase}",
        f"    edgeq profile model.tflite --target {target.name} --port auto --firmware build/",
        "",
        f"or all of it: `edgeq deploy model.tflite --target {target.name}{erase}`.",
        "",
        f"How far edgeq's firmware for it has been tried: {_tried(target)}.",
    ]
    if target.has_virtual_board:
        lines.append(
            f"Without the board: `edgeq deploy model.tflite --target {target.name} --sim`, on its virtual one."
        )
    if _stays(target):
        lines += [
            "",
            "Or as with the board, on a virtual one that pyOCD flashes and that stays ([flashing](../flashing.md)):",
            "",
            f"    edgeq flash build/ --probe virtual:{target.name}",
            f"    edgeq profile model.tflite --port virtual:{target.name} --firmware build/",
        ]
    return lines


def _way(target: Target, runner: str) -> list[str]:
    ways = [w for w in target.board.flash_method if _RUNNER_OF.get(w.method, w.method) == runner]
    how = "; ".join(w.how for w in ways) or registry.RUNNERS[runner].summary
    pack = f" --pack {target.soc.pyocd_pack}.pack" if target.soc.pyocd_pack else ""
    command = _TO_DO.get(runner, f"edgeq flash build/ --target {{name}} --runner {runner}").format(
        name=target.name, pack=pack
    )
    return [f"- **{runner}**: {how}.", "", f"      {command}", "", *_detail(ways)]


def _detail(ways: list[FlashMethod]) -> list[str]:
    lines = []
    for way in ways:
        told = []
        if way.vendor_id:
            told.append(f"while it waits it shows as `{way.vendor_id:04x}:{way.product_id:04x}`")
        if way.drive_label:
            told.append(f"the drive is called `{way.drive_label}`")
        if way.uf2_family_id:
            told.append(f"its UF2 family is `{way.uf2_family_id:#010x}`")
        if told:
            lines += [f"  {'; '.join(told)} ({way.source}).", ""]
    return lines


def _by_hand(target: Target) -> list[str]:
    runners = set(target.board.runners)
    others = [w for w in target.board.flash_method if _RUNNER_OF.get(w.method, w.method) not in runners]
    if not others:
        return []
    return ["Also, by hand: " + "; ".join(f"{w.method}: {w.how}" for w in others) + ".", ""]


def _limits(target: Target) -> list[str]:
    lines = [
        f"- The first {r.size_bytes:,} bytes of {r.memory} are not the application's: {r.by}."
        if r.at == "start"
        else f"- The last {r.size_bytes:,} bytes of {r.memory} are not the application's: {r.by}."
        for r in (*target.soc.reserved, *target.board.reserved)
    ]
    return ["## Memory", "", *lines, ""] if lines else []


def index() -> str:
    """The list of pages."""
    rows = [
        f"| [{t.board.title}]({t.name}.md) | `{t.name}` | {t.core.title} | {', '.join(t.board.runners)} | {_tried(t)} |"
        for t in boards()
    ]
    return "\n".join(
        [
            "# Boards",
            "",
            "<!-- made by docs/board_pages.py -->",
            "",
            "| board | `--target` | core | runners | firmware tried |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def pages() -> dict[str, str]:
    """File name → text."""
    return {"README.md": index()} | {f"{t.name}.md": page(t) for t in boards()}


def main(arguments: list[str]) -> int:
    """Write the pages, or say whether they are current."""
    made = pages()
    there = {p.name: p.read_text("utf-8") for p in FOLDER.glob("*.md")}
    if "--check" in arguments:
        stale = sorted(name for name in made.keys() | there.keys() if made.get(name) != there.get(name))
        if stale:
            sys.stdout.write(f"not up to date: {', '.join(stale)}; run python docs/board_pages.py\n")
        return 1 if stale else 0
    FOLDER.mkdir(exist_ok=True)
    for name in there.keys() - made.keys():
        (FOLDER / name).unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
