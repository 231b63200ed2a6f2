"""`edgeq targets`: list with filters, show with sources, validate; and folders of the user's own everywhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Edgeq

from edgeq import resources, target

MINE = """name = "mine"
title = "A board of mine"
soc = "stm32l4r5"
clock_hz = 80_000_000
source = "its schematic"

[console]
peripheral = "LPUART1"
baud = 115_200
source = "its schematic"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.toml").write_text(MINE)
    return tmp_path


def names(edgeq: Edgeq, *filters: str | Path) -> list[str]:
    said = edgeq("targets", "list", "--json", *filters)
    return [t["name"] for t in said.json["targets"]]


def test_list_has_every_target_with_its_figures(edgeq: Edgeq) -> None:
    said = edgeq("targets", "list")
    assert said.code == 0
    lines = {line.split()[0]: line for line in said.out.splitlines() if line.strip()}
    assert set(target.names()) <= set(lines)
    assert lines["nucleo-g0b1re"].split()[1:8] == ["MCU", "cortex-m0plus", "64", "MHz", "144", "KiB", "512"]
    assert "bossac" in lines["arduino-nano-33-ble"] and "960 KiB" in lines["arduino-nano-33-ble"]
    assert "uf2" in lines["raspberry-pi-pico"] and "tflm" in lines["raspberry-pi-pico"]
    assert max(map(len, said.out.splitlines())) <= 120


@pytest.mark.parametrize(
    ("filters", "some", "none"),
    [
        (("--kind", "phone"), {"pixel-8", "android-arm32"}, {"raspberry-pi-5", "nucleo-l4r5zi"}),
        (("--kind", "linux"), {"raspberry-pi-5"}, {"pixel-8", "nucleo-l4r5zi"}),
        (("--core", "cortex-m33"), {"nrf5340dk", "raspberry-pi-pico-2"}, {"nucleo-l4r5zi"}),
        (("--core", "cortex-a76"), {"raspberry-pi-5", "pixel-6a"}, {"pixel-8"}),
        (("--core", "Cortex-A520"), {"galaxy-s24"}, {"pixel-8"}),
        (("--min-ram", "512K"), {"nrf5340dk", "nucleo-l4r5zi", "pixel-8"}, {"nrf52840dk", "nucleo-f429zi"}),
        (("--min-flash", "961K"), {"nrf52840dk", "raspberry-pi-5"}, {"arduino-nano-33-ble", "nucleo-g0b1re"}),
        (("--kind", "microcontroller", "--core", "cortex-m7", "--min-ram", "1M"), {"nucleo-h7a3zi-q"}, {"pixel-8"}),
    ],
)  # fmt: skip
def test_filters(edgeq: Edgeq, filters: tuple[str, ...], some: set[str], none: set[str]) -> None:
    found = set(names(edgeq, *filters))
    assert some <= found and not none & found


def test_the_kinds_are_all_there_is(edgeq: Edgeq) -> None:
    every = [name for kind in ("microcontroller", "linux", "phone") for name in names(edgeq, "--kind", kind)]
    assert sorted(every) == list(target.names())
    assert names(edgeq) == every


def test_nothing_matches(edgeq: Edgeq) -> None:
    said = edgeq("targets", "list", "--core", "z80")
    assert (said.code, said.out) == (1, "no target matches\n")
    assert edgeq("targets", "list", "--kind", "toaster").code == 2
    assert edgeq("targets", "list", "--min-ram", "lots").code == 2


@pytest.mark.parametrize("name", target.names())
def test_show_prints_every_source(edgeq: Edgeq, name: str) -> None:
    said = edgeq("targets", "show", name)
    assert said.code == 0
    t = target.load(name)
    squeezed = "".join(said.out.split())
    sources = [t.board.source, t.soc.source, t.core.source, *(m.source for m in t.soc.memory)]
    sources += [entry.source for entry in (*t.board.usb, *t.board.flash_method, *t.board.delegate, *t.soc.cluster)]
    sources += [entry.source for entry in (t.board.power, t.board.system) if entry is not None]
    assert [s for s in sources if "".join(s.split()) not in squeezed] == []


