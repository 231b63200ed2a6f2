"""From float to int8: representative data, calibration, quantization, proof, evaluation."""

from edgeq.quantize.affine import dequantized, quantized
from edgeq.quantize.conversion import convert
from edgeq.quantize.data import Dataset, load_data
from edgeq.quantize.products import (
    Accuracy,
    ConversionReport,
    EndType,
    Evaluation,
    Leftover,
    OutputError,
    QuantizedModel,
)
from edgeq.quantize.proof import float_leftovers

__all__ = [
    "Accuracy",
    "ConversionReport",
    "Dataset",
    "EndType",
    "Evaluation",
    "Leftover",
    "OutputError",
    "QuantizedModel",
    "convert",
    "dequantized",
    "float_leftovers",
    "load_data",
    "quantized",
]
