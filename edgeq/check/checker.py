"""A graph against a target: operators, types, RAM and flash."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgeq.check import advice
from edgeq.check.estimate import Estimate, LayerCounts, Unknown, estimate
from edgeq.check.fit import FitReport, OpVerdict, Part, Peak, place
from edgeq.check.model_rules import findings
from edgeq.errors import UnsupportedError, UsageError
from edgeq.graph import DType, Graph, Op
from edgeq.kernels import (
    FIRST_ROWS,
    KERNELS,
    Lowering,
    Objective,
    Program,
    Selection,
    Step,
    Violation,
    choose,
)
from edgeq.kernels.macs import macs, total_macs
from edgeq.memory import MemoryPlan, plan_in_order, reordered
from edgeq.optimize import Removal, remove_constant_channels
from edgeq.selection import Footprint, compile_model, footprint, select
from edgeq.selection.cost import counts
from edgeq.target import Core, Target
from edgeq.units import align_up

_CAPACITY_SOURCE = "planned; the build allocates exactly this"
_FIRMWARE_ONLY = ("input buffer", "stack", "runtime")
"""Parts that a program on a computer or phone doesn't have, or has from the system."""
KERNEL_FEATURES = frozenset(feature for kernel in KERNELS for feature in kernel.requires)
"""The core features that the choice of a kernel can depend on."""
_ALIGNMENTS = {"weights": 32, "parameters": 4}
"""Of each constant in model.c (firmware_templates/model/model.c.j2)."""
_FILE_SOURCE = "the model's constants as packed for its kernels"


@dataclass(frozen=True)
class _Lowered:
    """One operator with what its kernel asks; an empty lowering where it has none."""

    verdict: OpVerdict
    lowering: Lowering
    sources: tuple[str, ...]
    counts: LayerCounts | None = None

    def at(self, place: int) -> _Lowered:
        """The same as the operator that runs at that place."""
        counted = self.counts and replace(self.counts, index=place)
        return replace(self, verdict=replace(self.verdict, index=place), counts=counted)


def check(
    graph: Graph,
    target: Target,
    *,
    reserve_ram_bytes: int = 0,
    reserve_flash_bytes: int = 0,
    stack_bytes: int | None = None,
    objective: Objective = Objective.BALANCED,
) -> FitReport:
    """Whether a model runs on a target.

    Every operator is judged even when others fail, and memory even when operators do (then without the
    unsupported ones' scratch and constants, which is marked as estimated).

    Args:
        reserve_ram_bytes, reserve_flash_bytes: what the user's own firmware needs beside the model.
        stack_bytes: of the firmware; its default without.
        objective: what the build's kernels are chosen for.

    Raises:
        UsageError: a reserve or a stack below zero.
    """
    needs = _Needs.of(target, reserve_ram_bytes, reserve_flash_bytes, stack_bytes)
    model = _prepared(graph)
    prepared = model.lowered_for(target.core, objective)
    report = prepared.on(target, needs)
    more = advice.other_targets(target, [part for b in report.budgets for part in b.parts]) if report.advice else []
    return replace(report, advice=(*report.advice, *more))


def check_many(
    graph: Graph,
    many: Sequence[Target],
    *,
    reserve_ram_bytes: int = 0,
    reserve_flash_bytes: int = 0,
    objective: Objective = Objective.BALANCED,
) -> tuple[FitReport, ...]:
    """The same on many targets, in their order.

    A model is lowered and planned once for all cores that get the same kernels, not once per target. The advice
    doesn't name other targets: they are asked about already.

    Raises:
        UsageError: a reserve below zero.
    """
    model = _prepared(graph)
    lowered: dict[tuple[frozenset[str], str], _OnCore] = {}
    reports = []
    for target in many:
        # What kernels cost is known core by core; the first that can serve depends on features alone.
        costs = "" if objective is Objective.BALANCED else target.core.name
        key = KERNEL_FEATURES & frozenset(target.core.isa), costs
        if key not in lowered:
            lowered[key] = model.lowered_for(target.core, objective)
        needs = _Needs.of(target, reserve_ram_bytes, reserve_flash_bytes, None)
        reports.append(lowered[key].on(target, needs))
    return tuple(reports)


@dataclass(frozen=True)
class _Needs:
    """What firmware needs beside the model."""

    sizes: Footprint
    reserve_ram_bytes: int
    reserve_flash_bytes: int
    stack_bytes: int

    @classmethod
    def of(cls, target: Target, ram: int, flash: int, stack: int | None) -> _Needs:
        sizes = footprint(target)
        found = cls(sizes, ram, flash, sizes.stack_bytes if stack is None else stack)
        for name, value in (("ram", ram), ("flash", flash), ("stack", found.stack_bytes)):
            if value < 0:
                raise UsageError(f"{value} bytes can't be reserved", where=name, next_step="give 0 or more")
        return found


