"""What a device can be asked: the MLPerf Tiny commands, and edgeq's one extra command."""

from __future__ import annotations

import contextlib
import re
import time
import zlib
from collections.abc import Callable

from edgeq.errors import DeviceError, ProtocolError
from edgeq.measure.answers import (
    ATTEMPTS,
    DeviceInfo,
    StandardRun,
    damaged,
    device_info,
    elapsed,
    implausible,
    integer,
    integers,
    numbers,
    refused,
    restarted,
    results,
)
from edgeq.measure.frames import FRAME_BYTES, SUM_PREFIX, believed, frame, tagged
from edgeq.measure.wire import Reply, Wire

# Bytes of one `db HEX%` at most (MLPerf Tiny API: 80 characters a command).
CHUNK_BYTES = 31
# Seconds that one inference may take before the device counts as hung: the official runner's line timeout.
INFERENCE_TIMEOUT_S = 30.0
# Seconds that an answer may take for which nothing is computed; it is asked again then.
_ANSWER_S = 2.0
# Seconds that `db print%` may take: 27,648 bytes, the largest input of MLPerf Tiny, need 12 at 115200 baud.
_PRINT_TIMEOUT_S = 60.0
# Cycle counts that `edgeq run N%` gives back at most.
RUNS_PER_COMMAND = 16
# Speeds that are worth the change, fastest first: what debug probes and USB adapters commonly reach.
_BAUDS = (921_600, 460_800, 230_400)
# What edgeq's firmware answers to `name%` (EDGEQ_VENDOR in its board/config.h).
OWN_NAME = "edgeq"
# How often a load that didn't arrive whole is sent again.
_LOAD_ATTEMPTS = 3


