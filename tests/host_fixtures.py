"""A real SSH server on loopback, and a phone's side of adb behind the real adb server."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SSHD = shutil.which("sshd") or ("/usr/sbin/sshd" if Path("/usr/sbin/sshd").exists() else "")
needs_sshd = pytest.mark.skipif(not SSHD, reason="no sshd here: apt-get install openssh-server")
needs_adb = pytest.mark.skipif(not shutil.which("adb"), reason="no adb here: apt-get install adb")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(what: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Whether it became true in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if what():
            return True
        time.sleep(0.05)
    return what()


@dataclass(frozen=True)
class SshServer:
    """An sshd, and the client's side of it: a home folder whose configuration knows `board`."""

    port: int
    home: Path
    known_hosts: Path
    host_key: str
    user: str
    temporary: Path

    def folders(self) -> list[str]:
        """What edgeq has there now."""
        return [path.name for path in self.temporary.glob("edgeq.*")]


def start_sshd(folder: Path, *, command: str = "", environment: str = "") -> tuple[subprocess.Popen[bytes], SshServer]:
    """A server with keys of its own.

    Args:
        command: what runs instead of the user's shell; it finds what was asked for in SSH_ORIGINAL_COMMAND.
        environment: `NAME=value …` for its sessions, as SetEnv takes it.
    """
    home, temporary = folder / "home", folder / "tmp"
    (home / ".ssh").mkdir(parents=True)
    temporary.mkdir()
    for key in ("host_key", "user_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
    host_key = " ".join((folder / "host_key.pub").read_text().split()[:2])
    port, user = free_port(), os.environ.get("USER") or subprocess.check_output(["id", "-un"], text=True).strip()
    lines = [
        f"Port {port}",
        "ListenAddress 127.0.0.1",
        f"HostKey {folder / 'host_key'}",
        f"AuthorizedKeysFile {folder / 'user_key.pub'}",
        "PidFile none",
        "StrictModes no",
        "UsePAM no",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        f"SetEnv TMPDIR={temporary} XDG_CACHE_HOME={folder / 'cache'} {environment}",
    ]
    if command:
        lines.append(f"ForceCommand {command}")
    (folder / "sshd_config").write_text("\n".join(lines) + "\n")
    Path("/run/sshd").mkdir(exist_ok=True)  # sshd's own folder, which Debian makes when its service starts
    server = subprocess.Popen([SSHD, "-D", "-e", "-f", folder / "sshd_config"], stderr=(folder / "log").open("wb"))
    known = folder / "known_hosts"
    known.write_text(f"[127.0.0.1]:{port} {host_key}\n")
    (home / ".ssh" / "config").write_text(
        f"Host board\n  HostName 127.0.0.1\n  Port {port}\n  User {user}\n  IdentityFile {folder / 'user_key'}\n"
        f"  UserKnownHostsFile {known}\n"
    )

    def listening() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    if not wait_for(listening):
        server.kill()
        raise RuntimeError((folder / "log").read_text())
    return server, SshServer(port, home, known, host_key, user, temporary)


@pytest.fixture(scope="session")
def ssh_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    server, found = start_sshd(tmp_path_factory.mktemp("sshd"))
    yield found
    server.kill()
    server.wait()


@pytest.fixture
def board_at_ssh(ssh_server: SshServer, monkeypatch: pytest.MonkeyPatch) -> SshServer:
    """The same, with `board` in the SSH configuration of this process's user."""
    monkeypatch.setenv("HOME", str(ssh_server.home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return ssh_server


@dataclass(frozen=True)
class Phones:
    """Phones that an adb server sees: by serial number."""

    port: int
    serials: tuple[str, ...]
    root: Path


_DUMPSYS = """#!/bin/sh
case $1 in
battery) printf '  USB powered: true\\n  level: 81\\n  temperature: 264\\n' ;;
power) printf '  mWakefulness=Awake\\n' ;;
thermalservice) printf 'Thermal Status: 1\\n' ;;
esac
"""
_GETPROP = """#!/bin/sh
case $1 in
ro.product.manufacturer) echo Acme ;;
ro.product.model) echo Seven ;;
ro.build.version.release) echo 15 ;;
esac
"""


def start_phones(folder: Path, states: tuple[str, ...]) -> tuple[list[subprocess.Popen[bytes]], Phones]:
    """One double of a phone for each state, connected to an adb server of its own."""
    programs, root = folder / "bin", folder / "tmp"
    programs.mkdir()
    root.mkdir()
    for name, text in (("dumpsys", _DUMPSYS), ("getprop", _GETPROP)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    port = free_port()
    environment = {**os.environ, "ANDROID_ADB_SERVER_PORT": str(port), "HOME": str(folder), "ADB_MDNS_OPENSCREEN": "0"}
    children, serials = [], []
    for state in states:
        double = Path(__file__).with_name("adb_device.py")
        child = subprocess.Popen(
            [sys.executable, double, "0", "Seven", programs, state], stdout=subprocess.PIPE, cwd=folder
        )
        assert child.stdout is not None
        children.append(child)
        serials.append(f"127.0.0.1:{int(child.stdout.readline())}")
    for serial in serials:
        subprocess.run(["adb", "connect", serial], env=environment, check=True, capture_output=True, timeout=60)

    def seen() -> bool:
        said = subprocess.run(["adb", "devices"], env=environment, capture_output=True, text=True, timeout=60).stdout
        rows = dict(line.split("\t") for line in said.splitlines() if "\t" in line)
        return all(rows.get(serial) == state for serial, state in zip(serials, states, strict=True))

    if not wait_for(seen, 30.0):
        raise RuntimeError(f"adb at port {port} doesn't see {serials} as {states}")
    return children, Phones(port, tuple(serials), root)


def stop_phones(children: list[subprocess.Popen[bytes]], phones: Phones) -> None:
    subprocess.run(["adb", "-P", str(phones.port), "kill-server"], capture_output=True, timeout=60, check=False)
    for child in children:
        child.kill()
        child.wait()


@pytest.fixture(scope="session")
def adb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phones]:
    children, found = start_phones(tmp_path_factory.mktemp("adb"), ("device", "device", "unauthorized"))
    yield found
    stop_phones(children, found)


@pytest.fixture
def phones(adb_server: Phones, monkeypatch: pytest.MonkeyPatch) -> Phones:
    """The same, as this process's adb server; what is /data/local/tmp on a phone is a folder of the test."""
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(adb_server.port))
    monkeypatch.setattr("edgeq.runners.hosts.adb.ROOT", str(adb_server.root))
    return adb_server
