"""edgeq doctor"""

from __future__ import annotations

import click

from edgeq.cli import context


@click.command("doctor")
@click.option(
    "--install",
    "environment",
    metavar="NAME",
    help="Make the environment that onnx, torch or labgrid needs, apart from edgeq's own, in the user's cache.",
)
@click.option(
    "--udev", is_flag=True, help="Print udev rules (Linux) for all boards, probes and meters that edgeq knows."
)
@context.targets_dir_option
@context.common
def command(environment: str | None, udev: bool, as_json: bool, quiet: bool) -> int:
    """Tell what is installed, what is missing, and how to get it.

    Exits with 0 when the core works, with 4 when it doesn't. With --install NAME a framework's own virtual environment
    is made first: its packages can't disturb edgeq's, and `edgeq convert` finds it by itself. With --json its
    interpreter is in the field "environment".

    \b
    Examples:
      edgeq doctor
      edgeq doctor --install torch
      edgeq doctor --udev | sudo tee /etc/udev/rules.d/60-edgeq.rules
    """
    from edgeq.report.diagnosis import diagnose
    from edgeq.report.doctor import doctor_json, doctor_text

    out = context.output("doctor", as_json, quiet)
    if udev:
        from edgeq.runners.udev import PLACE, rules

        text = rules(context.all_targets())
        out.show(lambda width, color: text, lambda: {"udev": {"path": str(PLACE), "rules": text}})
        return 0
    cache = context.cache_folder()
    made: dict[str, object] = {}
    if environment is not None:
        from edgeq.importers.environments import install

        with out.teller() as listener:
            made = {"environment": str(install(environment, cache, listener))}
    found = diagnose(cache)
    out.show(lambda width, color: doctor_text(found, width=width, color=color), lambda: {**doctor_json(found), **made})
    return 0 if found.core_works else 4