@dataclass(frozen=True)
class _Prepared:
    """A model before it is known what for.

    Attributes:
        model: it is judged by its own operators.
        removal: what the generated code computes instead.
    """

    model: Graph
    removal: Removal

    def lowered_for(self, core: Core, objective: Objective) -> _OnCore:
        computed = self.removal.graph
        selection = select(computed, core, objective)
        lowered = tuple(_lower(self.model, computed, op, core, selection) for op in computed.ops)
        if objective is Objective.RAM and all(v.verdict.supported for v in lowered) and computed.nested is None:
            striped = self._in_stripes(lowered, core)
            if striped is not None:
                return striped
        plan, problem = _plan(computed, [v.lowering for v in lowered])
        if plan is None or plan.ordering is None or plan.ordering.is_files:
            return self._on_core(lowered, plan, problem, selection)
        order = plan.ordering.order
        return self.in_order(order)._on_core(
            tuple(lowered[old].at(new) for new, old in enumerate(order)), plan, problem, selection
        )

    def _in_stripes(self, lowered: tuple[_Lowered, ...], core: Core) -> _OnCore | None:
        """With operators that run together in stripes; None where none do, or memory can't be planned."""
        try:
            made = compile_model(self.model, core, Objective.RAM)
        except UnsupportedError:
            return None
        if not any(step.inside for step in made.program.steps):
            return None
        running = [inside.op for step in made.program.steps for inside in (step.inside or (step,))]
        places = {op.outputs: op.index for op in self.model.ops}
        order = [places[op.outputs] for op in running]
        found = tuple(lowered[old].at(new) for new, old in enumerate(order))
        notes = (*made.program.notes, *(step.why for step in made.program.steps if step.inside))
        on_core = self.in_order(order)._on_core(found, made.plan, None, Selection(Objective.RAM, notes=notes))
        return replace(on_core, striped=made.program, peak=advice.peak(made.program.graph, made.plan))

    def in_order(self, order: Sequence[int]) -> _Prepared:
        """The same with operators in another order."""
        removal = replace(self.removal, graph=reordered(self.removal.graph, order))
        return _Prepared(reordered(self.model, order), removal)

    def _on_core(
        self,
        lowered: tuple[_Lowered, ...],
        plan: MemoryPlan | None,
        problem: Violation | None,
        selection: Selection,
    ) -> _OnCore:
        computed = self.removal.graph
        refused = frozenset(v.verdict.index for v in lowered if not v.verdict.supported)
        operators = tuple(v.verdict for v in lowered)
        if problem is not None:
            operators = tuple(
                replace(op, violations=(*op.violations, problem)) if op.index == problem.facts["op_index"] else op
                for op in operators
            )
        peak = advice.peak(computed, plan) if plan is not None else None
        found = findings(self.model, refused)
        complete = plan is not None and not refused
        return _OnCore(self, lowered, operators, found, plan, peak, complete, selection)


