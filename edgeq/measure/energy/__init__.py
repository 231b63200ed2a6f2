"""Energy of a board, measured by a meter in its supply: the window that a pin marks, µJ with their uncertainty."""

from edgeq.measure.energy.measurement import MeteredEnergy, Plan, measure
from edgeq.measure.energy.trace import Trace

__all__ = ["MeteredEnergy", "Plan", "Trace", "measure"]
