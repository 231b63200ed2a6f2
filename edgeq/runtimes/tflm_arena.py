"""The tensor arena that TensorFlow Lite Micro's MicroInterpreter needs for a model, on a 32-bit Arm.

Two stacks grow towards each other: the head, where activations and kernels' scratch are planned, and the tail of all
that stays. Reimplemented from tensorflow/lite/micro (micro_allocator.cc, micro_allocation_info.cc,
micro_interpreter.cc, arena_allocator/single_arena_buffer_allocator.cc) at the commit that
`targets/runtimes/tflm.toml` names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from edgeq.graph import DType, Graph, Op, Tensor
from edgeq.runtimes.table import Runtime
from edgeq.runtimes.tflm_planner import Lifetime, plan_bytes
from edgeq.runtimes.tflm_scratch import Asked, Isa, Requests, requests
from edgeq.units import align_up

ALIGNMENT = 16
"""MicroArenaBufferAlignment(): of the arena, of every tensor, and of what kernels ask for."""

# sizeof on a 32-bit Arm, 8-byte aligned int64, short enums (AAPCS).
_ALLOCATOR, _PLANNER, _MICRO_ALLOCATOR, _DATA_ALLOCATOR = 36, 44, 36, 8
_SUBGRAPH, _EVAL_TENSOR, _NODE, _HANDLE, _POINTER = 8, 12, 32, 4, 4
_TENSOR, _AFFINE, _INT = 32, 12, 4
_REQUEST, _REQUESTS_PER_OPERATOR, _ALLOCATION_INFO, _PLANNED = 12, 12, 24, 40

_LOOKED_AT_TWICE: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]] = MappingProxyType(
    {
        "CONV_2D": ((0, 1), (0,)),
        "DEPTHWISE_CONV_2D": ((0, 1), (0,)),
        "TRANSPOSE_CONV": ((1, 2), (0,)),
        "TANH": ((0,), ()),
    }
)
"""Inputs and outputs that a kernel's preparation takes up a second time before it lets go of the first."""


@dataclass(frozen=True)
class ArenaEstimate:
    """The arena that a model needs; every figure is an estimate.

    Attributes:
        head_bytes: activations and scratch, as the greedy planner places them.
        tail_bytes: what stays: tensor and operator tables, kernels' data, variables.
        needed_bytes: the smallest arena that AllocateTensors() succeeds with: head and tail, or more where planning
            itself takes more than the plan.
        scratch_bytes: the largest scratch of a single operator, part of the head.
        kernels: "cmsis-nn" or "reference".
        isa: what CMSIS-NN is built for; "" with reference kernels.
    """

    head_bytes: int
    tail_bytes: int
    needed_bytes: int
    scratch_bytes: int
    kernels: str
    isa: str

    @property
    def used_bytes(self) -> int:
        """What MicroInterpreter::arena_used_bytes() tells."""
        return self.head_bytes + self.tail_bytes

    def to_json(self) -> dict[str, object]:
        """The same for programs."""
        return {
            "needed_bytes": self.needed_bytes,
            "used_bytes": self.used_bytes,
            "head_bytes": self.head_bytes,
            "tail_bytes": self.tail_bytes,
            "scratch_bytes": self.scratch_bytes,
            "kernels": self.kernels,
            "isa": self.isa,
            "provenance": "estimated",
        }


UNPLANNED = ("CUSTOM", "IF", "WHILE", "CALL_ONCE", "VAR_HANDLE")
"""Operators whose memory isn't known from the graph: custom kernels', other subgraphs', resource variables'."""


def unplanned(graph: Graph) -> str:
    """The first operator that makes an estimate impossible, "" where there is none."""
    return next((graph.label(op) for op in graph.ops if op.kind in UNPLANNED), "")


def estimate(graph: Graph, runtime: Runtime, kernels: str = "cmsis-nn", isa: Isa = "dsp") -> ArenaEstimate:
    """The arena for a model all of whose operators `runtime` (tflm) has.

    Args:
        kernels: "cmsis-nn" or "reference".
        isa: of the core that CMSIS-NN is built for; ignored with reference kernels.
    """
    asked = [_requests(graph, op, runtime, kernels == "cmsis-nn", isa) for op in graph.ops]
    scratch = [(index, size) for index, made in enumerate(asked) for size in made.scratch]
    planned = _lifetimes(graph, scratch)
    head = plan_bytes(planned)
    preparing, before_planning, tail = _tail(graph, runtime, asked)
    bookkeeping = _ALLOCATION_INFO * (len(graph.tensors) + len(scratch)) + _POINTER
    requested = _REQUEST * (len(scratch) + _REQUESTS_PER_OPERATOR)
    planning = align_up(requested + bookkeeping, ALIGNMENT) + _PLANNED * len(planned)
    return ArenaEstimate(
        head_bytes=head,
        tail_bytes=tail,
        needed_bytes=align_up(max(head + tail, preparing, planning + align_up(before_planning, ALIGNMENT)), ALIGNMENT),
        scratch_bytes=max((sum(made.scratch) for made in asked), default=0),
        kernels=kernels,
        isa=isa if kernels == "cmsis-nn" else "",
    )


