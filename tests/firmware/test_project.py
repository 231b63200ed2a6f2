"""The firmware project's files: complete, valued, and never broken by a name."""

from __future__ import annotations

import dataclasses
import re

import pytest
from fake_model import fake_manifest

from edgeq.codegen.project import firmware_files, gcc_flags, zig_flags
from edgeq.codegen.tree import Manifest
from edgeq.errors import UnsupportedError
from edgeq.target import Target


def test_the_files_of_a_project(board: Target) -> None:
    files = firmware_files(board, fake_manifest(board))
    assert {"main.c", "Makefile", "README.md", "edgeq.json", "board/linker.ld", "board/config.h"} <= set(files)
    assert not [path for path in files if path.endswith(".j2") or path.startswith(("model", "kernels/"))]
    assert Manifest.from_json(files["edgeq.json"].decode()) == fake_manifest(board)


def test_every_include_is_in_the_project_or_generated(board: Target) -> None:
    files = firmware_files(board, fake_manifest(board))
    for path, content in files.items():
        for name in re.findall(rb'#include "([^"]+)"', content):
            assert name.decode() in {*files, "model.h"}, path


def test_values_come_from_target_and_manifest(board: Target) -> None:
    files = firmware_files(board, fake_manifest(board), stack_bytes=3001)
    config, script = files["board/config.h"].decode(), files["board/linker.ld"].decode()
    assert '#define EDGEQ_TARGET "nucleo-l4r5zi"' in config
    assert "#define EDGEQ_CLOCK_HZ 120000000u" in config
    assert "#define EDGEQ_INPUT_BYTES 12u" in config
    assert "sram (rw) : ORIGIN = 0x20000000, LENGTH = 655360" in script
    assert ". += 3008;" in script


def test_a_chip_without_firmware_says_what_works(board: Target) -> None:
    bare = dataclasses.replace(board, soc=dataclasses.replace(board.soc, firmware=""))
    with pytest.raises(UnsupportedError, match="STM32L4R5ZI") as caught:
        firmware_files(bare, fake_manifest(board))
    assert "edgeq export --format c --target nucleo-l4r5zi" in caught.value.next_step


def test_a_models_name_can_not_break_out_of_a_comment(board: Target) -> None:
    name = "a*/\nall: evil\n$(shell evil) #\\"
    files = firmware_files(board, dataclasses.replace(fake_manifest(board), model_name=name))
    for path in ("Makefile", "board/linker.ld", "board/config.h"):
        lines = files[path].decode().splitlines()
        assert not [line for line in lines if line.startswith("all: evil")]
        assert "$(shell" not in files[path].decode()


def test_the_model_is_compiled_for_speed_and_all_around_it_for_size(board: Target) -> None:
    for source in ("model.c", "kernels/conv.c", "kernels/fast.S"):
        assert "-O2" in zig_flags(board, source)
        assert "-O2" in gcc_flags(board, source)
    for source in ("main.c", "runtime/protocol.c", "board/board.c", "runtime/libc/memory.c"):
        assert "-O2" not in (*zig_flags(board, source), *gcc_flags(board, source))
