"""Graph → Graph, the same function in every byte: what is provably superfluous is removed before kernels are chosen."""

from edgeq.optimize.constant_channels import Removal, remove_constant_channels
from edgeq.optimize.program import compile_program, computed
from edgeq.optimize.ranges import Interval, channel_ranges

__all__ = ["Interval", "Removal", "channel_ranges", "compile_program", "computed", "remove_constant_channels"]
