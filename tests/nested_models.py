"""A network with several precisions for tests: the digits CNN, converted with 8, 4 and 2 bits."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from models import digits, digits_float_tflite


@lru_cache(maxsize=1)
def nested_digits() -> Any:
    """A NestedModel, from 300 images of which 60 are held back; CONV_2D 1x1 has the lower precisions."""
    from edgeq.importers.plain_float import plain_float
    from edgeq.quantize.nested import convert_nested

    images, labels = digits()
    model = plain_float(digits_float_tflite(), name="digits", source="", kind="tflite")
    return convert_nested(model, representative_data=images[:300], labels=labels[:300])


@lru_cache(maxsize=1)
def nested_digits_throughout() -> Any:
    """The same with lower precisions in the first and the last layer too."""
    from edgeq.importers.plain_float import plain_float
    from edgeq.quantize.nested import convert_nested

    images, labels = digits()
    model = plain_float(digits_float_tflite(), name="digits", source="", kind="tflite")
    return convert_nested(model, representative_data=images[:300], labels=labels[:300], ends_too=True)
