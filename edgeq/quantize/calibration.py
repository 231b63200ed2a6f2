"""Run the float model over the calibration samples and watch every activation."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeq.errors import DataError, UnsupportedError
from edgeq.events import Listener, Progress, silent
from edgeq.graph import DType, Graph
from edgeq.importers import Model
from edgeq.quantize.data import Dataset
from edgeq.quantize.methods import Method, Range
from edgeq.quantize.statistics import Collector, Kind, Statistics


def calibrate(model: Model, data: Dataset, method: Method, listener: Listener = silent) -> Mapping[int, Range]:
    """The range of every float activation, by tensor index; raises as `collect` does."""
    return method.ranges(collect(model, data, listener))


def collect(model: Model, data: Dataset, listener: Listener = silent) -> Statistics:
    """Statistics of every float activation, from which any method makes its ranges.

    Raises:
        DataError: a layer gives NaN or Inf; the message names sample, tensor and layer.
        UnsupportedError: the interpreter can't run the float model.
    """
    runner = FloatRunner(model, keep_all=True)
    watched = _activations(model.graph)
    collector = Collector({i: _kind(model.graph, i) for i in watched})
    for index in range(len(data)):
        collector.start_sample(data.numbers[index])
        runner.run(data.sample(index))
        for tensor in watched:
            values = runner.tensor(tensor)
            if values is None:
                continue
            _refuse_non_finite(model.graph, tensor, values, data.numbers[index], data)
            collector.add(tensor, values)
        listener(Progress("calibrate", index + 1, len(data), "samples"))
    return collector.finish()


class FloatRunner:
    """The float model in LiteRT, without delegates: those hide the tensors between layers."""

    def __init__(self, model: Model, *, keep_all: bool = False) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        self._model = model
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # "intended for debugging": it is
                self._interpreter: Any = Interpreter(
                    model_content=model.tflite,
                    experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
                    experimental_preserve_all_tensors=keep_all,
                    num_threads=1,
                )
            self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as refused:
            raise self._unsupported(refused) from refused

    def run(self, inputs: list[npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
        """One inference; inputs and outputs in the file's order."""
        try:
            self._interpreter.reset_all_variables()
            for index, array in zip(self._model.graph.inputs, inputs, strict=True):
                self._interpreter.set_tensor(index, array)
            self._interpreter.invoke()
            return [self._interpreter.get_tensor(index) for index in self._model.graph.outputs]
        except (RuntimeError, ValueError) as failed:
            raise self._unsupported(failed) from failed

    def tensor(self, index: int) -> npt.NDArray[np.float32] | None:
        """A tensor's values after `run`; None where nothing computed it."""
        try:
            values: npt.NDArray[np.float32] = self._interpreter.get_tensor(index)
        except ValueError:
            return None
        return values if values.size else None

    def _unsupported(self, failure: Exception) -> UnsupportedError:
        return UnsupportedError(
            f"LiteRT can't run the float model: {str(failure).strip()}",
            where=self._model.source or self._model.name,
            next_step="check that the float model runs by itself",
        )


def _activations(graph: Graph) -> tuple[int, ...]:
    """Inputs, then what each operator writes, in execution order, so that the first NaN is the cause."""
    order = [*graph.inputs, *(index for op in graph.ops for index in op.outputs)]
    return tuple(dict.fromkeys(i for i in order if graph.tensors[i].dtype is DType.FLOAT32))


def _kind(graph: Graph, tensor: int) -> Kind:
    return "input" if tensor in graph.inputs else "output" if tensor in graph.outputs else "inner"


def _refuse_non_finite(graph: Graph, tensor: int, values: npt.NDArray[np.float32], sample: int, data: Dataset) -> None:
    low, high = values.min(), values.max()  # both are NaN if any value is
    if np.isfinite(low) and np.isfinite(high):
        return
    what = "NaN" if np.isnan(low) else "Inf"
    name = graph.tensors[tensor].name
    layer = next((op for op in graph.ops if tensor in op.outputs), None)
    label = graph.label(layer) if layer is not None else "the input"
    raise DataError(
        f"sample {sample} makes {label} give {what} in tensor {tensor} ('{name}')",
        where=data.source,
        next_step="run the float model on this sample: its weights or this sample are broken",
        sample=sample,
        tensor=tensor,
        tensor_name=name,
        layer=layer.index if layer is not None else None,
        value=what,
    )
