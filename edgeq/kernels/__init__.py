"""The kernel table: (operator, types, core) → C symbol, constraints, packing, scratch. The one place that knows."""

from edgeq.kernels.contract import Constant, Kernel, Lowering, Violation
from edgeq.kernels.program import Program, Step, lower
from edgeq.kernels.table import KERNELS, Choice, choose, choose_for, operators

__all__ = [
    "KERNELS",
    "Choice",
    "Constant",
    "Kernel",
    "Lowering",
    "Program",
    "Step",
    "Violation",
    "choose",
    "choose_for",
    "lower",
    "operators",
]
