"""Which runner and which device: by the target's list, by what is there, and by what the user says."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgeq import registry
from edgeq.errors import DeviceError, EdgeqError, MissingDependencyError, UnsupportedError, UsageError
from edgeq.events import Listener, silent
from edgeq.runners import ports
from edgeq.runners.contract import Device, FlashOptions, FlashResult, Runner
from edgeq.runners.image import Image, check_image
from edgeq.runners.usb import bare_number
from edgeq.simulator import kept
from edgeq.target import Target

VIRTUAL, PROBE = "virtual", "pyocd"


@dataclass(frozen=True)
class Choice:
    """A runner with the device it found."""

    runner: Runner
    device: Device


def runner_named(name: str) -> Runner:
    """The runner of that name.

    Raises:
        UsageError: there is none; those that exist are listed.
        MissingDependencyError: what it needs is not installed.
    """
    runner: Runner = registry.load(registry.RUNNERS, name, "runner")
    return runner


def choose(target: Target, *, runner: str = "", device: str = "", options: FlashOptions | None = None) -> Choice:
    """The first of the target's runners that finds a device; never the virtual board unless it is named.

    Args:
        runner: only this one.
        device: only the device with this id or serial number (or an unambiguous part of it).

    Raises:
        UsageError: the target has no such runner, or several devices are there.
        DeviceError: no device; what was looked for and where is listed.
    """
    options = _with_port(options or FlashOptions(), device)
    if kept.is_address(device):
        return _virtual(target, runner, device, options)
    if runner and runner not in target.board.runners:
        # An unknown name is told apart from one that doesn't suit the target.
        runner_named(runner)
        raise UnsupportedError(
            f"{target.name} can't be flashed with '{runner}'",
            next_step=f"choose one of: {', '.join(target.board.runners)}",
            runner=runner,
        )
    names = [runner] if runner else [r for r in target.board.runners if r != VIRTUAL]
    tried: list[tuple[str, str]] = []
    for name in names:
        try:
            candidate = runner_named(name)
            found = candidate.find(target, options)
        except MissingDependencyError as absent:
            if runner:
                raise
            tried.append((name, f"{absent.what}: {absent.next_step}"))
            continue
        except (DeviceError, UnsupportedError) as refused:
            if runner:
                raise
            tried.append((name, refused.what))
            continue
        matching = _matching(found, device)
        if len(matching) == 1:
            return Choice(candidate, matching[0])
        if matching:
            raise UsageError(
                f"{len(matching)} devices are there: {', '.join(f'{d.title} ({d.id})' for d in matching)}",
                next_step="choose one with --device ID",
                devices=[d.id for d in matching],
            )
        seen = f"; found {', '.join(d.id for d in found)}" if found else ""
        tried.append((name, f"looked for {candidate.looked_for(target)}{seen}"))
    raise _nothing_found(target, device, tried)


def flash(
    image: Image,
    target: Target,
    choice: Choice,
    options: FlashOptions | None = None,
    listener: Listener = silent,
) -> FlashResult:
    """Check the image against the target, then write it.

    Raises:
        InputFileError: it can't run on the target; nothing was touched.
        EdgeqError: see the runner.
    """
    check_image(image, target)
    if not choice.runner.capabilities.flash:
        raise UnsupportedError(f"'{choice.runner.name}' can't flash")
    device = replace(choice.device, has_console=ports.is_here(choice.device.serial_number or choice.device.id))
    return choice.runner.flash(image, target, device, options or FlashOptions(), listener)


def _matching(found: list[Device], wanted: str) -> list[Device]:
    """Those that go by that id or serial number; without one, those of which it is a part."""
    if not wanted:
        return found
    bare = bare_number(wanted)
    called = [(d, {bare_number(d.id), bare_number(d.serial_number)}) for d in found]
    return [d for d, names in called if bare in names] or [d for d, names in called if any(bare in n for n in names)]


def _virtual(target: Target, runner: str, name: str, options: FlashOptions) -> Choice:
    """A virtual board that was named: there is one way to it."""
    if runner not in ("", PROBE):
        raise UsageError(
            f"a virtual board is flashed through a debug probe, not by '{runner}'",
            where=name,
            next_step=f"leave --runner out, or say --runner {PROBE}; --sim makes a board for one command",
        )
    found = runner_named(PROBE)
    (device,) = found.find(target, replace(options, virtual=name))
    return Choice(found, device)


def _with_port(options: FlashOptions, device: str) -> FlashOptions:
    """A device that is named like a port is one, also where nothing lists it."""
    port = device.startswith(("/dev/", "COM")) or "://" in device
    return replace(options, port=device) if port and not options.port else options


def _by_hand(target: Target) -> str:
    ways = [f"{way.method}: {way.how}" for way in target.board.flash_method]
    return "flash it by hand; " + "; ".join(ways) if ways else "use the vendor's tool"


def _nothing_found(target: Target, device: str, tried: list[tuple[str, str]]) -> EdgeqError:
    lines = "".join(f"\n  {name}: {text}" for name, text in tried)
    sim = "use the virtual board with --sim" if VIRTUAL in target.board.runners else ""
    return DeviceError(
        f"no {f'device {device!r} of' if device else 'board'} {target.name} was found{lines}"
        if tried
        else f"edgeq has no runner that can flash {target.name}",
        next_step=" or ".join(filter(None, ["plug the board in", sim])) if tried or sim else _by_hand(target),
        tried=[{"runner": name, "result": text} for name, text in tried],
    )
