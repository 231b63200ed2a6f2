"""Tiny firmware for the tests: assembly, linked with zig cc to the flash's base."""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from edgeq import process

_SCRIPT = """
SECTIONS { . = 0x08000000; .text : { KEEP(*(.vectors)) *(.text*) } /DISCARD/ : { *(.ARM*) *(.comment) } }
"""
_STACK = 0x2000_4000
_NAMES = {2: "nmi", 3: "hard_fault", 6: "usage_fault", 11: "svc", 14: "pendsv", 15: "systick"}
ENABLE_FPU = "ldr r0, =0xE000ED88\n ldr r1, =0x00F00000\n str r1, [r0]\n dsb\n isb\n"
# Clock of LPUART1 on; receiver, transmitter, FIFO and receive interrupt on; line 70 of the NVIC on.
CONSOLE = """
 ldr r0, =0x4002105C
 movs r1, #1
 str r1, [r0]
 ldr r0, =0x40008000
 ldr r1, =0x2000002D
 str r1, [r0]
 ldr r0, =0xE000E108
 movs r1, #64
 str r1, [r0]
"""


@dataclass(frozen=True)
class TestImage:
    """A linked image and its ELF."""

    __test__ = False
    image: bytes
    elf: bytes


def build(body: str, handlers: Mapping[str | int, str] | None = None) -> TestImage:
    """An image whose reset handler is `body`.

    Args:
        handlers: exception name or interrupt line → its code, `bx lr` included.
    """
    return _build(body, tuple((handlers or {}).items()))


@lru_cache(maxsize=256)
def _build(body: str, handlers: tuple[tuple[str | int, str], ...]) -> TestImage:
    given = dict(handlers)
    vectors = [f".word 0x{_STACK:08X}", ".word reset"]
    functions = ["default_handler:\n b .\n", f"reset:\n{body}\n b .\n .ltorg\n"]
    for number in range(2, 16 + 95):
        key: str | int = number - 16 if number >= 16 else _NAMES.get(number, "")
        if key in given:
            functions.append(f"handler_{number}:\n{given[key]}\n .ltorg\n")
        vectors.append(f".word handler_{number}" if key in given else ".word default_handler")
    text = "".join(
        f".balign 4\n.type {f.split(':')[0]}, %function\n.global {f.split(':')[0]}\n.thumb_func\n{f}" for f in functions
    )
    source = '.syntax unified\n.thumb\n.section .vectors, "a"\n' + "\n".join(vectors) + "\n.text\n" + text
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "image.S").write_text(source)
        (folder / "image.ld").write_text(_SCRIPT)
        target = ["-target", "thumb-freestanding-eabihf", "-mcpu=cortex_m4+vfp4d16sp"]
        link = ["-nostdlib", "-Wl,-e,reset", "-Wl,-T,image.ld", "-Wl,--build-id=none"]
        argv = [sys.executable, "-m", "ziglang", "cc", *target, *link, "image.S", "-o", "image.elf"]
        process.run(argv, timeout_s=120, cwd=folder)
        elf = (folder / "image.elf").read_bytes()
    return TestImage(_text(elf), elf)


def _text(elf: bytes) -> bytes:
    from elftools.elf.elffile import ELFFile

    section = ELFFile(io.BytesIO(elf)).get_section_by_name(".text")
    assert section is not None
    return bytes(section.data())
