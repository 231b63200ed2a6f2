"""Virtual boards that stay, as users have them: pyOCD flashes, the board boots what was flashed, and is profiled."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from command_line import Edgeq

from edgeq import pipeline
from edgeq.runners import locks
from edgeq.simulator import kept

for package in ("unicorn", "capstone", "ziglang", "elftools", "serial", "pyocd"):
    pytest.importorskip(package)

BOARDS = ("nrf52840dk", "nucleo-f429zi")
FAST = ("--samples", "2", "--runs", "2", "-q")


@pytest.fixture(scope="module")
def builds(model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A build of each board."""
    folders = {name: tmp_path_factory.mktemp(name) for name in BOARDS}
    for name, folder in folders.items():
        pipeline.build(model, name, output=folder)
    return folders


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's boards are kept."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "edgeq" / "boards"


@pytest.mark.parametrize("name", BOARDS)
def test_pyocd_flashes_the_board_boots_and_is_profiled(
    edgeq: Edgeq, model: Path, builds: dict[str, Path], home: Path, name: str
) -> None:
    flashed = edgeq("flash", builds[name], "--target", name, "--probe", f"virtual:{name}", "--no-hello", "--json")
    assert flashed.code == 0, flashed.err
    image = (builds[name] / "firmware.bin").read_bytes()
    said = flashed.json
    assert said["runner"] == "pyocd" and said["device"]["title"].startswith("virtual ")
    assert said["verified"] and said["size_bytes"] == len(image)
    cells = (home / name / "flash.bin").read_bytes()
    assert cells.startswith(image) and set(cells[len(image) :]) == {0xFF}

    there = edgeq("profile", model, "--port", f"virtual:{name}", *FAST, "--json")
    assert there.code == 0, there.err
    body = there.json
    assert body["target"] == name and body["provenance"] == "simulated"
    assert body["device"]["build"] == json.loads((builds[name] / "edgeq.json").read_text())["build"]
    assert body["validation"]["bit_exact"] and body["model"]["verified_on_device"]


@pytest.mark.slow
def test_the_board_is_the_same_whichever_way_the_image_came_into_its_flash(
    edgeq: Edgeq, model: Path, builds: dict[str, Path]
) -> None:
    flashed = edgeq("flash", builds["nrf52840dk"], "--probe", "virtual:nrf52840dk", "--json")
    assert json.loads((builds["nrf52840dk"] / "edgeq.json").read_text())["build"] in flashed.json["answer"]
    ways = (("--port", "virtual:nrf52840dk"), ("--target", "nrf52840dk", "--sim", "--firmware", builds["nrf52840dk"]))
    first, second = (edgeq("profile", model, *way, *FAST, "--json").json["latency"]["cycles"] for way in ways)
    assert first == second


def test_a_dead_flash_controller_is_caught_by_the_read_back(edgeq: Edgeq, builds: dict[str, Path]) -> None:
    for name in BOARDS:
        said = edgeq("flash", builds[name], "--probe", f"virtual:{name}?flash=dead")
        assert said.code == 5
        assert "does not hold what was written" in said.err and "(erased)" in said.err
    empty = edgeq("monitor", "virtual:nrf52840dk", "--seconds", "1")
    assert empty.code == 5 and "flash is erased" in empty.err


def test_a_stuck_cell_is_named(edgeq: Edgeq, builds: dict[str, Path]) -> None:
    image = (builds["nrf52840dk"] / "firmware.bin").read_bytes()
    at = next(i for i in range(0x200, len(image)) if not image[i] & 0x10)
    said = edgeq("flash", builds["nrf52840dk"], "--probe", f"virtual:nrf52840dk?stuck={at}:0x10", "--json")
    assert said.code == 5 and said.json["error"]["facts"]["address"] == at


def test_a_protected_chip_is_opened_only_by_leave(
    edgeq: Edgeq, model: Path, builds: dict[str, Path], home: Path
) -> None:
    flash = ("flash", builds["nrf52840dk"], "--no-hello", "--probe")
    assert edgeq(*flash, "virtual:nrf52840dk?chip=locked").code == 5
    (home / "nrf52840dk" / "flash.bin").write_bytes(bytes(1 << 20))
    before = (home / "nrf52840dk" / "flash.bin").read_bytes()
    refused = edgeq(*flash, "virtual:nrf52840dk")  # it stays protected
    assert refused.code == 5 and "protected" in refused.err and "--allow-erase" in refused.err
    assert (home / "nrf52840dk" / "flash.bin").read_bytes() == before
    opened = edgeq(*flash, "virtual:nrf52840dk", "--allow-erase", "--json")
    assert opened.code == 0, opened.err
    assert any("everything on it was erased" in notice for notice in opened.json["notices"])
    assert set((home / "nrf52840dk" / "uicr.bin").read_bytes()) == {0xFF}


