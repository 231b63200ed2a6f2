"""An ONNX model as plain frozen data, as `edgeq.importers.onnx_worker` writes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from edgeq.importers.lowering.net import Array, Shape


@dataclass(frozen=True, eq=False)
class Node:
    """One ONNX operator.

    Attributes:
        op: its type; `domain:type` outside ONNX's own domain.
        inputs: tensor names, "" where an optional one is absent.
    """

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    def integer(self, name: str, default: int = 0) -> int:
        """An attribute as an int."""
        return int(self.attributes.get(name, default))

    def number(self, name: str, default: float = 0.0) -> float:
        """An attribute as a float."""
        return float(self.attributes.get(name, default))

    def text(self, name: str, default: str = "") -> str:
        """An attribute as a string."""
        return str(self.attributes.get(name, default))

    def integers(self, name: str) -> list[int] | None:
        """An attribute as a list of ints; None where absent."""
        value = self.attributes.get(name)
        return None if value is None else [int(v) for v in value]

    def has(self, position: int) -> bool:
        """Whether there is an input at that place."""
        return position < len(self.inputs) and self.inputs[position] != ""

    @property
    def label(self) -> str:
        """As messages name it."""
        return f"{self.op} ({self.name or (self.outputs[0] if self.outputs else '')})"


@dataclass(frozen=True, eq=False)
class OnnxGraph:
    """The model.

    Attributes:
        shapes: shape and numpy type of every tensor that isn't constant.
        opset: of ONNX's own domain.
    """

    nodes: tuple[Node, ...]
    constants: Mapping[str, Array]
    shapes: Mapping[str, tuple[Shape, str]]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    opset: int

    @staticmethod
    def read(folder: Path) -> OnnxGraph:
        """What the worker wrote; constants stay in the file until they are used."""
        described = json.loads((folder / "graph.json").read_text())
        weights = folder / "weights.bin"
        stored = np.memmap(weights, np.uint8, "r") if weights.stat().st_size else np.zeros(0, np.uint8)
        constants = {}
        for name, entry in described["constants"].items():
            dtype = np.dtype(entry["dtype"])
            size = prod(entry["shape"]) * dtype.itemsize
            data = stored[entry["offset"] : entry["offset"] + size]
            constants[name] = data.view(dtype).reshape(entry["shape"])
        nodes = tuple(
            Node(
                n["op"],
                n["name"],
                tuple(n["inputs"]),
                tuple(n["outputs"]),
                {key: _attribute(value, constants) for key, value in n["attributes"].items()},
            )
            for n in described["nodes"]
        )
        shapes = {name: (tuple(shape), dtype) for name, (shape, dtype) in described["shapes"].items()}
        ends = tuple(described["inputs"]), tuple(described["outputs"])
        return OnnxGraph(nodes, constants, shapes, *ends, int(described["opset"]))


def _attribute(value: Any, constants: Mapping[str, Array]) -> Any:
    return constants[value["constant"]] if isinstance(value, dict) and "constant" in value else value
