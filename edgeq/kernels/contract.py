"""What a row of the kernel table says, and what a kernel makes of one operator.

A rule is a function with a docstring. The docstring is its documentation and, filled in with the facts
that the function returns, the message a user reads: there is no second text that could drift.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from edgeq.graph import Graph, Op

Facts = Mapping[str, object]
NO_OVERLAP: Mapping[int, int] = MappingProxyType({})
Rule = Callable[[Graph, Op], Facts | None]
"""None when the operator keeps the rule; else the facts that fill its docstring."""


@dataclass(frozen=True)
class Violation:
    """A rule that an operator breaks.

    Attributes:
        rule: the function's name, a stable identifier.
        message: the rule's docstring with the facts filled in.
    """

    rule: str
    message: str
    facts: Facts


@dataclass(frozen=True)
class Constant:
    """Bytes that the generated code holds in flash for one operator.

    Attributes:
        name: suffix of the C symbol ("weights", "bias").
        c_type: element type in C.
        data: little-endian contents.
        section: "weights" counts as the model's weights; "parameters" as its other constants.
    """

    name: str
    c_type: Literal["int8_t", "uint8_t", "int16_t", "uint16_t", "int32_t", "uint32_t", "int64_t", "float"]
    data: bytes
    section: Literal["weights", "parameters"] = "weights"


@dataclass(frozen=True)
class Call:
    """One call of a kernel's C function.

    Attributes:
        arguments: C expressions. `{in0}`, `{out0}`, `{scratch}` stand for pointers into the arena (typed
            `const void *` and `void *`), `{const:NAME}` for a constant of the lowering.
        struct: C type of the parameter struct, passed by address as the first argument.
        fields: the struct's members as C expressions (the same placeholders for constants).
            A pointer may go on from there: `{scratch+64}` by bytes, `{in0+96+288*round}` in a `Repeat`.
        symbol: another function than the row's, where one operator takes several.
    """

    arguments: tuple[str, ...]
    struct: str
    fields: Mapping[str, str]
    symbol: str = ""


@dataclass(frozen=True)
class Repeat:
    """Calls in a row that are made several times over; `round` in their arguments counts from 0.

    Attributes:
        first, end: places in `Lowering.calls`, from the first to behind the last.
    """

    first: int
    end: int
    times: int


@dataclass(frozen=True)
class Lowering:
    """One operator as calls of its kernel.

    Attributes:
        scratch_bytes: arena bytes needed only while the kernel runs.
        overlap: how far an input may lie over the (first) output: input position → distance in bytes, D. The kernel
            computes the same wherever that input begins D *or more* bytes behind the output's first byte (D < 0: up
            to -D bytes before it). It walks forward: before it writes the output's byte n, it has read the input
            below byte n + 1 - D for the last time. 0: in place. It may do so with several inputs at once; an input
            that it reads at several positions takes the largest D. Positions that aren't named share no byte with
            the output; further outputs and scratch share none with any input. `kernels.overlaps` derives D from
            geometry.
        exactly: the input must begin exactly D bytes behind the output's first byte, or share none: a kernel that goes
            through the tensors once for each few channels meets what it has read at that distance alone.
        alias: the output is the first input's memory, unchanged: no call at all.
        macs: multiply-accumulates, as the field counts them (padding included).
        repeats: which of the calls are made several times, in their order; no two share a call.
    """

    calls: tuple[Call, ...] = ()
    constants: tuple[Constant, ...] = ()
    scratch_bytes: int = 0
    overlap: Mapping[int, int] = field(default_factory=lambda: NO_OVERLAP)
    exactly: bool = False
    alias: bool = False
    macs: int = 0
    repeats: tuple[Repeat, ...] = ()

    @classmethod
    def of_call(
        cls,
        arguments: tuple[str, ...],
        struct: str,
        fields: Mapping[str, str],
        *,
        constants: tuple[Constant, ...] = (),
        scratch_bytes: int = 0,
        overlap: Mapping[int, int] = NO_OVERLAP,
        exactly: bool = False,
        macs: int = 0,
        symbol: str = "",
    ) -> Lowering:
        """The usual case: a single call."""
        call = Call(arguments, struct, MappingProxyType(dict(fields)), symbol)
        return cls((call,), constants, scratch_bytes, MappingProxyType(dict(overlap)), exactly, macs=macs)


@dataclass(frozen=True)
class Kernel:
    """One row of the table.

    Attributes:
        symbol: the C function.
        op: the operator it serves, by its TensorFlow Lite name.
        types: what it computes with, for people ("int8").
        max_version: the newest operator version whose meaning it covers.
        requires: features a core must have (Core.isa); () runs everywhere.
        sources: files below firmware_templates/kernels that hold it.
        rules: what must hold of an operator; checked in order up to the first that it breaks.
        lower: makes the call, once every rule holds.
        why: why it exists beside the portable one, and when it is chosen.
        exact: "" when every output byte equals the reference's; else the tolerance in words.
    """

    symbol: str
    op: str
    types: str
    max_version: int
    sources: tuple[str, ...]
    rules: tuple[Rule, ...]
    lower: Callable[[Graph, Op], Lowering]
    requires: tuple[str, ...] = ()
    why: str = ""
    exact: str = ""

    def violations(self, graph: Graph, op: Op, kept: set[Rule] | None = None) -> tuple[Violation, ...]:
        """The first rule that this operator breaks, as a tuple of one; () when it keeps all.

        Only the first: a rule relies on those before it (one on scales needs a tensor that has some).

        Args:
            kept: rules that the operator is known to keep; those found to hold are added, so that rows which
                share rules don't check them anew.
        """
        broken = self.broken(graph, op, kept)
        return () if broken is None else (broken[1],)

    def broken(self, graph: Graph, op: Op, kept: set[Rule] | None = None) -> tuple[int, Violation] | None:
        """The first rule that this operator breaks, with how many it keeps before that; None when it keeps all."""
        for place, rule in enumerate(self.rules):
            if kept is not None and rule in kept:
                continue
            facts = rule(graph, op)
            if facts is None and kept is not None:
                kept.add(rule)
            if facts is not None:
                return place, Violation(rule.__name__, describe(rule, facts), facts)
        return None


def describe(rule: Callable[..., Facts | None], facts: Facts) -> str:
    """A rule's docstring with its facts filled in."""
    text = " ".join(inspect.cleandoc(rule.__doc__ or rule.__name__).split())
    return text.format_map(dict(facts))