@dataclass(frozen=True)
class _OnCore:
    """A model with a core's kernels: all that targets of that core share.

    Attributes:
        striped: what is built, where operators run in stripes; their verdicts are of each alone.
    """

    prepared: _Prepared
    lowered: tuple[_Lowered, ...]
    operators: tuple[OpVerdict, ...]
    findings: tuple[Violation, ...]
    plan: MemoryPlan | None
    peak: Peak | None
    complete: bool
    selection: Selection = FIRST_ROWS
    striped: Program | None = None

    def on(self, target: Target, needs: _Needs) -> FitReport:
        graph, computed = self.prepared.model, self.prepared.removal.graph
        asked = [(v.lowering, v.sources) for v in self.lowered]
        if self.striped is not None:
            computed = self.striped.graph
            asked = [(step.lowering, step.kernel.sources) for step in self.striped.steps]
        parts = (
            *_ram_parts(computed, self.plan, needs, self.complete),
            *_flash_parts(asked, needs, self.complete),
        )
        if target.kind != "microcontroller":
            parts = tuple(p for p in parts if p.name not in _FIRMWARE_ONLY)
        report = FitReport(
            model=graph.source or graph.name,
            model_sha256=graph.sha256,
            target=target.name,
            operators=self.operators,
            findings=self.findings,
            budgets=place(target, parts),
            plan=self.plan,
            peak=self.peak,
            notices=(*graph.notices, *_in_float(graph), *_removed(graph, self.prepared.removal), *_moved(self.plan)),
        )
        report = replace(report, objective=self.selection.objective, choices=self.selection.notes)
        layers = [v.counts for v in self._in_calls() if v.counts is not None]
        latency = (
            estimate(layers, target, report.ram.used_bytes)
            if report.supported
            else Unknown("the model isn't supported")
        )
        price = self._price(latency, target, report.ram.used_bytes)
        report = replace(report, choices=(*report.choices, *price))
        return replace(report, advice=_advice(computed, target, report), latency=latency)

    def _in_calls(self) -> tuple[_Lowered, ...]:
        """The operators, those in stripes with what their calls cost."""
        if self.striped is None:
            return self.lowered
        calls = [each for step in self.striped.steps for each in _calls(step)]
        return tuple(_called(v, *each) for v, each in zip(self.lowered, calls, strict=True))

    def _price(self, latency: Estimate | Unknown, target: Target, ram_bytes: int) -> tuple[str, ...]:
        """What stripes cost, where it can be estimated."""
        layers = [v.counts for v in self.lowered if v.counts is not None]
        without = estimate(layers, target, ram_bytes)
        if self.striped is None or isinstance(latency, Unknown) or isinstance(without, Unknown):
            return ()
        more = latency.cycles - without.cycles
        return (
            f"stripes take about {more:,} cycles more ({more / without.cycles:.1%}, estimated); "
            "`edgeq profile --sim` counts them",
        )


def _calls(step: Step) -> list[tuple[int, float]]:
    """How often each operator of a step is called, and reads its input, in an inference."""
    calls, read = step.op.options.get("calls"), step.op.options.get("read")
    if step.inside and isinstance(calls, tuple) and isinstance(read, tuple):
        return list(zip(calls, read, strict=True))
    return [(1, 1.0)]


def _called(lowered: _Lowered, calls: int, read: float) -> _Lowered:
    """An operator that is called so often for a part of its rows each."""
    if lowered.counts is None or calls == 1:
        return lowered
    factors = {"calls": calls, "channels": calls, "inputs": read}
    counted = {name: each * factors.get(name, 1) for name, each in lowered.counts.counted.items()}
    return replace(lowered, counts=replace(lowered.counts, counted=counted))


def _prepared(graph: Graph) -> _Prepared:
    # As `optimize.computed` has it: a channel that never changes at one precision may at another.
    return _Prepared(graph, Removal(graph, {}) if graph.nested is not None else remove_constant_channels(graph))


def after_build(report: FitReport, *, flash_bytes: int, weights_bytes: int, ram_bytes: int) -> FitReport:
    """The report with a build's exact sizes in place of its estimates.

    Args:
        flash_bytes, weights_bytes, ram_bytes: as edgeq.toolchains.firmware.Usage has them.
    """
    source = "the built firmware's ELF file"

    def corrected(part: Part, all_parts: Sequence[Part]) -> Part:
        fixed = sum(p.size_bytes for p in all_parts if p.use == "arena" or p.use == "stack" or p.name == "input buffer")
        exact = {
            "weights": weights_bytes,
            "code": flash_bytes - weights_bytes - sum(p.size_bytes for p in all_parts if p.name == "parameters"),
            "runtime": ram_bytes - fixed,
        }
        if part.name not in exact:
            return part
        return replace(part, size_bytes=exact[part.name], estimated=False, source=source)

    everything = [p for b in report.budgets for p in b.parts]
    budgets = tuple(replace(b, parts=tuple(corrected(p, everything) for p in b.parts)) for b in report.budgets)
    return replace(report, budgets=budgets)


def _lower(model: Graph, graph: Graph, op: Op, core: Core, selection: Selection) -> _Lowered:
    name, short = graph.output_of(op).name, graph.output_of(op).short_name
    kind = op.custom_name or op.kind
    pick = selection.picks.get(op.index)
    kernel = pick.kernel if pick is not None else None
    if kernel is None:
        choice = choose(graph, op, core)
        kernel = choice.kernel
    if kernel is None:
        return _Lowered(OpVerdict(op.index, kind, name, short, "", choice.violations), Lowering(), ())
    lowering = kernel.lower(graph, op)
    sizes = {
        section: sum(len(c.data) for c in lowering.constants if c.section == section)
        for section in ("weights", "parameters")
    }
    verdict = OpVerdict(
        index=op.index,
        op=kind,
        name=name,
        short_name=short,
        kernel=kernel.symbol,
        macs=macs(model, model.ops[op.index]),
        weights_bytes=sizes["weights"],
        parameter_bytes=sizes["parameters"],
        tolerance=kernel.exact,
        why=pick.why if pick is not None else "",
    )
    layer = LayerCounts(op.index, kernel.symbol, counts(graph, op, lowering.macs))
    return _Lowered(verdict, lowering, kernel.sources, layer)


