"""`.tflite` flatbuffer ↔ Graph, nothing else. Files may be hostile; they end in a ModelFileError at worst."""

from edgeq.tflite.precision import at_precision, graph_at, require_precision
from edgeq.tflite.reader import load, parse, read

__all__ = ["at_precision", "graph_at", "load", "parse", "read", "require_precision"]
