"""A firmware double on a real pseudo-terminal: it speaks the wire protocol and can misbehave on purpose."""

from __future__ import annotations

import os
import re
import select
import termios
import threading
import time
import tty
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

_BAUD = 115_200


@dataclass
class Behaviour:
    """How the double departs from a good device."""

    boot_banner: bool = False
    junk_before_reply: bytes = b""
    silent: bool = False
    babble: bool = False
    stale_command: bytes = b""  # already in its buffer when the host comes
    drop_every: int = 0  # of the bytes it receives, lose each n-th …
    drop_budget: int = 0  # … at most so many
    delay_s: float = 0.0
    standard_only: bool = False
    restart_at_run: bool = False
    corrupt_runs: int = 0  # give wrong outputs for so many inferences
    corrupt_loads: int = 0  # take so many inputs with a bit turned over, as noise on the line does
    corrupt_answers: int = 0  # do so many `edgeq run` and tell their cycles with digits changed
    corrupt_reads: int = 0  # print so many outputs with a bit turned over
    nan_results: bool = False  # print nan instead of numbers
    die_at_run: bool = False
    fault_at_run: bool = False
    split_writes: bool = False
    corrupt_frames: int = 0  # turn over a bit of so many frames' bytes
    garble_from_baud: int = 0  # the wiring is too poor for this speed and above
    damage: Callable[[str, bytes], bytes] | None = None  # what the line does to bytes; ">" to the device, "<" from it


@dataclass
class Firmware:
    """The double's model: one int8 input and output; output = 127 - input, first `outputs` elements."""

    sha256: str = "ab" * 32
    name: str = "double-board"
    model: str = "double"
    build: str = "0123456789abcdef"
    target: str = "nucleo-l4r5zi"
    clock_hz: int = 120_000_000
    inputs: int = 70
    outputs: int = 70
    layer_cycles: tuple[int, ...] = tuple(1000 + i for i in range(11))
    max_baud: int = 0
    state_bytes: int = 0  # where it keeps some: each output is xor the inferences since the last reset
    seen: list[str] = field(default_factory=list)


def invert(data: bytes) -> bytes:
    """What the double computes, on raw int8 bytes."""
    return bytes((b ^ 0xFF) for b in data)