def _plan(graph: Graph, lowerings: Sequence[Lowering]) -> tuple[MemoryPlan | None, Violation | None]:
    try:
        return plan_in_order(graph, lowerings), None
    except UnsupportedError as refused:
        return None, Violation("memory_can_be_planned", refused.what, refused.facts)


def _ram_parts(graph: Graph, plan: MemoryPlan | None, needs: _Needs, complete: bool) -> tuple[Part, ...]:
    received = sum(graph.tensors[i].size_bytes for i in graph.inputs)
    arena = plan.arena_bytes if plan else 0
    layers = len(graph.ops)
    return (
        Part("arena", "arena", arena, not complete, _CAPACITY_SOURCE),
        Part("input buffer", "data", align_up(received, 4), False, "the wire protocol keeps a copy of the inputs"),
        Part("stack", "stack", align_up(needs.stack_bytes, 8), False, "reserved by the linker script"),
        Part("runtime", "data", needs.sizes.ram_bytes(layers), True, needs.sizes.source),
        Part("reserve", "data", needs.reserve_ram_bytes, False, "asked for"),
    )


def _flash_parts(asked: Sequence[tuple[Lowering, tuple[str, ...]]], needs: _Needs, complete: bool) -> tuple[Part, ...]:
    weights, parameters = (
        sum(
            align_up(len(c.data), alignment)
            for lowering, _ in asked
            for c in lowering.constants
            if c.section == section
        )
        for section, alignment in _ALIGNMENTS.items()
    )
    sources = [source for _, own in asked for source in own]
    calls = sum(len(lowering.calls) if lowering.repeats else 1 for lowering, _ in asked)
    return (
        Part("weights", "weights", weights, not complete, _FILE_SOURCE),
        Part("parameters", "code", parameters, not complete, _FILE_SOURCE),
        Part("code", "code", needs.sizes.code_bytes(calls, sources), True, needs.sizes.source),
        Part("reserve", "code", needs.reserve_flash_bytes, False, "asked for"),
    )


_CONVERSIONS = ("QUANTIZE", "DEQUANTIZE", "CAST")


def _in_float(graph: Graph) -> tuple[str, ...]:
    """What computes in float says so: it runs, and is slow."""
    floats = [op for op in graph.ops if op.outputs and graph.output_of(op).dtype is DType.FLOAT32]
    floats = [op for op in floats if op.kind not in _CONVERSIONS]
    if not floats:
        return ()
    names = ", ".join(graph.label(op) for op in floats[:3]) + (", …" if len(floats) > 3 else "")
    return (
        f"{len(floats)} of {len(graph.ops)} operators compute in float, in portable C, which is slow: {names}; "
        "`edgeq convert` makes an int8 model of a float one",
    )


def _removed(graph: Graph, removal: Removal) -> tuple[str, ...]:
    if not removal.channels:
        return ()
    whole, left = total_macs(graph), total_macs(removal.graph)
    return (
        f"{whole - left:,} of {whole:,} MACs ({100 * (whole - left) / whole:.0f} %) compute channels that provably "
        "never change: they are folded into biases, bit for bit the same",
    )


def _moved(plan: MemoryPlan | None) -> tuple[str, ...]:
    """That operators run in another order than the file's, by whose numbers others may look for them."""
    if plan is None or plan.ordering is None or plan.ordering.is_files:
        return ()
    at_least = plan.ordering.file_peak_bytes
    return (
        f"operators run, and are numbered, in another order than the file's, in which the arena would take at least "
        f"{at_least:,} B instead of {plan.arena_bytes:,} B",
    )


def _advice(graph: Graph, target: Target, report: FitReport) -> tuple[str, ...]:
    if report.findings:
        return ()  # the findings say what to do first, and the sizes will change with it
    lines: list[str] = []
    for budget in report.budgets:
        if not budget.fits and budget.kind == "ram" and report.plan is not None and report.peak is not None:
            lines += advice.ram_advice(graph, report.plan, report.peak, budget)
        elif not budget.fits and budget.kind == "flash":
            lines += advice.flash_advice(report.operators, budget)
        if not budget.fits:
            lines += advice.set_up_by_hand(target, budget)
    return tuple(lines)
