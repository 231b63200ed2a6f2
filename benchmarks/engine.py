"""edgeq's engine on the MLPerf Tiny reference models, beside what others publish.

    EDGEQ_SHARED=../shared python benchmarks/engine.py [kws vww ic ad] [--target raspberry-pi-pico]
        [--toolchain zig|gcc] [--samples N]

Cycles are simulated (the virtual board with the memory that the chip has, and ideal memory); they are counted, not
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

# Millions of cycles per inference on a Cortex-M4. Silicon at 120 MHz: MLPerf Tiny v1.1 and v1.2 closed divisions
# (X-CUBE-AI and HALE on NUCLEO-L4R5ZI; Plumerai v1.1). TFLM: tflite-micro with CMSIS-NN, gcc -O2, this project's cycle
# model before it had wait states.
CORTEX_M4 = {
    "kws": {"X-CUBE-AI": 5.18, "Plumerai": 5.73, "HALE": 7.22, "TFLM+CMSIS-NN": 9.12},
    "vww": {"X-CUBE-AI": 10.67, "Plumerai": 11.85, "HALE": 21.7, "TFLM+CMSIS-NN": 28.9},
    "ic": {"X-CUBE-AI": 19.8, "Plumerai": 20.1, "HALE": 21.7, "TFLM+CMSIS-NN": 36.5},
    "ad": {"X-CUBE-AI": 0.631, "Plumerai": 0.486, "HALE": 0.700, "TFLM+CMSIS-NN": 0.725},
}
# The same on a Cortex-M0+: TFLM, by this project's cycle model with ideal memory;
# HALE on NUCLEO-G0B1RE at 64 MHz, MLPerf Tiny v1.2 closed division: silicon. `goal`: 1.5 times faster than TFLM.
CORTEX_M0PLUS = {
    "kws": {"goal": 26.7, "HALE": 30.3, "TFLM": 40.0},
    "vww": {"goal": 80.0, "HALE": 90.5, "TFLM": 120.0},
    "ic": {"goal": 91.3, "HALE": 97.4, "TFLM": 137.0},
    "ad": {"goal": 1.57, "HALE": 2.61, "TFLM": 2.36},
}
PUBLISHED = {"nucleo-l4r5zi": CORTEX_M4, "raspberry-pi-pico": CORTEX_M0PLUS}
TFLM_ARENA_BYTES = {"kws": 22_820, "vww": 100_708, "ic": 54_996, "ad": 2_580}


def main() -> int:
    """Print the table; exit with 1 when an output differed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=list(CORTEX_M4))
    parser.add_argument("--target", default="nucleo-l4r5zi", choices=tuple(PUBLISHED))
    parser.add_argument("--toolchain", default="zig", choices=("zig", "gcc"))
    parser.add_argument("--samples", type=int, default=2)
    options = parser.parse_args()
    shared = os.environ.get("EDGEQ_SHARED")
    if not shared:
        print("EDGEQ_SHARED must name the folder with data/mlperf_tiny", file=sys.stderr)
        return 2
    published = PUBLISHED[options.target]
    table = Table(title=f"M cycles per inference, {options.target}, {options.toolchain} (edgeq: simulated)")
    heads = (
        "edgeq",
        "ideal memory",
        *published["kws"],
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
        firmware = pipeline.build(path, options.target, toolchain=options.toolchain)
        real, ideal = (
            pipeline.profile(
                path,
                options.target,
                sim=True,
                firmware=firmware,
                samples=options.samples,
                wait_states=states,
                listener=silent,
            )
            for states in (None, 0)
        )
        exact &= real.validation.passed and ideal.validation.passed
        usage = firmware.usage
        table.add_row(
            name,
            *(f"{m.median_cycles / 1e6:.3f}" for m in (real, ideal)),
            *(f"{value:g}" for value in published[name].values()),
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