class DeviceDouble:
    """Runs the double in a thread; `port` is what the host opens."""

    def __init__(self, firmware: Firmware | None = None, behaviour: Behaviour | None = None) -> None:
        self.firmware = firmware or Firmware()
        self.behaviour = behaviour or Behaviour()
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self._stop = threading.Event()
        self._received = 0
        self._lost_byte = 0
        self._buffer = bytearray(self.behaviour.stale_command)
        self._input = bytearray()
        self._expecting = 0
        self._since_reset = 0
        self._output = b""
        self._frame: tuple[int, int, int] | None = None
        self._body = bytearray()
        self._baud = self._next_baud = _BAUD
        self._noise = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> DeviceDouble:
        if self.behaviour.boot_banner:
            self._say("m-timestamp-mode-performance", "m-lap-us-12", "m-init-done", "m-ready")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(5)
        for descriptor in (self._master, self._slave):
            if descriptor >= 0:
                os.close(descriptor)

    def unplug(self) -> None:
        """The port goes away, at once."""
        self._stop.set()
        self._thread.join(5)
        for descriptor in (self._master, self._slave):
            if descriptor >= 0:
                os.close(descriptor)
        self._master = self._slave = -1

    def lose(self, position: int) -> None:
        """Lose the byte that comes in `position` bytes from now."""
        self._lost_byte = self._received + position

    def _serve(self) -> None:
        while not self._stop.is_set():
            if self.behaviour.babble:
                os.write(self._master, b"temperature 21.5\r\n")
                time.sleep(0.01)
                continue
            if not select.select([self._master], [], [], 0.02)[0]:
                continue
            try:
                heard = os.read(self._master, 256)
            except OSError:  # nobody has the other end open now
                self._stop.wait(0.01)
                continue
            if self.behaviour.damage:
                heard = self.behaviour.damage(">", heard)
            for byte in heard:
                self._received += 1
                if self._received == self._lost_byte:
                    continue
                b = self.behaviour
                if b.drop_budget and b.drop_every and self._received % b.drop_every == 0:
                    b.drop_budget -= 1
                    continue
                if not self._same_speed():
                    byte = 0x80
                if self._frame is not None:
                    self._frame_byte(byte)
                elif byte in b"\r\n":
                    continue
                elif not 32 <= byte < 127:
                    self._heard_noise()
                elif byte == ord("%"):
                    text = self._buffer.decode("latin-1")
                    self._buffer.clear()
                    self._command(text)
                elif len(self._buffer) < 80:
                    self._buffer.append(byte)

    def _say(self, *lines: str) -> None:
        data = self.behaviour.junk_before_reply + "".join(f"{line}\r\n" for line in lines).encode()
        if not self._same_speed():
            data = bytes(b ^ 0xA5 for b in data)
        if self.behaviour.damage:
            data = self.behaviour.damage("<", data)
        pieces = [data[i : i + 3] for i in range(0, len(data), 3)] if self.behaviour.split_writes else [data]
        for piece in pieces:
            os.write(self._master, piece)

    def _command(self, text: str) -> None:
        self.firmware.seen.append(text)
        if self.behaviour.silent:
            return
        time.sleep(self.behaviour.delay_s)
        lines = self._answer(text)
        if lines is not None:
            self._say(*lines, "m-ready")
        self._baud = self._next_baud

    def _same_speed(self) -> bool:
        """Whether the host's speed, which a pseudo-terminal keeps like a real port, is the device's."""
        wanted = getattr(termios, f"B{self._baud}")
        poor = self.behaviour.garble_from_baud
        return termios.tcgetattr(self._master)[4] == wanted and not (poor and self._baud >= poor)

    def _heard_noise(self) -> None:
        self._noise += 1
        if self._noise >= 2:
            self._baud = self._next_baud = _BAUD
            self._noise = 0

    def _frame_byte(self, byte: int) -> None:
        assert self._frame is not None
        if byte != ord("%"):
            self._body.append(byte)
            return
        (offset, count, crc), self._frame = self._frame, None
        data = re.sub(rb"}(.)", lambda m: bytes([m[1][0] ^ 0x20]), bytes(self._body), flags=re.DOTALL)
        if self.behaviour.corrupt_frames and data:
            self.behaviour.corrupt_frames -= 1
            data = bytes([data[0] ^ 4]) + data[1:]
        place = offset.to_bytes(4, "little") + count.to_bytes(4, "little")
        if len(data) == count:
            self._input[offset : offset + count] = data
        good = len(data) == count and zlib.crc32(place + data) == crc
        self._say(f"m-edgeq-put-[{offset},{count}]" if good else "e-[Frame with another CRC]", "m-ready")

    def _answer(self, text: str) -> list[str] | None:
        verb, _, rest = text.partition(" ")
        verbs: dict[str, Callable[[str], list[str] | None]] = {
            "name": lambda _: [f"m-name-dut-[{self.firmware.name}]"],
            "profile": lambda _: ["m-profile-[ULPMark for tinyML Firmware V0.0.1]", "m-model-[double]"],
            "db": self._db,
            "infer": self._infer,
            "results": lambda _: [self._results()],
            "": lambda _: ["e-[Unknown command: ]"],
        }
        if not self.behaviour.standard_only:
            verbs["edgeq"] = lambda rest: self._summed(text, rest)
        if verb in verbs and verb:
            self._noise = 0
        elif verb:
            self._heard_noise()
        return verbs[verb](rest) if verb in verbs else [f"e-[Unknown command: {text[:20]}]"]

    def _summed(self, text: str, rest: str) -> list[str] | None:
        rest, _, tag = rest.partition("#")
        try:
            lines = self._edgeq(rest)
        except (ValueError, IndexError):  # words of a command that was damaged on the way
            lines = ["e-[Bad arguments]"]
        if lines is None or not tag or self.behaviour.restart_at_run:
            return lines
        crc = zlib.crc32((text + "".join(f"{line}\r\n" for line in lines)).encode("latin-1"))
        if self.behaviour.corrupt_answers and rest.startswith("run"):
            self.behaviour.corrupt_answers -= 1
            lines = [line.translate(str.maketrans("0123456789", "1234567890")) for line in lines]
        if self.behaviour.corrupt_reads and rest.startswith("out"):
            self.behaviour.corrupt_reads -= 1
            lines = [line.translate(str.maketrans("0123456789abcdef", "123456789abcdef0")) for line in lines]
        return [*lines, f"m-edgeq-sum-[{tag},{crc:08x}]"]

    def _db(self, rest: str) -> list[str]:
        if rest.startswith("load "):
            self._expecting, self._input = int(rest[5:]), bytearray()
            return [f"m-[Expecting {self._expecting} bytes]"]
        if rest == "print":
            rows = [bytes(self._input[i : i + 8]) for i in range(0, len(self._input), 8)]
            return [f"m-buffer-{row.hex('-')}" for row in rows]
        if not re.fullmatch(r"([0-9a-f]{2})+", rest):
            return ["e-[Bad hex]"]
        if not self._expecting:
            return ["e-[Not loading]"]
        self._input += bytes.fromhex(rest)
        if len(self._input) >= self._expecting:
            self._expecting = 0
            if self.behaviour.corrupt_loads:
                self.behaviour.corrupt_loads -= 1
                self._input[0] ^= 4
            return ["m-load-done"]
        return []

    def _compute(self) -> None:
        self._output = invert(bytes(self._input))[: self.firmware.outputs]
        if self.firmware.state_bytes:
            self._output = bytes(b ^ (self._since_reset & 255) for b in self._output)
            self._since_reset += 1
        if self.behaviour.corrupt_runs:
            self.behaviour.corrupt_runs -= 1
            self._output = bytes([self._output[0] ^ 4]) + self._output[1:]

    def _infer(self, rest: str) -> list[str]:
        count, warmups = (int(v) for v in [*rest.split(), "10"][:2])
        self._compute()
        return [
            f"m-warmup-start-{warmups}",
            "m-warmup-done",
            f"m-infer-start-{count}",
            "m-lap-us-1000",
            f"m-lap-us-{1000 + 250 * count}",
            "m-infer-done",
            self._results(),
        ]

    def _results(self) -> str:
        signed = [(b - 256 if b > 127 else b) * 0.5 for b in self._output]
        return f"m-results-[{','.join('nan' if self.behaviour.nan_results else f'{v:0.3f}' for v in signed)}]"

    def _edgeq(self, rest: str) -> list[str] | None:
        f = self.firmware
        verb, *words = rest.split()
        if verb == "info":
            return [
                f"m-edgeq-model-[{f.model}]",
                f"m-edgeq-sha256-[{f.sha256}]",
                f"m-edgeq-target-[{f.target}]",
                f"m-edgeq-clock-hz-[{f.clock_hz}]",
                "m-edgeq-arena-[512]",
                f"m-edgeq-inputs-[{f.inputs}]",
                f"m-edgeq-outputs-[{f.outputs}]",
                f"m-edgeq-layers-[{len(f.layer_cycles)}]",
                "m-edgeq-stack-[4096]",
                *([f"m-edgeq-build-[{f.build}]"] if f.build else []),
                f"m-edgeq-max-baud-[{f.max_baud}]",
            ]
        if verb == "run":
            return self._run(int(words[0]))
        if verb == "reset" and f.state_bytes:
            self._since_reset = 0
            return [f"m-edgeq-reset-[{f.state_bytes}]"]
        if verb == "layers":
            return [
                f"m-edgeq-layer-[{i},{','.join(str(c) for c in f.layer_cycles[i : i + 8])}]"
                for i in range(0, len(f.layer_cycles), 8)
            ]
        if verb == "out":
            offset = int(words[1])
            piece = self._output[offset : offset + 64]
            return [f"m-edgeq-out-[{piece.hex()}]"]
        if verb == "put":
            offset, count, crc = int(words[0]), int(words[1]), int(words[2], 16)
            if not 0 < count <= f.inputs - offset:
                return ["e-[No such input bytes]"]
            self._input += bytes(max(0, f.inputs - len(self._input)))
            self._frame, self._body = (offset, count, crc), bytearray()
            return []
        if verb == "check":
            count = int(words[0])
            if count == f.inputs and self.behaviour.corrupt_loads:
                self.behaviour.corrupt_loads -= 1
                self._input[0] ^= 4
            return [f"m-edgeq-check-[{count},{zlib.crc32(bytes(self._input[:count])):08x}]"]
        if verb == "baud":
            if not 9600 <= int(words[0]) <= f.max_baud:
                return ["e-[No such speed]"]
            self._next_baud = int(words[0])
            return [f"m-edgeq-baud-[{words[0]}]"]
        if verb == "stack":
            return ["m-edgeq-stack-used-[712]"]
        return ["e-[Unknown edgeq verb]"]

    def _run(self, count: int) -> list[str] | None:
        if self.behaviour.restart_at_run:
            return ["m-timestamp-mode-performance", "m-lap-us-3", "m-init-done"]
        if self.behaviour.die_at_run:
            os.close(self._master)
            self._master = -1
            self._stop.set()
            return None
        if self.behaviour.fault_at_run:
            self._say("", "e-[HardFault pc=0x08001234 lr=0x08000ff1 cfsr=0x00010000]")
            return None
        self._compute()
        base = sum(self.firmware.layer_cycles) + 100
        cycles = [base + i for i in range(count)]
        return [f"m-edgeq-cycles-[{','.join(map(str, cycles[i : i + 8]))}]" for i in range(0, count, 8)]
