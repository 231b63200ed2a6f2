"""`.tflite` flatbuffer ↔ Graph, nothing else. Files may be hostile; they end in a ModelFileError at worst."""

from edgeq.tflite.reader import load, parse, read

__all__ = ["load", "parse", "read"]
