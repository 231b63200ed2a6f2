"""What an importer hands on: a plain float `.tflite`, whatever the model was before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgeq.events import Listener
from edgeq.graph import Graph


@dataclass(frozen=True, eq=False)
class Model:
    """A network in float, ready to be calibrated.

    Attributes:
        name: a short name, from the file's stem (or the Keras object's name).
        source: the path it came from, "" when it was an object in memory.
        kind: what it was: a name in `edgeq.registry.IMPORTERS`.
        tflite: the bytes of a `.tflite` with float32 tensors, batch 1, unique tensor names and one subgraph.
        graph: those bytes as a Graph.
        inputs, outputs: the names of its ends, as the model's author knows them, in order.
        notices: what was changed on the way, one sentence each.
    """

    name: str
    source: str
    kind: str
    tflite: bytes
    graph: Graph
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    notices: tuple[str, ...] = ()


class Importer(Protocol):
    """`load` of one importer module."""

    def __call__(self, source: Path | object, listener: Listener) -> Model:
        """Read `source`; raises an EdgeqError that says what is wrong with it."""
