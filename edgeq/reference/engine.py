"""Reference: which interpreter stands for TensorFlow Lite's reference kernels, and how it is made to agree.

tflite-runtime 2.14 is the reference as it is. LiteRT's own reference kernels differ from it in one operator,
int8 FULLY_CONNECTED; there the network is cut at each of these, which are then computed in integers. So it is in 2.14
where that one leaves a part of the output unwritten (`leaves_rows_out`), and in both for sums of int8 (`sums`). 4-bit
weights are widened to 8 bits first. A few operators have no reference kernel (`_ONE_KERNEL`): the network is cut there
too, and the one kernel that there is runs.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from edgeq import registry
from edgeq.errors import DataError, MissingDependencyError, UnsupportedError, UsageError
from edgeq.graph import DType, Graph, Op
from edgeq.reference.fully_connected import fully_connected, is_int8_fully_connected, leaves_rows_out
from edgeq.reference.segments import extract
from edgeq.reference.sums import is_quantized_sum, quantized_sum
from edgeq.reference.widen import has_4_bit_weights, widened

Engine = Literal["auto", "tflite-runtime", "litert"]
_ONE_KERNEL = frozenset({"CEIL", "CUMSUM", "DEPTH_TO_SPACE", "ELU", "ROUND", "TILE"})
"""What BUILTIN_REF lacks (CUMSUM in 2.14 only; DEPTH_TO_SPACE and TILE as converters write them for int8 now); their
kernels take no short cuts that would change a bit."""
_BROADCAST_MOST = {"MUL": 4, "SUB": 5}
_Array = npt.NDArray[np.generic]
_Values = dict[int, _Array]

_MODULES = {"tflite-runtime": "tflite_runtime.interpreter", "litert": "ai_edge_litert.interpreter"}
_PACKAGES = {"tflite-runtime": "tflite-runtime", "litert": "ai-edge-litert"}


class Reference:
    """A model, run by the reference kernels.

    Stateful operators keep their state from one `run` to the next; `reset` clears it.

    Args:
        model: the bytes of the `.tflite`.
        graph: what `edgeq.tflite` read from them; its checks come before any interpreter sees the file.
        engine: "auto" takes tflite-runtime where it is installed and knows the operators, else LiteRT.

    Attributes:
        name: the engine and its version, for reports.

    Raises:
        UnsupportedError: the interpreter can't run this model; its own words are in the message.
        MissingDependencyError: the engine asked for is not installed.
    """

    def __init__(self, model: bytes, graph: Graph, engine: Engine = "auto") -> None:
        _refuse_what_crashes(graph)
        self.graph = graph
        self._model = widened(model, graph) if has_4_bit_weights(graph) else model
        chosen = _choose(engine)
        try:
            self._use(chosen)
        except UnsupportedError:
            # Operators newer than 2.14 have no older reference: then the newer one is it.
            if engine != "auto" or chosen == "litert":
                raise
            self._use("litert")

    def _use(self, engine: str) -> None:
        if engine == "tflite-runtime":
            _refuse_what_2_14_lacks(self.graph)
        self._engine = engine
        self._replayed = frozenset(
            op.index
            for op in self.graph.ops
            if (is_int8_fully_connected(self.graph, op) and (engine == "litert" or leaves_rows_out(self.graph, op)))
            or is_quantized_sum(self.graph, op)
        )
        self.name = f"{engine} {importlib.metadata.version(_PACKAGES[engine])} BUILTIN_REF"
        kinds = sorted({op.kind for op in self.graph.ops if op.index in self._replayed})
        if kinds:
            self.name += f" + integer {', '.join(kinds)}"
        self._steps = self._plan()

    def run(self, inputs: Sequence[npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
        """One inference.

        Args:
            inputs: one array per model input, in the file's order, with its exact shape and type.

        Raises:
            DataError: number, shape or type of the inputs is wrong.
            UnsupportedError: the interpreter failed.
        """
        values = {t.index: t.data for t in self.graph.tensors if t.data is not None}
        for index, array in zip(self.graph.inputs, self._checked(inputs), strict=True):
            values[index] = array
        for step in self._steps:
            step.run(values)
        return [np.array(values[index]) for index in self.graph.outputs]

    def reset(self) -> None:
        """Forget the state of stateful operators."""
        self._steps = self._plan()

    def _plan(self) -> list[_Step]:
        graph = self.graph
        apart = [op for op in graph.ops if op.index in self._replayed or op.kind in _ONE_KERNEL]
        if not apart:
            return [_Segment(self._engine, self._model, graph, graph.inputs, graph.outputs)]
        steps: list[_Step] = []
        run_of_ops: list[Op] = []
        for op in graph.ops:
            if op not in apart:
                run_of_ops.append(op)
                continue
            steps += self._segment(run_of_ops)
            run_of_ops = []
            steps += [_Replay(graph, op)] if op.index in self._replayed else self._segment([op], "BUILTIN")
        return steps + self._segment(run_of_ops)

    def _segment(self, ops: Sequence[Op], kernels: str = "BUILTIN_REF") -> list[_Step]:
        if not ops:
            return []
        inside = {op.index for op in ops}
        written = {index for op in ops for index in op.outputs}
        read_later = set(self.graph.outputs) | {
            index for op in self.graph.ops if op.index not in inside for index in op.inputs
        }
        constant = {t.index for t in self.graph.tensors if t.is_constant or t.is_variable}
        read = {index for op in ops for index in op.inputs if index >= 0}
        ins = tuple(sorted(read - written - constant))
        outs = tuple(sorted(written & read_later))
        model = extract(self._model, [op.index for op in ops], ins, outs)
        return [_Segment(self._engine, model, self.graph, ins, outs, kernels)]

    def _checked(self, inputs: Sequence[npt.NDArray[Any]]) -> list[_Array]:
        wanted = [self.graph.tensors[index] for index in self.graph.inputs]
        if len(inputs) != len(wanted):
            raise DataError(f"the model has {len(wanted)} inputs, {len(inputs)} were given")
        for tensor, array in zip(wanted, inputs, strict=True):
            if tuple(array.shape) != tensor.shape or array.dtype != tensor.dtype.numpy:
                raise DataError(
                    f"input '{tensor.name}' is {tensor.dtype.value} {tensor.shape}, "
                    f"not {array.dtype} {tuple(array.shape)}",
                    where=self.graph.source or self.graph.name,
                )
        return [np.ascontiguousarray(array).reshape(array.shape) for array in inputs]


class _Step(Protocol):
    def run(self, values: _Values) -> None:
        """Compute from `values` (tensor index → array) and add what was computed."""


@dataclass(frozen=True)
class _Replay:
    graph: Graph
    op: Op

    def run(self, values: _Values) -> None:
        if self.op.kind == "SUM":
            source, axes = (values[index] for index in self.op.inputs[:2])
            values[self.op.outputs[0]] = quantized_sum(self.graph, self.op, source, axes)
            return
        bias = self.graph.input_of(self.op, 2)
        values[self.op.outputs[0]] = fully_connected(
            self.graph,
            self.op,
            values[self.op.inputs[0]].astype(np.int8, copy=False),
            values[self.op.inputs[1]].astype(np.int8, copy=False),
            None if bias is None else values[bias.index].astype(np.int32, copy=False),
        )


class _Segment:
    """An interpreter on (a part of) the model."""

    def __init__(
        self,
        engine: str,
        model: bytes,
        graph: Graph,
        inputs: tuple[int, ...],
        outputs: tuple[int, ...],
        kernels: str = "BUILTIN_REF",
    ) -> None:
        self._where = graph.source or graph.name
        self._engine = engine
        module = importlib.import_module(_MODULES[engine])
        resolver = "BUILTIN_REF" if kernels == "BUILTIN_REF" else "BUILTIN_WITHOUT_DEFAULT_DELEGATES"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._interpreter: Any = module.Interpreter(
                    model_content=model,
                    experimental_op_resolver_type=getattr(module.OpResolverType, resolver),
                    num_threads=1,
                )
            self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as refused:
            raise self._unsupported(refused) from refused
        # In the file's order, which is also the order of `inputs` and `outputs`.
        self._ins = tuple(zip((d["index"] for d in self._interpreter.get_input_details()), inputs, strict=True))
        self._outs = tuple(zip((d["index"] for d in self._interpreter.get_output_details()), outputs, strict=True))

    def run(self, values: _Values) -> None:
        try:
            for place, index in self._ins:
                self._interpreter.set_tensor(place, values[index])
            self._interpreter.invoke()
            for place, index in self._outs:
                values[index] = self._interpreter.get_tensor(place)
        except (RuntimeError, ValueError) as failed:
            raise self._unsupported(failed) from failed

    def _unsupported(self, failure: Exception) -> UnsupportedError:
        return UnsupportedError(
            f"{self._engine} can't run this model: {str(failure).strip()}",
            where=self._where,
            next_step="`edgeq check` says which operators edgeq knows",
            engine=self._engine,
        )


def _choose(engine: Engine) -> str:
    if engine == "auto":
        usable = registry.installed("tflite_runtime") and not _tensorflow_came_first()
        return "tflite-runtime" if usable else "litert"
    if engine not in _MODULES:
        raise UsageError(f"there is no engine '{engine}'", next_step=f"choose one of: auto, {', '.join(_MODULES)}")
    package = _MODULES[engine].partition(".")[0]
    if not registry.installed(package):
        raise MissingDependencyError(
            f"the engine '{engine}' needs {package}",
            next_step="pip install 'edgeq[reference]'" if engine == "tflite-runtime" else "reinstall edgeq",
            packages=[package],
        )
    if engine == "tflite-runtime" and _tensorflow_came_first():
        raise UsageError(
            "tflite-runtime crashes in a process that has imported TensorFlow before it",
            next_step="import tflite_runtime.interpreter before tensorflow, or use the engine litert",
        )
    return engine


def _tensorflow_came_first() -> bool:
    """tflite-runtime 2.14 loaded after TensorFlow 2.21 reads foreign memory; the other way round is fine."""
    return "tensorflow" in sys.modules and _MODULES["tflite-runtime"] not in sys.modules


def _refuse_what_2_14_lacks(graph: Graph) -> None:
    """And says so only once it runs: a DIV of int8; MUL and SUB that broadcast over more dimensions than they have room
    for, at which they abort."""
    for op in graph.ops:
        if op.kind == "DIV" and graph.output_of(op).dtype is DType.INT8:
            raise UnsupportedError(
                f"tflite-runtime can't run this model: 2.14 has no {graph.label(op)} of INT8",
                where=graph.source or graph.name,
                next_step="compare with the engine litert",
            )
        most = _BROADCAST_MOST.get(op.kind)
        if most is None or len(graph.output_of(op).shape) <= most:
            continue
        if any(graph.tensors[i].shape != graph.output_of(op).shape for i in op.inputs if i >= 0):
            raise UnsupportedError(
                f"{graph.label(op)} repeats an input over more than {most} dimensions, at which tflite-runtime 2.14 "
                "ends the whole process",
                where=graph.source or graph.name,
                next_step="compare with the engine litert",
            )


def _refuse_what_crashes(graph: Graph) -> None:
    """Host interpreters end the whole process on SVDF with an int8 state (TFLM runs it)."""
    for op in graph.ops:
        if op.kind != "SVDF":
            continue
        if any(i >= 0 and graph.tensors[i].is_variable and graph.tensors[i].dtype is DType.INT8 for i in op.inputs):
            raise UnsupportedError(
                f"{graph.label(op)} keeps an int8 state, on which host interpreters crash: "
                "there is no reference to compare with",
                where=graph.source or graph.name,
                next_step="export it with int16 state, as TensorFlow's own converter does",
            )