def test_show_as_json_is_whole(edgeq: Edgeq) -> None:
    shown = edgeq("targets", "show", "stm32f746g-disco", "--json").json["target"]
    assert shown["ram_bytes"] == 320 * 1024 and shown["largest_arena_bytes"] == 256 * 1024
    assert [m["name"] for m in shown["usable_memory"]] == ["flash", "dtcm", "sram", "itcm"]
    assert [m["name"] for m in shown["soc"]["memory"]][-2:] == ["sdram", "qspi_flash"]
    assert shown["flash_methods"] == ["stlink-drive", "swd"] and shown["virtual_board"] is False


def test_validate_tells_each_file(edgeq: Edgeq, folder: Path) -> None:
    good, bad = folder / "mine.toml", folder / "bad.toml"
    bad.write_text(MINE.replace('"mine"', '"bad"').replace("clock_hz", "clok_hz"))
    said = edgeq("targets", "validate", good, bad, folder / "absent.toml")
    assert said.code == 1
    assert "mine.toml: valid (board 'mine')" in said.out
    assert "unknown key 'clok_hz'" in said.out and "did you mean 'clock_hz'?" in said.out
    assert "can't be read" in said.out
    found = edgeq("targets", "validate", good, bad, "--json").json["files"]
    assert [f["valid"] for f in found] == [True, False]
    assert found[1]["error"]["facts"]["key"] == "clok_hz"
    assert edgeq("targets", "validate", good).code == 0
    assert edgeq("targets", "validate").code == 2


def test_validate_takes_chips_and_cores(edgeq: Edgeq) -> None:
    shipped = resources.folder("targets")
    files = [shipped / "socs" / "rp2040.toml", shipped / "cores" / "cortex-m0plus.toml"]
    found = edgeq("targets", "validate", *files, "--json").json["files"]
    assert [(f["kind"], f["name"]) for f in found] == [("soc", "rp2040"), ("core", "cortex-m0plus")]


def test_a_folder_of_ones_own(edgeq: Edgeq, folder: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "mine" not in names(edgeq)
    assert "mine" in names(edgeq, "--targets-dir", folder)
    assert edgeq("targets", "show", "mine", "--targets-dir", folder).code == 0
    line = ("check", model, "--target", "mine")
    assert edgeq(*line).code == 2
    assert edgeq(*line, "--targets-dir", folder, "--json").json["target"] == "mine"
    monkeypatch.setenv("EDGEQ_TARGETS", str(folder))
    assert edgeq(*line).code == 0 and "mine" in names(edgeq)


def test_a_folder_that_is_none(edgeq: Edgeq, tmp_path: Path) -> None:
    said = edgeq("targets", "list", "--targets-dir", tmp_path / "nowhere")
    assert said.code == 2 and "is not a folder of targets" in said.err


def test_computers_are_refused_in_a_sentence(edgeq: Edgeq, model: Path) -> None:
    for command in (("build", model, "-o", "unused"), ("deploy", model, "--sim")):
        said = edgeq(*command, "--target", "raspberry-pi-5")
        assert said.code == 1
        assert "raspberry-pi-5: runs Linux: there is no firmware to" in said.err
        assert "litert-xnnpack or tflite-runtime-2.14 runs .tflite files there" in said.err
    assert edgeq("check", model, "--target", "raspberry-pi-5").code == 0


def test_ways_to_flash_by_hand_are_named(edgeq: Edgeq, tmp_path: Path) -> None:
    image = tmp_path / "firmware.bin"
    image.write_bytes((0x2201_0000).to_bytes(4, "little") + (0x0200_0101).to_bytes(4, "little") + bytes(1000))
    said = edgeq("flash", image, "--target", "ek-ra8d1")
    assert said.code == 5 and "flash it by hand; jlink: through the J-Link" in said.err
    said = edgeq("simulate", image, "--target", "ek-ra8d1")
    assert said.code == 1 and "there is no virtual board of the Renesas EK-RA8D1" in said.err


def test_without_a_virtual_board_the_targets_that_have_one_are_named(edgeq: Edgeq, model: Path) -> None:
    """Before anything is compiled."""
    for command in (("deploy", model, "--sim"), ("profile", model, "--sim"), ("flash", model, "--sim")):
        said = edgeq(*command, "--target", "nucleo-u575zi-q")
        assert said.code == 1
        assert "nucleo-u575zi-q: there is no virtual board of the ST NUCLEO-U575ZI-Q" in said.err
        assert "these have one: " in said.err and "nucleo-l4r5zi" in said.err
