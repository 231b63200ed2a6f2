"""Quantization schemes: how many bits weights and activations get, and whether arithmetic is in integers.

Names are those of ai-edge-quantizer's recipes; `float16` has no recipe there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from edgeq.errors import UsageError

EndType = Literal["int8", "uint8", "int16", "float32"]
Arithmetic = Literal["integer", "dynamic", "float"]


@dataclass(frozen=True)
class Scheme:
    """One way to store and compute a network's layers.

    Attributes:
        name: as `--scheme` takes it.
        weight_bits: 4 and 8 are integers per output channel, 16 and 32 are floating point. Of a scheme with 4,
            CONV_2D and FULLY_CONNECTED get 4 bits and the others (DEPTHWISE_CONV_2D too) 8.
        activation_bits: 8 and 16 are integers per tensor (8 with a zero point, 16 symmetric), 32 is floating point.
        arithmetic: "integer"; "dynamic", which quantizes activations anew in every inference; or "float", where
            weights are restored before use.
        summary: one line for help and documentation.
    """

    name: str
    weight_bits: Literal[4, 8, 16, 32]
    activation_bits: Literal[8, 16, 32]
    arithmetic: Arithmetic
    summary: str

    @property
    def is_static(self) -> bool:
        """Whether activations have fixed ranges, for which calibration is needed."""
        return self.arithmetic == "integer"

    @property
    def ends(self) -> tuple[EndType, ...]:
        """The types that the model's inputs and outputs can have, the scheme's own first."""
        if not self.is_static:
            return ("float32",)
        return ("int8", "uint8", "float32") if self.activation_bits == 8 else ("int16", "float32")


_ALL = (
    Scheme("static_wi8_ai8", 8, 8, "integer", "int8 weights, int8 activations: microcontrollers"),
    Scheme("static_wi8_ai16", 8, 16, "integer", "int8 weights, int16 activations: where 8 bits of activation lose"),
    Scheme("static_wi4_ai8", 4, 8, "integer", "int4 weights (int8 of depthwise layers and others), int8 activations"),
    Scheme("dynamic_wi8_afp32", 8, 32, "dynamic", "int8 weights, activations quantized while it runs: phones"),
    Scheme("weight_only_wi8_afp32", 8, 32, "float", "int8 weights in the file, float arithmetic"),
    Scheme("weight_only_wi4_afp32", 4, 32, "float", "int4 weights in the file, float arithmetic"),
    Scheme("float16", 16, 32, "float", "float16 weights in the file, float arithmetic"),
)
SCHEMES: Mapping[str, Scheme] = MappingProxyType({scheme.name: scheme for scheme in _ALL})
DEFAULT = _ALL[0]
FLOAT32 = Scheme("float32", 32, 32, "float", "left as it is")
"""Not for a whole model: for single layers, in `per_layer`."""


def scheme_named(name: str | Scheme, *, layer: bool = False) -> Scheme:
    """The scheme of that name.

    Args:
        layer: it is for one layer, which may also stay in `float32`.

    Raises:
        UsageError: there is none; the message lists those that exist.
    """
    if isinstance(name, Scheme):
        return name
    known = {**SCHEMES, FLOAT32.name: FLOAT32} if layer else SCHEMES
    if name not in known:
        raise UsageError(f"there is no scheme '{name}'", next_step=f"choose one of: {', '.join(known)}", name=name)
    return known[name]
