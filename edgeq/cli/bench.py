"""What `profile` and `flash` share: devices by name, locks, and one report for several."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from edgeq.cli import context
from edgeq.errors import DeviceError, UsageError
from edgeq.events import Listener
from edgeq.target import Target

if TYPE_CHECKING:
    from edgeq.pipeline.bench import Rules
    from edgeq.runners.locks import Claims
    from edgeq.runners.names import Named

T = TypeVar("T")


_optional_target_option = click.option(
    "-t",
    "--target",
    default="",
    metavar="NAME",
    help="See `edgeq targets list`; or a board's .toml file  [default: what --device's entry says]",
)


wait_option = click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help="How long to wait for a device that is in use  [default: not at all]",
)


def target_or_device_options(command: context.F) -> context.F:
    """--target, --targets-dir, --device NAME (several times) and --wait."""
    for option in (
        wait_option,
        click.option(
            "--device",
            "--probe",
            "devices",
            multiple=True,
            metavar="NAME",
            help="A device of your device file (see `edgeq devices`), or a virtual board that stays, such as "
            "virtual:nrf52840dk; several times for several at once.",
        ),
        context.targets_dir_option,
        _optional_target_option,
    ):
        command = option(command)
    return command


def locks_folder() -> Path:
    """Where locks of devices are: EDGEQ_LOCKS; without it in the user's cache, whatever EDGEQ_CACHE says, so that all
    runs of a user see each other's."""
    from edgeq.resources import default_cache

    value = os.environ.get("EDGEQ_LOCKS", "")
    folder = Path(value) if value else default_cache() / "locks"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as failed:
        raise UsageError(
            f"locks of devices can't be kept there: {failed.strerror or failed}",
            where=str(folder),
            next_step="set EDGEQ_LOCKS to a folder that all runs share",
        ) from failed
    return folder


def rules(wait_s: float) -> Rules:
    """How devices are taken here."""
    from edgeq.pipeline.bench import Rules

    command = " ".join(["edgeq", *sys.argv[1:]])[:200]
    return Rules(locks_folder(), command, wait_s, context.cache_folder())


def named(given: Sequence[str], *, ids: bool) -> list[Named]:
    """The devices that `--device` names.

    Args:
        ids: what has no name is taken as it is, as the id of a probe, drive or port.

    Raises:
        UsageError: no device has that name.
    """
    from edgeq.runners.names import Named
    from edgeq.simulator import kept

    names = context.device_names()
    found = [
        names.find(name) or (Named(name, probe=context.board_called(name)) if ids or kept.is_address(name) else None)
        for name in given
    ]
    unknown = [name for name, device in zip(given, found, strict=True) if device is None]
    if unknown:
        raise UsageError(
            f"no device is called '{unknown[0]}'",
            where=str(context.names_file()),
            next_step=f"names: {', '.join(d.name for d in names.device) or 'none'}; `edgeq devices name` gives one",
            name=unknown[0],
        )
    return [device for device in found if device is not None]


def virtual_target(name: str) -> str:
    """The target that a virtual board's name says; "" for any other name."""
    from edgeq.simulator import kept

    return kept.parse(name).target if kept.is_address(name) else ""


def target_of(given: str, device: Named | None) -> Target:
    """The target of a device: what its entry says, or --target.

    Raises:
        UsageError: neither, or two different ones.
    """
    said = device.target if device else ""
    if device is not None and not said:
        said = virtual_target(device.flash_id)
    if given and said and Path(given).stem != Path(said).stem:
        raise UsageError(
            f"'{device.name if device else ''}' is a {said}, not a {given}", next_step="leave --target out"
        )
    if not (given or said):
        raise UsageError(
            f"which board is '{device.name}'?" if device else "missing option '-t' / '--target'",
            next_step="give --target NAME" + (", or write target = … into the device file" if device else ""),
        )
    return context.load_target(said or given)


@contextmanager
def claims(wait_s: float, listener: Listener, *ports: str) -> Iterator[Claims]:
    """The locks of one run: what is called takes them, and all are given back when the context ends.

    Args:
        ports: that are known from the beginning; "" and "auto" name none.

    Raises:
        PortError: somebody has one.
        DeviceError: no device was found; where others use some, it says who, because what is being flashed is hidden.
    """
    from edgeq.pipeline.bench import keys_of_port
    from edgeq.runners import locks

    how = rules(wait_s)
    with how.claims(listener) as claim:
        for port in ports:
            if port not in ("", "auto"):
                claim(keys_of_port(port))
        try:
            yield claim
        except DeviceError as failed:
            others = locks.holders(how.locks) if "tried" in failed.facts else ()
            if not others:
                raise
            used = "; ".join(dict.fromkeys(f"{other.key} by {other}" for other in others))
            raise DeviceError(
                failed.what, where=failed.where, next_step=f"{failed.next_step}; in use now: {used}", **failed.facts
            ) from failed


def on_several(
    out: context.Output,
    devices: Sequence[Named],
    target: str,
    work: Callable[[Named, Listener], T],
    *,
    passed: Callable[[T], bool],
    told: Callable[[T], str],
    text: Callable[[T, int, bool], str],
    body: Callable[[T], Mapping[str, object]],
    output: Path | None = None,
) -> int:
    """Do it on all devices at once, show what became of each; the exit code.

    Args:
        told: a result in a few words; text: its own report; body: its JSON.
    """
    from edgeq.pipeline.bench import exit_code, on_each
    from edgeq.report.bench import Row, bench_json, bench_text

    with out.teller() as listener:
        outcomes = on_each(devices, work, listener)

    def rows(width: int, color: bool) -> list[Row]:
        return [
            Row(o.device.name, o.device.target or target, o.device.address, o.seconds, False, error=o.error)
            if o.error is not None or o.result is None
            else Row(
                o.device.name,
                o.device.target or target,
                o.device.address,
                o.seconds,
                passed(o.result),
                told(o.result),
                text(o.result, width, color),
                body(o.result),
            )
            for o in outcomes
        ]

    out.show(
        lambda width, color: bench_text(rows(width, color), width=width, color=color),
        lambda: bench_json(rows(100, False)),
        output,
    )
    return exit_code(outcomes, passed)
