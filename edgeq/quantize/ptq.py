"""Post-training quantization of a float model in given ranges: one scheme for all layers, or others for some."""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from edgeq import registry
from edgeq.errors import EdgeqError, ModelFileError, UnsupportedError, UsageError
from edgeq.importers import Model
from edgeq.quantize.finish import finish
from edgeq.quantize.methods import Range
from edgeq.quantize.recipes import PerLayer, layer_schemes, recipe
from edgeq.quantize.schemes import DEFAULT, EndType, Scheme, scheme_named

QUANTIZER = registry.Row("", "convert", ("ai_edge_quantizer",))


def quantize(
    model: Model,
    ranges: Mapping[int, Range],
    io: EndType | None = None,
    *,
    scheme: str | Scheme = DEFAULT,
    per_layer: PerLayer | None = None,
) -> bytes:
    """Quantize a float model.

    Args:
        ranges: of every activation, by tensor index of `model.graph`; schemes with float activations need none.
        io: the type of the model's inputs and outputs; the scheme's own unless told.
        scheme: a name in `edgeq.quantize.schemes.SCHEMES`.
        per_layer: other schemes (`float32` too) for single operators, by their index in `model.graph` or by the
            name of their output tensor. Where int8 and int16 meet a QUANTIZE converts.

    Returns:
        A `.tflite`; the same bytes for the same arguments. Operators that can't be integer are float in it,
        between DEQUANTIZE and QUANTIZE: see `proof`.

    Raises:
        UsageError: no such scheme or layer, or ends that the scheme can't have.
        ModelFileError: tensors share a name, by which the quantizer knows them (`edgeq.importers` gives each its own).
        UnsupportedError: the quantizer refused the model; its own words are in the message.
        MissingDependencyError: ai-edge-quantizer is not installed.
    """
    chosen = scheme_named(scheme)
    ends = end_type(chosen, io)
    layers = layer_schemes(model.graph, per_layer)
    registry.require(QUANTIZER, "quantization")
    _refuse_shared_names(model, ranges)
    if chosen.is_static:
        _refuse_loops(model)
    # Activations only: a range given for a constant silently makes its quantization per-tensor.
    statistics = {
        model.graph.tensors[index].name: {
            "min": np.array([found.low], np.float32),
            "max": np.array([found.high], np.float32),
        }
        for index, found in ranges.items()
        if not model.graph.tensors[index].is_constant
    }
    try:
        with _quiet():
            from ai_edge_quantizer import quantizer

            wanted = recipe(model.graph, chosen, layers, float_ends=ends == "float32")
            engine = quantizer.Quantizer(bytearray(model.tflite), wanted)
            result = engine.quantize(statistics, enable_progress_bar=False, enable_progress_report=False)
    except EdgeqError:
        raise
    except Exception as refused:  # the quantizer raises any type for a model it doesn't like
        raise UnsupportedError(
            f"ai-edge-quantizer refused the model: {type(refused).__name__}: {refused}",
            where=model.source or model.name,
            next_step="the layer named above is the place to look",
        ) from refused
    left_in_float = {i for index, own in layers.items() if not own.is_static for i in model.graph.ops[index].outputs}
    names = {model.graph.tensors[i].name: found for i, found in ranges.items() if i not in left_in_float}
    return finish(bytes(result.quantized_model), ends, names)


def end_type(scheme: Scheme, io: str | None) -> EndType:
    """The type of the model's ends.

    Raises:
        UsageError: the scheme can't have it.
    """
    for possible in scheme.ends:
        if io in (None, possible):
            return possible
    raise UsageError(
        f"io '{io}' is not possible with {scheme.name}", next_step=f"choose one of: {', '.join(scheme.ends)}"
    )


def _refuse_loops(model: Model) -> None:
    """What happens inside a loop is in subgraphs that neither calibration nor the quantizer sees."""
    loops = [op for op in model.graph.ops if op.kind in ("WHILE", "IF")]
    if loops:
        raise UnsupportedError(
            f"holds {model.graph.label(loops[0])}, a loop or branch (a recurrent layer?), which has no integer form",
            where=model.source or model.name,
            next_step="convert the .keras, .h5, .onnx or .pt2 it was made from: edgeq unrolls recurrent layers there",
            operators=[op.index for op in loops],
        )


def _refuse_shared_names(model: Model, ranges: Mapping[int, Range]) -> None:
    """One range of two tensors would overwrite the other's, and one of a constant would quantize it per tensor."""
    count = Counter(tensor.name for tensor in model.graph.tensors)
    shared = sorted({name for index in ranges if count[name := model.graph.tensors[index].name] > 1})
    if shared:
        raise ModelFileError(
            f"{count[shared[0]]} tensors are named '{shared[0]}', and ranges are given by name",
            where=model.source or model.name,
            next_step="give edgeq the file itself: reading it gives each tensor a name of its own",
            names=shared,
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """The quantizer's interpreter writes to the process's stderr from C++; that belongs to nobody."""
    level = logging.root.manager.disable
    with tempfile.TemporaryFile() as sink, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        kept = os.dup(2)
        os.dup2(sink.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            logging.disable(level)
