"""What the Cortex-M4's kernels come to on a Cortex-M7 and a Cortex-M33, which have the same DSP instructions.

    EDGEQ_SHARED=../shared python benchmarks/cores.py [kws vww ic ad]

Instructions per inference of the code that arm-none-eabi-gcc makes for each core, counted in an emulator (Unicorn, by
basic block): with the DSP rows that the table chooses, and with the portable rows. It says that those rows are right
for the core, not how fast silicon is: a Cortex-M7 starts two instructions in a cycle. Outputs are compared byte for
byte between the two.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from conformance.machine import CoreMachine, CoreModel

from edgeq.tflite import parse

BOARDS = {"cortex-m4": "nucleo-l4r5zi", "cortex-m7": "nucleo-h7a3zi-q", "cortex-m33": "nrf5340dk"}
MODELS = ("kws", "vww", "ic", "ad")


def counted(model: CoreModel, inputs: list[Any]) -> tuple[int, bytes]:
    """Instructions of one inference, and the output."""
    import capstone
    import unicorn

    emulator = model._uc
    reader = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
    lengths: dict[tuple[int, int], int] = {}
    total = 0

    def block(uc: Any, address: int, size: int, user: Any) -> None:
        nonlocal total
        if (address, size) not in lengths:
            code = bytes(uc.mem_read(address, size))
            lengths[address, size] = sum(1 for _ in reader.disasm_lite(code, address))
        total += lengths[address, size]

    hook = emulator.hook_add(unicorn.UC_HOOK_BLOCK, block)
    (out, *_) = model.run(inputs)
    emulator.hook_del(hook)
    return total, out.tobytes()


def main() -> int:
    """Print the table; exit with 1 when an output differed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="*", default=list(MODELS))
    options = parser.parse_args()
    shared = os.environ.get("EDGEQ_SHARED")
    if not shared:
        print("EDGEQ_SHARED must name the folder with data/mlperf_tiny", file=sys.stderr)
        return 2
    table = Table(title="M instructions per inference, emulated, gcc: DSP rows / portable rows")
    for head in ("model", *BOARDS, "exact"):
        table.add_column(head, justify="left" if head == "model" else "right")
    machines = {
        (core, special): CoreMachine("gcc", special, name=board)
        for core, board in BOARDS.items()
        for special in (True, False)
    }
    exact = True
    for name in options.models:
        graph = parse((Path(shared) / "data" / "mlperf_tiny" / f"{name}_int8.tflite").read_bytes(), name=name)
        random = np.random.default_rng(0)
        inputs = [random.integers(-128, 128, graph.tensors[i].shape).astype(np.int8) for i in graph.inputs]
        cells, outputs = [], set()
        for core in BOARDS:
            counts = []
            for special in (True, False):
                count, out = counted(machines[core, special].load(graph), inputs)
                counts.append(f"{count / 1e6:.3f}")
                outputs.add(out)
            cells.append(" / ".join(counts))
        exact &= len(outputs) == 1
        table.add_row(name, *cells, "yes" if len(outputs) == 1 else "NO")
    Console(width=120).print(table)
    return 0 if exact else 1


if __name__ == "__main__":
    sys.exit(main())
