"""Mixed precision: which layer gets 4, 8 or 16 bits, for a bound on accuracy, latency or flash."""

from edgeq.quantize.mixed.convert import MixedModel, convert_mixed
from edgeq.quantize.mixed.products import Goal, LayerBits, MixedReport, Point

__all__ = ["Goal", "LayerBits", "MixedModel", "MixedReport", "Point", "convert_mixed"]
