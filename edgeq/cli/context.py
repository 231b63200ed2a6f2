"""What commands share: their common options, the environment, and where output goes."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edgeq.cli.progress import Teller
from edgeq.errors import UsageError
from edgeq.target import Target

if TYPE_CHECKING:
    from edgeq.runners.names import Names

F = TypeVar("F", bound=Callable[..., Any])
_TARGETS_DIR = "edgeq.targets_dir"


@dataclass(frozen=True)
class Output:
    """How this command talks.

    Attributes:
        width, color: of the terminal on stdout.
    """

    command: str
    json: bool
    quiet: bool
    width: int
    color: bool

    def show(
        self, text: Callable[[int, bool], str], body: Callable[[], Mapping[str, object]], file: Path | None = None
    ) -> None:
        """Print a product: its text (given width and colour), or its JSON. What isn't asked for isn't made.

        Args:
            file: receives the JSON too. It is written before JSON is printed, so that an error is the one object on
                stdout, and after the text, which an error doesn't take away.
        """
        if not self.json:
            click.echo(text(self.width, self.color), nl=False, color=self.color)
        if self.json or file is not None:
            from edgeq.files import write_whole
            from edgeq.report.json import document

            made = document(self.command, body())
            if file is not None:
                write_whole(file, made)
            if self.json:
                click.echo(made, nl=False)

    def teller(self) -> Teller:
        """A listener that shows progress on stderr; use it as a context."""
        return Teller(quiet=self.quiet)


def output(command: str, as_json: bool, quiet: bool) -> Output:
    """For this command, on this terminal."""
    terminal = sys.stdout.isatty()
    width = min(140, max(80, shutil.get_terminal_size((100, 24)).columns)) if terminal else 120
    return Output(command, as_json, quiet, width, terminal and "NO_COLOR" not in os.environ)


def targets_folder() -> Path | None:
    """The user's own targets: --targets-dir, or EDGEQ_TARGETS; see `edgeq.target.load`.

    Raises:
        UsageError: there is no such folder.
    """
    given = click.get_current_context().meta.get(_TARGETS_DIR) or os.environ.get("EDGEQ_TARGETS", "")
    if not given:
        return None
    if not Path(given).is_dir():
        raise UsageError(
            "is not a folder of targets", where=str(given), next_step="see --targets-dir and EDGEQ_TARGETS"
        )
    return Path(given)


def cache_folder() -> Path | None:
    """Where compiled objects are kept: EDGEQ_CACHE; the platform's own place without it."""
    value = os.environ.get("EDGEQ_CACHE", "")
    return Path(value) if value else None


def names_file() -> Path:
    """Where names of devices are kept: EDGEQ_DEVICES; in the user's configuration without it."""
    value = os.environ.get("EDGEQ_DEVICES", "")
    if value:
        return Path(value)
    home = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(home) if home else Path.home() / ".config") / "edgeq" / "devices.toml"


def boards_folder() -> Path:
    """Where virtual boards are kept that are kept nowhere else: the user's state."""
    from edgeq.resources import default_state

    home = os.environ.get("XDG_STATE_HOME", "")
    return (Path(home) / "edgeq" if home else default_state()) / "boards"


def board_called(given: str) -> str:
    """A virtual board's name with the folder that it is kept in; anything else as it is.

    Raises:
        UsageError: it names no virtual board.
    """
    from edgeq.simulator import kept

    return str(kept.parse(given, boards_folder())) if kept.is_address(given) else given


def device_names() -> Names:
    """The names of devices in that file."""
    from edgeq.runners.names import Names, read

    found = read(names_file()).device
    return Names(tuple(replace(d, port=board_called(d.port), probe=board_called(d.probe)) for d in found))


def device_called(given: str) -> str:
    """What `--device` means: the serial number of a device that has a name of one's own, else what was given."""
    named = device_names().find(given) if given else None
    return named.flash_id if named else board_called(given)


def port_called(given: str) -> str:
    """What `--port` means: the serial port of a device that has a name of one's own, else what was given.

    Raises:
        PortError: that device has no port here.
        UsageError: it has to be acquired first, or has no port at all.
    """
    from edgeq.simulator import kept

    named = device_names().find(given) if given else None
    if named is None:
        return board_called(given)
    if named.port:
        return named.port
    if kept.is_address(named.probe):
        return named.probe
    if not named.serial_number:
        raise UsageError(
            f"'{given}' ({named.address}) has no port of its own", next_step=f"profile and flash take --device {given}"
        )
    from edgeq.runners.ports import port_of

    return port_of(named.serial_number, given)


def console_called(given: str, board: Target) -> str:
    """The same, and for `auto` the port that the target's USB ids say is its console.

    Raises:
        PortError: none or several.
    """
    if given != "auto":
        return port_called(given)
    from edgeq.runners import ports

    return ports.console_of(board, ports.present()).device


def all_targets() -> list[Target]:
    """Every target that there is, the user's own too."""
    from edgeq import target as targets

    folder = targets_folder()
    return [targets.load(name, folder) for name in targets.names(folder)]


def load_target(name: str) -> Target:
    """The target that `--target` names."""
    from edgeq import pipeline

    return pipeline.load_target(name, targets_folder())


def common(command: F) -> F:
    """--json and --quiet."""
    with_quiet = click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")(command)
    return click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")(with_quiet)


