"""What `judge` says about a model on a runtime."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

from edgeq.kernels import Violation
from edgeq.runtimes.tflm_arena import ArenaEstimate

Status = Literal["supported", "falls back", "refused"]


@dataclass(frozen=True)
class Verdict:
    """One operator on a runtime.

    Attributes:
        op: its name, a custom operator's own.
        name, short_name: of its first output.
        status: "falls back" when a delegate leaves it to the CPU kernels of the runtime that it belongs to.
        violation: the rule that decides, None when it is supported.
        note: what users should know all the same.
    """

    index: int
    op: str
    name: str
    short_name: str
    version: int
    status: Status
    violation: Violation | None = None
    note: str = ""


@dataclass(frozen=True)
class RuntimeReport:
    """A model on a runtime.

    Attributes:
        runtime: its name, as `--runtime` takes it.
        runtime_version, source: what the table was read from.
        falls_back_to: for a delegate, the title of the runtime that takes what it leaves.
        findings: what holds of the model as a whole, and decides.
        operators: one verdict each, in order.
        arena: tflm only, when no operator is refused.
        notices: what was accepted though not quite right.
    """

    model: str
    model_sha256: str
    runtime: str
    runtime_title: str
    runtime_version: str
    source: tuple[str, ...]
    falls_back_to: str
    findings: tuple[Violation, ...]
    operators: tuple[Verdict, ...]
    arena: ArenaEstimate | None = None
    notices: tuple[str, ...] = ()

    @property
    def runs(self) -> bool:
        """Whether the runtime takes the model, be it in part on the CPU."""
        return not self.findings and not self.refused

    @property
    def refused(self) -> tuple[Verdict, ...]:
        """The operators that it can't run."""
        return tuple(op for op in self.operators if op.status == "refused")

    @property
    def fallen_back(self) -> tuple[Verdict, ...]:
        """The operators that a delegate leaves to the CPU."""
        return tuple(op for op in self.operators if op.status == "falls back")

    @property
    def handovers(self) -> int:
        """How often an inference goes over from the delegate to the CPU or back: each costs a copy of tensors."""
        if not self.falls_back_to:
            return 0
        ran = [op.status for op in self.operators]
        return sum(a != b for a, b in itertools.pairwise(ran))

    def to_json(self) -> dict[str, object]:
        """The same for programs."""
        return {
            "model": {"path": self.model, "sha256": self.model_sha256},
            "runtime": {
                "name": self.runtime,
                "title": self.runtime_title,
                "version": self.runtime_version,
                "source": list(self.source),
                "falls_back_to": self.falls_back_to,
            },
            "runs": self.runs,
            "handovers": self.handovers,
            "findings": [_violation(v) for v in self.findings],
            "operators": [
                {
                    "index": op.index,
                    "op": op.op,
                    "name": op.name,
                    "version": op.version,
                    "status": op.status,
                    "violation": op.violation and _violation(op.violation),
                    "note": op.note,
                }
                for op in self.operators
            ],
            "arena": self.arena and self.arena.to_json(),
            "notices": list(self.notices),
        }


def _violation(violation: Violation) -> dict[str, object]:
    return {"rule": violation.rule, "message": violation.message, "facts": dict(violation.facts)}
