"""From float to integers: representative data, calibration, quantization, proof, evaluation."""

from edgeq.quantize.affine import dequantized, quantized
from edgeq.quantize.conversion import convert
from edgeq.quantize.data import Dataset, load_data
from edgeq.quantize.preprocess import PreparedFiles
from edgeq.quantize.products import (
    Accuracy,
    ConversionReport,
    Evaluation,
    Leftover,
    OutputError,
    QuantizedModel,
)
from edgeq.quantize.proof import float_leftovers
from edgeq.quantize.schemes import SCHEMES, EndType, Scheme

__all__ = [
    "SCHEMES",
    "Accuracy",
    "ConversionReport",
    "Dataset",
    "EndType",
    "Evaluation",
    "Leftover",
    "OutputError",
    "PreparedFiles",
    "QuantizedModel",
    "Scheme",
    "convert",
    "dequantized",
    "float_leftovers",
    "load_data",
    "quantized",
]
