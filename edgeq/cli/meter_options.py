"""Options of `profile` for energy meters, and the plan that they make."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeq.cli.context import F
from edgeq.errors import UsageError

if TYPE_CHECKING:
    from edgeq.measure.energy import Plan


def options(command: F) -> F:
    """--meter, --supply, --meter-supplies, --window-seconds, --windows, --save-power."""
    for option in (
        click.option(
            "--save-power",
            "traces",
            type=click.Path(path_type=Path),
            multiple=True,
            help="Of a board's meter: write the power trace as .npz, .csv, .png or .svg.",
        ),
        click.option("--windows", type=click.IntRange(min=1), default=5, show_default=True, help="Energy windows."),
        click.option(
            "--window-seconds",
            type=click.FloatRange(min=0, min_open=True),
            default=10.0,
            show_default=True,
            help="Length of an energy window.",
        ),
        click.option("--meter-supplies", is_flag=True, help="The PPK2 powers the board (source meter)."),
        click.option(
            "--supply", type=click.FloatRange(min=0, min_open=True), default=3.3, show_default=True, help="Volts."
        ),
        click.option(
            "--meter",
            default="",
            metavar="NAME[:ADDRESS]",
            help="Measure energy. Boards: ppk2, joulescope, otii, lpm01a, stlink-v3pwr; computers: "
            "ina2xx[:FILE], pmic.",
        ),
    ):
        command = option(command)
    return command


def plan(chosen: Mapping[str, Any]) -> Plan | None:
    """The plan for a board's meter, None without one.

    Raises:
        UsageError: a trace without a meter, or one that can't be written.
    """
    from edgeq.files import require_writable
    from edgeq.measure.energy.files import require_format

    if not chosen["meter"]:
        if chosen["traces"]:
            raise UsageError("--save-power needs a meter", next_step="--meter ppk2, for one")
        return None
    for path in chosen["traces"]:
        require_format(path)
        require_writable(path)
    from edgeq.measure.energy import Plan

    return Plan(
        chosen["meter"],
        supply_v=chosen["supply"],
        source=chosen["meter_supplies"],
        window_s=chosen["window_seconds"],
        windows=chosen["windows"],
    )


PARAMETERS = ("meter", "supply", "meter_supplies", "window_seconds", "windows", "traces")
"""The parameters of `options`."""
