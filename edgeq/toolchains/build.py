"""SourceTree → Firmware: write, compile each file, link, read the result."""

from __future__ import annotations

import os
import re
import shlex
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from edgeq import process, registry
from edgeq.codegen.tree import MANIFEST_NAME, SourceTree
from edgeq.errors import NegativeResult, ToolError
from edgeq.events import Listener, Progress, silent
from edgeq.files import write_tree, write_whole
from edgeq.target import Target
from edgeq.toolchains import elf
from edgeq.toolchains.cache import ObjectCache, default_cache, object_key
from edgeq.toolchains.contract import Toolchain
from edgeq.toolchains.firmware import Firmware
from edgeq.units import format_bytes

STAGE = "compile"
DEFAULT_TOOLCHAIN = "zig"
_TIMEOUT_S = 300.0
_ERROR_LINES = 12
_RESULTS = ("elf", "bin", "hex")
_OWN_FOLDERS = ("board", "kernels", "runtime")
_LINKER = "the linker"
_CAUSE = re.compile(r"error:|undefined reference|multiple definition|cannot find", re.IGNORECASE)
_OVERFLOW = re.compile(r"region [`']?([A-Za-z0-9_]+)[`']?:? overflowed by (\d+) bytes")


def build_firmware(
    tree: SourceTree,
    target: Target,
    toolchain: str = "auto",
    out: Path | None = None,
    listener: Listener = silent,
    cache: Path | None = None,
) -> Firmware:
    """Compile and link a source tree.

    The same tree, target and compiler give the same bytes, wherever and whenever.

    Args:
        toolchain: a name in edgeq.registry.TOOLCHAINS, or "auto" for zig.
        out: a folder that receives the sources; the results are for the caller to write (`write_firmware`).
            Without it the sources are written to a temporary one. Sources of an earlier build that are in its
            board/, kernels/ or runtime/ and no longer belong there are deleted, and so are its results: a folder
            never has the firmware of one model beside the sources of another.
        cache: a folder for compiled objects; the platform's convention (`default_cache`) without it.

    Raises:
        UsageError: no such toolchain; `out` or `cache` can't be written.
        MissingDependencyError: the compiler isn't installed.
        NegativeResult: it doesn't fit; facts: region, overflow_bytes.
        ToolError: the compiler refused a file; facts: source, command, stderr.
    """
    name = DEFAULT_TOOLCHAIN if toolchain == "auto" else toolchain
    compiler: Toolchain = registry.load(registry.TOOLCHAINS, name, "toolchain")
    version = compiler.version()
    stored = cache or default_cache()
    with ExitStack() as stack:
        folder = out or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgeq-")))
        _drop_stale(folder, tree)
        write_tree(folder, tree.files)
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgeq-obj-")))
        build = _Build(tree, target, compiler, version, folder.resolve(), work, stored, out is not None)
        objects = build.compile_all(listener)
        listener(Progress(STAGE, len(objects), len(objects), "files", "linking"))
        content = build.link(objects)
    read = elf.read(content)
    base, image = elf.image(read)
    return Firmware(
        target=target.name,
        toolchain=version,
        base=base,
        image=image,
        elf=content,
        intel_hex=elf.intel_hex(base, image),
        usage=elf.usage(read, target),
        symbols=read.symbols,
        manifest=tree.manifest,
    )


def _drop_stale(folder: Path, tree: SourceTree) -> None:
    """Delete what an earlier build left in its own folders and this one doesn't have (the Makefile compiles all), and
    what it made, so that a build that fails leaves nothing to flash."""
    if not (folder / MANIFEST_NAME).is_file():
        return
    for kind in _RESULTS:
        with suppress(OSError):  # where nothing can be deleted nothing can be written either, which is told then
            (folder / f"firmware.{kind}").unlink()
    for part in _OWN_FOLDERS:
        for path in sorted((folder / part).rglob("*")):
            if path.suffix in (".c", ".h", ".S") and path.relative_to(folder).as_posix() not in tree.files:
                path.unlink()


