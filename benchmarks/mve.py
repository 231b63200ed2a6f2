"""edgeq's engine on an emulated Cortex-M55 (Helium): instructions per inference, beside TFLM's.

    EDGEQ_SHARED=../shared python benchmarks/mve.py [kws vww ic ad] [--toolchain zig|gcc] [--layers]

The firmware that `edgeq build -t corstone-300` makes boots in QEMU (Debian's 7.2 and later; mps3-an547) with
`-icount shift=0`: each instruction then takes one nanosecond of virtual time, whatever it does. The board's SysTick
counts that time at 32 MHz, so its ticks are instructions in steps of 31.25. What is counted is instructions, not
cycles: on silicon a vector instruction takes two cycles, some of which overlap. Every output is compared with the
reference.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from edgeq import pipeline
from edgeq.events import silent
from edgeq.toolchains.firmware import Firmware

TARGET, MACHINE = "corstone-300", "mps3-an547"
PER_TICK = 1000 / 32
# Millions of instructions per inference: tflite-micro with CMSIS-NN, arm-none-eabi-gcc 12.2 -O2, the same counting.
TFLM = {"kws": 1.79, "vww": 6.43, "ic": 4.81, "ad": 0.150}


@contextmanager
def booted(firmware: Firmware) -> Iterator[str]:
    """The pseudo-terminal of the board's console."""
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "firmware.elf"
        image.write_bytes(firmware.elf)
        counting = ("-icount", "shift=0,align=off,sleep=off")
        show = ("-serial", "pty", "-display", "none", "-monitor", "none")
        argv = ["qemu-system-arm", "-machine", MACHINE, "-kernel", str(image), *counting, *show]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as child:
            try:
                assert child.stdout is not None
                line = child.stdout.readline()
                found = re.search(r"redirected to (\S+)", line)
                if found is None:
                    raise SystemExit(f"QEMU told no port: {line!r}")
                yield found[1]
            finally:
                child.kill()


def main() -> int:
    """Print the table; exit with 1 when an output differed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=list(TFLM))
    parser.add_argument("--toolchain", default="zig", choices=("zig", "gcc"))
    parser.add_argument("--layers", action="store_true", help="each layer's instructions too")
    options = parser.parse_args()
    shared = os.environ.get("EDGEQ_SHARED")
    if not shared:
        print("EDGEQ_SHARED must name the folder with data/mlperf_tiny", file=sys.stderr)
        return 2
    console = Console(width=120)
    table = Table(title=f"M instructions per inference, {TARGET} in QEMU, {options.toolchain}")
    heads = ("edgeq", "TFLM+CMSIS-NN", "MACs", "arena B", "weights B", "parameters B", "code B", "exact")
    for head in ("model", *heads):
        table.add_column(head, justify="left" if head == "model" else "right")
    exact = True
    for name in options.models:
        path = Path(shared) / "data" / "mlperf_tiny" / f"{name}_int8.tflite"
        firmware = pipeline.build(path, TARGET, toolchain=options.toolchain)
        with booted(firmware) as port:
            told = pipeline.profile(path, TARGET, port=port, firmware=firmware, samples=2, runs=2, listener=silent)
        exact &= told.validation.bit_exact
        usage = firmware.usage
        table.add_row(
            name,
            f"{told.median_cycles * PER_TICK / 1e6:.3f}",
            f"{TFLM[name]:g}",
            f"{firmware.manifest.macs / 1e6:.3f}",
            *(f"{n:,}" for n in (usage.arena_bytes, usage.weights_bytes, usage.parameter_bytes, usage.code_bytes)),
            "yes" if told.validation.bit_exact else "NO",
        )
        for time in told.layers if options.layers else ():
            layer, counted = time.layer, time.cycles * PER_TICK
            per_mac = f", {counted / layer.macs:.3f} a MAC" if layer.macs else ""
            console.print(f"  {name} {layer.index:>3} {layer.kernel:<36} {counted:>12,.0f}{per_mac}")
    console.print(table)
    return 0 if exact else 1


if __name__ == "__main__":
    sys.exit(main())
