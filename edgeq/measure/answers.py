"""What a device's answers say, and the errors for those that can't be right."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgeq.errors import NegativeResult, ProtocolError, UnsupportedError
from edgeq.measure.wire import Reply

ATTEMPTS = 4
"""How often one of edgeq's commands is asked before its answers count as wrong rather than damaged."""


@dataclass(frozen=True)
class DeviceInfo:
    """What edgeq's firmware says about itself.

    Attributes:
        inputs, outputs: bytes of each of the model's ends.
        stack_bytes: what its linker script reserves.
        build: `Manifest.build` of its sources; "" from firmware of before there was one.
        input_form: what it wants as its input; see `edgeq.codegen.harness`.
        max_baud: the fastest that its console can be set to; 0 where its speed is fixed.
    """

    model: str
    sha256: str
    target: str
    clock_hz: int
    arena_bytes: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    layers: int
    stack_bytes: int
    build: str = ""
    max_baud: int = 0
    input_form: str = "stored"


@dataclass(frozen=True)
class StandardRun:
    """The answer to the standard `infer N W%`.

    Attributes:
        elapsed_us: microseconds that the N timed inferences took, by the device's clock.
        results: the numbers of `m-results-[…]`, as the device printed them.
    """

    inferences: int
    elapsed_us: int
    results: tuple[float, ...]


def device_info(reply: Reply, where: str) -> DeviceInfo:
    sha256 = reply.value("m-edgeq-sha256").lower()
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise implausible(reply, "64 hexadecimal digits in m-edgeq-sha256", where)
    return DeviceInfo(
        model=reply.value("m-edgeq-model"),
        sha256=sha256,
        target=reply.value("m-edgeq-target"),
        clock_hz=integer(reply, "m-edgeq-clock-hz"),
        arena_bytes=integer(reply, "m-edgeq-arena"),
        inputs=integers(reply, "m-edgeq-inputs"),
        outputs=integers(reply, "m-edgeq-outputs"),
        layers=integer(reply, "m-edgeq-layers"),
        stack_bytes=integer(reply, "m-edgeq-stack"),
        build=next(iter(reply.values("m-edgeq-build")), ""),
        max_baud=integer(reply, "m-edgeq-max-baud") if reply.values("m-edgeq-max-baud") else 0,
        input_form=next(iter(reply.values("m-edgeq-input-form")), "stored"),
    )


def no_reset(where: str) -> UnsupportedError:
    """Of firmware that isn't edgeq's, for a model with a state: its outputs can't be told right or wrong."""
    return UnsupportedError(
        "the model keeps a state between inferences, and this firmware can't be told to forget it",
        where=where,
        next_step="flash edgeq's own: `edgeq deploy`",
    )


def check_model(info: DeviceInfo, sha256: str, model_name: str, target_name: str) -> None:
    """Refuse to measure another model than the one that was asked for.

    Raises:
        NegativeResult: the firmware was built from another file, or for another target; both are named.
    """
    if info.sha256 != sha256.lower():
        raise NegativeResult(
            f"the board runs another model: '{info.model}' (sha256 {info.sha256[:16]}…), "
            f"not '{model_name}' (sha256 {sha256[:16]}…)",
            next_step="`edgeq deploy` builds and flashes this model; or give the file that the board runs",
            device_sha256=info.sha256,
            model_sha256=sha256,
            device_model=info.model,
        )
    if info.target != target_name:
        raise NegativeResult(
            f"the firmware was built for '{info.target}', not for '{target_name}'",
            next_step=f"give --target {info.target}, or build and flash for {target_name}",
            device_target=info.target,
            target=target_name,
        )


def integer(reply: Reply, key: str) -> int:
    return numbers(reply.value(key), reply, "")[0]


def integers(reply: Reply, key: str) -> tuple[int, ...]:
    return tuple(n for value in reply.values(key) for n in numbers(value, reply, ""))


def numbers(value: str, reply: Reply, where: str) -> list[int]:
    try:
        return [int(part) for part in value.split(",")]
    except ValueError as wrong:
        raise implausible(reply, "numbers", where) from wrong


def elapsed(reply: Reply, count: int, warmups: int, where: str) -> int:
    """Microseconds between the two timestamps of the answer to `infer`; it must be to this one."""
    if f"m-warmup-start-{warmups}" not in reply.lines or f"m-infer-start-{count}" not in reply.lines:
        raise implausible(reply, f"m-warmup-start-{warmups} and m-infer-start-{count}", where)
    laps = [int(line[len("m-lap-us-") :]) for line in reply.lines if re.fullmatch(r"m-lap-us-\d+", line)]
    if len(laps) < 2 or laps[-1] <= laps[-2]:
        raise implausible(reply, "two rising m-lap-us lines", where)
    return laps[-1] - laps[-2]


def results(reply: Reply, where: str) -> tuple[str, ...]:
    return tuple(v.strip() for v in reply.value("m-results").split(",") if v.strip())


def restarted(failed: ProtocolError) -> bool:
    return failed.facts.get("reason") == "restarted"


def damaged(asked: str, reply: Reply, where: str) -> ProtocolError:
    return ProtocolError(
        f"no undamaged answer to '{asked}%' in {ATTEMPTS} tries; the last one: "
        f"{' | '.join(reply.lines)[:200] or 'nothing'}",
        where=where,
        next_step="bytes get lost or changed on the way: try another cable or hub; firmware of an older edgeq has no "
        "checksums: build and flash it again",
        command=asked,
        lines=list(reply.lines),
    )


def implausible(reply: Reply, expected: str, where: str) -> ProtocolError:
    return ProtocolError(
        f"the answer to '{reply.command}%' can't be right: expected {expected}, "
        f"got {' | '.join(reply.lines)[:200] or 'nothing'}",
        where=where,
        next_step="try again; if it stays, build and flash the firmware again",
        command=reply.command,
        lines=list(reply.lines),
    )


def refused(reply: Reply, where: str) -> ProtocolError:
    return ProtocolError(
        f"the device refuses '{reply.command[:40]}%': {reply.error}",
        where=where,
        next_step="build and flash the firmware again, it may be of another version",
        command=reply.command,
        device_said=reply.error,
    )
