"""Models on Linux computers and Android phones: engines there, conditions, latency percentiles, outputs compared."""

from edgeq.measure.computer.measurement import ComputerMeasurement
from edgeq.measure.computer.profile import DEFAULT_SAMPLES, ComputerSubject, Request, profile

__all__ = ["DEFAULT_SAMPLES", "ComputerMeasurement", "ComputerSubject", "Request", "profile"]
