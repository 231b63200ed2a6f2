"""Arrangement: which row of the kernel table serves each operator, by what kernels cost in cycles and bytes."""

from edgeq.selection.footprint import Footprint, footprint
from edgeq.selection.program import compile_model
from edgeq.selection.select import select

__all__ = ["Footprint", "compile_model", "footprint", "select"]
