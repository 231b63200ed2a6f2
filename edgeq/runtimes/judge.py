"""A graph against a runtime's table: each operator supported, left to the CPU or refused, and the rule for it."""

from __future__ import annotations

from dataclasses import dataclass

from edgeq.errors import UsageError
from edgeq.graph import Graph, Op
from edgeq.kernels import Violation, choose_for
from edgeq.kernels.contract import Facts, describe
from edgeq.runtimes import rules
from edgeq.runtimes.table import EDGEQ, Operator, Runtime, load
from edgeq.runtimes.tflm_arena import estimate, unplanned
from edgeq.runtimes.tflm_scratch import Isa
from edgeq.runtimes.verdict import RuntimeReport, Status, Verdict

TFLM = "tflm"


def judge(graph: Graph, runtime: str | Runtime, *, kernels: str = "", isa: Isa = "dsp") -> RuntimeReport:
    """What a runtime does with each operator of a model.

    Args:
        runtime: its name, or a table read from a file of one's own.
        kernels: of the runtime's kernel libraries (tflm: "cmsis-nn" or "reference"); "" for its first.
        isa: tflm with CMSIS-NN: the core that it is built for, which decides scratch memory.

    Raises:
        UsageError: no such runtime, or no such kernels of it.
        TargetFileError: its table is not valid.
    """
    table = load(runtime) if isinstance(runtime, str) else runtime
    chosen = _kernels(table, kernels)
    base = load(table.falls_back_to) if table.falls_back_to else None
    one = _Judge(graph, table, base, chosen)
    operators = tuple(one.verdict(op) for op in graph.ops)
    findings = _findings(graph, table)
    runs = not findings and all(v.status != "refused" for v in operators)
    return RuntimeReport(
        model=graph.source or graph.name,
        model_sha256=graph.sha256,
        runtime=table.name,
        runtime_title=table.title,
        runtime_version=table.version,
        source=table.source,
        falls_back_to=base.title if base else "",
        findings=findings,
        operators=operators,
        arena=estimate(graph, table, chosen, isa) if table.name == TFLM and runs and not unplanned(graph) else None,
        notices=graph.notices,
    )


def _kernels(runtime: Runtime, asked: str) -> str:
    if not asked:
        return runtime.kernels[0] if runtime.kernels else ""
    if asked not in runtime.kernels:
        known = ", ".join(runtime.kernels)
        raise UsageError(
            f"{runtime.title} has no kernels '{asked}'",
            next_step=f"choose one of: {known}" if known else "leave --kernels out",
        )
    return asked


@dataclass(frozen=True)
class _Judge:
    graph: Graph
    runtime: Runtime
    base: Runtime | None
    kernels: str

    def verdict(self, op: Op) -> Verdict:
        if self.runtime.name == EDGEQ:
            violations = choose_for(self.graph, op, ()).violations
            return self._say(op, "refused" if violations else "supported", violations[0] if violations else None)
        if self.base is not None:
            refusal = self._broken(op, self.base)
            if refusal is not None:
                return self._say(op, "refused", refusal)
        found = self._broken(op, self.runtime)
        if found is not None:
            return self._say(op, "falls back" if self.base is not None else "refused", found)
        return self._say(op, "supported", None)

    def _broken(self, op: Op, runtime: Runtime) -> Violation | None:
        name = op.custom_name or op.kind
        row = runtime.find(name)
        if row is None:
            rule = rules.custom_operator_is_registered if op.custom_name else rules.operator_is_registered
            if runtime.falls_back_to:
                rule = rules.operator_is_delegated
            missing = rule(name, runtime)
            return Violation(rule.__name__, describe(rule, missing), missing)
        asked = rules.Question(self.graph, op, runtime, row, self.kernels)
        for general in (*rules.GENERAL, *_named(row, runtime)):
            facts = general(asked)
            if facts is not None:
                return Violation(general.__name__, describe(general, facts), facts)
        return None

    def _say(self, op: Op, status: Status, violation: Violation | None) -> Verdict:
        output = self.graph.output_of(op)
        name = op.custom_name or op.kind
        row = self.runtime.find(name) if status == "supported" else None
        note = row.note if row is not None else ""
        return Verdict(op.index, name, output.name, output.short_name, op.version, status, violation, note)


def _named(row: Operator, runtime: Runtime) -> tuple[rules.Rule, ...]:
    unknown = [name for name in row.rules if name not in rules.NAMED]
    if unknown:
        raise UsageError(
            f"{runtime.name}'s table names the rule '{unknown[0]}', which there isn't",
            where=row.name,
            next_step=f"rules: {', '.join(rules.NAMED)}",
        )
    return tuple(rules.NAMED[name] for name in row.rules)


def inputs_keep_their_shape(graph: Graph, runtime: Runtime) -> Facts | None:
    """Input '{tensor}' was exported with open dimensions {signature}; {runtime} takes the shape written beside them,
    {shape}, for good. Export the model with fixed shapes (only the batch, the first dimension, may be open)."""
    if runtime.resizes:
        return None
    for index in graph.inputs:
        tensor = graph.tensors[index]
        if -1 in tensor.shape_signature[1:]:
            facts = {"signature": list(tensor.shape_signature), "shape": list(tensor.shape)}
            return {"tensor": tensor.name, "runtime": runtime.title, **facts}
    return None


def _findings(graph: Graph, runtime: Runtime) -> tuple[Violation, ...]:
    facts = inputs_keep_their_shape(graph, runtime)
    if facts is None:
        return ()
    return (Violation(inputs_keep_their_shape.__name__, describe(inputs_keep_their_shape, facts), facts),)
