"""Changes to the float network that make it lose less when it is quantized: one file and one registry row each."""

from edgeq.quantize.repairs.contract import Repair, Setting

__all__ = ["Repair", "Setting"]
