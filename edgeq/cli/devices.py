"""edgeq devices"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from edgeq.cli import context
from edgeq.cli.bench import locks_folder

if TYPE_CHECKING:
    from edgeq.runners.attached import Attached
    from edgeq.runners.names import Names

_LOOK_EVERY_S = 1.0


@click.group("devices", invoke_without_command=True)
@context.targets_dir_option
@click.option("--watch", is_flag=True, help="Go on, and tell what comes and goes; with --json, one object a change.")
@click.option("--virtual", is_flag=True, help="Virtual boards that stay, too (`flash --probe virtual:NAME` makes one).")
@context.common
@click.pass_context
def command(ctx: click.Context, watch: bool, virtual: bool, as_json: bool, quiet: bool) -> int:
    """Tell what is plugged in, which target it is, how it can be flashed, and what is in the way.

    Then the devices of your device file, whether something answers there, and who uses them. Exits with 1 when nothing
    is there.

    \b
    Examples:
      edgeq devices
      edgeq devices --watch
      edgeq devices --virtual
      edgeq devices name bench-3 0672FF555185754867113245 --target nucleo-l4r5zi
      edgeq flash build/ --target nucleo-l4r5zi --device bench-3
    """
    if ctx.invoked_subcommand is not None:
        return 0
    from edgeq.report.devices import devices_json, devices_text
    from edgeq.runners.reachable import entries
    from edgeq.simulator.kept import boards

    found, names = _look()
    if watch:
        _watch(as_json, {a.where: a for a in found})
    known = entries(names.device, found, locks_folder(), context.cache_folder()) if names.device else ()
    kept = boards(context.boards_folder()) if virtual else None
    context.output("devices", as_json, quiet).show(
        lambda width, color: devices_text(found, names, known, kept, width=width, color=color),
        lambda: devices_json(found, names, known, kept),
    )
    return 0 if found or kept or any(entry.reachable for entry in known) else 1


@command.command("name")
@click.argument("name")
@click.argument("serial_number", default="")
@click.option("--target", default="", metavar="NAME", help="Which board it is, where its USB id doesn't tell.")
@click.option("--port", default="", metavar="PORT", help="Its console: a serial port or a pyserial URL.")
@click.option("--hardware/--simulated", default=None, help="What is behind a port that doesn't show it.")
@click.option("--probe", default="", metavar="ID", help="What `flash` takes as the device.")
@click.option("--runner", default="", metavar="NAME", help="With which it is flashed; virtual: a virtual board.")
@click.option("--host", default="", metavar="[USER@]NAME[:PORT]", help="A Linux computer, by SSH.")
@click.option("--adb", default="", metavar="NUMBER", help="A phone, as `adb devices` calls it.")
@click.option("--place", default="", metavar="PLACE", help="A labgrid place.")
@click.option("--coordinator", default="", metavar="HOST[:PORT]", help="Of labgrid  [default: 127.0.0.1:20408]")
@click.option("--note", default="", help="Whatever you want to remember.")
@context.common
def name_command(name: str, serial_number: str, target: str, as_json: bool, quiet: bool, **more: Any) -> int:
    """Give a device a NAME of your own: one on USB by its SERIAL_NUMBER (see `edgeq devices`), others by options.

    \b
    Examples:
      edgeq devices name bench-3 0672FF555185754867113245
      edgeq devices name far-7 --target nucleo-g0b1re --port rfc2217://lab:4007 --hardware
      edgeq devices name rack-2 --target nucleo-l4r5zi --place l4r5-2 --coordinator lab:20408 --hardware
      edgeq devices name pi-5 --target raspberry-pi-5 --host pi@pi-5.local
    """
    from edgeq.runners.names import Named, add

    if target:
        context.load_target(target)
    place = context.names_file()
    named = Named(name, serial_number, target, **more)
    add(place, named)
    context.output("devices", as_json, quiet).show(
        lambda width, color: f"{name} is {named.address}; written to {place}\n",
        lambda: {"name": name, "serial_number": serial_number, "target": target, "path": str(place), **more},
    )
    return 0


@command.command("forget")
@click.argument("name")
@context.common
def forget_command(name: str, as_json: bool, quiet: bool) -> int:
    """Forget the NAME of a device.

    \b
    Example:
      edgeq devices forget bench-3
    """
    from edgeq.runners.names import remove

    place = context.names_file()
    remove(place, name)
    context.output("devices", as_json, quiet).show(
        lambda width, color: f"{name} is forgotten\n", lambda: {"name": name, "path": str(place)}
    )
    return 0


def _look() -> tuple[tuple[Attached, ...], Names]:
    from edgeq.runners.attached import attached

    names = context.device_names()
    return attached(context.all_targets(), names), names


def _watch(as_json: bool, before: Mapping[str, Attached]) -> None:
    """Until it is interrupted."""
    from edgeq.report.devices import change_text
    from edgeq.report.json import document

    def tell(came: bool, device: Attached) -> None:
        body = {"change": "came" if came else "went", "device": device.to_json()}
        click.echo(document("devices", body) if as_json else change_text(came, device), nl=False)

    for device in before.values():
        tell(True, device)
    while True:
        time.sleep(_LOOK_EVERY_S)
        now = {a.where: a for a in _look()[0]}
        for where, device in before.items():
            if where not in now or now[where].serial_number != device.serial_number:
                tell(False, device)
        for where, device in now.items():
            if where not in before or before[where] != device:
                tell(True, device)
        before = now
