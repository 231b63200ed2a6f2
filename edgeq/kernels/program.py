"""A whole graph as kernels: the choice and the lowering of each operator, made once and handed on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from edgeq.errors import UnsupportedError
from edgeq.graph import Graph, Op
from edgeq.kernels import nested
from edgeq.kernels.contract import Constant, Kernel, Lowering
from edgeq.kernels.macs import total_macs
from edgeq.kernels.objective import Objective
from edgeq.kernels.table import choose, choose_for, rows_for
from edgeq.target import Core
from edgeq.tflite import graph_at


@dataclass(frozen=True)
class Pick:
    """A row that is taken in place of the first that could serve.

    Attributes:
        why: one line.
    """

    kernel: Kernel
    why: str


@dataclass(frozen=True)
class Selection:
    """Which operators of a graph get another row than the first, and what that is for.

    Attributes:
        picks: operator index → its row; the others keep the first.
        notes: what was weighed against what, in figures, and what couldn't be; one sentence each.
    """

    objective: Objective = Objective.BALANCED
    picks: Mapping[int, Pick] = field(default_factory=lambda: MappingProxyType({}))
    notes: tuple[str, ...] = ()


FIRST_ROWS = Selection()


@dataclass(frozen=True)
class Step:
    """One operator with the kernel that serves it.

    Attributes:
        why: this kernel and not the first that could serve; "" where it is the first.
        inside: of operators that run together in stripes (`memory.stripes`), each as it would run alone.
    """

    op: Op
    kernel: Kernel
    lowering: Lowering
    why: str = ""
    inside: tuple[Step, ...] = ()

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        """The rows of the table that it takes."""
        return tuple(step.kernel for step in self.inside) or (self.kernel,)


@dataclass(frozen=True)
class Program:
    """A graph lowered for a core.

    Attributes:
        graph: as it is computed: what was superfluous in the model is gone already.
        steps: one per operator, in order.
        model_macs: multiply-accumulates of the model as its file has it; fewer may be left to compute.
        lower: bits → the same program at a lower precision, of a model that has some: steps that don't differ are
            the same objects, those that do have weights in common, and all fit the same memory plan.
        objective: what its kernels were chosen for.
        notes: of the choice; see `Selection`.
    """

    graph: Graph
    core: str
    steps: tuple[Step, ...]
    model_macs: int
    lower: Mapping[int, Program] = field(default_factory=lambda: MappingProxyType({}))
    objective: Objective = Objective.BALANCED
    notes: tuple[str, ...] = ()

    @property
    def precisions(self) -> tuple[int, ...]:
        """Bits of the weights that an inference can use, falling; () for a model that has one precision."""
        return (8, *self.lower) if self.lower else ()

    @property
    def lowerings(self) -> tuple[Lowering, ...]:
        """The lowerings alone, in order; of several precisions, with what suits all of them."""
        alike = zip(*(program.steps for program in (self, *self.lower.values())), strict=True)
        return tuple(_common([step.lowering for step in steps]) for steps in alike)

    @property
    def macs(self) -> int:
        """Multiply-accumulates that an inference computes."""
        return sum(step.lowering.macs for step in self.steps)

    @property
    def sources(self) -> tuple[str, ...]:
        """The kernel files that it calls, each once, sorted."""
        every = (self, *self.lower.values())
        return tuple(sorted({s for program in every for step in program.steps for s in step.kernel.sources}))

    def constants(self, place: int) -> tuple[Constant, ...]:
        """The constants of the step at `place`, at all precisions: each once."""
        found: dict[tuple[str, str, bytes], Constant] = {}
        for program in (self, *self.lower.values()):
            for constant in program.steps[place].lowering.constants:
                found.setdefault((constant.c_type, constant.section, constant.data), constant)
        return tuple(found.values())

    def constant_bytes(self, section: str) -> int:
        """Bytes of constants in one section ("weights" or "parameters")."""
        return sum(
            len(c.data) for place in range(len(self.steps)) for c in self.constants(place) if c.section == section
        )


def _common(lowerings: Sequence[Lowering]) -> Lowering:
    """The first, asking as much of memory as any of them."""
    first, *others = lowerings
    if all(other is first for other in others):
        return first
    shared = set(first.overlap).intersection(*(other.overlap for other in others))
    return replace(
        first,
        scratch_bytes=max(each.scratch_bytes for each in lowerings),
        overlap=MappingProxyType({p: max(each.overlap[p] for each in lowerings) for p in sorted(shared)}),
    )


def lower(graph: Graph, core: Core, model_macs: int | None = None, selection: Selection = FIRST_ROWS) -> Program:
    """Choose a kernel for each operator and lower it.

    Args:
        model_macs: of the model that the graph was made from; the graph's own without.
        selection: of rows that `candidates` names.

    Raises:
        UnsupportedError: operators without a kernel; the message names each with the rule that it breaks.
    """
    steps: list[Step] = []
    refused: list[str] = []
    plain, inside = _needing_plain(graph, core), _with_precisions(graph)
    for op in graph.ops:
        pick = selection.picks.get(op.index)
        if pick is not None:
            steps.append(Step(op, pick.kernel, pick.kernel.lower(graph, op), pick.why))
            continue
        choice = choose_for(graph, op, _isa(op, core, plain, inside))
        if choice.kernel is None:
            refused.append(f"{graph.label(op)}: {'; '.join(v.message for v in choice.violations)}")
        else:
            steps.append(Step(op, choice.kernel, choice.kernel.lower(graph, op)))
    if refused:
        more = f"\n  … and {len(refused) - 8} more" if len(refused) > 8 else ""
        raise UnsupportedError(
            f"{len(refused)} of {len(graph.ops)} operators can't run on {core.title}:\n  "
            + "\n  ".join(refused[:8])
            + more,
            where=graph.source or graph.name,
            next_step="`edgeq check` lists all of them with what to do",
            operators=refused,
        )
    macs = total_macs(graph) if model_macs is None else model_macs
    lower_precisions = _lower_precisions(graph, core, tuple(steps), macs)
    return Program(graph, core.name, tuple(steps), macs, lower_precisions, selection.objective, selection.notes)


def candidates(graph: Graph, core: Core) -> tuple[tuple[Kernel, ...], ...]:
    """For each operator the rows among which there is a choice, the first being the one that `lower` takes.

    () where none can serve. Layers with several precisions have no choice: their kernels share weights.
    """
    plain, inside = _needing_plain(graph, core), _with_precisions(graph)
    found: list[tuple[Kernel, ...]] = []
    for op in graph.ops:
        if op.index in inside or op.index in plain:
            kernel = choose_for(graph, op, _isa(op, core, plain, inside)).kernel
            found.append((kernel,) if kernel is not None else ())
        else:
            found.append(rows_for(graph, op, core.isa))
    return tuple(found)


def _isa(op: Op, core: Core, plain: frozenset[int], inside: frozenset[int]) -> tuple[str, ...]:
    """The features that an operator's kernel may use."""
    if op.index in plain:
        return ()
    return tuple(f for f in core.isa if f != "mve") if op.index in inside else core.isa


