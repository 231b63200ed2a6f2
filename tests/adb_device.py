"""The device's side of adb, as a phone's adbd: for the real adb program and server to talk to.

    python adb_device.py PORT MODEL PATH_PREFIX STATE

Speaks the transport protocol (AOSP, packages/modules/adb/protocol.txt) as far as shells, with exit codes, and file
transfers (SYNC.TXT: STAT, SEND, RECV) need. Commands run on this machine, with PATH_PREFIX before PATH so that
stand-ins for Android's own programs are found. STATE "unauthorized" never accepts the computer's key.
"""

from __future__ import annotations

import asyncio
import os
import struct
import sys
from dataclasses import dataclass, field
from pathlib import Path

CHUNK = 64 * 1024
VERSION = 0x01000000
HEADER = struct.Struct("<6I")


def code(name: bytes) -> int:
    return int(struct.unpack("<I", name)[0])


CNXN, OPEN, OKAY, WRTE, CLSE, AUTH = (code(n) for n in (b"CNXN", b"OPEN", b"OKAY", b"WRTE", b"CLSE", b"AUTH"))
STDOUT, STDERR, EXIT = 1, 2, 3  # shell protocol v2
PUBLIC_KEY = 3  # of AUTH: the computer shows its key, and the user is to say whether it may come in


@dataclass
class Stream:
    """One service that the host opened: numbers of both sides, what came in, and whether the last packet was taken."""

    ours: int
    theirs: int
    incoming: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)
    taken: asyncio.Event = field(default_factory=asyncio.Event)
    rest: bytes = b""
    closed: bool = False


class Connection:
    """One adb server that is connected."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, model: str, state: str) -> None:
        self.reader, self.writer = reader, writer
        self.model, self.state = model, state
        self.streams: dict[int, Stream] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.count = 0

    def send(self, command: int, first: int, second: int, data: bytes = b"") -> None:
        head = HEADER.pack(command, first, second, len(data), sum(data) & 0xFFFFFFFF, command ^ 0xFFFFFFFF)
        self.writer.write(head + data)

    async def serve(self) -> None:
        try:
            while True:
                command, first, second, length, _, _ = HEADER.unpack(await self.reader.readexactly(HEADER.size))
                self.packet(command, first, second, await self.reader.readexactly(length))
                await self.writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            for stream in self.streams.values():
                stream.closed = True
                stream.incoming.put_nowait(None)
                stream.taken.set()
        finally:
            self.writer.close()

    def packet(self, command: int, first: int, second: int, data: bytes) -> None:
        if command == CNXN or (command == AUTH and first != PUBLIC_KEY):
            self.greet()
        elif command == OPEN:
            self.open(first, data.rstrip(b"\0").decode())
        elif command == WRTE and second in self.streams:
            self.streams[second].incoming.put_nowait(data)
            self.send(OKAY, second, first)
        elif command == OKAY and second in self.streams:
            self.streams[second].taken.set()
        elif command == CLSE and second in self.streams:
            stream = self.streams.pop(second)
            stream.closed = True
            stream.incoming.put_nowait(None)
            stream.taken.set()

    def greet(self) -> None:
        if self.state == "unauthorized":
            self.send(AUTH, 1, 0, os.urandom(20))  # a token to sign; no signature is ever good enough
            return
        banner = f"device::ro.product.name=double;ro.product.model={self.model};ro.product.device=double;"
        self.send(CNXN, VERSION, CHUNK, f"{banner}features=shell_v2,cmd".encode())

    def open(self, theirs: int, service: str) -> None:
        self.count += 1
        stream = Stream(self.count, theirs)
        self.streams[stream.ours] = stream
        if service.startswith("shell"):
            work = self.shell(stream, service)
        elif service.startswith("sync:"):
            work = self.sync(stream)
        else:
            self.streams.pop(stream.ours)
            self.send(CLSE, 0, theirs)
            return
        self.send(OKAY, stream.ours, theirs)
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def write(self, stream: Stream, data: bytes) -> None:
        for at in range(0, len(data), CHUNK):
            if stream.closed:
                return
            stream.taken.clear()
            self.send(WRTE, stream.ours, stream.theirs, data[at : at + CHUNK])
            await self.writer.drain()
            await stream.taken.wait()

    async def read(self, stream: Stream, count: int) -> bytes:
        while len(stream.rest) < count:
            more = await stream.incoming.get()
            if more is None:
                raise EOFError
            stream.rest += more
        data, stream.rest = stream.rest[:count], stream.rest[count:]
        return data

    def close(self, stream: Stream) -> None:
        if self.streams.pop(stream.ours, None):
            self.send(CLSE, stream.ours, stream.theirs)

    async def shell(self, stream: Stream, service: str) -> None:
        kind, _, command = service.partition(":")
        framed = "v2" in kind
        child = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE, cwd="/",
        )  # fmt: skip
        one_at_a_time = asyncio.Lock()

        async def pump(source: asyncio.StreamReader | None, kind: int) -> None:
            while source is not None and (data := await source.read(4096)):
                async with one_at_a_time:
                    await self.write(stream, struct.pack("<BI", kind, len(data)) + data if framed else data)

        await asyncio.gather(pump(child.stdout, STDOUT), pump(child.stderr, STDERR))
        status = await child.wait()
        if framed:
            await self.write(stream, struct.pack("<BIB", EXIT, 1, status & 0xFF))
        self.close(stream)

    async def sync(self, stream: Stream) -> None:
        try:
            while True:
                name, length = struct.unpack("<4sI", await self.read(stream, 8))
                if name == b"QUIT":
                    break
                path = (await self.read(stream, length)).decode()
                await self.transfer(stream, name, path)
        except EOFError:
            pass
        self.close(stream)

    async def transfer(self, stream: Stream, name: bytes, path: str) -> None:
        if name == b"STAT":
            found = Path(path).stat() if Path(path).exists() else None
            numbers = (found.st_mode, found.st_size, int(found.st_mtime)) if found else (0, 0, 0)
            await self.write(stream, struct.pack("<4s3I", b"STAT", *numbers))
        elif name == b"SEND":
            await self.receive(stream, path)
        elif name == b"RECV":
            try:
                data = Path(path).read_bytes()
            except OSError as failed:
                await self.fail(stream, failed)
                return
            for at in range(0, len(data), CHUNK):
                part = data[at : at + CHUNK]
                await self.write(stream, struct.pack("<4sI", b"DATA", len(part)) + part)
            await self.write(stream, struct.pack("<4sI", b"DONE", 0))

    async def receive(self, stream: Stream, target: str) -> None:
        path, _, mode = target.rpartition(",")
        content = b""
        while True:
            name, length = struct.unpack("<4sI", await self.read(stream, 8))
            if name == b"DONE":
                break
            content += await self.read(stream, length)
        try:
            Path(path).write_bytes(content)
            Path(path).chmod(int(mode) & 0o777)
        except OSError as failed:
            await self.fail(stream, failed)
            return
        await self.write(stream, struct.pack("<4sI", b"OKAY", 0))

    async def fail(self, stream: Stream, failed: OSError) -> None:
        words = str(failed).encode()
        await self.write(stream, struct.pack("<4sI", b"FAIL", len(words)) + words)


async def main(port: int, model: str, prefix: str, state: str) -> None:
    os.environ["PATH"] = f"{prefix}:{os.environ['PATH']}" if prefix else os.environ["PATH"]

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Connection(reader, writer, model, state).serve()

    server = await asyncio.start_server(talk, "127.0.0.1", port)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]))
