"""What can answer: an interpreter on this computer, the generated C compiled for it, a device at a port."""

from __future__ import annotations

import ctypes
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from edgeq import memory, optimize
from edgeq.codegen import model_files
from edgeq.codegen.tree import Manifest
from edgeq.errors import NegativeResult
from edgeq.events import Listener, silent
from edgeq.graph import DType, Graph
from edgeq.importers import Model
from edgeq.measure.accuracy.products import Compared
from edgeq.measure.answers import ATTEMPTS, check_model, no_reset
from edgeq.measure.forms import form_of, on_the_wire
from edgeq.measure.link import Link
from edgeq.measure.session import INFERENCE_TIMEOUT_S, Session
from edgeq.quantize import dequantized, quantized
from edgeq.quantize.calibration import FloatRunner
from edgeq.reference import Reference
from edgeq.target import Core, Target
from edgeq.toolchains.host import compile_host

Array = npt.NDArray[Any]
_CHECKED = 8
"""Samples on which compiled C is held against the reference before it stands for it."""


class Engine(Protocol):
    """Answers one sample after the other."""

    @property
    def name(self) -> str:
        """What it is, with its version."""

    @property
    def provenance(self) -> Literal["measured", "simulated"] | None:
        """What answers of a device are called; None on this computer."""

    @property
    def compared(self) -> Compared | None:
        """What the comparison with the reference gave so far; None where there is none."""

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """One inference: real inputs in the model's shapes → real outputs, float32."""


class FloatEngine:
    """A float model in LiteRT."""

    provenance = None
    compared = None

    def __init__(self, model: Model) -> None:
        import importlib.metadata

        self._runner = FloatRunner(model)
        self.name = f"LiteRT {importlib.metadata.version('ai-edge-litert')}, float"

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """See Engine."""
        return [np.array(output, np.float32) for output in self._runner.run(list(inputs))]


class ReferenceEngine:
    """The reference interpreter."""

    provenance = None
    compared = None

    def __init__(self, data: bytes, graph: Graph) -> None:
        self._graph = graph
        # tflite-runtime 2.14 computes garbage from files with integer weights beside float arithmetic.
        self._reference = Reference(data, graph, "litert" if _is_hybrid(graph) else "auto")
        self._stateful = is_stateful(graph)
        self.name = self._reference.name

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """See Engine."""
        return real_outputs(self._graph, self.run_stored(stored_inputs(self._graph, inputs)))

    def run_stored(self, stored: Sequence[Array]) -> list[Array]:
        """The same in the model's own types; each sample starts from a cleared state."""
        if self._stateful:
            self._reference.reset()
        return self._reference.run(stored)


def is_stateful(graph: Graph) -> bool:
    """Whether a model keeps something from one inference to the next."""
    return any(tensor.is_variable for tensor in graph.tensors)


def _is_hybrid(graph: Graph) -> bool:
    return any(
        graph.output_of(op).dtype is DType.FLOAT32 and any(i >= 0 and _is_small_constant(graph, i) for i in op.inputs)
        for op in graph.ops
    )


def _is_small_constant(graph: Graph, index: int) -> bool:
    tensor = graph.tensors[index]
    return tensor.is_constant and (tensor.quant is not None or tensor.dtype is DType.FLOAT16)


def is_float(graph: Graph) -> bool:
    """Whether nothing in a model is stored or computed in other than float32."""
    return not any(t.quant is not None or t.dtype is DType.FLOAT16 for t in graph.tensors)


def stored_inputs(graph: Graph, inputs: Sequence[Array]) -> list[Array]:
    """Real inputs in the model's own types."""
    return [quantized(graph.tensors[i], a) for i, a in zip(graph.inputs, inputs, strict=True)]


def real_outputs(graph: Graph, stored: Sequence[Array]) -> list[Array]:
    """The model's outputs as real values."""
    return [dequantized(graph.tensors[i], a) for i, a in zip(graph.outputs, stored, strict=True)]


