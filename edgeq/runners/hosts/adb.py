"""Android phones over adb, through adbutils and the adb server of this machine."""

from __future__ import annotations

import posixpath
import secrets
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from edgeq.errors import DeviceError, ToolError, UsageError
from edgeq.runners.hosts.contract import Answer, Host

if TYPE_CHECKING:
    import adbutils

ROOT = "/data/local/tmp"
"""Where the shell user may write and execute (Android: /sdcard is mounted noexec)."""

_STEP_TIMEOUT_S = 60.0
# What an interrupted run left: older than a day, in minutes for find.
_STALE = f"find {ROOT} -maxdepth 1 -name 'edgeq.*' -mmin +1440 -exec rm -rf {{}} + 2>/dev/null; true"


@contextmanager
def connect(address: str, *, server: tuple[str, int] | None = None) -> Iterator[Host]:
    """A phone and a folder of ours on it.

    Args:
        address: its serial number as `adb devices` shows it; "" for the only one that is there.
        server: host and port of the adb server; the user's own (ANDROID_ADB_SERVER_PORT, or 5037) without it.

    Raises:
        UsageError: no serial number where several phones are connected; or none of that number.
        DeviceError: no phone, not authorised, offline; no adb server.
    """
    device = _device(address, server)
    folder = f"{ROOT}/edgeq.{secrets.token_hex(4)}"
    host = AdbHost(str(device.serial), folder, device)
    host.script(_STALE, timeout_s=_STEP_TIMEOUT_S)
    made = host.run(["mkdir", "-m", "700", folder], timeout_s=_STEP_TIMEOUT_S)
    if made.exit_code != 0:
        raise DeviceError(f"can't make {folder}: {made.stderr.decode(errors='replace').strip()}", where=host.name)
    try:
        yield host
    finally:
        with suppress(DeviceError):  # unplugged: the next run removes what is older than a day
            host.run(["rm", "-rf", folder], timeout_s=_STEP_TIMEOUT_S)


def phones(server: tuple[str, int] | None = None) -> tuple[tuple[str, str], ...]:
    """Serial number and state ("device", "unauthorized", "offline") of each phone that adb sees.

    Raises:
        DeviceError: there is no adb server and none can be started.
    """
    import adbutils

    try:
        return tuple((str(info.serial), str(info.state)) for info in _client(server).list())
    except (adbutils.AdbError, OSError) as failed:
        raise _no_server(failed) from failed


class AdbHost:
    """A Host over adb; see `connect`."""

    def __init__(self, name: str, folder: str, device: adbutils.AdbDevice) -> None:
        self.name = name
        self.folder = folder
        self._device = device

    def run(self, argv: Sequence[str], *, timeout_s: float, stdin: bytes = b"") -> Answer:
        """See Host."""
        if not stdin:
            return self.script(shlex.join(argv), timeout_s=timeout_s)
        # adb's shell protocol has no end of input that all Android versions honour: a file stands for it.
        path = posixpath.join(self.folder, f"stdin.{secrets.token_hex(4)}")
        self.write(path, stdin)
        answer = self.script(f"{shlex.join(argv)} <{shlex.quote(path)}", timeout_s=timeout_s)
        self.run(["rm", "-f", path], timeout_s=_STEP_TIMEOUT_S)
        return answer

    def script(self, text: str, *, timeout_s: float) -> Answer:
        """See Host."""
        import adbutils

        try:
            said: Any = self._device.shell2(text, v2=True, timeout=timeout_s, encoding=None)
        except adbutils.AdbTimeout as late:
            raise ToolError(
                f"a program did not finish within {timeout_s:g} s",
                where=self.name,
                next_step=f"run it by hand: adb -s {shlex.quote(self.name)} shell {text[:160]}",
                command=text,
            ) from late
        except (adbutils.AdbError, OSError) as lost:
            raise self._lost(lost) from lost
        return Answer(int(said.returncode), _as_bytes(said.stdout), _as_bytes(said.stderr))

    def write(self, path: str, data: bytes, *, executable: bool = False) -> None:
        """See Host."""
        import io

        import adbutils

        try:
            self._device.sync.push(io.BytesIO(data), path, mode=0o700 if executable else 0o600)
        except (adbutils.AdbError, OSError) as failed:
            raise DeviceError(
                f"could not write {len(data):,} bytes to {path}: {failed}",
                where=self.name,
                next_step="is there space left on the phone, and is it still connected?",
            ) from failed

    def read(self, path: str) -> bytes:
        """See Host."""
        import adbutils

        try:
            return b"".join(self._device.sync.iter_content(path))
        except (adbutils.AdbError, OSError) as failed:
            raise DeviceError(f"could not read {path}: {failed}", where=self.name) from failed

    def _lost(self, failed: Exception) -> DeviceError:
        return DeviceError(
            f"the phone doesn't answer: {failed}",
            where=self.name,
            next_step="is it still connected? `adb devices` shows it as 'device' when it is ready",
        )


def _as_bytes(said: bytes | str | None) -> bytes:
    return said if isinstance(said, bytes) else (said or "").encode()


def _client(server: tuple[str, int] | None) -> adbutils.AdbClient:
    import adbutils

    return adbutils.AdbClient(*server) if server else adbutils.AdbClient()


def _no_server(failed: Exception) -> DeviceError:
    return DeviceError(
        f"no adb server: {failed}",
        where="adb",
        next_step="install adb (Debian: apt-get install adb; or Android's platform tools) and run `adb start-server`",
    )


def _device(address: str, server: tuple[str, int] | None) -> adbutils.AdbDevice:
    found = phones(server)
    ready = [serial for serial, state in found if state == "device"]
    states = dict(found)
    listed = ", ".join(f"{serial} ({state})" for serial, state in found) or "none"
    if address and address not in states:
        raise UsageError(f"adb sees no phone '{address}'", where="adb", next_step=f"connected: {listed}", phones=states)
    if not address and len(ready) > 1:
        raise UsageError(
            f"{len(ready)} phones are connected", where="adb", next_step=f"name one with --serial: {', '.join(ready)}"
        )
    serial = address or (ready[0] if ready else next(iter(states), ""))
    if not serial:
        raise DeviceError(
            "adb sees no phone",
            where="adb",
            next_step="enable USB debugging (Settings, Developer options), connect a data cable, then `adb devices`",
        )
    if states[serial] != "device":
        what = {
            "unauthorized": "unlock it and accept this computer's key",
            "authorizing": "unlock it and accept this computer's key",
            "offline": "unplug it and plug it in again, or `adb kill-server`",
        }.get(states[serial], "`adb devices` shows 'device' when it is ready")
        raise DeviceError(f"the phone is {states[serial]}", where=serial, next_step=what, state=states[serial])
    return _client(server).device(serial=serial)
