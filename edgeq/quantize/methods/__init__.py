"""How a range is chosen from the values that calibration sees: one file and one registry row each."""

from edgeq.quantize.methods.contract import Method, Range

__all__ = ["Method", "Range"]