def write_firmware(firmware: Firmware, folder: Path) -> dict[str, Path]:
    """Write firmware.elf, firmware.bin and firmware.hex.

    Returns:
        "elf", "bin" and "hex" → where they are.

    Raises:
        UsageError: the folder can't be written.
    """
    contents: tuple[bytes | str, ...] = (firmware.elf, firmware.image, firmware.intel_hex)
    paths = {kind: folder / f"firmware.{kind}" for kind in _RESULTS}
    for kind, content in zip(_RESULTS, contents, strict=True):
        write_whole(paths[kind], content)
    return paths


@dataclass(frozen=True)
class _Build:
    """One build under way: `folder` has the sources (and is `kept` afterwards), `work` gets objects and the ELF."""

    tree: SourceTree
    target: Target
    compiler: Toolchain
    version: str
    folder: Path
    work: Path
    cache: Path
    kept: bool

    def compile_all(self, listener: Listener) -> list[Path]:
        sources = self.tree.sources
        objects: list[Path] = []
        store = ObjectCache(self.cache / "objects")
        store.drop_unused()
        with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
            waiting = [pool.submit(self.compile_one, source, store) for source in sources]
            try:
                for done, (source, future) in enumerate(zip(sources, waiting, strict=True)):
                    listener(Progress(STAGE, done, len(sources), "files", source))
                    objects.append(future.result())
            except BaseException:
                for future in waiting:
                    future.cancel()
                raise
        return objects

    def compile_one(self, source: str, store: ObjectCache) -> Path:
        output = self.work / f"{source}.o"
        # The temporary folder's name differs each time: it stays out of the key.
        command = [str(word) for word in self.compiler.compile_argv(self.target, source, Path())]
        key = object_key(self.tree.files, source, command, self.version)
        content = store.get(key)
        output.parent.mkdir(parents=True, exist_ok=True)
        if content is not None:
            output.write_bytes(content)
            return output
        self._run(self.compiler.compile_argv(self.target, source, output), source)
        store.put(key, output.read_bytes())
        return output

    def link(self, objects: Sequence[Path]) -> bytes:
        output = self.work / "firmware.elf"
        self._run(self.compiler.link_argv(self.target, objects, output), _LINKER)
        return output.read_bytes()

    def _run(self, argv: Sequence[str | Path], about: str) -> None:
        said = process.run(
            argv,
            timeout_s=_TIMEOUT_S,
            cwd=self.folder,
            environment=self.compiler.environment(self.cache),
            check=False,
        )
        if said.exit_code == 0:
            return
        words = said.stderr.strip() or said.stdout.strip()
        overflows = [(m[1], int(m[2])) for m in _OVERFLOW.finditer(words)]
        if overflows:
            raise self._too_big(overflows)
        lines = words.splitlines()
        first = next((i for i, line in enumerate(lines) if _CAUSE.search(line)), 0)
        again = shlex.join(word.name if isinstance(word, Path) else word for word in argv)
        if about == _LINKER:
            again = "make"
        raise ToolError(
            f"{self.version} refused {about}:\n" + "\n".join(lines[first : first + _ERROR_LINES]),
            where=about,
            next_step=f"see it again: cd {self.folder} && {again}"
            if self.kept
            else f"give the build an output folder, and there run: {again}",
            source=about,
            command=[str(word) for word in argv],
            exit_code=said.exit_code,
            stderr=words[-8000:],
        )

    def _too_big(self, overflows: Sequence[tuple[str, int]]) -> NegativeResult:
        worst: dict[str, int] = {}
        for region, count in overflows:
            worst[region] = max(worst.get(region, 0), count)
        region, count = max(worst.items(), key=lambda item: item[1])
        size = next((m.size_bytes for m in self.target.memory if m.name == region), 0)
        return NegativeResult(
            f"the firmware needs {format_bytes(count)} more than the {format_bytes(size)} of {region}",
            where=self.target.name,
            next_step="`edgeq check` shows what takes the room and what would make it fit",
            region=region,
            overflow_bytes=count,
            overflows=worst,
        )
