"""SourceTree → Firmware, with both toolchains: sizes and symbols to the byte, the same bytes twice, clear refusals."""

from __future__ import annotations

import dataclasses
import io
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from fake_model import ELEMENTS, WEIGHTS, fake_tree

from edgeq import process
from edgeq.codegen.tree import SourceTree
from edgeq.errors import MissingDependencyError, NegativeResult, ToolError, UsageError
from edgeq.events import Event, Progress
from edgeq.files import write_tree
from edgeq.target import Target
from edgeq.toolchains import arm_gcc
from edgeq.toolchains.build import build_firmware, write_firmware
from edgeq.toolchains.elf import image, read
from edgeq.toolchains.firmware import Firmware
from edgeq.toolchains.zig import zig_environment

RUNTIME_FLASH_LIMIT = 8 * 1024
"""All of the firmware but the model and its kernels."""


def with_files(tree: SourceTree, files: Mapping[str, bytes]) -> SourceTree:
    return dataclasses.replace(tree, files={**tree.files, **files})


@pytest.fixture(scope="session")
def firmware(board: Target, toolchain: str, cache: Path) -> Firmware:
    return build_firmware(fake_tree(board), board, toolchain, cache=cache)


def test_usage_is_exact(firmware: Firmware) -> None:
    usage = firmware.usage
    assert usage.flash_bytes == len(firmware.image)
    assert usage.weights_bytes == 32  # twelve, up to a multiple of the alignment
    assert usage.parameter_bytes == 0
    assert usage.code_bytes == usage.flash_bytes - 32
    assert usage.arena_bytes == 32
    assert usage.stack_bytes == 2048
    at = {name: address for name, (address, _) in firmware.symbols.items()}
    data, bss = at["_data_end"] - at["_data_start"], at["_bss_end"] - at["_bss_start"]
    assert usage.ram_bytes == 2048 + 32 + data + bss


def test_the_runtime_is_small(firmware: Firmware) -> None:
    model = sum(firmware.symbols[name][1] for name in ("model_invoke", "model_input", "model_output"))
    assert firmware.usage.code_bytes - model <= RUNTIME_FLASH_LIMIT


def test_symbols_lie_where_the_linker_script_says(firmware: Firmware, board: Target) -> None:
    flash, ram = board.memory_for("code")[0], board.memory_for("arena")[0]
    at = {name: address for name, (address, _) in firmware.symbols.items()}
    assert firmware.base == flash.base == at["vectors"]
    assert at["_stack_limit"] == ram.base  # an overflow leaves the RAM, and faults
    assert at["_stack_top"] == ram.base + 2048
    assert at["model_arena"] == at["_arena_start"]
    assert at["model_arena"] % 16 == 0
    assert at["weights"] == at["_model_weights_start"]
    assert at["weights"] % 16 == 0
    assert at["_model_weights_end"] - at["_model_weights_start"] == ELEMENTS
    assert firmware.symbols["vectors"] == (flash.base, 4 * (16 + board.soc.interrupts))


def test_the_image_starts_with_the_vectors(firmware: Firmware) -> None:
    words = [int.from_bytes(firmware.image[i : i + 4], "little") for i in range(0, 4 * 111, 4)]
    at = {name: address for name, (address, _) in firmware.symbols.items()}
    assert words[0] == at["_stack_top"]
    assert words[1] == at["Reset_Handler"] | 1
    assert words[3] == at["Fault_Handler"] | 1
    assert words[7:11] == [0, 0, 0, 0]  # reserved
    assert words[16 + 70] == at["Console_IRQHandler"] | 1
    assert {words[16 + n] for n in range(95) if n != 70} == {at["Fault_Handler"] | 1}  # weak, all of them


def test_the_image_holds_the_weights(firmware: Firmware) -> None:
    offset = firmware.symbols["weights"][0] - firmware.base
    assert firmware.image[offset : offset + ELEMENTS] == bytes(w & 255 for w in WEIGHTS)


def test_intel_hex_is_the_image(firmware: Firmware) -> None:
    from intelhex import IntelHex

    read = IntelHex()
    read.loadhex(io.StringIO(firmware.intel_hex))
    assert read.minaddr() == firmware.base
    assert read.tobinstr() == firmware.image


