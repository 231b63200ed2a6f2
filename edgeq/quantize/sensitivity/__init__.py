"""Why a quantized model is less accurate than its float model: errors by layer, and their causes in words."""

from edgeq.quantize.sensitivity.analyze import DEFAULT_SAMPLES, analyze
from edgeq.quantize.sensitivity.matching import Layer, Matching, match
from edgeq.quantize.sensitivity.products import ActivationRange, Analysis, BiasRange, Cause, LayerError, WeightRange

__all__ = [
    "DEFAULT_SAMPLES",
    "ActivationRange",
    "Analysis",
    "BiasRange",
    "Cause",
    "Layer",
    "LayerError",
    "Matching",
    "WeightRange",
    "analyze",
    "match",
]
