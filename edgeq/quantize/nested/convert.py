"""Conversion to one int8 file that holds several precisions."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeq import importers, tflite
from edgeq.errors import UnsupportedError, UsageError
from edgeq.events import Listener, Progress, silent
from edgeq.graph import BITS, DType, Graph, Level, Nested, NestedLayer, Op, slice_weights
from edgeq.importers import Model
from edgeq.quantize.calibration import FloatRunner
from edgeq.quantize.conversion import convert
from edgeq.quantize.data import Dataset, Source, load_data
from edgeq.quantize.evaluate import evaluate
from edgeq.quantize.nested.observe import IntegerRunner, Places, rows_of, rows_over
from edgeq.quantize.nested.weights import Moments, choose
from edgeq.quantize.products import ConversionReport, Evaluation
from edgeq.quantize.schemes import EndType
from edgeq.quantize.split import split
from edgeq.target import Target
from edgeq.tflite.nested import attach
from edgeq.tflite.objects import constant_buffer, drop_unused_buffers, pack, unpack

Array = npt.NDArray[np.float64]

SAMPLES = 128
"""Of the calibration samples, so many are looked at between layers."""

_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


@dataclass(frozen=True, eq=False)
class NestedModel:
    """A `.tflite` with several precisions, and how right each is.

    Attributes:
        tflite, graph: the file; any runtime runs it at 8 bits.
        report: of the conversion to 8 bits; its evaluation is that of the nested file.
        evaluations: bits → the precision against the float model, on the same samples.
        layers: labels of the layers that have lower precisions; the others keep 8 bits in all.
    """

    tflite: bytes
    graph: Graph
    report: ConversionReport
    evaluations: Mapping[int, Evaluation]
    layers: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """The report as plain values, with each precision's evaluation."""
        return {
            **self.report.to_json(),
            "nested": {
                "precisions": [{"bits": bits, "evaluation": e.to_json()} for bits, e in self.evaluations.items()],
                "layers": list(self.layers),
            },
        }


def checked_precisions(precisions: Sequence[int]) -> tuple[int, ...]:
    """The same, falling.

    Raises:
        UsageError: not 8 and at least one of 4 and 2.
    """
    found = tuple(sorted(set(precisions), reverse=True))
    if not set(found) <= set(BITS) or found[:1] != (8,) or len(found) < 2:
        raise UsageError(
            f"precisions {', '.join(map(str, precisions))} can't be nested",
            next_step="give 8 and one or both of 4 and 2: 8,4,2",
        )
    return found


