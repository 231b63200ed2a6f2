"""`edgeq monitor`: lines as they come, an unplug in between, and its end."""

from __future__ import annotations

import itertools
import os
import threading
import time
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgeq.errors import PortError
from edgeq.measure.monitor import Heard, Monitor


class Port:
    """A board's port behind a link, which can be pulled out and plugged in again as another one."""

    def __init__(self, link: Path) -> None:
        self.link = link
        self.plug()

    def plug(self) -> None:
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        self.link.unlink(missing_ok=True)
        self.link.symlink_to(os.ttyname(self.slave))

    def unplug(self) -> None:
        self.link.unlink(missing_ok=True)
        os.close(self.slave)
        os.close(self.master)

    def say(self, data: bytes) -> None:
        os.write(self.master, data)


@pytest.fixture
def port(tmp_path: Path) -> Iterator[Port]:
    made = Port(tmp_path / "ttyACM0")
    yield made
    made.unplug()


def listen(monitor: Monitor, count: int, patience_s: float = 10.0) -> list[Heard]:
    """The next so many events."""
    heard: list[Heard] = []
    end = time.monotonic() + patience_s
    for event in monitor.events(lambda: len(heard) >= count or time.monotonic() > end):
        heard.append(event)
    return heard


def test_lines_parts_and_bytes_that_are_no_text(port: Port) -> None:
    with Monitor(lambda: str(port.link), 115200) as monitor:
        port.say(b"hello\r\nworld\nprompt> ")
        port.say(b"")
        first = listen(monitor, 3)
        port.say(b"\xff\xfe end\r\n" + "µ\n".encode())
        second = listen(monitor, 2)
    assert [(e.kind, e.text) for e in first] == [("line", "hello"), ("line", "world"), ("part", "prompt> ")]
    assert [e.text for e in second] == ["\\xff\\xfe end", "µ"]
    assert all(a.at_s <= b.at_s for a, b in itertools.pairwise(first))


def test_what_is_typed_arrives(port: Port) -> None:
    with Monitor(lambda: str(port.link), 115200) as monitor:
        monitor.send(b"name%")
        assert os.read(port.master, 100) == b"name%"


def test_a_port_that_goes_and_comes_back(port: Port) -> None:
    with Monitor(lambda: str(port.link), 115200, reconnect_s=20) as monitor:
        port.say(b"before\r\n")
        assert listen(monitor, 1)[0].text == "before"

        def again() -> None:
            port.unplug()
            time.sleep(0.5)
            port.plug()
            time.sleep(0.5)
            port.say(b"after\r\n")

        thread = threading.Thread(target=again)
        thread.start()
        kinds = [(e.kind, e.text) for e in listen(monitor, 3)]
        thread.join(10)
    assert [k for k, _ in kinds] == ["gone", "back", "line"] and kinds[2][1] == "after"


def test_without_reconnect_an_unplug_is_an_error(tmp_path: Path) -> None:
    port = Port(tmp_path / "ttyACM0")
    with Monitor(lambda: str(port.link), 115200) as monitor:
        port.unplug()
        with pytest.raises(PortError, match="went away") as caught:
            listen(monitor, 2)
    assert "--reconnect" in caught.value.next_step


def test_babble_without_line_ends_is_cut(port: Port) -> None:
    with Monitor(lambda: str(port.link), 115200) as monitor:
        thread = threading.Thread(target=lambda: [port.say(b"x" * 1_000) for _ in range(10)])
        thread.start()
        heard = listen(monitor, 3)
        thread.join(5)
    assert [len(e.text) for e in heard] == [4096, 4096, 10_000 - 2 * 4096]
    assert [e.kind for e in heard] == ["line", "line", "part"]
