"""What an importer hands on: a plain float `.tflite`, whatever the model was before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from edgeq.events import Listener
from edgeq.graph import Graph
from edgeq.importers.verification import Verification


@dataclass(frozen=True, eq=False)
class ImportOptions:
    """What some importers need to be told.

    Attributes:
        signature: which one, of a model that has several; "" where it has one.
        example_inputs: for a torch.nn.Module, whose inputs have no shapes of their own: a tensor, or a tuple or dict of
            them, with batch 1.
        environments: the cache folder in which isolated environments are; the platform's own place without it.
    """

    signature: str = ""
    example_inputs: Any = None
    environments: Path | None = None


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
        layouts: ends whose axes are in another order than the original's: name → axes, so that this model's array is
            `original.transpose(axes)`; (0, 2, 3, 1) where channels came first.
        verification: how near it is to the original, where both were run.
    """

    name: str
    source: str
    kind: str
    tflite: bytes
    graph: Graph
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    notices: tuple[str, ...] = ()
    layouts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    verification: Verification | None = None


class Importer(Protocol):
    """`load` of one importer module."""

    def __call__(self, source: Path | object, listener: Listener, options: ImportOptions) -> Model:
        """Read `source`; raises an EdgeqError that says what is wrong with it."""
