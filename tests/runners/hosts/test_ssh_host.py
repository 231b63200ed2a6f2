"""A host over SSH, with a real sshd: words, files, refusals, and the folder that goes whatever happens."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from host_fixtures import SshServer, free_port, needs_sshd, wait_for

from edgeq.errors import DeviceError, ToolError, UsageError
from edgeq.runners.hosts import ssh

pytestmark = needs_sshd


def test_addresses() -> None:
    assert ssh.Address.parse("pi@raspberrypi.local") == ssh.Address("raspberrypi.local", "pi")
    assert ssh.Address.parse("board") == ssh.Address("board")
    assert ssh.Address.parse("a@10.0.0.7:2222") == ssh.Address("10.0.0.7", "a", 2222)
    assert ssh.Address.parse("a@[fe80::1]:22") == ssh.Address("fe80::1", "a", 22)
    for wrong in ("", "a@", "a b", "host:", "host:99999", "host:0", "a@b@c", "fe80::1"):
        with pytest.raises(UsageError, match="not the address"):
            ssh.Address.parse(wrong)


def test_words_stay_words_and_exit_codes_come_back(board_at_ssh: SshServer) -> None:
    with ssh.connect("board") as host:
        words = ["a b", "$HOME", "'", '"', "*", "new\nline", "-n"]
        assert host.run(["printf", "%s|", *words], timeout_s=20).stdout == ("|".join(words) + "|").encode()
        failed = host.script("echo out; echo err >&2; exit 7", timeout_s=20)
        assert (failed.exit_code, failed.stdout, failed.stderr) == (7, b"out\n", b"err\n")
        assert host.run(["cat"], timeout_s=20, stdin=b"\0\xff\n").stdout == b"\0\xff\n"


def test_files_and_the_folder(board_at_ssh: SshServer) -> None:
    content = os.urandom(300_000)
    with ssh.connect("board") as host:
        folder = Path(host.folder)
        assert folder.parent == board_at_ssh.temporary
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        host.write(f"{host.folder}/a b", content, executable=True)
        assert host.read(f"{host.folder}/a b") == content
        assert os.access(folder / "a b", os.X_OK)
        with pytest.raises(DeviceError, match="could not read"):
            host.read("/nowhere")
        with pytest.raises(DeviceError, match="could not write 3 bytes"):
            host.write("/nowhere/x", b"abc")
    assert not folder.exists()


def test_the_folder_goes_when_something_is_raised(board_at_ssh: SshServer) -> None:
    with pytest.raises(ZeroDivisionError), ssh.connect("board"):
        assert board_at_ssh.folders()
        raise ZeroDivisionError
    assert wait_for(lambda: not board_at_ssh.folders())


def test_the_folder_goes_when_the_program_is_killed(board_at_ssh: SshServer) -> None:
    script = "import time\nfrom edgeq.runners.hosts import ssh\nwith ssh.connect('board') as h:\n"
    script += "    print(h.folder, flush=True)\n    time.sleep(600)\n"
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    folder = Path(child.stdout.readline().strip())
    assert folder.is_dir()
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert wait_for(lambda: not folder.exists())


def test_a_program_that_takes_too_long_is_stopped_there(board_at_ssh: SshServer) -> None:
    with ssh.connect("board") as host:
        with pytest.raises(ToolError, match="within 1 s") as caught:
            host.script(f"sleep 600 & echo $! >{host.folder}/child; wait", timeout_s=1)
        assert caught.value.exit_code == 5
        child = Path("/proc") / host.read(f"{host.folder}/child").decode().strip()
        assert wait_for(lambda: not child.exists())
        assert host.run(["echo", "alive"], timeout_s=20).text == "alive"


def test_a_connection_that_breaks_is_told(board_at_ssh: SshServer) -> None:
    with (
        pytest.raises(DeviceError, match=r"connection was lost|closed while"),
        ssh.connect("board") as host,
    ):
        # The parent of the remote shell is this connection's sshd.
        host.script("kill -9 $PPID; sleep 5", timeout_s=20)
    assert wait_for(lambda: not board_at_ssh.folders())


def test_strangers_are_refused(board_at_ssh: SshServer, tmp_path: Path) -> None:
    empty = tmp_path / "known_hosts"
    empty.write_text("")
    with pytest.raises(DeviceError, match="host key is not known") as caught, ssh.connect("board", known_hosts=empty):
        pass
    assert "ssh-keygen -R" in str(caught.value)
    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
    empty.write_text(f"[127.0.0.1]:{board_at_ssh.port} {other.with_suffix('.pub').read_text()}")
    with pytest.raises(DeviceError, match="host key is not known"), ssh.connect("board", known_hosts=empty):
        pass


def test_no_permission_and_nobody_there(board_at_ssh: SshServer, tmp_path: Path) -> None:
    config = tmp_path / "config"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "none"], check=True)
    config.write_text(f"Host *\n  UserKnownHostsFile {board_at_ssh.known_hosts}\n  IdentityFile {tmp_path / 'none'}\n")
    address = f"{board_at_ssh.user}@127.0.0.1:{board_at_ssh.port}"
    with pytest.raises(DeviceError, match="doesn't let us in") as caught, ssh.connect(address, config=[config]):
        pass
    assert "ssh-copy-id" in str(caught.value)
    with pytest.raises(DeviceError, match="can't connect"), ssh.connect(f"127.0.0.1:{free_port()}"):
        pass
