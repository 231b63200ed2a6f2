"""From a trained network with quantization inside to the integer file that computes the same."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeq import tflite
from edgeq.errors import EdgeqError, UsageError
from edgeq.events import Event, Listener, Notice, silent
from edgeq.graph import DType, Graph
from edgeq.importers import Model
from edgeq.quantize import feasible
from edgeq.quantize.candidates import Candidate
from edgeq.quantize.data import Dataset, Source, load_data
from edgeq.quantize.evaluate import compare
from edgeq.quantize.methods import Range
from edgeq.quantize.products import ConversionReport, Evaluation, QuantizedModel
from edgeq.quantize.proof import float_leftovers
from edgeq.quantize.ptq import end_type, quantize
from edgeq.quantize.schemes import EndType, scheme_named
from edgeq.target import Target
from edgeq.tflite.objects import pack, unpack
from edgeq.training.export import float_model
from edgeq.training.network import Array
from edgeq.training.plan import Plan
from edgeq.training.prepare import Prepared, quantized_layer, ranges_of, trained_weights
from edgeq.training.trace import flat

MAX_JUDGED = 1000
LEARNED = "learned in training"
_MOST_BIAS = 2.0**30


def convert(
    source: Prepared | Any,
    *,
    representative_data: Source | None = None,
    io: EndType | None = None,
    target: Target | None = None,
    labels: object | None = None,
    samples: int | None = None,
    listener: Listener = silent,
) -> QuantizedModel:
    """Make the integer `.tflite` of a network trained with quantization inside; its ranges are the learned ones.

    Args:
        source: a Prepared, or its Keras model.
        representative_data: what the file is compared with the trained model on, best what training hasn't seen;
            without it, the samples that the first ranges came from.
        io: type of the model's inputs and outputs; the scheme's own unless told.
        target: refuse a scheme that it can't run.
        labels: class per sample, for the accuracy in the report; there "float_model" is the trained model.
        samples: compare on so many at most (1000 unless told).

    Raises:
        DataError: data that don't fit the model.
        UsageError: ends that the scheme can't have, or no samples to compare on.
        UnsupportedError: an operator stays in float, or the target can't run the scheme.
    """
    prepared = source if isinstance(source, Prepared) else Prepared(source)
    plan = prepared.plan
    scheme = scheme_named(plan.scheme)
    ends = end_type(scheme, io)
    notices: list[str] = []

    def note(event: Event) -> None:
        if isinstance(event, Notice):
            notices.append(event.text)
        listener(event)

    started = time.perf_counter()
    floats, data, graph = integer_file(prepared.model, ends)
    runtimes = () if target is None else feasible.require_runnable(floats, scheme, target)
    written = time.perf_counter()
    evaluation = None
    judged = _judged_on(prepared, floats, representative_data, labels)
    if judged is not None:
        few = judged.subset(range(min(len(judged), samples or MAX_JUDGED)))
        given = representative_data is not None
        evaluation = _evaluate(prepared, floats, data, graph, few, given, note)
        note(Notice("compared with the model as trained, quantization inside, not with a float model", "evaluate"))
    report = ConversionReport(
        source="",
        kind=floats.kind,
        scheme=scheme.name,
        chosen=Candidate((), LEARNED, None),
        plain=None,
        candidates=(),
        asked=(LEARNED, "none"),
        suspicions=(),
        io=ends,
        runtimes=runtimes,
        seed=0,
        calibration_samples=0 if prepared.data is None else len(prepared.data),
        judging_samples=0,
        float_bytes=len(floats.tflite),
        quantized_bytes=len(data),
        float_weights_bytes=_constant_bytes(floats.graph),
        quantized_weights_bytes=_constant_bytes(graph),
        evaluation=evaluation,
        leftovers=float_leftovers(graph),
        seconds={"quantize": written - started, "evaluate": time.perf_counter() - written},
        notices=tuple(notices),
    )
    return QuantizedModel(data, graph, report)


def require_runnable(prepared: Prepared, target: Target) -> None:
    """Refuse a target before hours of training rather than after.

    Raises:
        UnsupportedError: none of its runtimes can run the scheme with this network's operators.
    """
    floats, _, _ = integer_file(prepared.model)
    feasible.require_runnable(floats, prepared.plan.scheme, target)


def integer_file(model: Any, io: EndType | None = None) -> tuple[Model, bytes, Graph]:
    """The float model of a prepared Keras model's weights, and the integer file with its ranges.

    Raises:
        UnsupportedError: the quantizer refused the model.
        EdgeqError: a tensor of the file has other parameters than were trained with.
    """
    plan: Plan = quantized_layer(model).plan
    ranges = ranges_of(model)
    weights = trained_weights(model)
    floats = float_model(plan.network, _with_room_for_bias(plan, weights, ranges))
    by_index = {t.index: ranges[t.name] for t in floats.graph.tensors if t.name in ranges}
    data = _cleared(plan, quantize(floats, by_index, io, scheme=plan.scheme), weights)
    graph = tflite.parse(data, "", floats.name)
    _verify(model, graph)
    return floats, data, graph


def _judged_on(prepared: Prepared, floats: Model, given: Source | None, labels: object | None) -> Dataset | None:
    if given is not None:
        return load_data(given, floats, labels=labels)
    if labels is not None:
        raise UsageError("labels without samples", next_step="give representative_data with the labels")
    return prepared.data


def _evaluate(
    prepared: Prepared, floats: Model, data: bytes, graph: Graph, judged: Dataset, given: bool, note: Listener
) -> Evaluation:
    """The file against the trained model's own outputs."""
    arrays = [a.reshape(-1, *a.shape[2:]) for a in judged.arrays]
    outputs = [np.asarray(o, np.float32) for o in flat(prepared.predict(arrays))]
    expected = [[o[i : i + 1] for o in outputs] for i in range(len(judged))]
    return compare(floats, expected, data, graph, judged, held_back=given, listener=note)


