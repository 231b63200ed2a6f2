"""Linux computers over SSH: the user's agent, keys and configuration file, and host keys that must be known.

The folder on the host belongs to a process there that waits for us to hang up: `cat` reads what we never send. However
the connection ends (an error here, kill -9, a cable pulled), its standard input closes, and the shell removes the
folder.
"""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from edgeq.errors import DeviceError, ToolError, UsageError
from edgeq.runners.hosts.contract import Answer, Host

if TYPE_CHECKING:
    import asyncssh

T = TypeVar("T")
CONNECT_TIMEOUT_S = 20.0
# sshd is asked whether it lives: a pulled cable is noticed within this many times three.
_KEEPALIVE_S = 15
_STEP_TIMEOUT_S = 60.0
_ADDRESS = re.compile(r"(?:(?P<user>[^@\s]+)@)?(?P<host>\[[^\]\s]+\]|[^@:\s]+)(?::(?P<port>\d{1,5}))?")
# The trap runs on any end of the shell: `cat` returns when our side closes.
_KEEPER = (
    'umask 077; d=$(mktemp -d "${TMPDIR:-/tmp}/edgeq.XXXXXXXX") || exit 1; '
    'trap \'rm -rf "$d"\' EXIT; trap "exit 1" HUP INT TERM; printf "%s\\n" "$d"; cat >/dev/null'
)


