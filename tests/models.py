"""Small networks for tests: built from numpy alone (no TensorFlow), in milliseconds, the same every time."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeq.tflite.objects import pack

TYPES: Mapping[str, int] = {
    "float32": schema.TensorType.FLOAT32,
    "float16": schema.TensorType.FLOAT16,
    "int8": schema.TensorType.INT8,
    "uint8": schema.TensorType.UINT8,
    "int16": schema.TensorType.INT16,
    "int32": schema.TensorType.INT32,
    "int64": schema.TensorType.INT64,
}
SAME, VALID = schema.Padding.SAME, schema.Padding.VALID
RELU, RELU6 = schema.ActivationFunctionType.RELU, schema.ActivationFunctionType.RELU6
# Operators whose options table isn't called after them.
_OPTIONS = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "MEAN": "ReducerOptions",
}


class NetBuilder:
    """Writes a `.tflite` operator by operator.

    net = NetBuilder()
    x = net.input((1, 8, 8, 1))
    y = net.op("CONV_2D", [x, net.constant(weights), net.constant(bias)], (1, 8, 8, 4), strideW=1, strideH=1)
    data = net.finish([y])
    """

    def __init__(self) -> None:
        self.model: Any = schema.ModelT()
        self.model.version = 3
        self.model.operatorCodes = []
        self.model.buffers = [schema.BufferT()]
        self.graph: Any = schema.SubGraphT()
        self.graph.tensors, self.graph.operators, self.graph.inputs = [], [], []
        self.model.subgraphs = [self.graph]

    def tensor(
        self,
        shape: Sequence[int],
        dtype: str = "float32",
        name: str | None = None,
        quant: tuple[Any, Any] | tuple[Any, Any, int] | None = None,
        signature: Sequence[int] | None = None,
    ) -> int:
        """A tensor; `quant` is (scale or scales, zero point(s)[, quantized dimension])."""
        tensor = schema.TensorT()
        tensor.name = f"t{len(self.graph.tensors)}" if name is None else name
        tensor.shape, tensor.type, tensor.buffer = list(shape), TYPES[dtype], 0
        if signature is not None:
            tensor.shapeSignature = list(signature)
        if quant is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = [float(s) for s in np.ravel(quant[0])]
            tensor.quantization.zeroPoint = [int(z) for z in np.ravel(quant[1])]
            tensor.quantization.quantizedDimension = quant[2] if len(quant) > 2 else 0
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def input(self, shape: Sequence[int], dtype: str = "float32", **kwargs: Any) -> int:
        """One more input of the model."""
        index = self.tensor(shape, dtype, **kwargs)
        self.graph.inputs.append(index)
        return index

    def constant(self, values: Any, dtype: str | None = None, **kwargs: Any) -> int:
        """A constant; floats become float32 unless `dtype` says otherwise."""
        array = np.asarray(values)
        chosen = dtype or ("float32" if array.dtype.kind == "f" else str(array.dtype))
        index = self.tensor(array.shape, chosen, **kwargs)
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(array.astype(chosen).tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        self.graph.tensors[index].buffer = len(self.model.buffers) - 1
        return index

    def op(
        self,
        kind: str,
        inputs: Sequence[int],
        shape: Sequence[int],
        dtype: str = "float32",
        *,
        version: int = 1,
        name: str | None = None,
        quant: Any = None,
        **options: Any,
    ) -> int:
        """An operator with one output; options by the schema's attribute names (`strideW`, `padding`)."""
        output = self.tensor(shape, dtype, name, quant)
        operator = schema.OperatorT()
        operator.opcodeIndex = self._code(kind, version)
        operator.inputs, operator.outputs = list(inputs), [output]
        table = _OPTIONS.get(kind, "".join(word.capitalize() for word in kind.split("_")) + "Options")
        if hasattr(schema, table + "T"):
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, table)
            operator.builtinOptions = getattr(schema, table + "T")()
            for key, value in options.items():
                if not hasattr(operator.builtinOptions, key):
                    raise AttributeError(f"{table} has no {key}")
                setattr(operator.builtinOptions, key, value)
        self.graph.operators.append(operator)
        return output

    def custom(self, name: str, inputs: Sequence[int], shape: Sequence[int]) -> int:
        """An operator that no runtime knows."""
        output = self.op("CUSTOM", inputs, shape)
        code = self.model.operatorCodes[self.graph.operators[-1].opcodeIndex]
        code.customCode = name
        return output

    def finish(self, outputs: Sequence[int]) -> bytes:
        """The file."""
        self.graph.outputs = list(outputs)
        return pack(self.model)

    def _code(self, kind: str, version: int) -> int:
        number = getattr(schema.BuiltinOperator, kind)
        for index, code in enumerate(self.model.operatorCodes):
            if (code.builtinCode, code.version) == (number, version) and kind != "CUSTOM":
                return index
        code = schema.OperatorCodeT()
        code.builtinCode, code.deprecatedBuiltinCode, code.version = number, min(number, 127), version
        self.model.operatorCodes.append(code)
        return len(self.model.operatorCodes) - 1