class HostCode:
    """The C that edgeq generates, with its portable kernels, compiled for this computer.

    It is a little faster than the reference and meant to be equal to it. That is tested on the first samples of each
    evaluation, and what the report says is exactly that.

    Raises:
        UnsupportedError: an operator without a kernel.
        MissingDependencyError, ToolError: no compiler, or it refuses.
        NegativeResult: from `run`: an output differs from the reference's.
    """

    provenance = None

    def __init__(self, data: bytes, graph: Graph, core: Core, cache: Path | None = None) -> None:
        made = memory.arrange(optimize.compile_program(graph, replace(core, isa=("thumb",))))
        self._graph, self._stateful = graph, is_stateful(graph)
        self._reference = ReferenceEngine(data, graph)
        self._checked = 0
        self.name = "edgeq's generated C, portable kernels, compiled for this computer"
        self._folder = tempfile.TemporaryDirectory(prefix="edgeq-host-")
        root = Path(self._folder.name)
        files = model_files(made.program, made.plan)
        for name, content in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
        sources = [root / name for name in files if name.endswith(".c")]
        built = compile_host(sources, root / "model.so", [root], ("-O3", "-march=native"), shared=True, cache=cache)
        self._library: Any = ctypes.CDLL(str(built))
        self._library.model_input.restype = self._library.model_output.restype = ctypes.c_void_p
        self._arena = np.zeros(made.plan.arena_bytes + 16, np.uint8)

    @property
    def compared(self) -> Compared | None:
        """See Engine."""
        return Compared(self._reference.name, self._checked, 0)

    def __enter__(self) -> HostCode:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.cleanup()

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """See Engine."""
        stored = stored_inputs(self._graph, inputs)
        found = self._invoke(stored)
        if self._checked < _CHECKED:
            wanted = self._reference.run_stored(stored)
            if any(f.tobytes() != w.tobytes() for f, w in zip(found, wanted, strict=True)):
                raise NegativeResult(
                    f"the compiled C differs from {self._reference.name} on sample {self._checked}",
                    where=self._graph.source or self._graph.name,
                    next_step="evaluate with --on host, and report this: the two should be equal",
                )
            self._checked += 1
        return real_outputs(self._graph, found)

    def _invoke(self, stored: Sequence[Array]) -> list[Array]:
        aligned = -self._arena.ctypes.data % 16
        base = ctypes.c_void_p(int(self._arena.ctypes.data) + aligned)
        if self._stateful:
            self._library.model_reset(base)
        for place, array in enumerate(stored):
            data = np.ascontiguousarray(array).tobytes()
            ctypes.memmove(self._library.model_input(base, place), data, len(data))
        self._library.model_invoke(base)
        tensors = [self._graph.tensors[i] for i in self._graph.outputs]
        raw = [ctypes.string_at(self._library.model_output(base, i), t.size_bytes) for i, t in enumerate(tensors)]
        return [np.frombuffer(r, t.dtype.numpy).reshape(t.shape) for r, t in zip(raw, tensors, strict=True)]


