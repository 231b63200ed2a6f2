"""How right a model's answers are: on this computer or on a device, with intervals, beside its float model."""

from edgeq.measure.accuracy.engines import Device, Engine, FloatEngine, HostCode, ReferenceEngine, is_float
from edgeq.measure.accuracy.evaluation import Subject, evaluate
from edgeq.measure.accuracy.labelled import Labelled, load_labelled
from edgeq.measure.accuracy.metrics import Answers, Metric, choose_metric
from edgeq.measure.accuracy.products import AccuracyReport, Disagreement, Gate, Score

__all__ = [
    "AccuracyReport",
    "Answers",
    "Device",
    "Disagreement",
    "Engine",
    "FloatEngine",
    "Gate",
    "HostCode",
    "Labelled",
    "Metric",
    "ReferenceEngine",
    "Score",
    "Subject",
    "choose_metric",
    "evaluate",
    "is_float",
    "load_labelled",
]
