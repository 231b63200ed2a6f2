"""Read a Keras model's layers into a Network: Functional and Sequential, of Keras 3 and of tf_keras alike.

Both generations remember for each tensor the layer and the call that made it, under the same name
(`_keras_history`), and for each call its input tensors. That is all that is used of their insides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgeq.errors import ModelFileError, UnsupportedError
from edgeq.importers.detect import is_keras_model
from edgeq.training.layers import Call, Made, handler_of, known_layers
from edgeq.training.network import Array, Network, Node


@dataclass(frozen=True, eq=False)
class Traced:
    """A network with its float weights.

    Attributes:
        owners: Keras layer by node name, for what goes back into the user's model (pruning).
    """

    network: Network
    weights: dict[str, Array]
    owners: dict[str, Any] = field(default_factory=dict)


def trace(model: Any) -> Traced:
    """Read a model.

    Raises:
        ModelFileError: it is no Keras model.
        UnsupportedError: subclassed, not built, or with a layer that can't be trained for integers; it is named.
    """
    if not is_keras_model(model):
        raise ModelFileError(
            f"a {type(model).__module__}.{type(model).__qualname__} is not a Keras model",
            next_step="pass a keras.Model or a tf_keras.Model; read a file with keras.models.load_model first",
        )
    _refuse_subclassed(model)
    tracer = _Tracer(str(model.name))
    outputs = [tracer.value(tensor) for tensor in flat(model.outputs)]
    inputs = [tracer.value(tensor) for tensor in flat(model.inputs)]
    network = Network(
        str(model.name),
        tuple(_in_order(tracer.nodes)),
        tuple(inputs),
        tuple(outputs),
        tuple(_end_names(model, "input_names", inputs)),
        tuple(_end_names(model, "output_names", outputs)),
    )
    return Traced(network, tracer.weights, tracer.owners)


def _refuse_subclassed(model: Any) -> None:
    names = {base.__name__ for base in type(model).__mro__}
    layered = "Sequential" in names or "Functional" in names
    if layered and getattr(model, "inputs", None) and getattr(model, "outputs", None):
        return
    if "Sequential" in names:
        raise UnsupportedError(
            "the Sequential model has no input shape yet",
            where=str(model.name),
            next_step="give it a keras.Input as its first layer, or call it once on data",
        )
    raise UnsupportedError(
        f"is a subclassed model ({type(model).__name__}): its layers are called by Python code, which can't be rebuilt "
        "with quantization inside",
        where=str(model.name),
        next_step="build the same layers with the Functional API: keras.Model(inputs, outputs)",
    )


def flat(structure: Any) -> list[Any]:
    """The tensors of a list, a dict (in its order) or a lone tensor."""
    if isinstance(structure, dict):
        return [tensor for value in structure.values() for tensor in flat(value)]
    if isinstance(structure, list | tuple):
        return [tensor for value in structure for tensor in flat(value)]
    return [structure]


class _Tracer:
    """Walks from the outputs back to the inputs, each call once."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.nodes: list[Node] = []
        self.weights: dict[str, Array] = {}
        self.owners: dict[str, Any] = {}
        self._made: dict[tuple[int, int], list[str]] = {}
        self._names: set[str] = set()
        self._scopes: list[dict[int, str]] = [{}]

    def value(self, tensor: Any) -> str:
        """The node that makes a Keras tensor; without recursion, for networks may be deep."""
        pending = [tensor]
        while pending:
            missing = [t for t in self._read_by(pending[-1]) if self._known(t) is None]
            if missing:
                pending += missing
            else:
                self._make(pending.pop())
        found = self._known(tensor)
        assert found is not None
        return found

    def _known(self, tensor: Any) -> str | None:
        bound = self._scopes[-1].get(id(tensor))
        if bound is not None:
            return bound
        layer, call_index, place = (tensor._keras_history[i] for i in range(3))
        made = self._made.get((id(layer), int(call_index)))
        return None if made is None else made[int(place)]

    def _read_by(self, tensor: Any) -> list[Any]:
        """The tensors that the call which makes `tensor` takes."""
        if self._known(tensor) is not None:
            return []
        layer, call_index, _ = (tensor._keras_history[i] for i in range(3))
        return _inputs_of(layer, layer._inbound_nodes[int(call_index)])

    def _make(self, tensor: Any) -> None:
        if self._known(tensor) is not None:
            return
        layer, call_index, _ = (tensor._keras_history[i] for i in range(3))
        key = (id(layer), int(call_index))
        self._made[key] = self._call(layer, _inputs_of(layer, layer._inbound_nodes[key[1]]), tensor)

    def _call(self, layer: Any, tensors: list[Any], output: Any) -> list[str]:
        if type(layer).__name__ == "InputLayer":
            name = self._unique(str(layer.name))
            self.nodes.append(Node(name, "INPUT", (), self._shape(output, layer), layer=str(layer.name)))
            return [name]
        inputs = [found for t in tensors if (found := self._known(t)) is not None]
        if is_keras_model(layer):
            return self._inside(layer, inputs)
        handler = handler_of(layer)
        if handler is None:
            raise self._unknown(layer)
        self._refuse_shared(layer)
        shapes = tuple(self._shape(t, layer) for t in tensors)
        return [
            self._add(
                layer, handler(Call(layer, tuple(inputs), shapes, self._shape(output, layer), self._unique)), inputs
            )
        ]

    def _add(self, layer: Any, made: Sequence[Made], inputs: list[str]) -> str:
        last = inputs[0]
        for item in made:
            self.nodes.append(item.node)
            self.owners[item.node.name] = layer
            for key, values in item.weights.items():
                self.weights[f"{item.node.name}/{key}"] = np.array(values, np.float32)
            last = item.node.name
        return last

    def _inside(self, model: Any, inputs: list[str]) -> list[str]:
        """A model used as a layer: its own layers, where it stands."""
        _refuse_subclassed(model)
        if len(_uses(model)) > 1:
            raise self._shared(model)
        scope = {id(tensor): name for tensor, name in zip(flat(model.inputs), inputs, strict=True)}
        self._scopes.append(scope)
        try:
            return [self.value(tensor) for tensor in flat(model.outputs)]
        finally:
            self._scopes.pop()

    def _refuse_shared(self, layer: Any) -> None:
        if getattr(layer, "weights", None) and any(self.owners.get(n.name) is layer for n in self.nodes):
            raise self._shared(layer)

    def _shared(self, layer: Any) -> UnsupportedError:
        return UnsupportedError(
            f"layer '{layer.name}' is used in several places: one set of weights would need several quantizations",
            where=self.model,
            next_step="give each place a layer of its own",
            layer=str(layer.name),
        )

    def _unknown(self, layer: Any) -> UnsupportedError:
        kind = type(layer).__name__
        return UnsupportedError(
            f"layer '{layer.name}' ({kind}) has no form with quantization in training; edgeq knows "
            + ", ".join(known_layers()),
            where=self.model,
            next_step="leave augmentation to the dataset; replace other layers, or quantize after training: "
            "edgeq.convert(model, representative_data=…)",
            layer=str(layer.name),
            kind=kind,
        )

    def _shape(self, tensor: Any, layer: Any) -> tuple[int, ...]:
        shape = tuple(tensor.shape)[1:]
        if any(length is None for length in shape):
            text = ", ".join("?" if d is None else str(d) for d in (None, *shape))
            raise UnsupportedError(
                f"layer '{layer.name}' works on the shape ({text}): only the batch may be open",
                where=self.model,
                next_step="build the model with a fixed input shape",
                layer=str(layer.name),
            )
        return tuple(int(length) for length in shape)

    def _unique(self, name: str) -> str:
        chosen, number = name, 1
        while chosen in self._names:
            number += 1
            chosen = f"{name}_{number}"
        self._names.add(chosen)
        return chosen


def _uses(model: Any) -> list[Any]:
    """The calls of a nested model in other models; its own construction isn't one."""
    own = {id(t) for t in flat(model.outputs)}
    nodes = getattr(model, "_inbound_nodes", [])
    return [n for n in nodes if not own & {id(t) for t in flat(_outputs_of(n))}]


def _inputs_of(layer: Any, node: Any) -> list[Any]:
    if type(layer).__name__ == "InputLayer":
        return []
    return flat(list(node.input_tensors if hasattr(node, "arguments") else node.keras_inputs))


def _outputs_of(node: Any) -> Any:
    return node.output_tensors if hasattr(node, "arguments") else node.outputs


def _end_names(model: Any, attribute: str, nodes: Sequence[str]) -> list[str]:
    given = [str(name) for name in getattr(model, attribute, None) or []]
    if len(given) != len(nodes):
        given = list(nodes)
    return [name if name not in given[:i] else f"{name}_{i}" for i, name in enumerate(given)]


def _in_order(nodes: Sequence[Node]) -> list[Node]:
    """Inputs first; the walk has made the others in an order in which each follows what it reads."""
    return [n for n in nodes if n.kind == "INPUT"] + [n for n in nodes if n.kind != "INPUT"]