def _requests(graph: Graph, op: Op, runtime: Runtime, cmsis_nn: bool, isa: Isa) -> Requests:
    row = runtime.find(op.custom_name or op.kind)
    return requests(Asked(graph, op, row, cmsis_nn, isa)) if row is not None else Requests()


def _lifetimes(graph: Graph, scratch: Sequence[tuple[int, int]]) -> list[Lifetime]:
    """Tensors in the file's order, then scratch, as the planner is told of them."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}

    def used(index: int, scope: int) -> None:
        first.setdefault(index, scope)
        last[index] = scope

    for index in graph.inputs:
        used(index, 0)
    for scope, op in enumerate(graph.ops, 1):
        for index in (*op.outputs, *op.inputs):
            if index >= 0:
                used(index, scope)
    for index in graph.outputs:
        used(index, len(graph.ops))
    found = [
        Lifetime(align_up(bytes_of(t), ALIGNMENT), first.get(t.index, -1), last.get(t.index, -1))
        for t in graph.tensors
        if not t.is_constant and not t.is_variable and bytes_of(t) > 0
    ]
    return found + [Lifetime(align_up(size, ALIGNMENT), index + 1, index + 1) for index, size in scratch]


def bytes_of(tensor: Tensor) -> int:
    """As the allocator counts it: INT4 takes a byte per element outside the file."""
    return tensor.elements if tensor.dtype is DType.INT4 else tensor.size_bytes


def _tail(graph: Graph, runtime: Runtime, asked: Sequence[Requests]) -> tuple[int, int, int]:
    """The most that both take while operators are prepared; the tail when memory is planned, and in the end."""
    stack = _Stack()
    for size in (_ALLOCATOR, _PLANNER, _MICRO_ALLOCATOR, _DATA_ALLOCATOR, _SUBGRAPH):
        stack.push(size)
    stack.push(_EVAL_TENSOR * len(graph.tensors))
    stack.push(_NODE * len(graph.ops))
    for op in graph.ops:
        row = runtime.find(op.custom_name or op.kind)
        if row is not None and row.options_bytes:
            stack.push(row.options_bytes, row.options_align)
    for made in asked:  # every kernel's own data first, then what it prepares
        for size in made.persistent[:1]:
            stack.push(size, ALIGNMENT)
    count = preparing = 0
    for op, made in zip(graph.ops, asked, strict=True):
        for size in made.persistent[1:]:
            stack.push(size, ALIGNMENT)
        held = _REQUEST * (count + _REQUESTS_PER_OPERATOR) + _temporaries(graph, op)
        preparing = max(preparing, stack.depth + held)
        count += len(made.scratch)
    if count:
        stack.push(_HANDLE * count)
    for tensor in graph.tensors:
        if tensor.is_variable:
            stack.push(bytes_of(tensor), ALIGNMENT)
    planned = stack.depth
    for ends in (graph.inputs, graph.outputs):
        stack.push(_POINTER * len(ends), ALIGNMENT)
        for index in ends:
            stack.push(_TENSOR)
            quant = graph.tensors[index].quant
            if quant is not None:
                stack.push(_AFFINE)
                stack.push(_INT * (1 + quant.scale.size))
    return preparing, planned, stack.depth


def _temporaries(graph: Graph, op: Op) -> int:
    """What an operator's preparation puts on top of the head: its tensors as full structures."""
    inputs, outputs = _LOOKED_AT_TWICE.get(op.kind, ((), ()))
    again = (*(op.inputs[i] for i in inputs if i < len(op.inputs)), *(op.outputs[i] for i in outputs))
    held = 0
    for index in (*op.inputs, *op.outputs, *again):
        if index < 0:
            continue
        held += _TENSOR
        quant = graph.tensors[index].quant
        if quant is not None:
            held += _AFFINE + _INT * (1 + quant.scale.size)
    return held


class _Stack:
    """The tail: what is allocated lies below what was, at an address of the alignment asked for."""

    def __init__(self) -> None:
        self.depth = 0

    def push(self, size: int, alignment: int = 4) -> None:
        self.depth = align_up(self.depth + size, alignment)