class Session:
    """A conversation with one device over an open wire, begun with `hello`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._device = wire.hello()
        self._own_firmware = False
        self._asked = 0
        self._repaired = 0

    @property
    def device_name(self) -> str:
        """The NAME of `m-name-dut-[NAME]`."""
        return self._device

    @property
    def repaired(self) -> int:
        """How often something was damaged on the way and asked or sent again."""
        return self._repaired

    def info(self) -> DeviceInfo | None:
        """What edgeq's firmware says about itself; None when it is other firmware, without the extra command.

        A lost byte makes an unknown command of a known one, so a refusal counts only when it is repeated, and never
        from a device whose name or words are those of edgeq's firmware.

        Raises:
            ProtocolError: no answer that can be right in several tries, or edgeq's firmware refuses.
        """
        names = {self._device}
        heard: list[str] = []
        for attempt in range(ATTEMPTS):
            last = attempt == ATTEMPTS - 1
            try:
                if attempt:
                    names.add(self._wire.hello())
                asked, reply, lines = self._exchange("edgeq info", _ANSWER_S)
            except ProtocolError:
                if last:
                    raise
                continue
            if lines is not None:
                found = device_info(Reply(asked, lines), self._wire.name)
                self._own_firmware = True
                return found
            heard += reply.lines
            if last and (OWN_NAME in names or any("edgeq verb" in line or "m-edgeq" in line for line in heard)):
                raise refused(reply, self._wire.name) if reply.error else damaged(asked, reply, self._wire.name)
        return None

    def model_name(self) -> str:
        """The NAME of `m-model-[NAME]`, which all firmware of the benchmark tells; "" where it isn't told."""
        with contextlib.suppress(ProtocolError):
            return self._wire.command("profile", expect="m-model-[").value("m-model")
        self._wire.hello()
        return ""

    def faster(self, info: DeviceInfo) -> int:
        """Raise the speed of both sides as far as both can: the speed then, in baud.

        What doesn't work is taken back: a device falls back to its usual speed when it hears noise.

        Raises:
            ProtocolError, PortError: as `hello`, when the device isn't heard at the old speed either.
        """
        for baud in _BAUDS:
            if not self._wire.baud < baud <= info.max_baud:
                continue
            try:
                self._ask(f"edgeq baud {baud}", _ANSWER_S)
                self._wire.set_baud(baud)
                self._ask("edgeq check 0", 1.0)
            except DeviceError:
                self._wire.hello()
            if self._wire.baud == baud:  # or `hello` has gone back
                break
        return self._wire.baud

    def usual_speed(self, baud: int) -> None:
        """Back to the speed that the next program expects; never raises."""
        if self._wire.baud != baud:
            with contextlib.suppress(DeviceError):
                self._ask(f"edgeq baud {baud}", _ANSWER_S)
                self._wire.set_baud(baud)

    def load(self, data: bytes, advance: Callable[[int], None] | None = None) -> None:
        """Put the inputs' bytes (all inputs in order, one after the other) into the device.

        Args:
            advance: called with the number of bytes sent so far.

        Raises:
            ProtocolError: the device expects another number of bytes, or they didn't arrive in three tries.
        """
        problem = self._load_frames(data, advance) if self._own_firmware else "it has no frames"
        for attempt in range(_LOAD_ATTEMPTS if problem else 0):
            try:
                if attempt or self._own_firmware:
                    self._wire.hello()
                problem = self._load_once(data, advance) or self._check_loaded(data)
            except ProtocolError as failed:
                problem = failed.what
            if not problem:
                return
            self._repaired += 1
        if problem:
            self._wire.hello()
            raise ProtocolError(
                f"{len(data)} bytes of input could not be sent in {_LOAD_ATTEMPTS} tries: {problem}",
                where=self._wire.name,
                next_step="bytes get lost on the way: try another cable or hub, or a slower baud rate",
            )

    def _load_frames(self, data: bytes, advance: Callable[[int], None] | None) -> str:
        """As frames, which only edgeq's firmware takes; the reason why it failed, "" when it didn't."""
        problem = ""
        for size in (FRAME_BYTES, FRAME_BYTES, FRAME_BYTES // 4, FRAME_BYTES // 16):
            missing = list(range(0, len(data), size))
            try:
                for _ in range(2):
                    missing = self._send_frames(data, missing, size, advance)
                    if not missing:
                        break
                    self._repaired += len(missing)
                    self._wire.hello()
                problem = f"{len(missing)} of {-(-len(data) // size)} frames were damaged" if missing else ""
                problem = problem or self._check_loaded(data)
            except ProtocolError as failed:
                problem = failed.what
                self._wire.hello()
            if not problem:
                return ""
            self._repaired += 1
        return problem

    def _send_frames(
        self, data: bytes, offsets: list[int], size: int, advance: Callable[[int], None] | None
    ) -> list[int]:
        """Send the pieces at these offsets; those of them that have not arrived."""
        pieces = [frame(at, data[at : at + size]) for at in offsets]
        missing = list(offsets)
        timeout_s = 1.0 + 30.0 * 2 * size / self._wire.baud
        with contextlib.suppress(ProtocolError):  # what is missing is sent again, after a hello
            for piece, arrived in zip(pieces, self._wire.stream(pieces, timeout_s=timeout_s), strict=True):
                if arrived:
                    missing.remove(piece.offset)
                if advance:
                    advance(piece.offset + piece.count)
        return missing

    def _check_loaded(self, data: bytes) -> str:
        """Why the device's input isn't these bytes, "" when it is, or when its firmware can't tell."""
        if not self._own_firmware:
            return ""
        reply = self._ask(f"edgeq check {len(data)}", _ANSWER_S)
        expected = f"{len(data)},{zlib.crc32(data):08x}"
        return "" if reply.value("m-edgeq-check") == expected else "the device's copy has another CRC"

    def _load_once(self, data: bytes, advance: Callable[[int], None] | None) -> str:
        """One try with the standard commands; the reason why it failed, "" when it didn't."""
        reply = self._wire.command(f"db load {len(data)}", expect="m-[Expecting")
        if reply.error:
            raise refused(reply, self._wire.name)
        expecting = re.search(r"Expecting (\d+)", " ".join(reply.lines))
        if expecting and int(expecting.group(1)) != len(data):
            # A digit may have been lost on the way; one that is really wrong fails in each try.
            return f"the device expects {expecting.group(1)} bytes, not {len(data)}"
        chunks = [data[i : i + CHUNK_BYTES].hex() for i in range(0, len(data), CHUNK_BYTES)]
        for number, chunk in enumerate(chunks):
            last = number == len(chunks) - 1
            reply = self._wire.command(f"db {chunk}", expect="m-load-done" if last else "", timeout_s=3.0)
            end = min(len(data), (number + 1) * CHUNK_BYTES)
            if reply.error:
                return f"at byte {end}: {reply.error}"
            if end < len(data) and "m-load-done" in reply.lines:
                return f"it was full after {end} bytes"
            if advance:
                advance(end)
        return ""

    def loaded(self) -> bytes:
        """The input as it has arrived in the device; b"" from firmware that can't tell."""
        problem: ProtocolError | None = None
        for _ in range(_LOAD_ATTEMPTS):
            try:
                reply = self._wire.command("db print", expect="m-buffer-", timeout_s=_PRINT_TIMEOUT_S)
                if reply.error:
                    return b""
                digits = "".join(line[len("m-buffer-") :] for line in reply.lines if line.startswith("m-buffer-"))
                return bytes.fromhex(digits.replace("-", ""))
            except ProtocolError as failed:
                problem = failed
            except ValueError:
                problem = implausible(reply, "hexadecimal digits", self._wire.name)
            self._wire.hello()
        raise problem or ProtocolError("no answer to 'db print%'", where=self._wire.name)

    def run(self, count: int, *, timeout_s: float = INFERENCE_TIMEOUT_S) -> tuple[int, ...]:
        """Run inferences on the loaded input: cycles of each.

        Args:
            count: at most RUNS_PER_COMMAND.
            timeout_s: per inference.
        """
        reply = self._ask(f"edgeq run {count}", timeout_s * count)
        cycles = integers(reply, "m-edgeq-cycles")
        if len(cycles) != count or min(cycles) <= 0:
            raise implausible(reply, f"{count} cycle counts above zero", self._wire.name)
        return cycles

    def use_precision(self, bits: int) -> None:
        """Run inferences with the highest `bits` of the weights from now on.

        Raises:
            ProtocolError: the device's model has no such precision.
        """
        reply = self._ask(f"edgeq precision {bits}", _ANSWER_S)
        if integer(reply, "m-edgeq-precision") != bits:
            raise implausible(reply, f"m-edgeq-precision-[{bits}]", self._wire.name)

    def reset_state(self) -> None:
        """Have the model forget what it keeps from one inference to the next.

        Raises:
            ProtocolError: the device's model keeps nothing, or its firmware is older than this command.
        """
        integer(self._ask("edgeq reset", _ANSWER_S), "m-edgeq-reset")

    def layers(self, count: int) -> tuple[int, ...]:
        """Cycles of each of the `count` layers in the last inference."""
        reply = self._ask("edgeq layers", _ANSWER_S)
        found: dict[int, int] = {}
        for value in reply.values("m-edgeq-layer"):
            first, *cycles = numbers(value, reply, self._wire.name)
            found.update({first + i: c for i, c in enumerate(cycles)})
        if sorted(found) != list(range(count)):
            raise implausible(reply, f"the cycles of layers 0 to {count - 1}", self._wire.name)
        return tuple(found[i] for i in range(count))

    def output(self, index: int, size: int) -> bytes:
        """All `size` bytes of the model's output `index` after the last inference."""
        data = bytearray()
        while len(data) < size:
            reply = self._ask(f"edgeq out {index} {len(data)}", _ANSWER_S)
            try:
                piece = bytes.fromhex(reply.value("m-edgeq-out"))
            except ValueError as wrong:
                raise implausible(reply, "hexadecimal digits", self._wire.name) from wrong
            if not piece or len(data) + len(piece) > size:
                raise implausible(reply, f"1 to {size - len(data)} bytes", self._wire.name)
            data += piece
        return bytes(data)

    def stack_used(self) -> int:
        """The stack's high-water mark since the board started, in bytes."""
        return integer(self._ask("edgeq stack", _ANSWER_S), "m-edgeq-stack-used")

    def infer(self, count: int, warmups: int, *, timeout_s: float = INFERENCE_TIMEOUT_S) -> StandardRun:
        """The standard `infer N W%`, for any firmware that speaks the MLPerf Tiny API.

        Its answers have no checksum. So the results are asked once more with `results%`, where the firmware has that,
        and the device's clock is held against this computer's.

        Raises:
            ProtocolError: an answer that can't be right.
        """
        started = time.monotonic()
        command = f"infer {count} {warmups}"
        try:
            reply = self._wire.command(command, expect="m-results-[", timeout_s=timeout_s * (count + warmups))
        except ProtocolError:
            self._wire.hello()
            started = time.monotonic()
            reply = self._wire.command(command, expect="m-results-[", timeout_s=timeout_s * (count + warmups))
        passed_us = (time.monotonic() - started) * 1e6
        if reply.error:
            raise refused(reply, self._wire.name)
        elapsed_us = elapsed(reply, count, warmups, self._wire.name)
        if elapsed_us > 1.05 * passed_us + 50_000:  # no oscillator is that far off
            raise implausible(reply, f"at most the {passed_us:.0f} µs that passed here", self._wire.name)
        printed = results(reply, self._wire.name)
        again = self._wire.command("results", expect="m-results-[", timeout_s=5.0)
        if not again.error and results(again, self._wire.name) != printed:
            raise implausible(again, "the results of `infer` once more", self._wire.name)
        try:
            return StandardRun(count, elapsed_us, tuple(float(v) for v in printed))
        except ValueError as wrong:
            raise implausible(reply, "numbers in m-results", self._wire.name) from wrong

    def _ask(self, text: str, timeout_s: float) -> Reply:
        """One of edgeq's commands, asked again until its answer is undamaged.

        Raises:
            ProtocolError: it never is, or the device refuses.
        """
        last: Exception | None = None
        for attempt in range(ATTEMPTS):
            try:
                if attempt:
                    self._repaired += 1
                    self._wire.hello()
                asked, reply, lines = self._exchange(text, timeout_s)
            except ProtocolError as failed:
                if attempt == ATTEMPTS - 1 or restarted(failed):
                    raise
                continue
            if lines is None:
                last = damaged(asked, reply, self._wire.name)
                continue
            whole = Reply(text, lines)
            if whole.error:
                raise refused(whole, self._wire.name)
            return whole
        raise last or ProtocolError(f"no answer to '{text}%'", where=self._wire.name)

    def _exchange(self, text: str, timeout_s: float) -> tuple[str, Reply, tuple[str, ...] | None]:
        """Ask once: the command as sent, the answer as it came, and its lines where their sum is right."""
        self._asked += 1
        asked = tagged(text, self._asked)
        reply = self._wire.command(asked, expect=SUM_PREFIX, timeout_s=timeout_s)
        return asked, reply, believed(asked, reply.lines)
