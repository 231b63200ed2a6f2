"""The kernel table: (operator, types, core) → C symbol, constraints, packing, scratch. The one place that knows."""

from edgeq.kernels.contract import Constant, Kernel, Lowering, Violation
from edgeq.kernels.objective import Objective
from edgeq.kernels.program import FIRST_ROWS, Pick, Program, Selection, Step, candidates, lower
from edgeq.kernels.table import KERNELS, Choice, choose, choose_for, operators, rows_for

__all__ = [
    "FIRST_ROWS",
    "KERNELS",
    "Choice",
    "Constant",
    "Kernel",
    "Lowering",
    "Objective",
    "Pick",
    "Program",
    "Selection",
    "Step",
    "Violation",
    "candidates",
    "choose",
    "choose_for",
    "lower",
    "operators",
    "rows_for",
]
