"""edgeq's engine on the MLPerf Tiny reference models, beside what others publish.

    EDGEQ_SHARED=../shared python benchmarks/engine.py [kws vww ic ad] [--toolchain zig|gcc] [--samples N]

Cycles are simulated (the virtual NUCLEO-L4R5ZI, its wait states at 120 MHz, and ideal memory); they are counted, not
timed, so the machine's load doesn't matter. Every row is also checked byte for byte against the reference.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from edgeq import pipeline
from edgeq.events import silent

TARGET = "nucleo-l4r5zi"

# Millions of cycles per inference on a Cortex-M4. Silicon at 120 MHz: MLPerf Tiny v1.1 and v1.2 closed divisions
# (X-CUBE-AI and HALE on NUCLEO-L4R5ZI; Plumerai v1.1). TFLM: tflite-micro with CMSIS-NN, gcc -O2, this project's cycle
# model before it had wait states.
PUBLISHED = {
    "kws": {"X-CUBE-AI": 5.18, "Plumerai": 5.73, "HALE": 7.22, "TFLM+CMSIS-NN": 9.12},
    "vww": {"X-CUBE-AI": 10.67, "Plumerai": 11.85, "HALE": 21.7, "TFLM+CMSIS-NN": 28.9},
    "ic": {"X-CUBE-AI": 19.8, "Plumerai": 20.1, "HALE": 21.7, "TFLM+CMSIS-NN": 36.5},
    "ad": {"X-CUBE-AI": 0.631, "Plumerai": 0.486, "HALE": 0.700, "TFLM+CMSIS-NN": 0.725},
}
TFLM_ARENA_BYTES = {"kws": 22_820, "vww": 100_708, "ic": 54_996, "ad": 2_580}


def main() -> int:
    """Print the table; exit with 1 when an output differed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=list(PUBLISHED))
    parser.add_argument("--toolchain", default="zig", choices=("zig", "gcc"))
    parser.add_argument("--samples", type=int, default=2)
    options = parser.parse_args()
    shared = os.environ.get("EDGEQ_SHARED")
    if not shared:
        print("EDGEQ_SHARED must name the folder with data/mlperf_tiny", file=sys.stderr)
        return 2
    table = Table(title=f"M cycles per inference, {TARGET}, {options.toolchain} (edgeq: simulated)")
    heads = (
        "edgeq",
        "ideal memory",
        *PUBLISHED["kws"],
        "arena B",
        "TFLM's",
        "weights B",
        "parameters B",
        "code B",
        "exact",
    )
    for head in ("model", *heads):
        table.add_column(head, justify="left" if head == "model" else "right")
    exact = True
    for name in options.models:
        path = Path(shared) / "data" / "mlperf_tiny" / f"{name}_int8.tflite"
        firmware = pipeline.build(path, TARGET, toolchain=options.toolchain)
        real, ideal = (
            pipeline.profile(
                path, TARGET, sim=True, firmware=firmware, samples=options.samples, wait_states=states, listener=silent
            )
            for states in (None, 0)
        )
        exact &= real.validation.passed and ideal.validation.passed
        usage = firmware.usage
        table.add_row(
            name,
            *(f"{m.median_cycles / 1e6:.3f}" for m in (real, ideal)),
            *(f"{value:g}" for value in PUBLISHED[name].values()),
            f"{usage.arena_bytes:,}",
            f"{TFLM_ARENA_BYTES[name]:,}",
            f"{usage.weights_bytes:,}",
            f"{usage.parameter_bytes:,}",
            f"{usage.code_bytes:,}",
            "yes" if real.validation.passed and ideal.validation.passed else "NO",
        )
    Console(width=160).print(table)
    return 0 if exact else 1


if __name__ == "__main__":
    sys.exit(main())
