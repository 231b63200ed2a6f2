"""The firmware of every board that has one: built by both compilers, laid out as its chip wants it."""

from __future__ import annotations

import re
import struct
import zlib
from pathlib import Path

import pytest
from fake_model import ELEMENTS, WEIGHTS, fake_tree
from toolchain_fixtures import require_toolchain

from edgeq import target
from edgeq.codegen.board_files import console_port, parse_pin
from edgeq.errors import TargetFileError, UnsupportedError
from edgeq.runners.image import Image, check_image
from edgeq.target import Target
from edgeq.toolchains.build import build_firmware
from edgeq.toolchains.firmware import Firmware

NAMES = [name for name in target.names() if target.load(name).soc.firmware]


FEW = ("nucleo-f429zi", "raspberry-pi-pico", "nrf52840dk")
"""What zig builds in every run of the tests; the rest in the slow one, for zig takes its time to start."""


@pytest.fixture(scope="session", params=NAMES)
def each(request: pytest.FixtureRequest) -> Target:
    return target.load(str(request.param))


@pytest.fixture(
    scope="session",
    params=[
        pytest.param((compiler, name), marks=[pytest.mark.slow] if compiler == "zig" and name not in FEW else [])
        for compiler in ("gcc", "zig")
        for name in NAMES
    ],
    ids="-".join,
)
def built(request: pytest.FixtureRequest, cache: Path) -> tuple[Target, Firmware]:
    compiler, name = request.param
    require_toolchain(compiler)
    board = target.load(name)
    return board, build_firmware(fake_tree(board), board, compiler, cache=cache)


def vectors(firmware: Firmware, board: Target) -> tuple[int, ...]:
    start, size = firmware.symbols["vectors"]
    assert size == 4 * (16 + board.soc.interrupts)
    return struct.unpack_from(f"<{size // 4}I", firmware.image, start - firmware.base)


def test_the_vector_table_is_where_the_core_looks(built: tuple[Target, Firmware]) -> None:
    each, firmware = built
    at = {name: address for name, (address, _) in firmware.symbols.items()}
    table = vectors(firmware, each)
    assert at["vectors"] == each.region_for("code").base
    assert at["vectors"] % (1 << (len(table) * 4 - 1).bit_length()) == 0  # VTOR
    assert table[0] == at["_stack_top"]
    assert table[1] == at["Reset_Handler"] | 1
    assert table[3] == at["Fault_Handler"] | 1
    console = 16 + console_port(each).irq
    assert table[console] == at["Console_IRQHandler"] | 1
    others = {entry for n, entry in enumerate(table) if n >= 16 and n != console}
    assert others == {at["Fault_Handler"] | 1}
    assert [n for n in range(2, 16) if table[n] == 0] == reserved(each)


def reserved(board: Target) -> list[int]:
    """Exceptions that the architecture leaves out (DDI 0419, DDI 0403E, DDI 0553)."""
    always = [7, 8, 9, 10, 13]
    if board.core.architecture == "armv6-m":
        return sorted([*always, 4, 5, 6, 12])
    return always[1:] if board.core.architecture.startswith("armv8") else always


def test_everything_lies_in_the_memory_that_the_target_names(built: tuple[Target, Firmware]) -> None:
    each, firmware = built
    at = {name: address for name, (address, _) in firmware.symbols.items()}
    for symbol, use in (
        ("vectors", "code"), ("model_invoke", "code"), ("weights", "weights"), ("model_arena", "arena"),
        ("_stack_limit", "stack"), ("command", "data"),
    ):  # fmt: skip
        region = each.region_for(use)  # type: ignore[arg-type]
        assert region.base <= at[symbol] < region.base + region.size_bytes, symbol
    assert at["_stack_limit"] == each.region_for("stack").base
    load = at["weights"] - firmware.base
    assert firmware.image[load : load + ELEMENTS] == bytes(w & 255 for w in WEIGHTS)


def test_the_image_is_one_that_the_runners_take(built: tuple[Target, Firmware]) -> None:
    each, firmware = built
    check_image(Image(firmware.base, firmware.image), each)
    assert firmware.usage.flash_bytes <= len(firmware.image)
    assert firmware.usage.stack_bytes == 2048


def test_it_says_how_far_it_has_been_tried(each: Target) -> None:
    assert each.board.firmware_tried != "no"
    assert (each.board.firmware_tried == "virtual") == each.has_virtual_board


def test_a_board_without_firmware_says_so() -> None:
    for name in set(target.names()) - set(NAMES):
        assert target.load(name).board.firmware_tried == "no", name


