"""What `--optimize` does to the MLPerf Tiny reference models: cycles, arena, flash and time to choose, mode by mode.

    EDGEQ_SHARED=../shared python benchmarks/optimize.py [kws vww ic ad] [--target nucleo-l4r5zi] [--toolchain zig|gcc]
        [--samples N] [--modes balanced latency size ram]

Cycles are simulated (the virtual board with the memory that the chip has); flash and arena are the linker's, exact.
Every row is also checked byte for byte against the reference.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from edgeq import pipeline, target
from edgeq.events import silent
from edgeq.kernels import Objective
from edgeq.optimize import computed
from edgeq.selection import select

MODELS = ("kws", "vww", "ic", "ad")
MODES = tuple(each.value for each in Objective)


def main() -> int:
    """Print the table; exit with 1 when an output differed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=list(MODELS))
    parser.add_argument("--target", default="nucleo-l4r5zi")
    parser.add_argument("--toolchain", default="zig", choices=("zig", "gcc"))
    parser.add_argument("--samples", type=int, default=2)
    parser.add_argument("--modes", nargs="*", default=list(MODES), choices=MODES)
    options = parser.parse_args()
    shared = os.environ.get("EDGEQ_SHARED")
    if not shared:
        print("EDGEQ_SHARED must name the folder with data/mlperf_tiny", file=sys.stderr)
        return 2
    table = Table(title=f"--optimize on {options.target}, {options.toolchain} (cycles simulated, bytes exact)")
    for head in ("model", "mode", "cycles", "arena B", "flash B", "weights B", "code B", "layers changed", "bit-exact"):
        table.add_column(head, justify="left" if head in ("model", "mode") else "right")
    table.add_column("chosen in", justify="right")
    exact = True
    for name in options.models:
        model = pipeline.read_model(Path(shared) / "data" / "mlperf_tiny" / f"{name}_int8.tflite")
        for mode in options.modes:
            row, same = measure(model, mode, options)
            exact &= same
            table.add_row(name, mode, *row)
        table.add_section()
    Console(width=120).print(table)
    return 0 if exact else 1


def measure(model: pipeline.Model, mode: str, options: argparse.Namespace) -> tuple[tuple[str, ...], bool]:
    """A model built for one mode, and run."""
    board = target.load(options.target)
    started = time.perf_counter()
    select(computed(model.graph), board.core, Objective.named(mode))
    seconds = time.perf_counter() - started
    built = pipeline.build(model, board, toolchain=options.toolchain, optimize=mode, listener=silent)
    found = pipeline.profile(model, board, sim=True, firmware=built, samples=options.samples, listener=silent)
    usage, same = built.usage, found.validation.passed
    changed = sum(bool(layer.why) for layer in built.manifest.layers)
    figures = (found.median_cycles, usage.arena_bytes, usage.flash_bytes, usage.weights_bytes, usage.code_bytes)
    told = (*(f"{figure:,}" for figure in figures), f"{changed} of {len(built.manifest.layers)}")
    return (*told, "yes" if same else "NO", f"{seconds:.1f} s"), same


if __name__ == "__main__":
    sys.exit(main())