def test_the_fpu_is_on_and_memcpy_is_ours(firmware: Firmware) -> None:
    assert firmware.symbols["memcpy"][0] == firmware.symbols["__aeabi_memcpy"][0]
    assert not [name for name in firmware.symbols if name in ("__aeabi_fmul", "__aeabi_uldivmod", "malloc")]


def test_the_same_bytes_twice_from_anywhere(
    firmware: Firmware, board: Target, toolchain: str, cache: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    if toolchain == "zig":  # no objects, but what takes zig long to make
        (tmp_path / "empty" / "zig").symlink_to(cache / "zig")
    again = build_firmware(fake_tree(board), board, toolchain, out=tmp_path / "else where", cache=tmp_path / "empty")
    assert again.elf == firmware.elf
    assert again.image == firmware.image
    for place in (str(tmp_path), "edgeq-obj", str(Path.home())):
        assert place.encode() not in again.elf


def test_only_what_has_changed_is_compiled(
    board: Target, toolchain: str, cache: Path, firmware: Firmware, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[str] = []
    real = process.run

    def spy(argv: list[object], **rest: object) -> object:
        if "-c" in argv:
            compiled.append(str(argv[argv.index("-c") + 1]))
        return real(argv, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(process, "run", spy)
    other = build_firmware(fake_tree(board, weights=tuple(-w for w in WEIGHTS)), board, toolchain, cache=cache)
    assert compiled == ["model.c"]
    assert other.image != firmware.image


def test_progress_names_every_file(board: Target, toolchain: str, cache: Path) -> None:
    seen: list[Event] = []
    tree = fake_tree(board)
    build_firmware(tree, board, toolchain, listener=seen.append, cache=cache)
    steps = [event for event in seen if isinstance(event, Progress)]
    assert [step.detail for step in steps] == [*tree.sources, "linking"]
    assert steps[-1].done == steps[-1].total == len(tree.sources)


def test_a_compiler_error_says_file_line_and_how_to_see_it_again(
    board: Target, toolchain: str, cache: Path, tmp_path: Path
) -> None:
    tree = with_files(fake_tree(board), {"kernels/broken.c": b"int f(void) {\n    return missing;\n}\n"})
    with pytest.raises(ToolError) as caught:
        build_firmware(tree, board, toolchain, out=tmp_path, cache=cache)
    assert "kernels/broken.c:2" in caught.value.what
    assert "missing" in caught.value.what
    assert caught.value.facts["source"] == "kernels/broken.c"
    assert f"cd {tmp_path} && " in caught.value.next_step


def test_a_warning_is_an_error(board: Target, toolchain: str, cache: Path) -> None:
    tree = with_files(fake_tree(board), {"kernels/careless.c": b"void f(void);\nvoid f(void) { int unused; }\n"})
    with pytest.raises(ToolError, match="unused"):
        build_firmware(tree, board, toolchain, cache=cache)


def test_an_undefined_symbol_is_the_linkers_error(board: Target, toolchain: str, cache: Path) -> None:
    tree = fake_tree(board)
    call = tree.files["model.c"].replace(b"model_layer_done(1);", b"model_layer_done(1); elsewhere();")
    call = call.replace(b"#include <string.h>", b"#include <string.h>\nvoid elsewhere(void);")
    with pytest.raises(ToolError, match="elsewhere") as caught:
        build_firmware(with_files(tree, {"model.c": call}), board, toolchain, cache=cache)
    assert caught.value.where == "the linker"


def test_too_big_for_the_ram_says_region_and_bytes(
    board: Target, toolchain: str, cache: Path, firmware: Firmware
) -> None:
    size = board.memory_for("arena")[0].size_bytes
    with pytest.raises(NegativeResult) as caught:
        build_firmware(fake_tree(board, arena_bytes=size), board, toolchain, cache=cache)
    assert caught.value.facts["region"] == "sram"
    # The image of .data counts in the region's flash too, and between the sections there may be gaps.
    assert 0 <= caught.value.facts["overflow_bytes"] - (firmware.usage.ram_bytes - 32) <= 8
    assert "sram" in caught.value.what


def test_too_big_for_the_flash(board: Target, toolchain: str, cache: Path, tmp_path: Path) -> None:
    tree = fake_tree(board)
    filler = b'__asm__(".section .model_weights,\\"a\\"\\n.global filler\\nfiller: .space 2097152\\n");\n'
    use = tree.files["model.c"].replace(b"model_layer_done(1);", b"model_layer_done(filler[0]);")
    use = use.replace(b"#include <string.h>", b"#include <string.h>\nextern const unsigned char filler[];")
    with pytest.raises(NegativeResult) as caught:
        build_firmware(with_files(tree, {"model.c": use, "kernels/filler.c": filler}), board, toolchain, cache=cache)
    assert caught.value.facts["region"] == "flash"


def test_initialised_data_is_loaded_from_flash(board: Target, toolchain: str, cache: Path) -> None:
    tree = fake_tree(board)
    source = tree.files["model.c"].replace(b"void model_invoke", b"int counter = 0x12345678;\n\nvoid model_invoke")
    source = source.replace(b"model_layer_done(1);", b"model_layer_done(counter++ == 0);")
    built = build_firmware(with_files(tree, {"model.c": source}), board, toolchain, cache=cache)
    load = built.symbols["_data_load"][0] - built.base
    assert built.image[load : load + 4] == (0x12345678).to_bytes(4, "little")
    assert built.symbols["counter"][0] == built.symbols["_data_start"][0]


def test_unknown_toolchain(board: Target, cache: Path) -> None:
    with pytest.raises(UsageError, match="iar") as caught:
        build_firmware(fake_tree(board), board, "iar", cache=cache)
    assert "zig, gcc" in caught.value.next_step


def test_a_missing_compiler_says_how_to_get_it(board: Target, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arm_gcc.shutil, "which", lambda program: None)
    with pytest.raises(MissingDependencyError, match="arm-none-eabi-gcc") as caught:
        build_firmware(fake_tree(board), board, "gcc", cache=cache)
    assert "apt install gcc-arm-none-eabi" in caught.value.next_step


def test_files_written(firmware: Firmware, tmp_path: Path) -> None:
    paths = write_firmware(firmware, tmp_path)
    assert paths["bin"].read_bytes() == firmware.image
    assert paths["elf"].read_bytes() == firmware.elf
    assert paths["hex"].read_text().startswith(":020000040800F2")


def test_sources_of_an_earlier_build_go_but_nothing_else(
    board: Target, toolchain: str, cache: Path, tmp_path: Path
) -> None:
    first = with_files(fake_tree(board), {"kernels/old.c": b"extern int old;\nint old;\n"})
    build_firmware(first, board, toolchain, out=tmp_path, cache=cache)
    mine = tmp_path / "mine.c"
    mine.write_text("/* the user's */\n")
    build_firmware(fake_tree(board), board, toolchain, out=tmp_path, cache=cache)
    assert not (tmp_path / "kernels" / "old.c").exists()
    assert mine.exists()


def test_a_build_that_fails_leaves_no_firmware_of_an_earlier_one(
    board: Target, toolchain: str, cache: Path, firmware: Firmware, tmp_path: Path
) -> None:
    tree = fake_tree(board)
    write_tree(tmp_path, tree.files)
    write_firmware(firmware, tmp_path)
    (tmp_path / "firmware.txt").touch()
    with pytest.raises(ToolError):
        build_firmware(with_files(tree, {"model.c": b"#error no"}), board, toolchain, tmp_path, cache=cache)
    assert [path.name for path in tmp_path.glob("firmware.*")] == ["firmware.txt"]


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not on PATH")
def test_the_folder_compiles_by_itself_to_the_same_image(
    firmware: Firmware, toolchain: str, tmp_path: Path, board: Target, cache: Path
) -> None:
    write_tree(tmp_path, fake_tree(board).files)
    argv = ["make", "-C", str(tmp_path)]
    if toolchain == "zig":  # not the .hex: at its first use zig compiles its objcopy, for ten seconds
        argv += [f"CC={sys.executable} -m ziglang cc", "firmware.elf"]
    done = process.run(argv, timeout_s=120, environment=zig_environment(cache))
    assert not re.search("warning", done.stderr, re.IGNORECASE)
    assert image(read((tmp_path / "firmware.elf").read_bytes())) == (firmware.base, firmware.image)
    if toolchain == "gcc":
        assert (tmp_path / "firmware.bin").read_bytes() == firmware.image
