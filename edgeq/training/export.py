"""A folded network with its weights as a float `.tflite`: the model that the integer file is quantized from.

Written by edgeq itself rather than by TensorFlow's converter, so that every tensor has its node's name and gets the
range that was learned for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from edgeq.importers import Model
from edgeq.importers.plain_float import plain_float
from edgeq.tflite.objects import constant_buffer, pack
from edgeq.training.network import WEIGHTED, Network, Node, Weights

_OPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "CONV_2D": "Conv2DOptions",
        "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
        "FULLY_CONNECTED": "FullyConnectedOptions",
        "ADD": "AddOptions",
        "SUB": "SubOptions",
        "MUL": "MulOptions",
        "MEAN": "ReducerOptions",
        "CONCATENATION": "ConcatenationOptions",
        "MAX_POOL_2D": "Pool2DOptions",
        "AVERAGE_POOL_2D": "Pool2DOptions",
        "RESHAPE": "ReshapeOptions",
        "PAD": "PadOptions",
        "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighborOptions",
        "LEAKY_RELU": "LeakyReluOptions",
        "SOFTMAX": "SoftmaxOptions",
    }
)


def float_model(network: Network, weights: Weights) -> Model:
    """The model, with tensors named after the nodes.

    Args:
        network: folded.
        weights: "node/kernel" and "node/bias" for each weighted node.
    """
    data = _Writer(network, weights).bytes()
    model = plain_float(data, name=network.name, source="", kind="keras")
    return Model(
        model.name, model.source, model.kind, model.tflite, model.graph, network.input_names, network.output_names
    )


class _Writer:
    """One file."""

    def __init__(self, network: Network, weights: Weights) -> None:
        self.network = network
        self.weights = weights
        self.model: Any = schema.ModelT()
        self.model.version, self.model.buffers, self.model.operatorCodes = 3, [schema.BufferT()], []
        self.graph: Any = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.model.subgraphs = [self.graph]
        self.places: dict[str, int] = {}

    def bytes(self) -> bytes:
        for node in self.network.nodes:
            if node.kind == "DROPOUT":
                self.places[node.name] = self.places[node.inputs[0]]
            else:
                self.places[node.name] = self._tensor(node.name, (1, *node.shape))
                if node.kind != "INPUT":
                    self._operator(node)
        self.graph.inputs = [self.places[name] for name in self.network.inputs]
        self.graph.outputs = [self.places[name] for name in self.network.outputs]
        return pack(self.model)

    def _tensor(self, name: str, shape: tuple[int, ...], values: npt.NDArray[Any] | None = None) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape = name, [int(d) for d in shape]
        tensor.type = schema.TensorType.FLOAT32
        tensor.buffer = 0
        if values is not None:
            tensor.type = schema.TensorType.INT32 if values.dtype == np.int32 else schema.TensorType.FLOAT32
            tensor.buffer = constant_buffer(self.model, values)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def constant(self, name: str, values: npt.NDArray[Any]) -> int:
        return self._tensor(name, values.shape, values)

    def _operator(self, node: Node) -> None:
        operator = schema.OperatorT()
        operator.opcodeIndex = self._code(getattr(schema.BuiltinOperator, node.kind))
        operator.inputs = [self.places[name] for name in node.inputs] + self._constants(node)
        operator.outputs = [self.places[node.name]]
        table = _OPTIONS.get(node.kind)
        if table is not None:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, table)
            operator.builtinOptions = getattr(schema, f"{table}T")()
            for key, value in _fields(node).items():
                setattr(operator.builtinOptions, key, value)
        if node.kind == "DEPTHWISE_CONV_2D":
            operator.builtinOptions.depthMultiplier = int(self.weights[f"{node.name}/kernel"].shape[3])
        self.graph.operators.append(operator)

    def _constants(self, node: Node) -> list[int]:
        if node.kind in WEIGHTED:
            kernel = np.asarray(self.weights[f"{node.name}/kernel"], np.float32)
            laid_out = np.ascontiguousarray(_LAYOUT[node.kind](kernel))
            bias = np.asarray(self.weights[f"{node.name}/bias"], np.float32)
            return [self.constant(f"{node.name}/kernel", laid_out), self.constant(f"{node.name}/bias", bias)]
        constant = _arguments(node)
        return [] if constant is None else [self.constant(f"{node.name}/argument", constant)]

    def _code(self, builtin: int) -> int:
        for index, code in enumerate(self.model.operatorCodes):
            if code.builtinCode == builtin:
                return index
        code = schema.OperatorCodeT()
        code.builtinCode, code.deprecatedBuiltinCode, code.version = builtin, min(builtin, 127), 1
        self.model.operatorCodes.append(code)
        return len(self.model.operatorCodes) - 1


_Layout = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]
_LAYOUT: Mapping[str, _Layout] = MappingProxyType(
    {
        "CONV_2D": lambda k: k.transpose(3, 0, 1, 2),
        "DEPTHWISE_CONV_2D": lambda k: k.reshape(1, k.shape[0], k.shape[1], -1),
        "FULLY_CONNECTED": lambda k: k.T,
    }
)
"""From Keras' layout of a kernel to the file's."""


def _arguments(node: Node) -> npt.NDArray[np.int32] | None:
    """The constant operand that says how, where the operator has one."""
    if node.kind == "MEAN":
        return np.array([1, 2], np.int32)
    if node.kind == "RESHAPE":
        return np.array([1, *node.shape], np.int32)
    if node.kind == "RESIZE_NEAREST_NEIGHBOR":
        return np.array(node.shape[:2], np.int32)
    if node.kind == "PAD":
        return np.array([[0, 0], node.options["rows"], node.options["columns"], [0, 0]], np.int32)
    return None


def _fields(node: Node) -> dict[str, Any]:
    """The operator's options by the schema's names."""
    options = node.options
    found: dict[str, Any] = {}
    if node.kind in ("CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D", "AVERAGE_POOL_2D"):
        found["padding"] = getattr(schema.Padding, options["padding"])
        found["strideH"], found["strideW"] = options["strides"]
    if node.kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
        found["dilationHFactor"], found["dilationWFactor"] = options["dilation"]
    if node.kind in ("MAX_POOL_2D", "AVERAGE_POOL_2D"):
        found["filterHeight"], found["filterWidth"] = options["size"]
    if node.fused != "NONE":
        found["fusedActivationFunction"] = getattr(schema.ActivationFunctionType, node.fused)
    if node.kind == "MEAN":
        found["keepDims"] = bool(options.get("keep_dims"))
    if node.kind == "CONCATENATION":
        found["axis"] = int(options["axis"])
    if node.kind == "RESHAPE":
        found["newShape"] = [1, *node.shape]
    if node.kind == "LEAKY_RELU":
        found["alpha"] = float(options["alpha"])
    if node.kind == "SOFTMAX":
        found["beta"] = 1.0
    return found
