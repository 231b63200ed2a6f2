"""How long commands take as whole processes: `edgeq --help` and `edgeq check` on a model.

    python benchmarks/start_up.py MODEL.tflite [--runs 9]

The minimum is what the machine can do, the median what one waits for; a bare `python -c pass` beside them says what of
it is Python's own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

_RUN = "from edgeq.cli.main import run; run()"


def seconds(argv: list[str], runs: int) -> list[float]:
    """Wall time of each run; the first, which fills caches, is not among them."""
    found = []
    for number in range(runs + 1):
        started = time.perf_counter()
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
        if number:
            found.append(time.perf_counter() - started)
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--target", default="nucleo-l4r5zi")
    parser.add_argument("--runs", type=int, default=9)
    options = parser.parse_args()
    python = [sys.executable, "-c"]
    commands = {
        "python -c pass": [*python, "pass"],
        "edgeq --help": [*python, _RUN, "--help"],
        f"edgeq check {options.model.name}": [*python, _RUN, "check", str(options.model), "--target", options.target],
    }
    table = Table(title="whole processes, seconds")
    for head in ("command", "min", "median", "max"):
        table.add_column(head, justify="left" if head == "command" else "right")
    for name, argv in commands.items():
        found = seconds(argv, options.runs)
        table.add_row(name, *(f"{value:.3f}" for value in (min(found), median(found), max(found))))
    Console().print(table)


if __name__ == "__main__":
    main()
