"""FitReport: whether a model runs on a target, and if not, why and what would help."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from edgeq.check.estimate import NOT_ASKED, Estimate, Unknown
from edgeq.errors import NegativeResult
from edgeq.kernels import Objective, Violation
from edgeq.memory import MemoryPlan
from edgeq.target import MemoryUse, Target


@dataclass(frozen=True)
class OpVerdict:
    """One operator on this target.

    Attributes:
        index: its place in the execution order.
        op: its kind, or a custom operator's name.
        name, short_name: of its first output.
        kernel: the C function that serves it; "" when it needs none (RESHAPE) or there is none.
        violations: the rules that it breaks; () when it is supported.
        tolerance: "" when bit-exact, else how far it may be off, in words.
        weights_bytes, parameter_bytes: its constants in flash.
        why: this kernel and not the first that could serve; "" where it is the first.
    """

    index: int
    op: str
    name: str
    short_name: str
    kernel: str
    violations: tuple[Violation, ...] = ()
    macs: int = 0
    weights_bytes: int = 0
    parameter_bytes: int = 0
    tolerance: str = ""
    why: str = ""

    @property
    def supported(self) -> bool:
        """Whether a kernel serves it."""
        return not self.violations

    @property
    def label(self) -> str:
        """`CONV_2D #7 (short name)`."""
        return f"{self.op} #{self.index}" + (f" ({self.short_name})" if self.short_name else "")


@dataclass(frozen=True)
class Part:
    """Something that takes memory.

    Attributes:
        use: what it is to the linker; it decides the region.
        estimated: False when the figure is what the build will have, to the byte.
        source: where the figure comes from.
    """

    name: str
    use: MemoryUse
    size_bytes: int
    estimated: bool
    source: str


@dataclass(frozen=True)
class Budget:
    """What one memory of the target has and what is asked of it."""

    memory: str
    kind: Literal["ram", "flash"]
    available_bytes: int
    parts: tuple[Part, ...]

    @property
    def used_bytes(self) -> int:
        """The sum of the parts."""
        return sum(p.size_bytes for p in self.parts)

    @property
    def headroom_bytes(self) -> int:
        """What is left; negative when it doesn't fit."""
        return self.available_bytes - self.used_bytes

    @property
    def headroom_percent(self) -> float:
        """What is left, of what there is; negative when it doesn't fit."""
        if not self.available_bytes:
            return -100.0 if self.used_bytes else 0.0
        return 100.0 * self.headroom_bytes / self.available_bytes

    @property
    def fits(self) -> bool:
        """Whether there is enough."""
        return self.headroom_bytes >= 0

    @property
    def estimated(self) -> bool:
        """Whether one of its parts is."""
        return any(p.estimated for p in self.parts)


def place(target: Target, parts: Sequence[Part]) -> tuple[Budget, ...]:
    """One budget per memory in use: each part in the one region where the linker script puts it.

    A part is never split: an arena larger than the largest region doesn't fit, however much RAM there is in all.
    """
    found = []
    for memory in target.memory:
        here = tuple(p for p in parts if target.region_for(p.use).name == memory.name)
        if here:
            found.append(Budget(memory.name, memory.kind, memory.size_bytes, here))
    return tuple(found)


@dataclass(frozen=True)
class LiveBuffer:
    """One buffer that is in use at the peak."""

    label: str
    role: Literal["input", "output", "scratch", "kept"]
    size_bytes: int


@dataclass(frozen=True)
class Peak:
    """The operator at which most of the arena is in use.

    Attributes:
        op_index: -1 when it is the model's inputs before the first operator.
        live: what is in use then; "kept" is a tensor for a later operator (a skip connection).
        live_bytes: in all; a buffer and the one it is overwritten by in place count once.
    """

    op_index: int
    label: str
    live: tuple[LiveBuffer, ...]
    live_bytes: int


