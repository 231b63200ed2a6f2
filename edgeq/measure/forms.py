"""Inputs as a device wants them on the wire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeq.codegen.harness import FORMS
from edgeq.codegen.tree import TensorInfo

Array = npt.NDArray[Any]


def on_the_wire(sample: Sequence[Array], inputs: Sequence[TensorInfo], form: str) -> bytes:
    """One sample's bytes, all inputs in order.

    Args:
        sample: in the inputs' own types.
        form: "stored", as they are; "unsigned", int8 plus 128; "float", dequantized, as little-endian singles, which
            the device quantizes to the same values again.
    """
    parts = []
    for array, info in zip(sample, inputs, strict=True):
        stored = np.ascontiguousarray(array)
        if form == "unsigned" and stored.dtype == np.int8:
            stored = stored.view(np.uint8) ^ np.uint8(0x80)
        elif form == "float" and stored.dtype == np.int8:
            stored = ((stored.astype(np.float64) - info.zero_point) * info.scale).astype("<f4")
        parts.append(stored.tobytes())
    return b"".join(parts)


def form_of(model_name: str) -> str:
    """What firmware of others wants, by the name that it gives its model: the benchmark's own names mean its inputs."""
    return FORMS.get(model_name, "stored")