def convert_nested(
    source: str | Path | Model | object,
    *,
    representative_data: Source,
    precisions: Sequence[int] = BITS,
    counted: Sequence[int] | None = None,
    ends_too: bool = False,
    io: EndType | None = None,
    target: Target | None = None,
    calibration: str = "auto",
    labels: object | None = None,
    samples: int | None = None,
    seed: int = 0,
    signature: str = "",
    cache: Path | None = None,
    listener: Listener = silent,
) -> NestedModel:
    """Make an int8 `.tflite` whose weights hold lower precisions in their highest bits.

    Args:
        precisions: 8 and one or both of 4 and 2.
        counted: the precisions that the weights are to be good at; all of them unless told.
        ends_too: the first and the last layer with weights have lower precisions too; they keep 8 bits otherwise, as
            depthwise convolutions do always.
        source, representative_data, io, target, calibration, labels, samples, seed, signature, cache: as for
            `edgeq.quantize.convert`.

    Raises:
        UsageError: precisions that can't be nested.
        UnsupportedError: no layer that could have lower precisions; and see `edgeq.quantize.convert`.
    """
    wanted = checked_precisions(precisions)
    told = importers.ImportOptions(signature, environments=cache)
    model = source if isinstance(source, Model) else importers.load(source, listener, told)
    base = convert(
        model,
        representative_data=representative_data,
        io=io,
        target=target,
        calibration=calibration,
        repair="none",  # lower precisions are made of the float weights as they are
        labels=labels,
        samples=samples,
        seed=seed,
        listener=listener,
    )
    layers = nested_layers(base.graph, ends_too)
    if not layers:
        raise UnsupportedError(
            "no layer can have lower precisions: those are CONV_2D and FULLY_CONNECTED with a bias, between the first "
            "and the last layer with weights",
            where=model.source or model.name,
            next_step="include the first and the last layer, or convert with 8 bits alone",
        )
    started = time.perf_counter()
    data = load_data(representative_data, model, labels=labels)
    parts = split(len(data), seed, samples)
    known = data.subset(parts.calibration[:: max(1, len(parts.calibration) // SAMPLES)][:SAMPLES])
    made = _Writer(model, base.tflite, base.graph, wanted, layers, counted or wanted).write(known, seed, listener)
    held_back = data.subset(parts.held_back)
    evaluations = {}
    for bits in wanted:
        plain = tflite.at_precision(made, bits)
        evaluations[bits] = evaluate(
            model, plain, tflite.parse(plain), held_back, held_back=parts.disjoint, listener=listener
        )
    graph = tflite.parse(made, "", model.name)
    report = replace(
        base.report,
        quantized_bytes=len(made),
        evaluation=evaluations[8],
        seconds={**base.report.seconds, "nest": time.perf_counter() - started},
    )
    names = tuple(graph.label(graph.ops[i]) for i in layers)
    return NestedModel(made, graph, report, MappingProxyType(evaluations), names)


def nested_layers(graph: Graph, ends_too: bool = False) -> tuple[int, ...]:
    """Operators of an int8 model that can have lower precisions, by index."""
    weighted = [op.index for op in graph.ops if op.kind in _WEIGHTED]
    ends = set() if ends_too or len(weighted) < 3 else {weighted[0], weighted[-1]}
    return tuple(op.index for op in graph.ops if op.index not in ends and _can_nest(graph, op))


def _can_nest(graph: Graph, op: Op) -> bool:
    if op.kind not in ("CONV_2D", "FULLY_CONNECTED"):
        return False
    source, weights, bias = (graph.input_of(op, i) for i in range(3))
    if source is None or weights is None or bias is None or not (weights.is_constant and bias.is_constant):
        return False
    alone = all(sum(i in other.inputs for other in graph.ops) == 1 for i in op.inputs[1:3])
    grouped = op.kind == "CONV_2D" and source.shape[-1] != weights.shape[-1]
    whole = source.dtype is DType.INT8 and weights.dtype is DType.INT8 and bias.dtype is DType.INT32
    return alone and whole and not grouped and not (weights.quant is None or np.any(weights.quant.zero_point))


class _Writer:
    """Chooses the layers' weights in their order, each for the inputs that the layers in front really give it."""

    def __init__(
        self,
        model: Model,
        base: bytes,
        graph: Graph,
        precisions: tuple[int, ...],
        layers: tuple[int, ...],
        counted: Sequence[int],
    ) -> None:
        self._float = model
        self._graph = graph
        self._precisions = precisions
        self._layers = layers
        self._counted = counted
        self._base = base
        self._state: dict[int, dict[int, tuple[npt.NDArray[np.int8], Array, Array]]] = {}

    def write(self, data: Dataset, seed: int, listener: Listener) -> bytes:
        """The file."""
        places = Places(len(data), seed)
        for done, index in enumerate(self._layers):
            listener(Progress("nest", done, len(self._layers), "layers", self._graph.label(self._graph.ops[index])))
            self._choose(self._graph.ops[index], data, places)
        listener(Progress("nest", len(self._layers), len(self._layers), "layers"))
        return attach(self._file(8), self._nested())

    def _choose(self, op: Op, data: Dataset, places: Places) -> None:
        layer = self._float_layer(op)
        floats = FloatRunner(self._float, keep_all=True)
        rows = []
        for number in range(len(data)):
            floats.run(data.sample(number))
            values = floats.tensor(layer.inputs[0])
            assert values is not None
            rows.append(rows_of(self._float.graph, layer, values, places, number))
        weights, bias = self._float_constants(layer)
        wanted = np.concatenate(rows) @ weights.T
        inputs = {bits: self._rows_at(bits, op, data, places) for bits in self._precisions}
        out = self._graph.output_of(op).quant
        assert out is not None
        step = float(out.scale[0])
        moments = {bits: Moments.of(x, wanted) for bits, x in inputs.items()}
        chosen = choose(weights, moments, step * step / 12, self._counted)
        self._state[op.index] = {}
        for bits, x in inputs.items():
            real = chosen.sliced(bits) * chosen.scales[bits][:, None]
            given = x.mean(axis=0) @ real.T
            self._state[op.index][bits] = (chosen.weights, chosen.scales[bits], bias + wanted.mean(axis=0) - given)

    def _float_layer(self, op: Op) -> Op:
        name = self._graph.tensors[op.inputs[1]].name
        graph = self._float.graph
        return next(o for o in graph.ops if len(o.inputs) > 1 and graph.tensors[o.inputs[1]].name == name)

    def _float_constants(self, layer: Op) -> tuple[Array, Array]:
        weights, bias = (self._float.graph.input_of(layer, i) for i in (1, 2))
        assert weights is not None and weights.data is not None and bias is not None and bias.data is not None
        return weights.data.astype(np.float64).reshape(weights.shape[0], -1), bias.data.astype(np.float64).reshape(-1)

    def _rows_at(self, bits: int, op: Op, data: Dataset, places: Places) -> Array:
        runner = IntegerRunner(self._file(bits), self._graph)
        return rows_over(runner, self._graph, op, (data.sample(i) for i in range(len(data))), places)

    def _file(self, bits: int) -> bytes:
        """The model at one precision as far as it is chosen; weights stay int8 tensors."""
        if not self._state:
            return self._base
        model: Any = unpack(self._base)
        tensors = model.subgraphs[0].tensors
        for index, levels in self._state.items():
            op = self._graph.ops[index]
            codes, scale, _ = levels[bits]
            weights, bias = tensors[op.inputs[1]], tensors[op.inputs[2]]
            shape = self._graph.tensors[op.inputs[1]].shape
            weights.buffer = constant_buffer(model, slice_weights(codes, bits).reshape(shape))
            _set_scale(weights, scale)
            _set_scale(bias, scale * self._input_scale(op))
            bias.buffer = constant_buffer(model, self._bias(index, bits))
        drop_unused_buffers(model)
        return pack(model)

    def _input_scale(self, op: Op) -> float:
        quant = self._graph.tensors[op.inputs[0]].quant
        assert quant is not None
        return float(quant.scale[0])

    def _bias(self, index: int, bits: int) -> npt.NDArray[np.int32]:
        _, scale, bias = self._state[index][bits]
        steps = np.rint(bias / (scale.astype(np.float32) * self._input_scale(self._graph.ops[index])))
        return np.clip(steps, -(1 << 30), 1 << 30).astype(np.int32)

    def _nested(self) -> Nested:
        layers = []
        for index in self._state:
            op = self._graph.ops[index]
            levels = {
                bits: Level(self._state[index][bits][1].astype(np.float32), self._bias(index, bits))
                for bits in self._precisions[1:]
            }
            layers.append(NestedLayer(op.inputs[1], op.inputs[2], MappingProxyType(levels)))
        return Nested(self._precisions, tuple(layers))


def _set_scale(tensor: Any, scale: Array) -> None:
    tensor.quantization.scale = [float(np.float32(s)) for s in scale]
    tensor.quantization.zeroPoint = [0] * scale.size
    tensor.quantization.quantizedDimension = 0
    tensor.quantization.min = tensor.quantization.max = None