@dataclass(frozen=True)
class FitReport:
    """The answer of `check`.

    Attributes:
        operators: one verdict per operator, in order.
        findings: rules that the model as a whole breaks (a float model, an open dimension).
        budgets: each memory that the firmware would use.
        plan: the arena; None when it can't be planned.
        advice: what would make memory suffice, one sentence each; () when it does, or when findings stand first.
        notices: what was accepted though not quite right.
        latency: estimated before anything is built, where that can be.
        objective: what the kernels are chosen for.
        choices: what was weighed for that; see `edgeq.kernels.Selection.notes`.
    """

    model: str
    model_sha256: str
    target: str
    operators: tuple[OpVerdict, ...]
    findings: tuple[Violation, ...]
    budgets: tuple[Budget, ...]
    plan: MemoryPlan | None
    peak: Peak | None
    advice: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    latency: Estimate | Unknown = NOT_ASKED
    objective: Objective = Objective.BALANCED
    choices: tuple[str, ...] = ()

    @property
    def supported(self) -> bool:
        """Whether the model and each of its operators keep all rules."""
        return not self.findings and all(op.supported for op in self.operators)

    @property
    def fits(self) -> bool:
        """Whether it is supported and there is enough of every memory."""
        return self.supported and all(b.fits for b in self.budgets)

    @property
    def macs(self) -> int:
        """Multiply-accumulates per inference, of the supported operators."""
        return sum(op.macs for op in self.operators)

    @property
    def ram(self) -> Budget:
        """All RAM in use as one. It may fit as one and still not region by region; `fits` knows."""
        return self._all("ram")

    @property
    def flash(self) -> Budget:
        """All flash in use as one."""
        return self._all("flash")

    def _all(self, kind: Literal["ram", "flash"]) -> Budget:
        chosen = [b for b in self.budgets if b.kind == kind]
        parts = tuple(p for b in chosen for p in b.parts)
        return Budget("+".join(b.memory for b in chosen), kind, sum(b.available_bytes for b in chosen), parts)

    def to_json(self) -> dict[str, object]:
        """The same for programs; numbers that are estimated say so."""
        plan = self.plan
        return {
            "model": {"path": self.model, "sha256": self.model_sha256, "macs": self.macs},
            "target": self.target,
            "fits": self.fits,
            "supported": self.supported,
            "optimize": self.objective.value,
            "choices": list(self.choices),
            "findings": [_violation(v) for v in self.findings],
            "operators": [
                {
                    "index": op.index,
                    "op": op.op,
                    "name": op.name,
                    "kernel": op.kernel,
                    "why": op.why,
                    "supported": op.supported,
                    "macs": op.macs,
                    "weights_bytes": op.weights_bytes,
                    "parameter_bytes": op.parameter_bytes,
                    "tolerance": op.tolerance,
                    "violations": [_violation(v) for v in op.violations],
                }
                for op in self.operators
            ],
            "memories": [_budget(b) for b in self.budgets],
            "ram": _budget(self.ram),
            "flash": _budget(self.flash),
            "arena": plan
            and {
                "arena_bytes": plan.arena_bytes,
                "lower_bound_bytes": plan.lower_bound_bytes,
                "alignment_bytes": plan.alignment,
                "order": plan.ordering and asdict(plan.ordering),
                "buffers": [asdict(b) for b in plan.buffers],
            },
            "peak": self.peak and asdict(self.peak),
            "latency": self.latency.to_json(),
            "advice": list(self.advice),
            "notices": list(self.notices),
        }


def _violation(violation: Violation) -> dict[str, object]:
    return {"rule": violation.rule, "message": violation.message, "facts": dict(violation.facts)}


def _budget(budget: Budget) -> dict[str, object]:
    return {
        "memory": budget.memory,
        "kind": budget.kind,
        "available_bytes": budget.available_bytes,
        "used_bytes": budget.used_bytes,
        "headroom_bytes": budget.headroom_bytes,
        "headroom_percent": round(budget.headroom_percent, 2),
        "fits": budget.fits,
        "estimated": budget.estimated,
        "parts": [
            {"name": p.name, "bytes": p.size_bytes, "estimated": p.estimated, "source": p.source} for p in budget.parts
        ],
    }


class DoesNotFit(NegativeResult):
    """A model was to be deployed to a target that it doesn't fit, or that doesn't support it.

    Args:
        report: says why, and what would help; its JSON is `facts["fit"]`.
        where: the model's file.
    """

    def __init__(self, report: FitReport, where: str = "") -> None:
        self.report = report
        super().__init__(
            f"{'does not fit' if report.supported else 'is not supported on'} {report.target}",
            where=where,
            next_step="the report of `edgeq check` tells why and what would make it fit",
            fit=report.to_json(),
        )
