"""What a device can be asked: the MLPerf Tiny commands, and edgeq's one extra command."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from edgeq.errors import NegativeResult, ProtocolError
from edgeq.measure.wire import Reply, Wire

# Bytes of one `db HEX%` at most (MLPerf Tiny API: 80 characters a command).
CHUNK_BYTES = 31
# Seconds that one inference may take before the device counts as hung: the official runner's line timeout.
INFERENCE_TIMEOUT_S = 30.0
# Seconds that `db print%` may take: 27,648 bytes, the largest input of MLPerf Tiny, need 12 at 115200 baud.
_PRINT_TIMEOUT_S = 60.0
# Cycle counts that `edgeq run N%` gives back at most.
RUNS_PER_COMMAND = 16
# `db` commands that edgeq's own firmware may have on their way: its receive ring holds 512 bytes, seven of them.
_WINDOW = 6
# How often `edgeq info` is asked before the answer is believed to be none.
_INFO_ATTEMPTS = 3
# What edgeq's firmware answers to `name%` (EDGEQ_VENDOR in its board/config.h).
OWN_NAME = "edgeq"
# How often a load that didn't arrive whole is sent again.
_LOAD_ATTEMPTS = 3


@dataclass(frozen=True)
class DeviceInfo:
    """What edgeq's firmware says about itself.

    Attributes:
        inputs, outputs: bytes of each of the model's ends.
        stack_bytes: what its linker script reserves.
        build: `Manifest.build` of its sources; "" from firmware of before there was one.
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


class Session:
    """A conversation with one device over an open wire, begun with `hello`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._device = wire.hello()
        self._own_firmware = False

    @property
    def device_name(self) -> str:
        """The NAME of `m-name-dut-[NAME]`."""
        return self._device

    def info(self) -> DeviceInfo | None:
        """What edgeq's firmware says about itself; None when it is other firmware, without the extra command.

        A lost byte makes an unknown command of a known one, so a refusal counts only when it is repeated, and never
        from a device whose name or words are those of edgeq's firmware.

        Raises:
            ProtocolError: no answer that can be right in three tries, or edgeq's firmware refuses.
        """
        names = {self._device}
        for attempt in range(_INFO_ATTEMPTS):
            last = attempt == _INFO_ATTEMPTS - 1
            try:
                if attempt:
                    names.add(self._wire.hello())
                reply = self._wire.command("edgeq info", expect="m-edgeq-sha256-[")
                if not reply.error:
                    found = _device_info(reply, self._wire.name)
                    self._own_firmware = True
                    return found
            except ProtocolError:
                if last:
                    raise
                continue
            if last and (OWN_NAME in names or any("edgeq verb" in line or "m-edgeq" in line for line in reply.lines)):
                raise _refused(reply, self._wire.name)
        return None

    def load(self, data: bytes, advance: Callable[[int], None] | None = None) -> None:
        """Put the inputs' bytes (all inputs in order, one after the other) into the device.

        Args:
            advance: called with the number of bytes sent so far.

        Raises:
            ProtocolError: the device expects another number of bytes, or they didn't arrive in three tries.
        """
        problem = ""
        for attempt in range(_LOAD_ATTEMPTS):
            # On a line that has lost something, one at a time.
            window = _WINDOW if self._own_firmware and attempt == 0 else 1
            try:
                problem = self._load_once(data, window, advance)
            except ProtocolError as failed:
                problem = failed.what
            if not problem:
                return
            self._wire.hello()
        raise ProtocolError(
            f"{len(data)} bytes of input could not be sent in {_LOAD_ATTEMPTS} tries: {problem}",
            where=self._wire.name,
            next_step="bytes get lost on the way: try another cable or hub, or a slower baud rate",
        )

    def _load_once(self, data: bytes, window: int, advance: Callable[[int], None] | None) -> str:
        """One try; the reason why it failed, "" when it didn't."""
        reply = self._wire.command(f"db load {len(data)}", expect="m-[Expecting")
        if reply.error:
            raise _refused(reply, self._wire.name)
        expecting = re.search(r"Expecting (\d+)", " ".join(reply.lines))
        if expecting and int(expecting.group(1)) != len(data):
            # A digit may have been lost on the way; one that is really wrong fails in each try.
            return f"the device expects {expecting.group(1)} bytes, not {len(data)}"
        chunks = [data[i : i + CHUNK_BYTES].hex() for i in range(0, len(data), CHUNK_BYTES)]
        replies = self._wire.burst([f"db {c}" for c in chunks], window=window, expect="m-load-done", timeout_s=3.0)
        for number, reply in enumerate(replies):
            end = min(len(data), (number + 1) * CHUNK_BYTES)
            if reply.error:
                return f"at byte {end}: {reply.error}"
            if end < len(data) and "m-load-done" in reply.lines:
                return f"it was full after {end} bytes"
            if advance:
                advance(end)
        return ""

    def loaded(self) -> bytes:
        """The input as it has arrived in the device."""
        reply = self._ask("db print", "m-buffer-", _PRINT_TIMEOUT_S)
        digits = "".join(line[len("m-buffer-") :] for line in reply.lines if line.startswith("m-buffer-"))
        try:
            return bytes.fromhex(digits.replace("-", ""))
        except ValueError as wrong:
            raise _implausible(reply, "hexadecimal digits", self._wire.name) from wrong

    def run(self, count: int, *, timeout_s: float = INFERENCE_TIMEOUT_S) -> tuple[int, ...]:
        """Run inferences on the loaded input: cycles of each.

        Args:
            count: at most RUNS_PER_COMMAND.
            timeout_s: per inference.
        """
        reply = self._ask(f"edgeq run {count}", "m-edgeq-cycles-[", timeout_s * count)
        cycles = _integers(reply, "m-edgeq-cycles")
        if len(cycles) != count or min(cycles) <= 0:
            raise _implausible(reply, f"{count} cycle counts above zero", self._wire.name)
        return cycles

    def layers(self, count: int) -> tuple[int, ...]:
        """Cycles of each of the `count` layers in the last inference."""
        reply = self._ask("edgeq layers", "m-edgeq-layer-[" if count else "", 5.0)
        found: dict[int, int] = {}
        for value in reply.values("m-edgeq-layer"):
            first, *cycles = _numbers(value, reply, self._wire.name)
            found.update({first + i: c for i, c in enumerate(cycles)})
        if sorted(found) != list(range(count)):
            raise _implausible(reply, f"the cycles of layers 0 to {count - 1}", self._wire.name)
        return tuple(found[i] for i in range(count))

    def output(self, index: int, size: int) -> bytes:
        """All `size` bytes of the model's output `index` after the last inference."""
        data = bytearray()
        while len(data) < size:
            reply = self._ask(f"edgeq out {index} {len(data)}", "m-edgeq-out-[", 5.0)
            try:
                piece = bytes.fromhex(reply.value("m-edgeq-out"))
            except ValueError as wrong:
                raise _implausible(reply, "hexadecimal digits", self._wire.name) from wrong
            if not piece or len(data) + len(piece) > size:
                raise _implausible(reply, f"1 to {size - len(data)} bytes", self._wire.name)
            data += piece
        return bytes(data)

    def stack_used(self) -> int:
        """The stack's high-water mark since the board started, in bytes."""
        return _integer(self._ask("edgeq stack", "m-edgeq-stack-used-[", 5.0), "m-edgeq-stack-used")

    def infer(self, count: int, warmups: int, *, timeout_s: float = INFERENCE_TIMEOUT_S) -> StandardRun:
        """The standard `infer N W%`, for any firmware that speaks the MLPerf Tiny API."""
        reply = self._ask(f"infer {count} {warmups}", "m-results-[", timeout_s * (count + warmups))
        laps = [int(line[len("m-lap-us-") :]) for line in reply.lines if re.fullmatch(r"m-lap-us-\d+", line)]
        if len(laps) < 2 or laps[-1] <= laps[-2]:
            raise _implausible(reply, "two rising m-lap-us lines", self._wire.name)
        try:
            results = tuple(float(v) for v in reply.value("m-results").split(",") if v.strip())
        except ValueError as wrong:
            raise _implausible(reply, "numbers in m-results", self._wire.name) from wrong
        return StandardRun(count, laps[-1] - laps[-2], results)

    def _ask(self, text: str, expect: str, timeout_s: float) -> Reply:
        """A command that can be asked again when its answer was garbled."""
        try:
            reply = self._wire.command(text, expect=expect, timeout_s=timeout_s)
        except ProtocolError:
            self._wire.hello()
            reply = self._wire.command(text, expect=expect, timeout_s=timeout_s)
        if reply.error:
            raise _refused(reply, self._wire.name)
        return reply