@lru_cache(maxsize=1)
def digits() -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's 1797 digits: images float32 (1797, 8, 8, 1) in 0..1, labels int64."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return (images / 16.0).astype(np.float32).reshape(-1, 8, 8, 1), labels.astype(np.int64)


@lru_cache(maxsize=1)
def digits_float_tflite() -> bytes:
    """A float CNN that reads digits: random convolutions, a trained last layer; .944 on unseen digits.

    CONV_2D, DEPTHWISE_CONV_2D, CONV_2D 1×1, MAX_POOL_2D, RESHAPE, FULLY_CONNECTED, SOFTMAX; the input is
    'image' (1, 8, 8, 1), the output 'scores' (1, 10). The first 1000 images trained it.
    """
    from sklearn.linear_model import LogisticRegression

    images, labels = digits()
    features = np.stack([_run_float(_digits_net(None), image[None])[0] for image in images[:1000]])
    mean, deviation = features.mean(axis=0), features.std(axis=0) + 1e-3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it need not converge
        head = LogisticRegression(max_iter=100, C=0.1).fit((features - mean) / deviation, labels[:1000])
    weights = head.coef_ / deviation
    return _digits_net((weights, head.intercept_ - weights @ mean))


@lru_cache(maxsize=4)
def digits_int8_tflite(io: Any = "int8") -> bytes:
    """The digits CNN, converted by edgeq."""
    return digits_quantized(io).tflite


@lru_cache(maxsize=4)
def digits_quantized(io: Any = "int8") -> Any:
    """The digits CNN as edgeq's QuantizedModel, from 200 images of which 40 are held back."""
    from edgeq.importers.plain_float import plain_float
    from edgeq.quantize import convert

    images, labels = digits()
    model = plain_float(digits_float_tflite(), name="digits", source="", kind="tflite")
    return convert(
        model, representative_data=images[:200], labels=labels[:200], io=io, calibration="min-max", repair="none"
    )


def dense_float_tflite(
    layers: Sequence[int] = (16, 32, 8), *, seed: int = 0, activation: int = RELU, bias: bool = True
) -> bytes:
    """A float multilayer perceptron with random weights; input 'x' (1, layers[0])."""
    rng = np.random.default_rng(seed)
    net = NetBuilder()
    x = net.input((1, layers[0]), name="x")
    for rows, columns in zip(layers[1:], layers[:-1], strict=True):
        weights = net.constant(rng.normal(0, 1 / np.sqrt(columns), (rows, columns)))
        ends = [x, weights, net.constant(rng.normal(0, 0.1, rows)) if bias else -1]
        x = net.op("FULLY_CONNECTED", ends, (1, rows), fusedActivationFunction=activation)
    return net.finish([x])


def _digits_net(head: tuple[np.ndarray, np.ndarray] | None) -> bytes:
    rng = np.random.default_rng(7)
    net = NetBuilder()
    x = net.input((1, 8, 8, 1), name="image", signature=(-1, 8, 8, 1))
    x = net.op(
        "CONV_2D",
        [x, net.constant(rng.normal(0, 0.5, (16, 3, 3, 1))), net.constant(rng.normal(0, 0.1, 16))],
        (1, 8, 8, 16),
        name="conv",
        strideW=1,
        strideH=1,
        padding=SAME,
        fusedActivationFunction=RELU,
        dilationWFactor=1,
        dilationHFactor=1,
    )
    x = net.op(
        "DEPTHWISE_CONV_2D",
        [x, net.constant(rng.normal(0, 0.4, (1, 3, 3, 16))), net.constant(rng.normal(0, 0.1, 16))],
        (1, 8, 8, 16),
        name="depthwise",
        strideW=1,
        strideH=1,
        padding=SAME,
        depthMultiplier=1,
        fusedActivationFunction=RELU6,
        dilationWFactor=1,
        dilationHFactor=1,
    )
    x = net.op(
        "CONV_2D",
        [x, net.constant(rng.normal(0, 0.3, (32, 1, 1, 16))), net.constant(rng.normal(0, 0.1, 32))],
        (1, 8, 8, 32),
        name="pointwise",
        strideW=1,
        strideH=1,
        padding=VALID,
        fusedActivationFunction=RELU,
        dilationWFactor=1,
        dilationHFactor=1,
    )
    x = net.op(
        "MAX_POOL_2D",
        [x],
        (1, 4, 4, 32),
        name="pool",
        strideW=2,
        strideH=2,
        filterWidth=2,
        filterHeight=2,
        padding=VALID,
    )
    x = net.op("RESHAPE", [x, net.constant(np.array([1, 512], np.int32))], (1, 512), name="flat", newShape=[1, 512])
    if head is not None:
        weights, bias = net.constant(head[0].astype(np.float32)), net.constant(head[1].astype(np.float32))
        x = net.op("FULLY_CONNECTED", [x, weights, bias], (1, 10), name="logits")
        x = net.op("SOFTMAX", [x], (1, 10), name="scores", beta=1.0)
    return net.finish([x])


@lru_cache(maxsize=2)
def _interpreter(model: bytes) -> Any:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    interpreter.allocate_tensors()
    return interpreter


def _run_float(model: bytes, sample: np.ndarray) -> np.ndarray:
    interpreter = _interpreter(model)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], sample)
    interpreter.invoke()
    return np.array(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