def test_an_energy_meter_has_a_pin(each: Target) -> None:
    pin = each.board.window_pin
    if each.board.firmware_tried != "qemu":  # there a meter has nothing to be clipped to
        assert pin is not None
        assert parse_pin(pin.pin, each) not in (
            parse_pin(each.board.console.tx, each), parse_pin(each.board.console.rx, each)
        )  # fmt: skip


def test_the_second_stage_bootloader_has_the_crc_that_the_boot_rom_computes(toolchain: str, cache: Path) -> None:
    """RP2040 Datasheet, section 2.8.1.3.1: CRC-32, most significant bit first, not inverted; zlib reflects."""
    pico = target.load("raspberry-pi-pico")
    image = build_firmware(fake_tree(pico), pico, toolchain, cache=cache)
    assert image.base == 0x1000_0000
    boot, rest = image.image[:252], image.image[252:]
    mirrored = bytes(int(f"{byte:08b}"[::-1], 2) for byte in boot)
    crc = int(f"{zlib.crc32(mirrored) ^ 0xFFFF_FFFF:032b}"[::-1], 2)
    assert int.from_bytes(rest[:4], "little") == crc
    assert image.usage.flash_bytes == len(image.image) - 256  # it is taken off what a model may use


def test_the_second_stage_bootloader_is_what_its_comments_say() -> None:
    """Its instructions are written as numbers: a disassembler reads them back."""
    capstone = pytest.importorskip("capstone")
    from edgeq import resources

    source = (resources.folder("firmware_templates") / "boards/rp2/rp2040/boot2.S").read_text()
    code, constants = source.split("/* constants */")
    words = [(int(n, 16), said) for n, said in re.findall(r"^op 0x(\w{4})(?: /\* (.*) \*/)?$", code, re.MULTILINE)]
    machine = b"".join(number.to_bytes(2, "little") for number, _ in words)
    disassembler = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
    read = [f"{i.mnemonic} {i.op_str}".strip() for i in disassembler.disasm(machine, 0)]
    assert read == [said for _, said in words if said]
    halves = re.findall(r"op 0x(\w{4}) /\* .*: 0x(\w{8}) \*/\nop 0x(\w{4})", constants)
    assert len(halves) == 8
    assert all(high + low == whole for low, whole, high in halves)


@pytest.mark.parametrize(
    ("name", "place"),
    [("PD8", (3, 8)), ("PA15", (0, 15)), ("P0.06", (0, 6)), ("P1.12", (1, 12)), ("GP25", (0, 25)), ("P209", (2, 9))],
)
def test_pins_are_named_as_their_makers_do(board: Target, name: str, place: tuple[int, int]) -> None:
    assert parse_pin(name, board) == place


@pytest.mark.parametrize("name", ["", "D10", "PL1", "P0.6", "GP", "P20"])
def test_other_names_are_no_pins(board: Target, name: str) -> None:
    with pytest.raises(TargetFileError, match="not a pin's name"):
        parse_pin(name, board)


def own(board: Target, folder: Path, *changes: tuple[str, str]) -> Target:
    """The target with its board's file changed."""
    text = board.path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / board.path.name).write_text(text)
    return target.load_file(folder / board.path.name)


def test_what_a_boards_file_leaves_out_is_asked_for(board: Target, tmp_path: Path) -> None:
    with pytest.raises(TargetFileError, match=r"console\.tx and console\.rx"):
        fake_tree(own(board, tmp_path, ('tx = "PG7"\n', "")))
    with pytest.raises(TargetFileError, match="alternate_function"):
        fake_tree(own(board, tmp_path, ("alternate_function = 8\n", "")))


def test_a_board_without_a_window_pin_builds(board: Target, tmp_path: Path, cache: Path, toolchain: str) -> None:
    at = board.path.read_text().index("[window_pin]")
    section = board.path.read_text()[at:].split("\n\n")[0]
    bare = own(board, tmp_path, (section, ""))
    assert bare.board.window_pin is None
    build_firmware(fake_tree(bare), bare, toolchain, cache=cache)


def test_a_clock_that_the_chip_cannot_make_is_refused_when_it_is_compiled(
    board: Target, tmp_path: Path, cache: Path, toolchain: str
) -> None:
    odd = own(board, tmp_path, ("clock_hz = 120_000_000\nrunners", "clock_hz = 77_777_777\nrunners"))
    with pytest.raises(Exception, match=r"the PLL set up below|whole number of MHz"):
        build_firmware(fake_tree(odd), odd, toolchain, cache=cache)


def test_an_unknown_family_is_told(board: Target) -> None:
    import dataclasses

    bare = dataclasses.replace(board, soc=dataclasses.replace(board.soc, firmware="stm32/l9"))
    with pytest.raises(UnsupportedError, match="no firmware for the STM32L4R5ZI"):
        fake_tree(bare)
