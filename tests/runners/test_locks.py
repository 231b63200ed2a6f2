"""Locks of devices: they say who holds them, and end with the process that does."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgeq.errors import PortError
from edgeq.events import Event, Progress
from edgeq.runners import locks
from edgeq.runners.names import Named

_HOLDER = """
import sys, time
from pathlib import Path
from edgeq.runners import locks
with locks.hold(Path(sys.argv[1]), sys.argv[2:], "edgeq profile other.tflite"):
    print("held", flush=True)
    time.sleep(60)
"""


def other(folder: Path, *keys: str) -> subprocess.Popen[bytes]:
    """Another process that holds them."""
    child = subprocess.Popen([sys.executable, "-c", _HOLDER, folder, *keys], stdout=subprocess.PIPE)
    assert child.stdout is not None and child.stdout.readline() == b"held\n"
    return child


def test_who_holds_it_is_said_and_its_death_frees_it(tmp_path: Path) -> None:
    child = other(tmp_path, "usb:1", "usb:2")
    try:
        with pytest.raises(PortError, match=r"other\.tflite") as refused, locks.hold(tmp_path, ["usb:2"], "mine"):
            pass
        holder = refused.value.facts["holder"]
        assert isinstance(holder, dict) and holder["pid"] == child.pid and abs(holder["since"] - time.time()) < 60
        found = locks.holder(tmp_path, "usb:1")
        assert found is not None and found.command == "edgeq profile other.tflite"
        with locks.hold(tmp_path, ["usb:3"], "mine"):  # another device is free
            pass
    finally:
        child.kill()  # SIGKILL: nothing of it can clean up
        child.communicate()
    assert locks.holder(tmp_path, "usb:1") is None
    with locks.hold(tmp_path, ["usb:1", "usb:2"], "mine"):
        mine = locks.holder(tmp_path, "usb:2")
        assert mine is not None and mine.pid == os.getpid()
    assert locks.holder(tmp_path, "usb:2") is None


def test_waiting_ends_when_the_other_ends(tmp_path: Path) -> None:
    child = other(tmp_path, "usb:1")
    told: list[Event] = []

    def tell(event: Event) -> None:
        told.append(event)
        child.kill()

    try:
        with locks.hold(tmp_path, ["usb:1"], "mine", wait_s=30, listener=tell):
            assert isinstance(told[0], Progress) and "other.tflite" in told[0].detail
    finally:
        child.kill()
        child.communicate()


def test_waiting_has_an_end(tmp_path: Path) -> None:
    with (
        locks.hold(tmp_path, ["usb:1"], "first"),
        pytest.raises(PortError, match=r"in use by first .*; waited 0\.3 s"),
        locks.hold(tmp_path, ["usb:1"], "second", wait_s=0.3),
    ):
        pass


def test_links_to_one_port_have_one_key_and_every_way_is_locked(tmp_path: Path) -> None:
    link = tmp_path / "by-id"
    link.symlink_to("/dev/null")
    assert locks.key_of_port(str(link)) == locks.key_of_port("/dev/null")
    keys = locks.keys_of(Named("a", "ABC", port=str(link), probe="P1"))
    assert keys == (locks.key_of_port("/dev/null"), "usb:abc", "usb:p1")
    assert locks.keys_of(Named("b", place="x")) == ("labgrid:127.0.0.1:20408/x",)


def test_other_users_of_the_folder_can_take_it_too(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with locks.hold(tmp_path / "shared", ["usb:1"], "mine"):
            pass
    finally:
        os.umask(before)
    (file,) = (tmp_path / "shared").glob("*.lock")
    assert file.stat().st_mode & 0o777 == 0o666
    file.unlink()
    file.mkdir()  # what nobody can open as a file, root neither
    with (
        pytest.raises(PortError, match="lock can't be taken") as refused,
        locks.hold(tmp_path / "shared", ["usb:1"], "x"),
    ):
        pass
    assert "EDGEQ_LOCKS" in refused.value.next_step
