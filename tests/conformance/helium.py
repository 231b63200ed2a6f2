"""A Cortex-M55 with Helium, emulated by QEMU (mps3-an547): the models of a batch as one program, asked by pipes."""

from __future__ import annotations

import os
import select
import shutil
import struct
import subprocess
import sys
import weakref
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from conformance.batch import joined
from conformance.machine import Array, NotHereError, Planner, _Kernels, _run, _write, generate, keeps_state

from edgeq import resources, target
from edgeq.codegen.project import C_FLAGS, GCC_C_FLAGS, gcc_machine_flags, zig_machine_flags
from edgeq.graph import Graph
from edgeq.kernels import Program

_PROGRAM = "qemu-system-arm"
_TARGET = "corstone-300"
_ANSWER_S = 60.0
_SCRIPT = """
SECTIONS {
  . = 0x10000000;
  .text : { KEEP(*(.vectors)) *(.text*) }
  .ARM.exidx : { *(.ARM.exidx*) }
  . = 0x11000000;
  .rodata : { *(.rodata*) *(.model_weights*) *(.model_parameters*) *(.data.rel.ro*) *(.ARM.extab*) }
  . = 0x30000000;
  .data : { *(.data*) *(.bss*) *(COMMON) }
  stack_top = 0x30080000;
}
"""
_MODEL = """
typedef struct {
  size_t arena_bytes;
  unsigned inputs, outputs;
  int8_t *(*input)(uint8_t *arena, unsigned i);
  const int8_t *(*output)(const uint8_t *arena, unsigned i);
  void (*invoke)(uint8_t *arena);
  void (*reset)(uint8_t *arena);
} model;
static const model models[] = {
ROWS};
"""
_ROW = (
    "{$MODEL_ARENA_BYTES, $MODEL_INPUT_COUNT, $MODEL_OUTPUT_COUNT, $model_input, $model_output, $model_invoke, "
    "$model_reset},\n"
)


class HeliumMachine:
    """See the module.

    Args:
        toolchain: "gcc" or "zig".
        folder: a folder that it may fill.

    Raises:
        NotHereError: QEMU or the compiler isn't installed.
    """

    def __init__(self, toolchain: str = "gcc", folder: Path | None = None) -> None:
        for program in (_PROGRAM, *(("arm-none-eabi-gcc",) if toolchain == "gcc" else ())):
            if shutil.which(program) is None:
                raise NotHereError(f"{program} is not on PATH")
        self._folder = folder or Path(mkdtemp(prefix="edgeq-helium-"))
        board = target.load(_TARGET)
        self.core = board.core
        runtime = resources.folder("firmware_templates") / "runtime" / "libc"
        firmware = tuple(f for f in C_FLAGS if not f.startswith(("-D", "-I")))
        common = (*firmware, "-O2", "-g0", f"-I{runtime}")
        self._gcc = toolchain == "gcc"
        if self._gcc:
            self._cc: tuple[str, ...] = ("arm-none-eabi-gcc", *gcc_machine_flags(board), *GCC_C_FLAGS, *common)
        else:
            self._cc = (sys.executable, "-m", "ziglang", "cc", *zig_machine_flags(board), *common)
        self._libc = {f"libc/{p.name}": p.read_bytes() for p in sorted(runtime.iterdir()) if p.suffix == ".c"}
        self._kernels = _Kernels(self._cc, self._folder)
        (self._folder / "link.ld").write_text(_SCRIPT)
        self._count = 0

    def load(self, graph: Graph) -> HeliumModel:
        """See Machine."""
        return self.load_many([graph])[0]

    def load_many(self, graphs: Sequence[Graph], planner: Planner | None = None) -> list[HeliumModel]:
        """See Machine."""
        made = [generate(graph, self.core, planner) for graph in graphs]
        self._count += 1
        folder = self._folder / f"batch{self._count}"
        source, kernels = joined([files for _, _, files in made])
        rows = "".join(_ROW.replace("$", f"c{i}_") for i in range(len(graphs)))
        arena = max(plan.arena_bytes for _, plan, _ in made)
        around = Path(__file__).with_suffix(".c").read_text().replace("ARENA_BYTES", str(arena), 1)
        text = source + _MODEL.replace("ROWS", rows).encode() + around.encode()
        _write({**kernels, "batch.c": text}, folder)
        objects = self._kernels.objects({**kernels, **self._libc})
        alone = ("-nostdlib",) if self._gcc else ()
        link = (*alone, "-Wl,--gc-sections", "-Wl,--entry=Reset_Handler", "-T", self._folder / "link.ld")
        libgcc = ("-lgcc",) if self._gcc else ()
        _run([*self._cc, *link, "-I.", "batch.c", *objects, *libgcc, "-o", "batch.elf"], folder)
        emulator = _Emulator(folder, len(graphs))
        return [HeliumModel(graph, made[i][0], emulator, i) for i, graph in enumerate(graphs)]


class _Emulator:
    """QEMU with the program of a batch, until the last of its models is closed."""

    def __init__(self, folder: Path, users: int) -> None:
        self._folder, self._users = folder, users
        for name in ("requests", "answers"):
            os.mkfifo(folder / name)
        # Opened for both, so that neither side waits for the other.
        self._requests, self._answers = (os.open(folder / n, os.O_RDWR) for n in ("requests", "answers"))
        semihosting = ("-semihosting-config", "enable=on,target=native")
        show = ("-display", "none", "-monitor", "none", "-serial", "null")
        argv = (_PROGRAM, "-machine", "mps3-an547", "-kernel", "batch.elf", *semihosting, *show)
        self._child = subprocess.Popen(argv, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self._stop = weakref.finalize(self, _stop, self._child, (self._requests, self._answers), folder)

    def send(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._requests, data) :]

    def receive(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            ready, _, _ = select.select([self._answers], [], [], _ANSWER_S)
            said = (self._child.stdout.read1() if self._child.poll() is not None else b"") if not ready else b""
            assert ready, f"the model didn't come to its end: {said!r}"
            data += os.read(self._answers, count - len(data))
        return data

    def leave(self) -> None:
        self._users -= 1
        if not self._users:
            self._stop()


def _stop(child: subprocess.Popen[bytes], pipes: Sequence[int], folder: Path) -> None:
    child.kill()
    child.communicate()
    for pipe in pipes:
        os.close(pipe)
    shutil.rmtree(folder, ignore_errors=True)


class HeliumModel:
    """A model in a program, which may hold others."""

    def __init__(self, graph: Graph, program: Program, emulator: _Emulator, number: int) -> None:
        self.graph = graph
        self.program = program
        self._emulator = emulator
        self._number = number
        self._runs = 0

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """See Loaded. The registers that a function must keep are checked too."""
        self._runs += 1
        fresh = self._runs == 1 or not keeps_state(self.graph)
        self._emulator.send(struct.pack("<II", self._number, fresh))
        for array in inputs:
            data = np.ascontiguousarray(array).tobytes()
            self._emulator.send(struct.pack("<I", len(data)) + data)
        tensors = [self.graph.tensors[i] for i in self.graph.outputs]
        for tensor in tensors:
            self._emulator.send(struct.pack("<I", tensor.size_bytes))
        (kept,) = struct.unpack("<I", self._emulator.receive(4))
        outputs = [np.frombuffer(self._emulator.receive(t.size_bytes), t.dtype.numpy).reshape(t.shape) for t in tensors]
        assert kept & 1, "a kept register was changed"
        assert kept & 2, "bytes beside the arena were written"
        return outputs

    def close(self) -> None:
        """See Loaded."""
        self._emulator.leave()
