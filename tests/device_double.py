"""A firmware double on a real pseudo-terminal: it speaks the wire protocol and can misbehave on purpose."""

from __future__ import annotations

import os
import re
import select
import threading
import time
import tty
from collections.abc import Callable
from dataclasses import dataclass, field


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
    corrupt_reads: int = 0  # print so many outputs with a bit turned over
    nan_results: bool = False  # print nan instead of numbers
    die_at_run: bool = False
    fault_at_run: bool = False
    split_writes: bool = False


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
        self._output = b""
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
            for byte in os.read(self._master, 256):
                self._received += 1
                if self._received == self._lost_byte:
                    continue
                b = self.behaviour
                if b.drop_budget and b.drop_every and self._received % b.drop_every == 0:
                    b.drop_budget -= 1
                    continue
                if byte == ord("%"):
                    text = self._buffer.decode("latin-1")
                    self._buffer.clear()
                    self._command(text)
                elif len(self._buffer) < 80:
                    self._buffer.append(byte)

    def _say(self, *lines: str) -> None:
        data = self.behaviour.junk_before_reply + "".join(f"{line}\r\n" for line in lines).encode()
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

    def _answer(self, text: str) -> list[str] | None:
        verb, _, rest = text.partition(" ")
        verbs: dict[str, Callable[[str], list[str] | None]] = {
            "name": lambda _: [f"m-name-dut-[{self.firmware.name}]"],
            "profile": lambda _: ["m-profile-[ULPMark for tinyML Firmware V0.0.1]", "m-model-[double]"],
            "db": self._db,
            "infer": self._infer,
        }
        if not self.behaviour.standard_only:
            verbs["edgeq"] = self._edgeq
        return verbs[verb](rest) if verb in verbs else [f"e-[Unknown command: {text[:20]}]"]

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
        if self.behaviour.corrupt_runs:
            self.behaviour.corrupt_runs -= 1
            self._output = bytes([self._output[0] ^ 4]) + self._output[1:]

    def _infer(self, rest: str) -> list[str]:
        self._compute()
        count, warmups = (int(v) for v in [*rest.split(), "10"][:2])
        signed = [(b - 256 if b > 127 else b) * 0.5 for b in self._output]
        return [
            f"m-warmup-start-{warmups}",
            "m-warmup-done",
            f"m-infer-start-{count}",
            "m-lap-us-1000",
            f"m-lap-us-{1000 + 250 * count}",
            "m-infer-done",
            f"m-results-[{','.join('nan' if self.behaviour.nan_results else f'{v:0.3f}' for v in signed)}]",
        ]

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
            ]
        if verb == "run":
            return self._run(int(words[0]))
        if verb == "layers":
            return [
                f"m-edgeq-layer-[{i},{','.join(str(c) for c in f.layer_cycles[i : i + 8])}]"
                for i in range(0, len(f.layer_cycles), 8)
            ]
        if verb == "out":
            offset = int(words[1])
            piece = self._output[offset : offset + 64]
            if self.behaviour.corrupt_reads:
                self.behaviour.corrupt_reads -= 1
                piece = bytes([piece[0] ^ 4]) + piece[1:]
            return [f"m-edgeq-out-[{piece.hex()}]"]
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