def _constant_bytes(graph: Graph) -> int:
    return sum(tensor.size_bytes for tensor in graph.tensors if tensor.is_constant)


def _with_room_for_bias(plan: Plan, weights: dict[str, Array], ranges: dict[str, Range]) -> dict[str, Array]:
    """Weights whose scales leave every bias inside int32.

    A channel whose weights are (nearly) all zero has a tiny scale, and its bias is an integer of the scale
    input · weights. Its greatest weight is raised just enough; what that adds is below 2^-15 of the bias. A weight
    that was zero is so again in the file (`_cleared`), which keeps the scale.
    """
    made = dict(weights)
    for name in plan.kernel_shapes:
        node = plan.network.node(name)
        source = ranges[node.inputs[0]]
        levels = 2.0**plan.bits.activations - 1
        step = max(max(source.high, 0.0) - min(source.low, 0.0), 1e-9) / levels
        kernel, bias = made[f"{name}/kernel"], made[f"{name}/bias"]
        most = 2.0 ** (plan.bits.of_weights(node) - 1) - 1
        columns = kernel.reshape(-1, bias.size).copy()
        wanted = np.abs(bias) / (step * _MOST_BIAS) * most
        place = np.abs(columns).argmax(axis=0)
        for channel in np.flatnonzero(np.abs(columns).max(axis=0) < wanted):
            sign = -1.0 if columns[place[channel], channel] < 0 else 1.0
            columns[place[channel], channel] = sign * wanted[channel]
        made[f"{name}/kernel"] = columns.reshape(kernel.shape)
    return made


def _cleared(plan: Plan, data: bytes, weights: dict[str, Array]) -> bytes:
    """The file with channels of zeros as zeros again."""
    empty = {
        f"{name}/kernel": np.flatnonzero(~weights[f"{name}/kernel"].reshape(-1, weights[f"{name}/bias"].size).any(0))
        for name in plan.kernel_shapes
    }
    if not any(channels.size for channels in empty.values()):
        return data
    model = unpack(data)
    for tensor in model.subgraphs[0].tensors:
        name = tensor.name.decode() if isinstance(tensor.name, bytes) else tensor.name
        channels = empty.get(name)
        if channels is None or not channels.size:
            continue
        shape = [int(d) for d in tensor.shape]
        stored = np.asarray(model.buffers[tensor.buffer].data, np.uint8)
        four_bit = tensor.type == schema.TensorType.INT4
        values = np.stack([stored & 15, stored >> 4], 1).reshape(-1) if four_bit else stored
        values = values[: int(np.prod(shape))].reshape(shape).copy()
        depthwise = plan.network.node(name.removesuffix("/kernel")).kind == "DEPTHWISE_CONV_2D"
        values[(..., channels) if depthwise else (channels, ...)] = 0
        values = values.reshape(-1)
        if four_bit:
            values = np.append(values, np.zeros(values.size % 2, np.uint8)).reshape(-1, 2)
            values = values[:, 0] | (values[:, 1] << 4)
        model.buffers[tensor.buffer].data = values.astype(np.uint8)
    return pack(model)


def _verify(model: Any, graph: Graph) -> None:
    """Every tensor that has a node's name has just the scale and zero point that training used."""
    layer = quantized_layer(model)
    parameters = layer.engine.parameters()
    groups = layer.plan.groups
    for tensor in graph.tensors:
        if tensor.name not in groups or tensor.quant is None or tensor.dtype.is_float:
            continue
        used = parameters[groups[tensor.name].name]
        scale, zero = float(used.scale), float(used.zero)
        zero += 128 if tensor.dtype is DType.UINT8 else 0
        found = float(tensor.quant.scale[0]), float(tensor.quant.zero_point[0])
        if abs(found[0] - scale) > 1e-6 * scale or found[1] != zero:
            raise EdgeqError(
                f"tensor '{tensor.name}' has scale {found[0]:.8g} and zero point {found[1]:.0f} in the file, but was "
                f"trained with {scale:.8g} and {zero:.0f}",
                where=graph.name,
                next_step="report this with the model's layers: the file isn't what was trained",
                tensor=tensor.name,
            )
