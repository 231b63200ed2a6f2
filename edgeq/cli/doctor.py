"""edgeq doctor"""

from __future__ import annotations

import click

from edgeq.cli import context


@click.command("doctor")
@context.common
def command(as_json: bool, quiet: bool) -> int:
    """Tell what is installed, what is missing, and how to get it.

    Exits with 0 when the core works, with 4 when it doesn't.

    \b
    Example:
      edgeq doctor
    """
    from edgeq.report.diagnosis import diagnose
    from edgeq.report.doctor import doctor_json, doctor_text

    found = diagnose()
    context.output("doctor", as_json, quiet).show(
        lambda width, color: doctor_text(found, width=width, color=color), lambda: doctor_json(found)
    )
    return 0 if found.core_works else 4
