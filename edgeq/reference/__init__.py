"""What a model must compute: TensorFlow Lite's reference kernels, bit for bit."""

from edgeq.reference.engine import Reference

__all__ = ["Reference"]