def _device_info(reply: Reply, where: str) -> DeviceInfo:
    sha256 = reply.value("m-edgeq-sha256").lower()
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise _implausible(reply, "64 hexadecimal digits in m-edgeq-sha256", where)
    return DeviceInfo(
        model=reply.value("m-edgeq-model"),
        sha256=sha256,
        target=reply.value("m-edgeq-target"),
        clock_hz=_integer(reply, "m-edgeq-clock-hz"),
        arena_bytes=_integer(reply, "m-edgeq-arena"),
        inputs=_integers(reply, "m-edgeq-inputs"),
        outputs=_integers(reply, "m-edgeq-outputs"),
        layers=_integer(reply, "m-edgeq-layers"),
        stack_bytes=_integer(reply, "m-edgeq-stack"),
        build=next(iter(reply.values("m-edgeq-build")), ""),
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


def _integer(reply: Reply, key: str) -> int:
    return _numbers(reply.value(key), reply, "")[0]


def _integers(reply: Reply, key: str) -> tuple[int, ...]:
    return tuple(n for value in reply.values(key) for n in _numbers(value, reply, ""))


def _numbers(value: str, reply: Reply, where: str) -> list[int]:
    try:
        return [int(part) for part in value.split(",")]
    except ValueError as wrong:
        raise _implausible(reply, "numbers", where) from wrong


def _implausible(reply: Reply, expected: str, where: str) -> ProtocolError:
    return ProtocolError(
        f"the answer to '{reply.command}%' can't be right: expected {expected}, "
        f"got {' | '.join(reply.lines)[:200] or 'nothing'}",
        where=where,
        next_step="try again; if it stays, build and flash the firmware again",
        command=reply.command,
        lines=list(reply.lines),
    )


def _refused(reply: Reply, where: str) -> ProtocolError:
    return ProtocolError(
        f"the device refuses '{reply.command[:40]}%': {reply.error}",
        where=where,
        next_step="build and flash the firmware again, it may be of another version",
        command=reply.command,
        device_said=reply.error,
    )