@dataclass(frozen=True)
class Address:
    """Where to connect. `user` "" and `port` 0 leave it to the user's configuration."""

    host: str
    user: str = ""
    port: int = 0

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read `[user@]host[:port]`; an IPv6 address stands in brackets.

        Raises:
            UsageError: it isn't one.
        """
        found = _ADDRESS.fullmatch(text)
        if found is None or int(found["port"] or 1) not in range(1, 65536):
            raise UsageError(
                "is not the address of an SSH host", where=text, next_step="write user@host, or user@host:port"
            )
        return cls(found["host"].strip("[]"), found["user"] or "", int(found["port"] or 0))


@contextmanager
def connect(address: str, *, config: Sequence[Path] = (), known_hosts: Path | None = None) -> Iterator[Host]:
    """A connection and its temporary folder.

    Args:
        address: `[user@]host[:port]`, or a name of the user's SSH configuration.
        config: configuration files instead of the user's.
        known_hosts: instead of the user's.

    Raises:
        UsageError: an address that can't be one.
        DeviceError: no answer, an unknown host key, or no permission; each says what to do.
    """
    where = Address.parse(address)
    loop = asyncio.new_event_loop()
    try:
        connection = loop.run_until_complete(_connect(where, address, config, known_hosts))
        try:
            keeper, folder = loop.run_until_complete(_keeper(connection, address))
            try:
                yield SshHost(address, folder, loop, connection)
            finally:
                loop.run_until_complete(_release(keeper))
        finally:
            connection.close()
            loop.run_until_complete(connection.wait_closed())
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


class SshHost:
    """A Host over one SSH connection; see `connect`."""

    def __init__(
        self, name: str, folder: str, loop: asyncio.AbstractEventLoop, connection: asyncssh.SSHClientConnection
    ) -> None:
        self.name = name
        self.folder = folder
        self._loop = loop
        self._connection = connection
        self._number = f"{folder}/.process"

    def run(self, argv: Sequence[str], *, timeout_s: float, stdin: bytes = b"") -> Answer:
        """See Host."""
        return self.script(shlex.join(argv), timeout_s=timeout_s, stdin=stdin)

    def script(self, text: str, *, timeout_s: float, stdin: bytes = b"") -> Answer:
        """See Host."""
        return self._wait(self._run(text, stdin, timeout_s))

    def write(self, path: str, data: bytes, *, executable: bool = False) -> None:
        """See Host."""
        quoted = shlex.quote(path)
        mode = "700" if executable else "600"
        said = self.script(f"cat >{quoted} && chmod {mode} {quoted}", timeout_s=_transfer_s(len(data)), stdin=data)
        if said.exit_code != 0:
            raise DeviceError(
                f"could not write {len(data):,} bytes to {path}: {said.stderr.decode(errors='replace').strip()}",
                where=self.name,
                next_step="is there space left, and may this user write there?",
            )

    def read(self, path: str) -> bytes:
        """See Host."""
        said = self.run(["cat", path], timeout_s=_STEP_TIMEOUT_S)
        if said.exit_code != 0:
            raise DeviceError(f"could not read {path}: {said.stderr.decode(errors='replace').strip()}", where=self.name)
        return said.stdout

    def _wait(self, step: Coroutine[Any, Any, T]) -> T:
        import asyncssh

        task = self._loop.create_task(step)
        try:
            return self._loop.run_until_complete(task)
        except (asyncssh.Error, OSError) as failed:
            raise DeviceError(
                f"the SSH connection was lost: {failed}",
                where=self.name,
                next_step="is the computer still on, and in the network? Its folder there removes itself",
            ) from failed
        except KeyboardInterrupt:
            task.cancel()
            with suppress(asyncio.CancelledError, asyncssh.Error, OSError):
                self._loop.run_until_complete(task)
            raise

    async def _run(self, command: str, stdin: bytes, timeout_s: float) -> Answer:
        # The signals that SSH can carry reach no program in OpenSSH's sessions, so the shell leaves its number. sshd
        # makes it the leader of a process group.
        noted = f"echo $$ >{shlex.quote(self._number)}; {command}"
        child = await self._connection.create_process(noted, encoding=None)
        try:
            out, err = await asyncio.wait_for(child.communicate(stdin), timeout_s)
        except (asyncio.TimeoutError, asyncio.CancelledError) as late:
            await self._connection.run(f"kill -9 -- -$(cat {shlex.quote(self._number)})", check=False)
            child.close()
            if isinstance(late, asyncio.CancelledError):
                raise
            raise ToolError(
                f"a program did not finish within {timeout_s:g} s and was stopped",
                where=self.name,
                next_step=f"run it by hand there: {command[:200]}",
                command=command,
            ) from late
        code = child.returncode
        if code is None:
            raise OSError("it closed while a program ran")
        return Answer(code, _as_bytes(out), _as_bytes(err))


def _as_bytes(said: bytes | str | None) -> bytes:
    return said if isinstance(said, bytes) else (said or "").encode()


def _transfer_s(size: int) -> float:
    """Room for a slow line: 200 kB/s."""
    return _STEP_TIMEOUT_S + size / 200_000


async def _connect(
    where: Address, address: str, config: Sequence[Path], known_hosts: Path | None
) -> asyncssh.SSHClientConnection:
    import asyncssh

    options: dict[str, Any] = {"keepalive_interval": _KEEPALIVE_S}
    if where.user:
        options["username"] = where.user
    if where.port:
        options["port"] = where.port
    if config:
        options["config"] = [str(path) for path in config]
    if known_hosts is not None:
        options["known_hosts"] = str(known_hosts)
    name = shlex.quote(address)
    try:
        return await asyncio.wait_for(asyncssh.connect(where.host, **options), CONNECT_TIMEOUT_S)
    except asyncssh.HostKeyNotVerifiable as unknown:
        raise DeviceError(
            f"its host key is not known here ({unknown}), so it may be another computer",
            where=address,
            next_step=f"connect once with `ssh {name}` and compare the fingerprint; after a new installation of the "
            f"computer, `ssh-keygen -R {shlex.quote(where.host)}` forgets the old key",
        ) from unknown
    except asyncssh.PermissionDenied as denied:
        raise DeviceError(
            f"doesn't let us in: {denied.reason}",
            where=address,
            next_step=f"`ssh-copy-id {name}` puts your key there; edgeq asks for no password. Is the user right?",
        ) from denied
    except asyncio.TimeoutError as late:
        raise DeviceError(
            f"no answer within {CONNECT_TIMEOUT_S:g} s", where=address, next_step=f"does `ssh {name}` work?"
        ) from late
    except (OSError, asyncssh.Error) as failed:
        raise DeviceError(
            f"can't connect: {failed}", where=address, next_step=f"does `ssh {name}` work? Is SSH enabled there?"
        ) from failed


async def _keeper(connection: asyncssh.SSHClientConnection, address: str) -> tuple[asyncssh.SSHClientProcess[str], str]:
    keeper = await connection.create_process(_KEEPER)
    folder = (await keeper.stdout.readline()).strip()
    if not folder:
        said = (await keeper.stderr.read()).strip()
        raise DeviceError(
            f"can't make a temporary folder: {said}", where=address, next_step="is the disk full, or read-only?"
        )
    return keeper, folder


async def _release(keeper: asyncssh.SSHClientProcess[str]) -> None:
    """Let the folder go, and wait until it is gone; a connection that is lost does it by itself."""
    import asyncssh

    try:
        keeper.stdin.write_eof()
        await asyncio.wait_for(keeper.wait_closed(), _STEP_TIMEOUT_S)
    except (asyncio.TimeoutError, asyncssh.Error, OSError):
        return
