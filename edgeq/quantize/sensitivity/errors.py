"""Each layer's own error, what it inherits, and what it costs at the network's output.

A layer is replayed alone: the integer operator gets the float model's inputs, quantized, and its result is held
against the float operator on the same quantized inputs. So what comes in rounded is not its fault, and what it rounds,
clips or has wrong is. That error is then added to the float activation, and the rest of the network runs in float.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from edgeq.events import Listener, Progress
from edgeq.graph import DType, Graph, Op, Tensor
from edgeq.importers import Model
from edgeq.quantize.affine import dequantized, quantized
from edgeq.quantize.calibration import FloatRunner
from edgeq.quantize.data import Dataset
from edgeq.quantize.sensitivity.matching import VIEWS, Layer, Matching, dequantized_constant
from edgeq.quantize.sensitivity.parts import Cutter, FloatPart, following, integer_part
from edgeq.quantize.sensitivity.products import LayerError
from edgeq.quantize.sensitivity.ranges import activation_range, bias_range, weight_range
from edgeq.quantize.sensitivity.tally import Tally, decibels
from edgeq.reference import Reference

Array = npt.NDArray[Any]
Values = dict[int, Array]
_BUDGET_BYTES = 600 << 20
"""Of activations that are kept at once; with large ones fewer samples are analysed."""
_LEAST_SAMPLES = 4


@dataclass(frozen=True, eq=False)
class Measured:
    """All layers, and the network as a whole.

    Attributes:
        outputs: (float, quantized) values of each output, real, float32 (samples, …).
    """

    layers: tuple[LayerError, ...]
    outputs: tuple[tuple[Array, Array], ...]
    reference: str


def affordable(graph: Graph, count: int) -> int:
    """How many samples can be kept in memory with all their activations."""
    each = sum(t.size_bytes for t in graph.tensors if not t.is_constant)
    return min(count, max(_LEAST_SAMPLES, _BUDGET_BYTES // max(1, each)))


def measure(
    model: Model, data: bytes, graph: Graph, matching: Matching, dataset: Dataset, listener: Listener
) -> Measured:
    """Run everything.

    Args:
        model: the float model.
        data, graph: the quantized one.

    Raises:
        UnsupportedError: an interpreter can't run a part of either model.
    """
    return _Bench(model, data, graph, matching, dataset, listener).measured()


class _Bench:
    def __init__(
        self, model: Model, data: bytes, graph: Graph, matching: Matching, dataset: Dataset, listener: Listener
    ) -> None:
        self.f, self.q, self.matching = model.graph, graph, matching
        self.float_cutter, self.cutter = Cutter(model.tflite, model.graph), Cutter(data, graph)
        self.listener = listener
        self.samples = [dataset.sample(i) for i in range(len(dataset))]
        self.floats = self._float_values(model)
        self.stored = [self._inputs(sample) for sample in self.samples]
        self.places = _places(self.f)
        self.signal = sum(self._power(place) for place in self.places)
        self.reference = ""

    def measured(self) -> Measured:
        """Layer by layer, so that one layer's interpreters are gone before the next one's come."""
        after = {layer.parts[-1] if layer.parts else layer.op: layer for layer in self.matching.layers}
        found = [self._input(i) for i in self.q.inputs if i in self.matching.tensors]
        for number, op in enumerate(self.q.ops):
            told = self.q.label(op)
            self.listener(Progress("analyze", number, len(self.q.ops), "layers", told))
            part, read = self._integer((op.index,), op.outputs)
            stateful = _is_stateful(self.q, [op.index])
            for stored in self.stored:
                if stateful:
                    part.reset()
                stored.update(zip(op.outputs, part.run([stored[t] for t in read]), strict=True))
            self.reference = self.reference or part.name
            layer = after.get(op.index)
            if layer is not None:
                found.append(self._layer(layer, part if layer.parts == (op.index,) else None))
        self.listener(Progress("analyze", len(self.q.ops), len(self.q.ops), "layers"))
        outputs = tuple(
            (
                np.stack([values[f] for values in self.floats]),
                np.stack([dequantized(self.q.tensors[q], stored[q]) for stored in self.stored]),
            )
            for f, q in zip(self.f.outputs, self.q.outputs, strict=True)
        )
        return Measured(tuple(layer for layer in found if layer is not None), outputs, self.reference)

    def _float_values(self, model: Model) -> list[Values]:
        runner = FloatRunner(model, keep_all=True)
        wanted = list(dict.fromkeys([*self.f.inputs, *(t for op in self.f.ops for t in op.outputs)]))
        found = []
        for index, sample in enumerate(self.samples):
            runner.run(sample)
            values = {t: runner.tensor(t) for t in wanted}
            found.append({t: np.array(v) for t, v in values.items() if v is not None})
            self.listener(Progress("float", index + 1, len(self.samples), "samples"))
        return found

    def _inputs(self, sample: Sequence[Array]) -> Values:
        return {i: quantized(self.q.tensors[i], a) for i, a in zip(self.q.inputs, sample, strict=True)}

    def _integer(self, parts: Sequence[int], outputs: Sequence[int]) -> tuple[Reference, list[int]]:
        """Operators as a model of their own, and which tensors it reads, in order."""
        made = {t for i in parts for t in self.q.ops[i].outputs}
        read = dict.fromkeys(
            t for i in parts for t in self.q.ops[i].inputs if t >= 0 and t not in made and _moves(self.q.tensors[t])
        )
        return integer_part(self.cutter.cut(parts, list(read), outputs)), list(read)

    def _power(self, tensor: int) -> float:
        return sum(float(np.sum(np.square(values[tensor], dtype=np.float64))) for values in self.floats)

    def _input(self, index: int) -> LayerError | None:
        """A model's integer input: what rounding and clipping the data costs."""
        tensor, source = self.q.tensors[index], self.matching.tensors[index]
        if tensor.quant is None:
            return None
        tally = Tally(tensor)
        errors = []
        for values in self.floats:
            real = values[source]
            back = dequantized(tensor, quantized(tensor, real))
            errors.append({source: back - real})
            tally.add(real, real, real, real, back)
        return self._error(None, tally, [(index, source)], errors, tally.own_sqnr_db, f"input '{tensor.short_name}'")

    def _layer(self, layer: Layer, part: Reference | None) -> LayerError | None:
        op = self.q.ops[layer.op]
        if any(self.f.tensors[f].dtype is not DType.FLOAT32 for _, f in layer.outputs):
            return None  # indices and the like
        read = [q for q, _ in layer.inputs]
        if part is None:
            part, read = self._integer(layer.parts, [q for q, _ in layer.outputs])
        sources = dict(layer.inputs)
        if any(q not in sources for q in read):
            return None
        stages = self._stages(layer, op)
        stateful = _is_stateful(self.q, layer.parts)
        tally = Tally(self.q.tensors[layer.outputs[0][0]])
        errors: list[Values] = []
        total_noise = total_signal = 0.0
        for values, stored in zip(self.floats, self.stored, strict=True):
            fed = {q: quantized(self.q.tensors[q], _shaped(values[sources[q]], self.q.tensors[q])) for q in read}
            if stateful:
                part.reset()
            integer = part.run([fed[q] for q in read])
            back = {
                sources[q]: _shaped(dequantized(self.q.tensors[q], a), self.f.tensors[sources[q]])
                for q, a in fed.items()
            }
            should, with_weights, with_bias = (stage(back) for stage in stages)
            error: Values = {}
            for place, (q, f) in enumerate(layer.outputs):
                real = _shaped(dequantized(self.q.tensors[q], integer[place]), self.f.tensors[f])
                error[f] = real - should[f]
                tally.add(values[f], should[f], with_weights[f], with_bias[f], real)
                gap = _shaped(dequantized(self.q.tensors[q], stored[q]), self.f.tensors[f]) - values[f]
                total_noise += float(np.sum(np.square(gap, dtype=np.float64)))
                total_signal += float(np.sum(np.square(values[f], dtype=np.float64)))
            errors.append(error)
        total = decibels(total_signal, total_noise)
        return self._error(layer, tally, layer.outputs, errors, total, self.q.label(op))

    def _stages(self, layer: Layer, op: Op) -> list[Any]:
        """The float layer as it is, with the quantized weights, and with the quantized bias too."""
        ins = list(dict.fromkeys(f for _, f in layer.inputs))
        outs = [f for _, f in layer.outputs]

        def stage(constants: Mapping[int, Array]) -> Any:
            if not layer.group:
                return lambda back: {f: back[f] for f in outs}
            made = FloatPart(self.float_cutter.cut(layer.group, ins, outs, constants), self.q.label(op))
            return lambda back: dict(zip(outs, made.run([back[f] for f in ins]), strict=True))

        plain = stage({})
        weights, bias = self._constants(layer, op)
        with_weights = stage(weights) if weights else plain
        return [plain, with_weights, stage({**weights, **bias}) if bias else with_weights]

    def _constants(self, layer: Layer, op: Op) -> tuple[Values, Values]:
        """The quantized weights and bias as float constants of the float layer; none where these aren't the same."""
        other = self._weighted(layer, op)
        mine = self.q.input_of(op, 1)
        if other is None or mine is None:
            return {}, {}
        wanted = self.f.tensors[other.inputs[1]]
        values = dequantized_constant(mine)
        if values is None or mine.quant is None:
            return {}, {}
        weights = {wanted.index: values.reshape(wanted.shape)}
        held, theirs = self.q.input_of(op, 2), self.f.input_of(other, 2)
        source = self.q.input_of(op, 0)
        if held is None or theirs is None or held.data is None or theirs.data is None or source is None:
            return weights, {}
        if held.dtype.is_float or source.quant is None or held.elements != theirs.elements:
            return weights, {}
        scale = source.quant.scale[0].astype(np.float64) * mine.quant.scale.astype(np.float64)
        if scale.size not in (1, held.elements):
            return weights, {}
        real = (np.asarray(held.data).astype(np.float64).reshape(-1) * scale).astype(np.float32)
        return weights, {theirs.index: real.reshape(theirs.shape)}

    def _weighted(self, layer: Layer, op: Op) -> Op | None:
        """The float operator with the same weights; None where something was folded into them."""
        mine = self.q.input_of(op, 1)
        if mine is None or not mine.is_constant or mine.quant is None:
            return None
        found = None
        for index in layer.group:
            other = self.f.ops[index]
            theirs = self.f.input_of(other, 1)
            if theirs is not None and theirs.is_constant and theirs.dtype is DType.FLOAT32:
                if found is not None or theirs.elements != mine.elements:
                    return None
                found = other
            elif other.kind not in VIEWS and other.kind not in ("RELU", "RELU6", "RELU_N1_TO_1", "PAD", "PADV2"):
                return None
        return found

    def _error(
        self,
        layer: Layer | None,
        tally: Tally,
        outputs: Sequence[tuple[int, int]],
        errors: Sequence[Values],
        total: float | None,
        label: str,
    ) -> LayerError:
        q, f = outputs[0]
        op = None if layer is None else self.q.ops[layer.op]
        noise, flips = self._alone([f for _, f in outputs], errors, tally)
        other = None if layer is None or op is None else self._weighted(layer, op)
        weights = bias = None
        if op is not None and other is not None:
            weights = weight_range(self.q, op, cast(Array, self.f.tensors[other.inputs[1]].data))
            held = self.f.input_of(other, 2)
            bias = None if held is None or held.data is None else bias_range(self.q, op, held.data)
        activation = activation_range(self.q.tensors[q], [values[f] for values in self.floats])
        constant: tuple[int, ...] = ()
        if activation is not None and len(activation.channel_low) > 1 and op is not None:
            constant = tuple(int(c) for c in np.flatnonzero(activation.channel_low == activation.channel_high))
        scales = [
            float(t.quant.scale[0])
            for t in (() if op is None else (self.q.tensors[i] for i in op.inputs if i >= 0))
            if t.quant is not None and not t.is_constant and not t.is_variable and not t.dtype.is_float
        ]
        return LayerError(
            op=-1 if op is None else op.index,
            kind="INPUT" if op is None else op.kind,
            label=label,
            own_sqnr_db=tally.own_sqnr_db,
            total_sqnr_db=total,
            alone_sqnr_db=None if noise is None else decibels(1.0, noise),
            alone_noise=noise or 0.0,
            flips=flips,
            shares=tally.shares(),
            distortion=tally.distortion(),
            wrapped=tally.wrapped / max(1, tally.elements),
            activation=activation,
            weights=weights,
            bias=bias,
            constant_channels=constant,
            input_scales=tuple(scales),
            sources=() if op is None else self._sources(op),
            readers=self._readers(q),
            matched_by="" if layer is None else layer.how,
        )

    def _sources(self, op: Op) -> tuple[int, ...]:
        found: list[int] = []
        for maker in (m for m in self.q.ops if set(m.outputs) & set(op.inputs)):
            found += self._sources(maker) if maker.kind in VIEWS else [maker.index]
        return tuple(dict.fromkeys(found))

    def _readers(self, tensor: int) -> tuple[str, ...]:
        found: list[str] = []
        for op in self.q.ops:
            if tensor in op.inputs:
                found += self._readers(op.outputs[0]) if op.kind in VIEWS else [op.kind]
        return tuple(dict.fromkeys(found))

    def _alone(
        self, tensors: Sequence[int], errors: Sequence[Values], tally: Tally
    ) -> tuple[float | None, float | None]:
        """(noise over signal at the network's output, share of changed choices) with this layer's error only."""
        operators, others = following(self.f, tensors, self.places)
        reached = [p for p in self.places if p in tensors or any(p in self.f.ops[i].outputs for i in operators)]
        if not reached:  # what comes behind the places, a closing softmax: its own output counts
            return (tally.noise / tally.signal if tally.signal else None), None
        run = None
        computed = [p for p in reached if p not in tensors]
        if computed:
            run = FloatPart(self.float_cutter.cut(operators, [*tensors, *others], computed), "the rest of the network")
        noise, flips = 0.0, 0
        for values, error in zip(self.floats, errors, strict=True):
            changed = {t: (values[t] + error[t]).astype(np.float32) for t in tensors}
            found = dict(changed)
            if run is not None:
                fed = [*(changed[t] for t in tensors), *(values[t] for t in others)]
                found.update(zip(computed, run.run(fed), strict=True))
            noise += sum(float(np.sum(np.square(found[p] - values[p], dtype=np.float64))) for p in reached)
            first = self.places[0]
            if first in found:
                flips += int(np.argmax(found[first]) != np.argmax(values[first]))
        classes = self.f.tensors[self.places[0]].elements > 1 and self.places[0] in reached
        share = flips / len(self.floats) if classes else None
        return (noise / self.signal if self.signal else None), share


def _places(graph: Graph) -> list[int]:
    """Where a network's output is judged: its outputs, or what a closing softmax is given, as that hides errors."""
    makers = {t: op for op in graph.ops for t in op.outputs}
    found = []
    for output in graph.outputs:
        maker = makers.get(output)
        while maker is not None and maker.kind in VIEWS:
            maker = makers.get(maker.inputs[0])
        squashed = maker is not None and maker.kind in ("SOFTMAX", "LOGISTIC", "LOG_SOFTMAX")
        found.append(maker.inputs[0] if maker is not None and squashed else output)
    return list(dict.fromkeys(found))


def _shaped(values: Array, tensor: Tensor) -> Array:
    return values.reshape(tensor.shape)


def _moves(tensor: Tensor) -> bool:
    return not tensor.is_constant and not tensor.is_variable


def _is_stateful(graph: Graph, parts: Sequence[int]) -> bool:
    return any(t >= 0 and graph.tensors[t].is_variable for i in parts for t in graph.ops[i].inputs)