def _with_precisions(graph: Graph) -> frozenset[int]:
    """Operators whose weights hold several precisions, which the kernels for Helium don't unpack."""
    layers = {layer.weights for layer in graph.nested.layers} if graph.nested else set()
    return frozenset(op.index for op in graph.ops if not layers.isdisjoint(op.inputs))


def _needing_plain(graph: Graph, core: Core) -> frozenset[int]:
    """Operators with several precisions, not all of which the core's special kernels compute exactly."""
    if graph.nested is None or not {"dsp", "armv6-m"} & set(core.isa):
        return frozenset()
    if "dsp" not in core.isa:
        layers = {layer.weights for layer in graph.nested.layers}
        return frozenset(op.index for op in graph.ops if not layers.isdisjoint(op.inputs))
    bits = graph.nested.precisions[1:]
    graphs = tuple(graph_at(graph, b) for b in bits)
    return frozenset(
        op.index
        for layer in graph.nested.layers
        for op in graph.ops
        if layer.weights in op.inputs and choose(graph, op, core).kernel and not nested.fits(graphs, bits, layer)
    )


def _lower_precisions(graph: Graph, core: Core, steps: tuple[Step, ...], macs: int) -> Mapping[int, Program]:
    if graph.nested is None:
        return MappingProxyType({})
    inside = {layer.weights for layer in graph.nested.layers}
    made: dict[int, Program] = {}
    for bits in graph.nested.precisions[1:]:
        lower = graph_at(graph, bits)
        at = []
        for step in steps:
            if inside.isdisjoint(step.op.inputs):
                at.append(step)
                continue
            _require_kernel(lower, step.op, bits)
            kernel, lowering = nested.lower_at(lower, step.op, step.kernel, step.lowering, bits)
            at.append(Step(step.op, kernel, lowering))
        made[bits] = Program(lower, core.name, tuple(at), macs)
    return MappingProxyType(made)


def _require_kernel(graph: Graph, op: Op, bits: int) -> None:
    """Scales come from a file, at each precision its own."""
    choice = choose_for(graph, op, ())
    if choice.kernel is None:
        raise UnsupportedError(
            f"{graph.label(op)} at {bits} bits: {'; '.join(v.message for v in choice.violations)}",
            where=graph.source or graph.name,
            next_step="convert the model again with --nested",
        )