@pytest.mark.slow
def test_an_unplug_in_the_middle_is_repaired_by_the_next_flash(
    edgeq: Edgeq, model: Path, builds: dict[str, Path], home: Path
) -> None:
    # Killed without warning while page after page is programmed: nothing is tidied up.
    script = """
import os, pathlib, signal, sys
from edgeq import pipeline
image, folder = sys.argv[1:]
def unplug(event):
    cells = pathlib.Path(folder, "flash.bin")
    if cells.exists() and cells.read_bytes()[:4] != bytes([255] * 4):
        os.kill(os.getpid(), signal.SIGKILL)
pipeline.flash(image, "nucleo-f429zi", device=f"virtual:nucleo-f429zi@{folder}", listener=unplug)
"""
    place = str(home / "nucleo-f429zi")
    died = subprocess.run([sys.executable, "-c", script, str(builds["nucleo-f429zi"]), place], timeout=120)
    assert died.returncode == -signal.SIGKILL
    image = (builds["nucleo-f429zi"] / "firmware.bin").read_bytes()
    cells = (home / "nucleo-f429zi" / "flash.bin").read_bytes()[: len(image)]
    assert cells != image and cells[:8] == image[:8]
    after = edgeq("monitor", "virtual:nucleo-f429zi", "--until", "m-ready", "--seconds", "5")
    assert after.code in (1, 5), after.out
    assert edgeq("flash", builds["nucleo-f429zi"], "--probe", "virtual:nucleo-f429zi").code == 0
    assert edgeq("profile", model, "--port", "virtual:nucleo-f429zi", *FAST).code == 0


def test_one_board_is_one_process_at_a_time(edgeq: Edgeq, builds: dict[str, Path], home: Path, tmp_path: Path) -> None:
    assert edgeq("flash", builds["nrf52840dk"], "--probe", "virtual:nrf52840dk", "--no-hello").code == 0
    address = kept.parse("virtual:nrf52840dk", home)
    with locks.hold(address.folder, [address.key], "somebody else"):
        for line in (
            ("flash", builds["nrf52840dk"], "--probe", "virtual:nrf52840dk"),
            ("monitor", "virtual:nrf52840dk", "--seconds", "1"),
        ):
            said = edgeq(*line)
            assert said.code == 5 and "in use by somebody else" in said.err
    other = edgeq("flash", builds["nrf52840dk"], "--probe", f"virtual:nrf52840dk@{tmp_path / 'other'}", "--no-hello")
    assert other.code == 0 and (tmp_path / "other" / "flash.bin").is_file()


@pytest.mark.slow
def test_who_waits_gets_the_board(edgeq: Edgeq, builds: dict[str, Path], home: Path) -> None:
    assert edgeq("flash", builds["nrf52840dk"], "--probe", "virtual:nrf52840dk", "--no-hello").code == 0
    from edgeq.cli.bench import locks_folder

    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with locks.hold(locks_folder(), [kept.parse("virtual:nrf52840dk", home).key], "the one before"):
            held.set()
            done.wait(30)

    other = threading.Thread(target=hold)
    other.start()
    held.wait(30)
    line = ("flash", builds["nrf52840dk"], "--probe", "virtual:nrf52840dk", "--no-hello")
    refused = edgeq(*line)
    threading.Timer(0.5, done.set).start()
    started = time.monotonic()
    waited = edgeq(*line, "--wait", "30")
    other.join()
    assert refused.code == 5 and "the one before" in refused.err
    assert waited.code == 0 and time.monotonic() - started > 0.4


@pytest.mark.slow
def test_monitor_boots_what_is_in_the_flash(edgeq: Edgeq, builds: dict[str, Path]) -> None:
    assert edgeq("flash", builds["nrf52840dk"], "--probe", "virtual:nrf52840dk", "--no-hello").code == 0
    heard = edgeq("monitor", "virtual:nrf52840dk", "--send", "name%", "--until", "m-name", "--seconds", "30", "--json")
    assert heard.code == 0 and heard.json["found"], heard.out


@pytest.mark.slow
def test_deploy_takes_a_model_to_a_board_that_stays(edgeq: Edgeq, model: Path, home: Path) -> None:
    said = edgeq("deploy", model, "--target", "nrf52840dk", "--probe", "virtual:nrf52840dk", *FAST, "--json")
    assert said.code == 0, said.err
    assert said.json["flash"]["runner"] == "pyocd" and said.json["profile"]["provenance"] == "simulated"


@pytest.mark.slow
def test_two_boards_are_flashed_at_once(process: Edgeq, builds: dict[str, Path], tmp_path: Path) -> None:
    # In a process of its own: pyOCD is imported by both threads.
    places = [f"virtual:nrf52840dk@{tmp_path / name}" for name in ("first", "second")]
    said = process("flash", builds["nrf52840dk"], "--no-hello", "--json", *(w for p in places for w in ("--probe", p)))
    assert said.code == 0, said.out
    assert [device["result"]["verified"] for device in said.json["devices"]] == [True, True]
    assert "invalid" not in said.err  # pyOCD's words on registers after a reset


