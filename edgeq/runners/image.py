"""An image for a device, checked against the target before anything is touched."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeq import registry
from edgeq.codegen.tree import MANIFEST_NAME, Manifest
from edgeq.errors import DeviceError, InputFileError
from edgeq.events import Listener, Progress
from edgeq.target import Memory, Target

if TYPE_CHECKING:
    from edgeq.toolchains.firmware import Firmware

# What erased flash reads as; fills the gaps between an ELF's or a hex file's segments.
ERASED = 0xFF
# A gap wider than this between segments is a mistake (a segment for RAM or for another memory), not padding.
_MAX_GAP_BYTES = 1 << 20


@dataclass(frozen=True)
class Image:
    """Bytes for the flash, from `base` on.

    Attributes:
        source: the file, "" when made in memory.
    """

    base: int
    data: bytes
    source: str = ""


def read_image(path: Path, target: Target) -> Image:
    """Read a raw binary, an Intel hex file, an ELF, or the folder that `edgeq build` wrote.

    A raw binary starts at the target's first flash. The kind is told by the content, not by the name.

    Raises:
        InputFileError: unreadable or empty.
        MissingDependencyError: hex or ELF without the packages that read them.
    """
    if path.is_dir():
        path = path / "firmware.bin"
    try:
        data = path.read_bytes()
    except OSError as failed:
        raise InputFileError(
            f"can't be read: {failed.strerror}",
            where=str(path),
            next_step="`edgeq build MODEL --target NAME -o build/` makes build/firmware.bin",
        ) from failed
    if data.startswith(b"\x7fELF"):
        return _join(_elf_segments(data, path), path)
    if data.startswith(b":") and data[:9].strip(b":0123456789ABCDEFabcdef") == b"":
        return _join(_hex_segments(data, path), path)
    if not data:
        raise InputFileError("is empty", where=str(path), next_step="build it again")
    return Image(target.image_base, data, str(path))


def image_of(source: str | Path | Image | Firmware, target: Target) -> Image:
    """The image of a file, of a build's folder, or of a product of the toolchains; see `read_image`."""
    if isinstance(source, Image):
        return source
    if isinstance(source, str | Path):
        return read_image(Path(source), target)
    return Image(source.base, source.image, source.manifest.model_name)


def manifest_of(source: str | Path | Image | Firmware) -> Manifest | None:
    """What is known of the build: of a product of the toolchains, or from the folder that `edgeq build` wrote."""
    if isinstance(source, Image):
        return None
    if not isinstance(source, str | Path):
        return source.manifest
    path = Path(source)
    if path.is_file() and path.stem != "firmware":
        return None
    try:
        folder = path if path.is_dir() else path.parent
        return Manifest.from_json((folder / MANIFEST_NAME).read_text("utf-8"))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def elf_of(source: str | Path | Image | Firmware) -> bytes:
    """The ELF with an image's names: the file itself, the one beside it, or the product's; b"" if there is none."""
    if isinstance(source, Image):
        return b""
    if isinstance(source, str | Path):
        path = Path(source)
        beside = path / "firmware.elf" if path.is_dir() else path.with_suffix(".elf")
        return beside.read_bytes() if beside.is_file() else b""
    return source.elf


def check_image(image: Image, target: Target) -> None:
    """Refuse what can't run on the target: a wrong place or size, or no vector table at its start.

    Raises:
        InputFileError: with the number that shows it.
    """
    before = target.region_for("code").base - target.image_base
    flash = next((m for m in _flash(target) if m.base - before <= image.base < m.base + m.size_bytes), None)
    if flash is None:
        raise _refused(f"starts at {image.base:#010x}, where {target.name} has no flash", image, target)
    end = image.base + len(image.data)
    if end > flash.base + flash.size_bytes:
        raise _refused(
            f"is {len(image.data):,} bytes from {image.base:#010x} on, but {flash.name} ends at "
            f"{flash.base + flash.size_bytes:#010x}",
            image,
            target,
        )
    table = before if image.base == target.image_base else 0
    if len(image.data) < table + 8:
        raise _refused(f"is {len(image.data)} bytes, too short for a vector table", image, target)
    stack, reset = struct.unpack_from("<II", image.data, table)
    if not any(
        m.base < stack <= m.base + m.size_bytes and stack % 4 == 0 for m in target.soc.memory if m.kind == "ram"
    ):
        raise _refused(f"its initial stack pointer is {stack:#010x}, which is not in RAM", image, target)
    if not reset & 1:
        raise _refused(f"its reset vector is {reset:#010x}, without the Thumb bit", image, target)
    if not image.base <= reset - 1 < end:
        raise _refused(f"its reset vector {reset:#010x} points outside the image", image, target)


