"""The wire protocol, host side: commands that end in `%`, replies in CR LF lines, `m-ready` closes each.

The protocol is the MLPerf Tiny device-under-test API (github.com/mlcommons/tiny, benchmark/api), so that
any firmware that speaks it can be driven. Everything here has a deadline: a silent, a babbling and a
half-dead device all end in a ProtocolError that tells what was last heard.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType

from edgeq.errors import DeviceError, ProtocolError
from edgeq.measure.frames import Frame
from edgeq.runners.port import SerialLike, explain, open_port

# The device's command buffer in the MLPerf Tiny API (EE_CMD_SIZE), with the closing %.
MAX_COMMAND_CHARS = 80
READY = "m-ready"
# A line from a device begins with one of these; what stands before it on a line is junk (boot loaders,
# a modem manager's leftovers, a byte garbled by a clock change).
_START = re.compile(r"(m-|e-\[)[^\r\n]*")
# The last line of edgeq's firmware when the core has faulted; no `m-ready` follows.
_FAULT = re.compile(
    r"e-\[((?:NMI|HardFault|MemManage|BusFault|UsageFault|Exception \d+|Interrupt \d+) "
    r".*(?:cfsr|lr|sp)=0x[0-9a-fA-F]+)\]"
)
# Silence after which a device is taken to have said everything, in seconds.
_QUIET_S = 0.12
# What one reply may hold at most; a device that talks without end is not answering.
_MAX_REPLY_BYTES = 1 << 20


@dataclass(frozen=True)
class Reply:
    """What a device answered to one command, without the closing `m-ready`."""

    command: str
    lines: tuple[str, ...]

    @property
    def error(self) -> str:
        """The text of the first `e-[…]` line, "" if there is none."""
        return next((line[3:].rstrip("]") for line in self.lines if line.startswith("e-[")), "")

    def values(self, key: str) -> list[str]:
        """The bracketed values of every line `key-[value]`, in order."""
        start = f"{key}-["
        return [line[len(start) : -1] for line in self.lines if line.startswith(start) and line.endswith("]")]

    def value(self, key: str) -> str:
        """The value of the one line `key-[value]`.

        Raises:
            ProtocolError: no such line.
        """
        found = self.values(key)
        if not found:
            raise ProtocolError(
                f"the answer to '{self.command}%' has no line {key}-[…]",
                next_step="the firmware may be of another version: build and flash it again",
                command=self.command,
                lines=list(self.lines),
            )
        return found[0]


class Wire:
    """A serial port with a device that speaks the protocol; a context manager that closes it.

    Args:
        trace: called with ">" and each command, "<" and each line; for transcripts.
    """

    def __init__(self, port: SerialLike, name: str, trace: Callable[[str, str], None] | None = None) -> None:
        self._port = port
        self._name = name
        self._trace = trace
        self._buffer = bytearray()
        self._first_baud = port.baudrate

    @classmethod
    def open(cls, name: str, baud: int, trace: Callable[[str, str], None] | None = None) -> Wire:
        """Open the port `name` (see `edgeq.runners.port.open_port` for what it raises)."""
        return cls(open_port(name, baud), name, trace)

    @property
    def name(self) -> str:
        """The port's name."""
        return self._name

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the port back."""
        self._port.close()

    def hello(self, *, timeout_s: float = 2.0, attempts: int = 4) -> str:
        """Find the device and get in step with it: the NAME of its `m-name-dut-[NAME]`.

        A board may be booting, may have half a command of somebody else's in its buffer, or may still be
        busy with one. So `name` is asked until the answer to it comes, and what came late is thrown away.

        After `set_baud`, the last half of the attempts are at the speed that the port was opened with: a device falls
        back to it when it hears noise.

        Raises:
            ProtocolError: it doesn't answer; the message tells what was heard, if anything.
            PortError: the port went away.
        """
        silence: ProtocolError | None = None
        for attempt in range(attempts):
            try:
                if self.baud != self._first_baud and 2 * attempt >= attempts:
                    self.set_baud(self._first_baud)
                if attempt:
                    self._send("%")  # ends whatever half a command the device may hold
                self.discard()
                reply = self.command("name", expect="m-name-dut-[", timeout_s=timeout_s)
                name = "" if reply.error else reply.value("m-name-dut")
            except ProtocolError as failed:
                silence = failed
                continue
            if name:
                self.discard()
                return name
        raise silence or ProtocolError(
            "the device refuses 'name%', so it isn't one that speaks this protocol",
            where=self._name,
            next_step="flash edgeq's firmware (`edgeq flash`) or another that speaks the MLPerf Tiny API",
        )

    def set_baud(self, baud: int) -> None:
        """Change this side's speed; `hello` goes back to the first one when nobody is heard at it.

        Raises:
            PortError: the port can't, or went away.
        """
        try:
            self._port.baudrate = baud
        except (OSError, ValueError) as failed:
            raise self._gone(failed) from failed

    @property
    def baud(self) -> int:
        """The present speed of this side."""
        return self._port.baudrate

    def command(self, text: str, *, expect: str = "", timeout_s: float = 5.0) -> Reply:
        """Send one command and read its reply.

        Args:
            text: without the closing `%`.
            expect: the reply holds a line that begins so; an `m-ready` before it belongs to something
                earlier and is skipped. An `e-[…]` line ends the wait too.
            timeout_s: for the whole reply.

        Raises:
            ValueError: longer than the protocol allows.
            ProtocolError: no complete reply in time, or the device restarted meanwhile.
            DeviceError: its firmware says that it has crashed.
            PortError: the port went away.
        """
        if len(text) + 1 > MAX_COMMAND_CHARS:
            raise ValueError(f"a command has at most {MAX_COMMAND_CHARS} characters: {text[:20]}…")
        self._send(text + "%")
        return self._reply(text, expect, timeout_s)

    def stream(self, frames: Sequence[Frame], *, timeout_s: float) -> Iterator[bool]:
        """Send frames, the next one while the last one's answer is awaited: whether each has arrived whole, in order.

        Args:
            timeout_s: for each answer.

        Raises:
            ProtocolError, PortError: as `command`. After a False, and after an error, `hello` gets in step again.
        """
        for number, frame in enumerate(frames):
            if number == 0:
                self._send_frame(frame)
            if number + 1 < len(frames):
                self._send_frame(frames[number + 1])
            opened, closed = (self._reply(frame.command, "", timeout_s) for _ in range(2))
            yield not opened.error and frame.answer in closed.lines

    def _send_frame(self, frame: Frame) -> None:
        self._send(f"{frame.command}%")
        if self._trace:
            self._trace(">", f"({frame.count} bytes)%")
        self._write(frame.body)

    def discard(self, *, longest_s: float = 2.0) -> None:
        """Throw away what the device says until it has been quiet for a moment."""
        end = time.monotonic() + longest_s
        while time.monotonic() < end and self._read(min(_QUIET_S, longest_s)):
            pass
        self._buffer.clear()

    def _reply(self, text: str, expect: str, timeout_s: float) -> Reply:
        deadline = time.monotonic() + timeout_s
        lines: list[str] = []
        junk: list[str] = []
        heard = len(self._buffer)
        while True:
            line = self._line()
            if line is None:
                left = deadline - time.monotonic()
                if left <= 0 or heard > _MAX_REPLY_BYTES:
                    raise self._silent(text, timeout_s, lines, junk)
                heard += self._read(min(left, 0.25))
                continue
            start = _START.search(line)
            if start is None:
                junk.append(line)
                continue
            word = start.group()
            if self._trace:
                self._trace("<", word)
            self._check_alive(word, text)
            if word != READY:
                lines.append(word)
            elif not expect or any(held.startswith((expect, "e-[")) for held in lines):
                return Reply(text, tuple(lines))

    def _check_alive(self, line: str, text: str) -> None:
        """Raise when a line says that the board has restarted, or that its firmware has crashed."""
        if line == "m-init-done":
            raise ProtocolError(
                f"the board restarted while it should answer '{text}%'",
                where=self._name,
                next_step="look at its power supply and cable; if it always does so, the firmware faults",
                command=text,
                reason="restarted",
            )
        fault = _FAULT.match(line)
        if fault:
            raise DeviceError(
                f"the firmware crashed at '{text}%': {fault[1]}",
                where=self._name,
                next_step="`arm-none-eabi-addr2line -fe build/firmware.elf PC` names the place; reset the board "
                "to go on",
                command=text,
                fault=fault[1],
            )

    def _silent(self, text: str, timeout_s: float, lines: list[str], junk: list[str]) -> ProtocolError:
        """The error for a reply that didn't come or didn't end, with what was heard instead."""
        rest = bytes(self._buffer[-60:])
        self._buffer.clear()
        garbled = [*junk, rest.decode("ascii", "replace")] if rest else junk
        if lines:
            told = f"last heard: '{lines[-1]}'"
            step = "the device may be busy or have faulted: reset it and try again"
        elif garbled:
            heard = " | ".join(garbled[-3:])[-60:]
            sample = "".join(c if c.isprintable() and c != "�" else "·" for c in heard)
            told = f"what came isn't the protocol: '{sample}'"
            step = (
                "check the baud rate, and that edgeq's firmware is on the board (`edgeq flash`)"
                if "·" in sample
                else "another firmware is on the board, or another program answers: `edgeq flash` first"
            )
        else:
            told = "nothing at all was heard"
            step = (
                "check that this is the board's port, that the board is powered and that edgeq's firmware is "
                "on it (`edgeq flash`)"
            )
        return ProtocolError(
            f"no complete answer to '{text}%' within {timeout_s:g} s; {told}",
            where=self._name,
            next_step=step,
            command=text,
            timeout_s=timeout_s,
            lines=lines[-20:],
            junk=junk[-5:],
        )

    def _send(self, text: str) -> None:
        if self._trace:
            self._trace(">", text)
        self._write(text.encode("ascii"))

    def _write(self, data: bytes) -> None:
        try:
            self._port.write(data)
        except OSError as failed:  # pyserial's exceptions are OSErrors
            raise self._gone(failed) from failed

    def _read(self, wait_s: float) -> int:
        """Take what is there, waiting at most `wait_s` for the first byte; how many bytes came."""
        try:
            self._port.timeout = max(wait_s, 0.001)
            data = self._port.read(max(1, self._port.in_waiting))
        except (OSError, TypeError) as failed:  # TypeError: pyserial's read of a port closed meanwhile
            raise self._gone(failed) from failed
        self._buffer += data
        return len(data)

    def _line(self) -> str | None:
        end = self._buffer.find(b"\n")
        if end < 0:
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line.decode("ascii", "replace").rstrip("\r")

    def _gone(self, failed: BaseException) -> Exception:
        gone = explain(self._name, failed)
        if gone.facts.get("reason") == "other":
            gone = type(gone)(
                f"the port went away while it was in use: {failed}",
                where=self._name,
                next_step="check the cable; if it was a virtual board, see whether it still runs",
                reason="gone",
            )
        return gone
