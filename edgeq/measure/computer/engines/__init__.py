"""What runs a model on a computer or phone: one file and one row of `edgeq.registry.ENGINES` each."""

from edgeq.measure.computer.engines.contract import Engine, EngineRun, Job, SensorTrace

__all__ = ["Engine", "EngineRun", "Job", "SensorTrace"]
