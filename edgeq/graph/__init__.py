"""Graph: a network as frozen values, whoever wrote the file it came from."""

from edgeq.graph.model import DType, Graph, Op, QuantParams, Tensor
from edgeq.graph.verify import verify

__all__ = ["DType", "Graph", "Op", "QuantParams", "Tensor", "verify"]