class Device:
    """Firmware at a port: edgeq's own, or any that speaks the MLPerf Tiny API.

    Every answer is held against the reference. One that differs counts as the device's own: what is damaged on the way
    to or from edgeq's firmware is noticed by its checksum and sent again. Each sample starts from a cleared state, so
    that after an unplug the one that was cut off is done again, and the run goes on.

    Args:
        find: the port's name now, where it may come back under another one; None: it keeps its name.
        reconnect_s: how long to wait for a port that went away; 0, not at all.

    Raises:
        NegativeResult: the device runs another model, or gives another number of results.
        UnsupportedError: the model keeps a state, and the firmware isn't edgeq's.
        PortError, ProtocolError: it doesn't answer, or not as it should.
    """

    def __init__(
        self,
        port: str,
        baud: int,
        provenance: Literal["measured", "simulated"],
        title: str,
        model: tuple[bytes, Graph],
        manifest: Manifest,
        target: Target,
        timeout_s: float = INFERENCE_TIMEOUT_S,
        *,
        find: Callable[[], str] | None = None,
        reconnect_s: float = 0.0,
        listener: Listener = silent,
    ) -> None:
        self.provenance = provenance
        self._baud, self._inputs = baud, manifest.inputs
        self._graph, self._timeout, self._stateful = model[1], timeout_s, is_stateful(model[1])
        self._reference = ReferenceEngine(*model)
        self._samples = self._differing = 0
        self._link = Link(find or (lambda: port), baud, reconnect_s, None, listener)
        try:
            self._info = info = self._link.identify()
            if info is not None:
                check_model(info, manifest.model_sha256, manifest.model_name, target.name)
                self._link.keep(lambda session: session.faster(info))
                self._link.on_return(lambda session: session.faster(info))
            elif self._stateful:
                raise no_reset(port)
            self._form = info.input_form if info else form_of(self._link.keep(lambda session: session.model_name()))
            self.name = f"{title or self._link.session.device_name} at {port}"
        except BaseException:
            self._link.close()
            raise

    @property
    def compared(self) -> Compared | None:
        """See Engine."""
        return Compared(self._reference.name, self._samples, self._differing)

    @property
    def notices(self) -> tuple[str, ...]:
        """What a reader should know of the conversation."""
        said = []
        if self._info is None:
            said.append("this firmware has no edgeq command: its model could not be checked, and it prints its outputs")
        if self._link.reconnections:
            often = "once" if self._link.reconnections == 1 else f"{self._link.reconnections} times"
            said.append(f"the port went away and came back {often}; the sample that was cut off was done again")
        if self._link.repaired:
            times = self._link.repaired
            said.append(f"{times} times something was damaged on the line and sent again: look at the cable")
        return tuple(said)

    def __enter__(self) -> Device:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._link.__exit__(kind, value, trace)

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """See Engine."""
        stored = stored_inputs(self._graph, inputs)
        wanted = self._reference.run_stored(stored)
        data = on_the_wire(stored, self._inputs, self._form)
        self._samples += 1
        if self._info is None:
            return self._link.keep(lambda session: self._printed(session, data, real_outputs(self._graph, wanted)))
        expected = [np.ascontiguousarray(array).tobytes() for array in wanted]
        got = self._link.keep(lambda session: self._infer(session, data))
        self._differing += got != expected
        arrays = [np.frombuffer(raw, w.dtype).reshape(w.shape) for raw, w in zip(got, wanted, strict=True)]
        return real_outputs(self._graph, arrays)

    def _infer(self, session: Session, data: bytes) -> list[bytes]:
        session.load(data)
        for _ in range(ATTEMPTS if self._stateful else 1):
            if self._stateful:
                session.reset_state()
            repaired = session.repaired
            session.run(1, timeout_s=self._timeout)
            if session.repaired == repaired:  # else it may have run more often than it said
                break
        return [session.output(i, self._graph.tensors[t].size_bytes) for i, t in enumerate(self._graph.outputs)]

    def _printed(self, session: Session, data: bytes, wanted: list[Array]) -> list[Array]:
        """Standard firmware prints real values, with three digits behind the point at least."""
        session.load(data)
        results = np.array(session.infer(1, 0, timeout_s=self._timeout).results, np.float32)
        if results.size != wanted[0].size:
            raise NegativeResult(
                f"the device prints {results.size} results, the model's first output has {wanted[0].size} values",
                where=self.name,
                next_step="another model is on the device: flash this one, or edgeq's firmware",
            )
        first = results.reshape(wanted[0].shape)
        self._differing += not bool(np.all(np.abs(first - wanted[0]) <= 1e-3))
        return [first, *wanted[1:]]