def compare(image: Image, offset: int, got: bytes, where: str, listener: Listener) -> None:
    """Hold a piece that was read back against the image, and tell how far that has come.

    Raises:
        DeviceError: it differs; the address is told.
    """
    want = image.data[offset : offset + len(got)]
    if got != want:
        at = next(i for i, (g, w) in enumerate(zip(got, want, strict=False)) if g != w)
        address = image.base + offset + at
        raise DeviceError(
            f"the flash does not hold what was written: at {address:#010x} it reads {got[at]:#04x} instead of "
            f"{want[at]:#04x}" + (" (erased)" if set(got) == {ERASED} else ""),
            where=where,
            next_step="check write protection and the supply voltage, and that the chip is the one that the target "
            "names; then flash it again",
            address=address,
            read=got[at],
            expected=want[at],
        )
    listener(Progress("flash", offset + len(got), len(image.data), "bytes", "reading back"))


def _refused(what: str, image: Image, target: Target) -> InputFileError:
    return InputFileError(
        f"is no image for {target.name}: {what}",
        where=image.source or "the image",
        next_step=f"build it for this target: `edgeq build MODEL --target {target.name}`",
        target=target.name,
        base=image.base,
        size_bytes=len(image.data),
    )


def _flash(target: Target) -> list[Memory]:
    return [m for m in target.memory_for("code") if m.kind == "flash"] or [
        m for m in target.soc.memory if m.kind == "flash"
    ]


def _elf_segments(data: bytes, path: Path) -> list[tuple[int, bytes]]:
    registry.require(registry.Row("", "build", ("elftools",)), "reading an ELF file")
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        return [
            (int(s["p_paddr"]), bytes(s.data()))
            for s in ELFFile(io.BytesIO(data)).iter_segments()
            if s["p_type"] == "PT_LOAD" and s["p_filesz"] > 0
        ]
    except (ELFError, KeyError, ValueError, OSError) as failed:
        raise InputFileError(
            f"is a damaged ELF file: {failed}", where=str(path), next_step="build it again"
        ) from failed


def _hex_segments(data: bytes, path: Path) -> list[tuple[int, bytes]]:
    registry.require(registry.Row("", "build", ("intelhex",)), "reading an Intel hex file")
    from intelhex import IntelHex, IntelHexError

    content = IntelHex()
    try:
        content.loadhex(io.StringIO(data.decode("ascii")))
    except (IntelHexError, UnicodeDecodeError, ValueError) as failed:
        raise InputFileError(
            f"is a damaged Intel hex file: {failed}", where=str(path), next_step="build it again"
        ) from failed
    return [(a, bytes(content.tobinarray(start=a, end=b - 1))) for a, b in content.segments()]


def _join(segments: list[tuple[int, bytes]], path: Path) -> Image:
    if not segments:
        raise InputFileError("holds nothing to program", where=str(path), next_step="build it again")
    segments = sorted(segments)
    base = segments[0][0]
    joined = bytearray()
    for address, data in segments:
        gap = address - base - len(joined)
        if gap < 0 or gap > _MAX_GAP_BYTES:
            raise InputFileError(
                f"has segments that don't belong into one image: one at {base:#010x}, one at {address:#010x}",
                where=str(path),
                next_step="program the parts one by one with the vendor's tool",
            )
        joined += bytes([ERASED]) * gap + data
    return Image(base, bytes(joined), str(path))
