"""Every target file: read as the user's own would be, sourced, and able to hold a small model."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from models_flatbuffer import T, single_op_model

from edgeq import pipeline, registry, resources, target
from edgeq.check import FitReport, check
from edgeq.errors import UnsupportedError
from edgeq.graph import Graph
from edgeq.target import DebugPort, FlashTiming, Memory, Peripheral, Target
from edgeq.tflite import parse

FILES = sorted(resources.folder("targets").rglob("*.toml"))
KINDS = {"boards": "board", "linux": "board", "phones": "board", "socs": "soc", "cores": "core"}
OWN = [path for path in FILES if path.parent.name in KINDS]
NAMES = target.names()
COMPUTERS = [name for name in NAMES if target.load(name).kind != "microcontroller"]
PROMISED = {
    "raspberry-pi-pico", "nucleo-g0b1re", "nucleo-l4r5zi", "nucleo-f429zi", "b-l475e-iot01a", "nrf52840dk",
    "arduino-nano-33-ble", "stm32f746g-disco", "nucleo-h743zi2", "nucleo-h7a3zi-q", "nucleo-u575zi-q",
    "raspberry-pi-pico-2", "nrf5340dk", "corstone-300", "ek-ra8d1", "mps2-an386", "netduinoplus2",
    "raspberry-pi-zero-2-w", "raspberry-pi-3b-plus", "raspberry-pi-4b", "raspberry-pi-5",
    "pixel-8", "pixel-6a", "galaxy-s24", "android-arm64", "android-arm32",
}  # fmt: skip


@pytest.fixture(scope="module")
def model() -> Graph:
    values = np.random.default_rng(5).integers(-127, 128, (7, 12))
    tensors = [T((1, 12), scale=0.5, name="x"), T((7, 12), scale=0.01, data=values, name="w")]
    return parse(single_op_model("FULLY_CONNECTED", tensors, T((1, 7), scale=0.25, name="y")), name="small")


@pytest.fixture(params=NAMES)
def loaded(request: pytest.FixtureRequest) -> Target:
    return target.load(request.param)


def test_all_promised_targets_are_there() -> None:
    assert set(NAMES) >= PROMISED


@pytest.mark.parametrize("path", OWN, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_every_file_passes_the_users_validation(path: Path) -> None:
    assert target.validate_file(path) == (KINDS[path.parent.name], path.stem)


def test_no_file_is_left_over(tmp_path: Path) -> None:
    """A soc or core that no target refers to is checked by nothing."""
    every = [target.load(name) for name in NAMES]
    used = {*(f"socs/{t.soc.name}" for t in every), *(f"cores/{t.core.name}" for t in every)}
    there = {f"{p.parent.name}/{p.stem}" for p in OWN if p.parent.name in ("socs", "cores")}
    assert there == used


# Rows of tables whose one source stands beside the table.
COVERED_BY_THEIR_TABLE = {"WaitStates": FlashTiming, "ClockEnable": Peripheral, "AccessPort": DebugPort}


def figures(value: object, owner: object, place: str) -> Iterator[tuple[str, str]]:
    """Place and source of each number that a file gives, through all tables."""
    assert dataclasses.is_dataclass(value)
    covered = COVERED_BY_THEIR_TABLE.get(type(value).__name__)
    holder = owner if covered is not None and isinstance(owner, covered) else value
    for field in dataclasses.fields(value):
        found, here = getattr(value, field.name), f"{place}.{field.name}"
        if isinstance(found, bool | str | Path) or found is None or found == field.default:
            continue
        if isinstance(found, int | float):
            yield here, getattr(holder, "source", "")
        elif dataclasses.is_dataclass(found):
            yield from figures(found, value, here)
        elif isinstance(found, tuple):
            for index, item in enumerate(found):
                if dataclasses.is_dataclass(item):
                    yield from figures(item, value, f"{here}[{index}]")


def test_every_figure_has_a_source(loaded: Target) -> None:
    parts = ((loaded.board, "board"), (loaded.soc, "soc"), (loaded.core, "core"))
    found = [f for part, name in parts for f in figures(part, None, name)]
    assert found or loaded.name.startswith("android")
    assert [place for place, source in found if len(source.strip()) < 6] == []


def test_a_figure_without_a_source_is_noticed() -> None:
    board = target.load("nucleo-u575zi-q").board
    assert board.power is not None
    bare = dataclasses.replace(board, power=dataclasses.replace(board.power, source=""))
    assert "board.power.active_mw" in [place for place, source in figures(bare, None, "board") if not source]


def test_every_way_to_flash_and_every_delegate_says_where_that_stands(loaded: Target) -> None:
    told = [*loaded.board.flash_method, *loaded.board.delegate, *loaded.board.reserved, *loaded.soc.reserved]
    assert all(entry.source for entry in told)
    assert loaded.board.flash_method and loaded.board.runtimes and loaded.board.source and loaded.board.title


def test_memories_lie_beside_each_other(loaded: Target) -> None:
    taken: set[tuple[int, int]] = set()
    for memory in loaded.soc.memory:
        start, end = memory.base, memory.base + memory.size_bytes
        assert 0 <= start < end <= 1 << 32
        assert all(end <= a or start >= b for a, b in taken), memory.name
        taken.add((start, end))


def test_what_is_usable_lies_in_what_is_there(loaded: Target) -> None:
    if loaded.kind != "microcontroller":
        return
    whole = {m.name: m for m in loaded.soc.memory}
    for memory in loaded.memory:
        physical = whole[memory.name]
        assert physical.base <= memory.base and not memory.needs_setup
        assert memory.base + memory.size_bytes <= physical.base + physical.size_bytes


def test_runners_exist_and_have_what_they_need(loaded: Target) -> None:
    assert set(loaded.board.runners) <= set(registry.RUNNERS)
    if "stlink-drive" in loaded.board.runners:
        assert loaded.board.drive_label and len(loaded.board.drive_label) <= 11  # what FAT allows
    if "pyocd" in loaded.board.runners:
        assert loaded.soc.pyocd_target not in ("", "cortex_m")
    if "virtual" in loaded.board.runners:
        assert loaded.has_virtual_board


def test_a_small_model_fits_everywhere(loaded: Target, model: Graph) -> None:
    report = check(model, loaded)
    assert report.fits, report.budgets
    assert {b.memory for b in report.budgets} <= {m.name for m in loaded.memory}
    assert isinstance(report.to_json()["ram"], dict)
    if loaded.kind != "microcontroller":
        assert [b.memory for b in report.budgets] == ["RAM"] and report.flash.available_bytes == 0


def budget(report: FitReport, memory: str) -> int:
    return next(b.available_bytes for b in report.budgets if b.memory == memory)


def test_the_bootloader_is_taken_off(model: Graph) -> None:
    nano, kit = target.load("arduino-nano-33-ble"), target.load("nrf52840dk")
    assert nano.soc.memory[0] == kit.soc.memory[0]
    assert (nano.region_for("code").base, nano.flash_bytes) == (0x1_0000, 983_040)
    assert budget(check(model, kit), "flash") - budget(check(model, nano), "flash") == 65_536
    pico = target.load("raspberry-pi-pico")
    assert pico.region_for("weights").base == 0x1000_0100


@pytest.mark.parametrize(
    ("name", "region", "size"),
    [
        ("nucleo-h743zi2", "axi_sram", 512 * 1024),  # not DTCM, nor the sum of both
        ("stm32f746g-disco", "sram", 256 * 1024),
        ("b-l475e-iot01a", "sram1", 96 * 1024),
        ("nucleo-g0b1re", "sram", 144 * 1024),
        ("nucleo-l4r5zi", "sram", 640 * 1024),
        ("nucleo-u575zi-q", "sram", 768 * 1024),
        ("ek-ra8d1", "sram", 896 * 1024),
    ],
)
def test_the_arena_goes_into_the_largest_region_in_one_piece(name: str, region: str, size: int) -> None:
    arena = target.load(name).region_for("arena")
    assert (arena.name, arena.size_bytes) == (region, size)


def wide(width: int) -> Graph:
    """A model whose arena is its input and its output, `width` bytes each."""
    image = T((1, 1, 1, width), scale=0.5, name="x")
    return parse(single_op_model("AVERAGE_POOL_2D", [image], T((1, 1, 1, width), scale=0.5, name="y"), POOL))


POOL = {"padding": "VALID", "stride_w": 1, "stride_h": 1, "filter_width": 1, "filter_height": 1}


def test_two_small_regions_are_no_large_one() -> None:
    """100 KB of arena: 128 KB of RAM on the STM32L475, in pieces of 96 and 32; the STM32G0B1 has 144 KB in one."""
    discovery, nucleo = target.load("b-l475e-iot01a"), target.load("nucleo-g0b1re")
    graph = wide(20_000)
    report = check(graph, discovery, reserve_ram_bytes=60_000)
    assert discovery.ram_bytes - report.ram.used_bytes > 0 and not report.fits
    assert check(graph, nucleo).fits
    assert any("targets with enough memory" in line and "nucleo-l4r5zi" in line for line in report.advice)
    assert not any("raspberry-pi-4b" in line for line in report.advice)


def test_memory_that_needs_setting_up_is_told_and_not_counted() -> None:
    disco = target.load("stm32f746g-disco")
    assert disco.ram_bytes == 320 * 1024
    report = check(wide(200_000), disco)
    assert not report.fits
    assert any("sdram (8,388,608 B (8.00 MiB) of ram) may hold arena" in line for line in report.advice)


@pytest.mark.parametrize("name", COMPUTERS)
def test_there_is_no_firmware_for_computers_and_phones(name: str, model: Graph, tmp_path: Path) -> None:
    image = tmp_path / "firmware.bin"
    image.write_bytes(bytes(64))
    found = pipeline.Model(b"", model)
    refused = (
        lambda: pipeline.build(found, name),
        lambda: pipeline.flash(image, name),
        lambda: pipeline.simulate(image, name).__enter__(),
        lambda: pipeline.profile(found, name, sim=True),
    )
    for attempt in refused:
        with pytest.raises(UnsupportedError, match="there is no firmware to") as caught:
            attempt()
        assert "litert-xnnpack" in caught.value.next_step and caught.value.exit_code == 1


def test_a_board_without_firmware_says_what_there_is(model: Graph) -> None:
    with pytest.raises(UnsupportedError, match="there is no firmware for the RA8D1") as caught:
        pipeline.build(pipeline.Model(b"", model), "ek-ra8d1")
    assert "edgeq export --format c --target ek-ra8d1" in caught.value.next_step


def test_loading_one_target_reads_three_files(monkeypatch: pytest.MonkeyPatch) -> None:
    from edgeq.target import files

    read: list[str] = []
    parse_file = files._parse.__wrapped__

    def counted(path: Path, modified_ns: int) -> object:
        read.append(path.name)
        return parse_file(path, modified_ns)

    monkeypatch.setattr(files, "_parse", counted)
    target.load("nucleo-h743zi2")
    assert read == ["nucleo-h743zi2.toml", "stm32h743.toml", "cortex-m7.toml"]


# __ARM_FP: bit 1 half, bit 2 single, bit 3 double precision. A bare -mcpu would quietly give none.
FLOAT = {
    "cortex-m0plus": "", "cortex-m4": "0x6", "cortex-m7": "0x6", "cortex-m33": "0x6", "cortex-m55": "0xe",
    "cortex-m85": "0xe", "arm32": "0xc", "x86-64": "",
}  # fmt: skip
FEATURES = {"dsp": "__ARM_FEATURE_DSP", "mve": "__ARM_FEATURE_MVE", "dotprod": "__ARM_FEATURE_DOTPROD",
            "i8mm": "__ARM_FEATURE_MATMUL_INT8", "fp16": "__ARM_FEATURE_FP16_VECTOR_ARITHMETIC"}  # fmt: skip
CORES = sorted({target.load(name).core for name in NAMES}, key=lambda core: core.name)


@pytest.mark.parametrize("core", CORES, ids=lambda core: core.name)
def test_the_compiler_knows_each_core_by_that_name(core: target.Core, tmp_path: Path) -> None:
    pytest.importorskip("ziglang")
    source = tmp_path / "multiply.c"
    source.write_text("float multiply(float a, float b) { return a * b; }\n")
    cc = [sys.executable, "-m", "ziglang", "cc", "-target", core.compiler.zig_target, f"-mcpu={core.compiler.zig_cpu}"]
    said = subprocess.run([*cc, "-dM", "-E", source], capture_output=True, text=True, timeout=120, check=True).stdout
    defined = dict(line.split(" ", 2)[1:] for line in said.splitlines() if line.count(" ") >= 2)
    assert defined.get("__ARM_FP", "").lower() == FLOAT.get(core.name, "0xe")
    is_thumb = core.compiler.zig_target.startswith("thumb")
    for feature, macro in FEATURES.items():
        if feature != "dsp" or is_thumb:
            assert (macro in defined) == (feature in core.isa), macro
    subprocess.run([*cc, "-c", source, "-o", tmp_path / "multiply.o"], capture_output=True, timeout=120, check=True)


def test_the_file_order_decides_between_equal_regions() -> None:
    board = target.load("nucleo-g0b1re")
    twin = Memory("twin", "ram", 0x3000_0000, 147_456, ("arena",), "a test")
    doubled = dataclasses.replace(board, soc=dataclasses.replace(board.soc, memory=(*board.soc.memory, twin)))
    assert doubled.region_for("arena").name == "sram"
