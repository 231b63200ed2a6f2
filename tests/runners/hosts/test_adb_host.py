"""A phone over adb: the real adb program and server, and a device-side daemon of the tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from host_fixtures import Phones, free_port, needs_adb

from edgeq.errors import DeviceError, UsageError
from edgeq.runners.hosts import adb

pytestmark = needs_adb


def test_words_codes_and_files(phones: Phones) -> None:
    content = os.urandom(200_000)
    with adb.connect(phones.serials[0]) as host:
        words = ["a b", "$HOME", "'", '"', "*", "new\nline"]
        assert host.run(["printf", "%s|", *words], timeout_s=20).stdout == ("|".join(words) + "|").encode()
        failed = host.script("echo out; echo err >&2; exit 7", timeout_s=20)
        assert (failed.exit_code, failed.stdout, failed.stderr) == (7, b"out\n", b"err\n")
        assert host.run(["cat"], timeout_s=20, stdin=b"\0\xff\n").stdout == b"\0\xff\n"
        assert host.run(["cat"], timeout_s=20, stdin=content).stdout == content
        folder = Path(host.folder)
        assert folder.parent == phones.root
        host.write(f"{host.folder}/program", content, executable=True)
        assert host.read(f"{host.folder}/program") == content
        assert os.access(folder / "program", os.X_OK)
        assert [path.name for path in folder.iterdir()] == ["program"]
        with pytest.raises(DeviceError, match="could not read"):
            host.read("/nowhere")
        with pytest.raises(DeviceError, match="could not write 3 bytes"):
            host.write("/nowhere/x", b"abc")
    assert not folder.exists()


def test_the_folder_goes_when_something_is_raised(phones: Phones) -> None:
    with pytest.raises(ZeroDivisionError), adb.connect(phones.serials[1]) as host:
        assert Path(host.folder).is_dir()
        raise ZeroDivisionError
    assert list(phones.root.iterdir()) == []


def test_which_phone(phones: Phones) -> None:
    assert dict(adb.phones()) == {
        phones.serials[0]: "device", phones.serials[1]: "device", phones.serials[2]: "unauthorized",
    }  # fmt: skip
    with pytest.raises(UsageError, match="2 phones are connected"), adb.connect(""):
        pass
    with pytest.raises(UsageError, match="no phone 'ABC'"), adb.connect("ABC"):
        pass
    with pytest.raises(DeviceError, match="is unauthorized") as caught, adb.connect(phones.serials[2]):
        pass
    assert "unlock it" in str(caught.value)


def test_no_server() -> None:
    with pytest.raises(DeviceError, match="no adb server") as caught:
        adb.phones(("127.0.0.1", free_port()))
    assert "apt-get install adb" in str(caught.value)
