"""What is known of the firmware on a device: its manifest, and the sizes and symbols of its build."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from edgeq.codegen.tree import MANIFEST_NAME, Manifest
from edgeq.errors import InputFileError, NegativeResult
from edgeq.measure.measurement import MemoryUse
from edgeq.target import Target
from edgeq.toolchains.firmware import Firmware, Usage


@dataclass(frozen=True)
class Built:
    """The firmware, as far as it is known.

    Attributes:
        manifest: what the device's layer counters refer to.
        memory: None when only the model is known, not the build.
        symbols: name → (address, size).
    """

    manifest: Manifest
    memory: MemoryUse | None = None
    symbols: Mapping[str, tuple[int, int]] = field(default_factory=lambda: MappingProxyType({}))


def from_firmware(firmware: Firmware, model_sha256: str) -> Built:
    """Of a product of the toolchains.

    Raises:
        NegativeResult: it was built from another model.
    """
    _check(firmware.manifest, model_sha256, firmware.manifest.model_name)
    return Built(firmware.manifest, _memory(firmware.usage), firmware.symbols)


def from_folder(folder: Path, target: Target, model_sha256: str) -> Built:
    """Of the folder that `edgeq build` wrote.

    Raises:
        InputFileError: it isn't one.
        NegativeResult: it was built from another model.
    """
    from edgeq.toolchains import elf

    try:
        manifest = Manifest.from_json((folder / MANIFEST_NAME).read_text("utf-8"))
        read = elf.read((folder / "firmware.elf").read_bytes())
    except (OSError, ValueError, KeyError, TypeError) as failed:
        raise InputFileError(
            f"is not the folder of a build: {failed}",
            where=str(folder),
            next_step="give the folder that `edgeq build -o` wrote",
        ) from failed
    _check(manifest, model_sha256, str(folder))
    return Built(manifest, _memory(elf.usage(read, target)), read.symbols)


def _check(manifest: Manifest, model_sha256: str, where: str) -> None:
    if manifest.model_sha256 != model_sha256:
        raise NegativeResult(
            f"the firmware was built from another model: sha256 {manifest.model_sha256[:16]}…, "
            f"not {model_sha256[:16]}…",
            where=where,
            next_step="build it again from this model",
        )


def _memory(usage: Usage) -> MemoryUse:
    return MemoryUse(
        arena_bytes=usage.arena_bytes,
        weights_bytes=usage.weights_bytes,
        stack_reserved_bytes=usage.stack_bytes,
        ram_bytes=usage.ram_bytes,
        parameter_bytes=usage.parameter_bytes,
        code_bytes=usage.code_bytes,
        flash_bytes=usage.flash_bytes,
    )
