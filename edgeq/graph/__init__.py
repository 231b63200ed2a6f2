"""Graph: a network as frozen values, whoever wrote the file it came from."""

from edgeq.graph.model import DType, Graph, Op, QuantParams, Tensor
from edgeq.graph.nested import BITS, Int8, Level, Nested, NestedLayer, slice_weights
from edgeq.graph.verify import verify

__all__ = [
    "BITS",
    "DType",
    "Graph",
    "Int8",
    "Level",
    "Nested",
    "NestedLayer",
    "Op",
    "QuantParams",
    "Tensor",
    "slice_weights",
    "verify",
]
