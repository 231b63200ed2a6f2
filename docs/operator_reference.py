"""Writes docs/operators.md: what the engine computes, and how much of it the conformance run has held.

    PYTHONPATH=tests python docs/operator_reference.py [--check]

Every strategy of tests/conformance is drawn CASES times, compiled and run on this computer, and compared with
the reference; a row of the kernel table counts the cases that chose it. A case that fails ends the run: there is no
table then. `--check` writes nothing and exits 1 when the file says something else.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from conformance.cases import Row, hold
from conformance.machine import HostMachine
from conformance.operators import OPERATORS

from edgeq.kernels import KERNELS, Kernel

PAGE = Path(__file__).with_name("operators.md")
CASES = 12

HEAD = """# Operators

Written by `docs/operator_reference.py` from the kernel table and from what passed; don't edit.

Each row is a kernel of the engine. *Cases* are single-operator models drawn by the conformance generator (seeded:
shapes, strides, paddings, dilations, activations, scales, zero points, per channel and per tensor) that chose this
row on a host without special features, each run with several inputs and equal to the reference: in every byte where
*Equal* is empty, else as far as it says. The reference is tflite-runtime 2.14 `BUILTIN_REF`; LiteRT 2.3 where 2.14
lacks the operator for that type; for sums of int8 and for SVDF with an int8 state, where host interpreters are wrong
or crash, a replay of TFLM's definition. Rows that need a core's features (DSP, Helium) are held on emulated cores by
the test suite.

| operator | types | kernel | up to version | core | cases | equal |
|---|---|---|---|---|---|---|
"""


def passed(cases: int = CASES) -> Counter[Row]:
    """(operator, symbol, types) → the cases that chose this row and were equal to the reference.

    Raises:
        AssertionError: one wasn't.
    """
    machine = HostMachine()
    found: Counter[Row] = Counter()
    for strategy in OPERATORS.values():
        found += hold(machine, strategy, cases)
    return found


def page(counts: Counter[Row]) -> str:
    """The file's text."""
    rows = sorted(KERNELS, key=lambda k: (k.op, bool(k.requires), k.types, k.symbol))
    return HEAD + "".join(_row(k, counts) for k in rows)


def _row(kernel: Kernel, counts: Counter[Row]) -> str:
    cases = counts[kernel.op, kernel.symbol, kernel.types]
    cells = (
        kernel.op,
        kernel.types,
        f"`{kernel.symbol}`" if kernel.symbol else "none needed",
        str(kernel.max_version),
        ", ".join(kernel.requires) or "every",
        "on the core" if kernel.requires else str(cases),
        kernel.exact,
    )
    return "| " + " | ".join(cells) + " |\n"


def main() -> int:
    """Write the page, or compare with it."""
    text = page(passed())
    if "--check" in sys.argv[1:]:
        return int(PAGE.read_text(encoding="utf-8") != text)
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