@pytest.mark.slow
def test_a_board_goes_by_a_name_of_ones_own(
    edgeq: Edgeq, model: Path, builds: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEQ_DEVICES", str(tmp_path / "devices.toml"))
    assert edgeq("devices", "name", "desk", "--probe", "virtual:nrf52840dk").code == 0
    assert "not flashed yet" in edgeq("devices").out
    assert edgeq("flash", builds["nrf52840dk"], "--device", "desk", "--no-hello").code == 0
    assert "a virtual board that stays" in edgeq("devices").out
    assert edgeq("profile", model, "--device", "desk", *FAST).code == 0


def test_devices_lists_them_only_when_asked(edgeq: Edgeq, builds: dict[str, Path], home: Path) -> None:
    assert edgeq("devices", "--virtual", "--json").json["virtual"] == []
    assert edgeq("flash", builds["nrf52840dk"], "--probe", "virtual:nrf52840dk", "--no-hello").code == 0
    plain = edgeq("devices", "--json").json
    assert "virtual" not in plain and plain["devices"] == []
    asked = edgeq("devices", "--virtual", "--json")
    (board,) = asked.json["virtual"]
    size = len((builds["nrf52840dk"] / "firmware.bin").read_bytes().rstrip(b"\xff"))
    assert asked.code == 0 and asked.json["devices"] == []
    assert (board["target"], board["programmed_bytes"], board["damage"]) == ("nrf52840dk", size, "")
    (home / "nrf52840dk" / "board.json").write_text("{")
    assert "board.json" in edgeq("devices", "--virtual", "--json").json["virtual"][0]["damage"]
    assert "is a damaged virtual board" in edgeq("devices", "--virtual").out


@pytest.mark.parametrize(
    "line, code, told",
    [
        (("--probe", "virtual:"), 2, "names no virtual board"),
        (("--probe", "virtual:nrf52840dk?flash=wet"), 2, "nothing that a virtual board can have"),
        (("--probe", "virtual:nrf52840dk?stuck=1:256"), 2, "no address and bits"),
        (("--probe", "virtual:no-such-board"), 2, "no target"),
        (("--probe", "virtual:nrf52840dk", "--target", "nucleo-f429zi"), 2, "not a nucleo-f429zi"),
        (("--probe", "virtual:nrf52840dk", "--runner", "uf2"), 2, "not by 'uf2'"),
        (("--probe", "virtual:nucleo-f429zi"), 3, "no image for nucleo-f429zi"),
    ],
)
def test_what_means_nothing_is_refused_before_anything_is_made(
    edgeq: Edgeq, builds: dict[str, Path], home: Path, line: tuple[str, ...], code: int, told: str
) -> None:
    said = edgeq("flash", builds["nrf52840dk"], *line)
    assert (said.code, told in said.err) == (code, True), said.err
    assert not home.exists()


def test_a_virtual_board_is_never_hardware(edgeq: Edgeq, model: Path) -> None:
    for line in (("--hardware",), ("--meter", "ppk2")):
        said = edgeq("profile", model, "--port", "virtual:nrf52840dk", *line)
        assert said.code == 2, said.err


@pytest.mark.slow
def test_a_damaged_board_is_told_and_not_touched(edgeq: Edgeq, builds: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "board"
    place = f"virtual:nrf52840dk@{folder}"
    assert edgeq("flash", builds["nrf52840dk"], "--probe", place, "--no-hello").code == 0
    other = edgeq("flash", builds["nucleo-f429zi"], "--probe", f"virtual:nucleo-f429zi@{folder}")
    assert other.code == 3 and "of a virtual nrf52840dk" in other.err
    whole = (folder / "flash.bin").read_bytes()
    (folder / "flash.bin").write_bytes(whole[:-1])
    for line in (("flash", builds["nrf52840dk"], "--probe", place), ("monitor", place, "--seconds", "1")):
        said = edgeq(*line)
        assert said.code == 3 and "flash.bin has 1,048,575 bytes" in said.err
    assert (folder / "flash.bin").read_bytes() == whole[:-1]
    mine = edgeq("flash", builds["nrf52840dk"], "--probe", f"virtual:nrf52840dk@{builds['nrf52840dk']}")
    assert mine.code == 3 and "no folder of a virtual board" in mine.err


def test_the_api_wants_no_environment(builds: dict[str, Path], tmp_path: Path) -> None:
    place = f"virtual:nrf52840dk@{tmp_path / 'board'}"
    result = pipeline.flash(builds["nrf52840dk"], "nrf52840dk", device=place, hello=False)
    assert result.verified and (tmp_path / "board" / "uicr.bin").is_file()


@pytest.mark.parametrize("more", [("--port", "/dev/ttyACM7"), ("--port", "virtual:nucleo-f429zi"), ("--sim",)])
def test_a_board_that_stays_has_its_own_console(
    edgeq: Edgeq, builds: dict[str, Path], home: Path, more: tuple[str, ...]
) -> None:
    said = edgeq("flash", builds["nrf52840dk"], "--probe", "virtual:nrf52840dk", *more)
    assert said.code == 2 and "with its own console" in said.err
    assert not home.exists()
