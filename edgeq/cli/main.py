"""Entry point: finds the command, and turns whatever happens into an exit code.

Exit codes: 0 yes; 1 a negative result; 2 wrong use; 3 bad input file; 4 something must be installed; 5 a device
or tool failed; 70 a bug in edgeq; 130 interrupted; 141 the reader of the output went away; 143 terminated.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import signal
import sys
import types
from collections.abc import Sequence
from typing import NoReturn

import click

from edgeq import __version__
from edgeq.errors import EdgeqError, UsageError

BUG_EXIT, INTERRUPTED_EXIT, BROKEN_PIPE_EXIT, TERMINATED_EXIT = 70, 130, 141, 143
_ISSUES = "the issue tracker of edgeq"

# Command → its module's summary. The modules are imported when the command is run, or asked for its help.
COMMANDS = {
    "convert": "make an int8 .tflite of a trained network",
    "analyze": "tell which layers of a quantized model lose the accuracy, why, and what to do",
    "evaluate": "tell how right a model's answers are, on this computer or on a device",
    "check": "tell whether a model runs on a target, and what it takes there",
    "export": "write a model as a package: C library, CMake, Arduino, PlatformIO, Zephyr, ESP-IDF, CMSIS-Pack, TFLM",
    "extract": "write one precision of a nested model as a .tflite of its own",
    "build": "make firmware: plain C, compiled and linked",
    "simulate": "run firmware on a virtual board",
    "flash": "write firmware onto a board, and verify it where that is possible",
    "profile": "run a model on a device: outputs compared, latency, memory, energy",
    "deploy": "check, build, flash and profile in one",
    "targets": "list and show what edgeq builds for",
    "devices": "tell what is plugged in, and what is in the way",
    "monitor": "show what a board says, and type to it",
    "doctor": "tell what is installed, what is missing, and how to get it",
}


class LazyGroup(click.Group):
    """Commands by name; `--help` prints their summaries without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of work."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"edgeq.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """With a suggestion for a misspelt name."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            raise UsageError(
                f"there is no command '{args[0]}'",
                next_step=f"did you mean `edgeq {near[0]}`?" if near else f"commands: {', '.join(COMMANDS)}",
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """From the table above."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: 0 yes, 1 a negative result (does not fit, not bit-exact), 2 wrong use, 3 bad input file, "
    "4 something must be installed, 5 a device or tool failed, 130 interrupted.",
)
@click.version_option(__version__, "-V", "--version", message="edgeq %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an unexpected error.")
def group(debug: bool) -> None:
    """Take a trained network to the device it has to run on.

    \b
    edgeq convert model.keras --target nucleo-l4r5zi --representative-data calib.npz -o model.tflite
    edgeq check   model.tflite --target nucleo-l4r5zi
    edgeq deploy  model.tflite --target nucleo-l4r5zi --sim
    """


def run() -> NoReturn:
    """What the `edgeq` script calls."""
    if sys.stdout is None or sys.stderr is None:  # closed by the caller (`>&-`)
        nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - open until the process ends
        sys.stdout, sys.stderr = sys.stdout or nowhere, sys.stderr or nowhere
    for stream in (sys.stdout, sys.stderr):
        # A terminal without µ must not turn a report into a traceback.
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    if "_EDGEQ_COMPLETE" in os.environ:
        group.main(prog_name="edgeq")  # click's shell completion
    # So that a virtual board is ended and files are cleaned up on the way out.
    signal.signal(signal.SIGTERM, _terminated)
    code = main(sys.argv[1:])
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    sys.exit(code)


def main(arguments: Sequence[str]) -> int:
    """Run one command line; its exit code."""
    try:
        try:
            code = _invoke(list(arguments))
            sys.stdout.flush()
            return code
        except click.UsageError as wrong:
            return _fail(arguments, _from_click(wrong))
        except click.ClickException as failed:
            return _fail(arguments, UsageError(failed.format_message()))
        except EdgeqError as failed:
            return _fail(arguments, failed)
    except BrokenPipeError:
        _abandon_output()
        return BROKEN_PIPE_EXIT
    except OSError as failed:
        if failed.errno not in (errno.ENOSPC, errno.EDQUOT):
            return _bug(arguments, failed)
        _abandon_output()
        full = EdgeqError(f"can't write: {failed.strerror}", next_step="make room and run it again")
        click.echo(f"error: {full}", err=True)
        return full.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return INTERRUPTED_EXIT
    except Exception as bug:
        return _bug(arguments, bug)


def _abandon_output() -> None:
    """Python would fail once more on what is left in the buffer when it exits."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _invoke(arguments: list[str]) -> int:
    """Without click's own main, which ends with 1, a negative result's code, when the output's reader goes away."""
    try:
        with group.make_context("edgeq", arguments) as ctx:
            result = group.invoke(ctx)
    except click.exceptions.Exit as asked:
        return asked.exit_code
    return result if isinstance(result, int) else 0


def _terminated(number: int, frame: types.FrameType | None) -> None:
    sys.exit(TERMINATED_EXIT)


def _from_click(wrong: click.UsageError) -> UsageError:
    command = wrong.ctx.command_path if wrong.ctx is not None else "edgeq"
    message = wrong.format_message()
    return UsageError(message[:1].lower() + message[1:].rstrip("."), next_step=f"see `{command} --help`")


def _fail(arguments: Sequence[str], error: EdgeqError) -> int:
    if _wants_json(arguments):
        from edgeq.report.json import error_document

        click.echo(error_document(_command_of(arguments), error), nl=False)
    else:
        click.echo(click.style("error: ", fg="red") + str(error), err=True)
    return error.exit_code


def _bug(arguments: Sequence[str], bug: Exception) -> int:
    """An exception that nobody meant: one line, or everything with --debug."""
    if "--debug" in arguments:
        import traceback

        click.echo(traceback.format_exc(), err=True)
    told = EdgeqError(
        f"a bug in edgeq: {type(bug).__name__}: {bug}",
        next_step=f"run `edgeq --debug …` and report what it shows to {_ISSUES}, with edgeq {__version__}",
    )
    _fail(arguments, told)
    return BUG_EXIT


def _wants_json(arguments: Sequence[str]) -> bool:
    own = arguments[: list(arguments).index("--")] if "--" in arguments else arguments
    return "--json" in own


def _command_of(arguments: Sequence[str]) -> str:
    return next((a for a in arguments if a in COMMANDS), "")