def _keep_targets_dir(ctx: click.Context, param: click.Parameter, value: Path | None) -> None:
    if value is not None:
        ctx.meta[_TARGETS_DIR] = value


targets_dir_option = click.option(
    "--targets-dir",
    type=click.Path(path_type=Path),
    expose_value=False,
    callback=_keep_targets_dir,
    metavar="DIR",
    help="A folder with targets of your own  [default: EDGEQ_TARGETS]",
)
_target_option = click.option(
    "-t", "--target", required=True, metavar="NAME", help="See `edgeq targets list`; or a board's .toml file."
)


def target_option(command: F) -> F:
    """--target and --targets-dir."""
    return _target_option(targets_dir_option(command))


kernels_option = click.option(
    "--kernels", default="", metavar="NAME", help="Of tflm: cmsis-nn or reference  [default: cmsis-nn]"
)


def runtime_option(*, required: bool = False) -> Callable[[F], F]:
    """--runtime."""
    return click.option(
        "--runtime",
        required=required,
        default=None if required else "",
        metavar="NAME",
        help="Whose operators decide: edgeq, tflm, litert, litert-xnnpack, litert-gpu, tflite-runtime-2.14.",
    )


OBJECTIVES = ("balanced", "latency", "size", "ram")


def optimize_option(default: str | None = "balanced") -> Callable[[F], F]:
    """--optimize.

    Args:
        default: None where what a build says counts.
    """
    return click.option(
        "--optimize",
        type=click.Choice(OBJECTIVES),
        default=default,
        show_default=default is not None,
        help="What kernels are chosen for: few cycles, little flash, a small arena; see docs/optimize.md"
        + ("." if default is not None else "  [default: balanced; the build's with --firmware]"),
    )


hardware_option = click.option(
    "--hardware/--simulated",
    default=None,
    help="What is behind a port that doesn't show it (socket://, rfc2217://, a pseudo-terminal): a real board, or not.",
)
timeout_option = click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0),
    default=15.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for a board that was unplugged; then the run goes on where it was.",
)
model_argument = click.argument("model", type=click.Path(path_type=Path))


class Size(click.ParamType[int]):
    """Bytes: 4096, 16K, 1.5M, 16KiB."""

    name = "bytes"
    _FORM = re.compile(r"(\d+(?:\.\d+)?)\s*([KMkm]?)(?:i?[Bb])?")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """K and M are 1024 and 1024²."""
        if isinstance(value, int):
            return value
        match = self._FORM.fullmatch(str(value).strip())
        if match is None:
            self.fail(f"'{value}' is not a size; write 4096, 16K or 1.5M", param, ctx)
        return round(float(match[1]) * {"": 1, "K": 1024, "M": 1024 * 1024}[match[2].upper()])


def reserve_options(command: F) -> F:
    """--reserve-ram and --reserve-flash."""
    size = Size()
    with_flash = click.option(
        "--reserve-flash", type=size, default=0, metavar="BYTES", help="Flash that your own code needs (16K, 1M)."
    )(command)
    return click.option(
        "--reserve-ram", type=size, default=0, metavar="BYTES", help="RAM that your own code needs (16K, 1M)."
    )(with_flash)


def sample_options(command: F) -> F:
    """--data, --samples, --runs, --seed."""
    for option in (
        click.option("--seed", type=int, default=0, show_default=True, help="Of the random inputs."),
        click.option(
            "--runs", type=click.IntRange(min=0), default=0, help="Inferences to time  [default: one per sample]"
        ),
        click.option(
            "--samples",
            type=click.IntRange(min=0),
            default=0,
            help="Samples to compare with the reference  [default: 20, fewer where they take long]",
        ),
        click.option("--data", default="", metavar="FILE[:ARRAY]", help="Inputs from .npz or .npy  [default: random]"),
    ):
        command = option(command)
    return command


preprocess_option = click.option(
    "--preprocess",
    default="",
    metavar="STEPS",
    help="How images or .wav files of a folder become inputs: raw, unit, tf, mobilenet_v2, torch, caffe or mfcc, and "
    "key=value,…: resize=96x96,crop=center,scale=1/255,mean=…,std=…,color=gray. See docs/data.md.",
)


def data_source(data: str | None, preprocess: str) -> Any:
    """What `--data` and `--preprocess` name together.

    Raises:
        UsageError: --preprocess without data, or that means nothing.
    """
    if not preprocess:
        return data
    from edgeq.quantize.preprocess import PreparedFiles, parse

    parse(preprocess)  # before the model is loaded
    if data is None:
        raise UsageError("--preprocess says how data are prepared, and there are none", next_step="add --data FOLDER")
    return PreparedFiles(data, preprocess)


device_option = click.option(
    "--device",
    "--probe",
    default="",
    metavar="ID",
    help="Which one, when several are there; or a virtual board that stays, such as virtual:nrf52840dk.",
)


def flash_options(command: F) -> F:
    """--runner, --pack, --allow-erase."""
    for option in (
        click.option(
            "--allow-erase",
            is_flag=True,
            help="Erase the whole chip where there is no other way (locked; DAPLink's drive; bossac).",
        ),
        click.option("--pack", type=click.Path(path_type=Path), help="CMSIS-Pack for chips that pyOCD doesn't know."),
        click.option(
            "--runner", default="", metavar="NAME", help="One of the target's runners  [default: what is there]"
        ),
    ):
        command = option(command)
    return command
