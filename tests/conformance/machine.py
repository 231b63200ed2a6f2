"""Machines that run generated code: this computer, and the bare core of a microcontroller in an emulator.

Both compile all kernels once, and the models of many cases as one file. The arena lies between guard bytes and is
filled with junk before each run, so that a kernel that writes outside of it, or reads what it hasn't
written, shows.
"""

from __future__ import annotations

import _ctypes
import ctypes
import dataclasses
import io
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from conformance.batch import joined

from edgeq import resources, target
from edgeq.codegen import model_files
from edgeq.codegen.project import C_FLAGS, GCC_C_FLAGS, gcc_machine_flags, zig_machine_flags
from edgeq.graph import Graph
from edgeq.kernels import Program
from edgeq.memory import Arrangement, MemoryPlan, arrange
from edgeq.optimize import compile_program
from edgeq.target import Core, Target

Array = npt.NDArray[Any]

_GUARD = 256
_STRICT = ("-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Werror")
_TARGET = "nucleo-l4r5zi"
_IT_STATE = 0x0600FC00  # of xPSR


Planner = Callable[[Program], MemoryPlan | Arrangement]


class NotHereError(Exception):
    """The machine needs a tool that isn't installed; the message says which."""


class Machine(Protocol):
    """Something that runs a graph's generated code."""

    @property
    def core(self) -> Core:
        """The core that kernels are chosen for."""
        ...

    def load(self, graph: Graph) -> Loaded:
        """Lower, plan, generate, compile.

        Raises:
            UnsupportedError: a rule of the kernel table refuses an operator.
        """
        ...

    def load_many(self, graphs: Sequence[Graph], planner: Planner | None = None) -> Sequence[Loaded]:
        """The same for several, compiled together."""
        ...


class Loaded(Protocol):
    """A compiled model."""

    @property
    def program(self) -> Program:
        """What was compiled."""
        ...

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """One inference in an arena of junk; fails when a guard byte changes."""
        ...

    def close(self) -> None:
        """Forget it."""
        ...


def portable(core: Core) -> Core:
    """The same core without the features that special kernels ask for."""
    return dataclasses.replace(core, isa=("thumb",))


@lru_cache(maxsize=4)
def board(name: str = _TARGET) -> Target:
    """The board whose core the emulated machine has."""
    return target.load(name)


def keeps_state(graph: Graph) -> bool:
    """Whether an inference depends on those before it."""
    return any(tensor.is_variable for tensor in graph.tensors)


class _Arena:
    """Junk between guards, in memory of this process."""

    def __init__(self, size: int) -> None:
        self.size = size
        whole = np.zeros(size + 2 * _GUARD + 16, np.uint8)
        start = (-(whole.ctypes.data + _GUARD)) % 16
        self._whole = whole[start : start + size + 2 * _GUARD]
        self.address = int(self._whole.ctypes.data) + _GUARD

    def fill(self, seed: int) -> None:
        self._whole[:] = _junk(self._whole.size, seed)
        self._before = self._whole.copy()

    def check(self) -> None:
        for name, part in (("in front of", slice(0, _GUARD)), ("behind", slice(_GUARD + self.size, None))):
            where = np.flatnonzero(self._whole[part] != self._before[part])
            assert not where.size, f"bytes {where[:8]} {name} the arena were written"


def _junk(size: int, seed: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, size, np.uint8)


def _run(argv: Sequence[str | Path], cwd: Path) -> None:
    done = subprocess.run([str(a) for a in argv], cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, argv))}\n{done.stderr[-4000:]}"


def _write(files: dict[str, bytes], folder: Path) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


class _Kernels:
    """Kernels as objects, each compiled when a model first calls it."""

    def __init__(self, compiler: Sequence[str | Path], folder: Path) -> None:
        self._compiler = tuple(compiler)
        self._folder = folder
        self._objects: dict[str, Path] = {}

    def objects(self, files: dict[str, bytes]) -> list[Path]:
        """The objects of a tree's sources other than the model."""
        _write({k: v for k, v in files.items() if k not in self._objects and k != "model.c"}, self._folder)
        sources = [name for name in files if name.endswith((".c", ".S")) and name != "model.c"]
        for source in sources:
            if source not in self._objects:
                output = self._folder / f"{source}.o"
                _run([*self._compiler, "-I.", "-c", source, "-o", output], self._folder)
                self._objects[source] = output
        return [self._objects[source] for source in sources]


def generate(graph: Graph, core: Core, planner: Planner | None = None) -> tuple[Program, MemoryPlan, dict[str, bytes]]:
    """Lowered, planned (as a build is, unless told otherwise), and the generated files with their kernels."""
    program = compile_program(graph, core)
    made = (planner or arrange)(program)
    program, plan = (made.program, made.plan) if isinstance(made, Arrangement) else (program, made)
    files = model_files(program, plan)
    return program, plan, files


class HostMachine:
    """This computer: a shared library per model, called through ctypes.

    Args:
        folder: a folder that it may fill.

    Attributes:
        core: without special features, so that the portable kernels are chosen.
        folder: the kernels that were compiled, below kernels/, and every batch of models as a C file.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = self._folder = folder or Path(mkdtemp(prefix="edgeq-host-"))
        self.core = portable(board().core)
        gcc = shutil.which("gcc")
        self._cc: tuple[str, ...] = (gcc,) if gcc else (sys.executable, "-m", "ziglang", "cc", "-fno-sanitize=all")
        self._kernels = _Kernels((*self._cc, *_STRICT, "-O2", "-ffp-contract=off", "-fPIC"), self._folder)
        self._count = 0

    def load(self, graph: Graph) -> HostModel:
        """See Machine."""
        return self.load_many([graph])[0]

    def load_many(self, graphs: Sequence[Graph], planner: Planner | None = None) -> list[HostModel]:
        """See Machine."""
        made = [generate(graph, self.core, planner) for graph in graphs]
        self._count += 1
        folder = self._folder / f"batch{self._count}"
        source, kernels = joined([files for _, _, files in made])
        _write({**kernels, "batch.c": source}, folder)
        output = folder / "batch.so"
        flags = (*_STRICT, "-O0", "-shared", "-fPIC", "-Wl,-Bsymbolic")
        _run([*self._cc, *flags, "-I.", "batch.c", *self._kernels.objects(kernels), "-o", output], folder)
        library: Any = ctypes.CDLL(str(output))
        (folder / "batch.c").replace(self._folder / f"batch{self._count}.c")
        shutil.rmtree(folder, ignore_errors=True)
        users = [len(graphs)]
        return [
            HostModel(graph, program, plan, library, i, users)
            for i, (graph, (program, plan, _)) in enumerate(zip(graphs, made, strict=True))
        ]


class HostModel:
    """A model in a shared library, which may hold others."""

    def __init__(
        self, graph: Graph, program: Program, plan: MemoryPlan, library: Any, number: int, users: list[int]
    ) -> None:
        self.graph = graph
        self.program = program
        self._library = library
        self._users = users
        self._input, self._output, self._invoke, self._reset = (
            library[f"c{number}_model_{name}"] for name in ("input", "output", "invoke", "reset")
        )
        self._input.restype = self._output.restype = ctypes.c_void_p
        self._arena = _Arena(plan.arena_bytes)
        self._runs = 0

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """See Loaded."""
        self._runs += 1
        base = ctypes.c_void_p(self._arena.address)
        if self._runs == 1 or not keeps_state(self.graph):
            self._arena.fill(self._runs)
            self._reset(base)
        for i, array in enumerate(inputs):
            data = np.ascontiguousarray(array).tobytes()
            ctypes.memmove(self._input(base, i), data, len(data))
        self._invoke(base)
        self._arena.check()
        outputs = []
        for i, index in enumerate(self.graph.outputs):
            tensor = self.graph.tensors[index]
            data = ctypes.string_at(self._output(base, i), tensor.size_bytes)
            outputs.append(np.frombuffer(data, tensor.dtype.numpy).reshape(tensor.shape))
        return outputs

    def close(self) -> None:
        """See Loaded. The library goes with the last of its models."""
        self._users[0] -= 1
        if not self._users[0]:
            _ctypes.dlclose(self._library._handle)


class SanitizedMachine:
    """This computer with gcc's address and undefined-behaviour sanitizers: a program per model, any finding is its end.

    The arena is a block of the heap of exactly its size, so a byte read or written beyond it is found.

    Raises:
        NotHereError: gcc isn't installed.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or Path(mkdtemp(prefix="edgeq-sanitized-"))
        self.core = portable(board().core)
        gcc = shutil.which("gcc")
        if gcc is None:
            raise NotHereError("gcc is not on PATH")
        self._cc = (gcc, *_STRICT, "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
        self._kernels = _Kernels(self._cc, self._folder)
        self._count = 0

    def load(self, graph: Graph) -> SanitizedModel:
        """See Machine."""
        return self.load_many([graph])[0]

    def load_many(self, graphs: Sequence[Graph], planner: Planner | None = None) -> list[SanitizedModel]:
        """See Machine."""
        made = [generate(graph, self.core, planner) for graph in graphs]
        self._count += 1
        folder = self._folder / f"batch{self._count}"
        source, kernels = joined([files for _, _, files in made])
        rows = "".join(_ROW.replace("$", f"c{i}_") for i in range(len(graphs)))
        _write({**kernels, "batch.c": source + _MAIN.replace("ROWS", rows).encode()}, folder)
        output = folder / "batch"
        _run([*self._cc, "-I.", "batch.c", *self._kernels.objects(kernels), "-o", output], folder)
        return [SanitizedModel(graph, made[i][0], output, i) for i, graph in enumerate(graphs)]


_ROW = "{$MODEL_ARENA_BYTES, $MODEL_INPUT_COUNT, $model_input, $model_output, $model_invoke, $model_reset},\n"
_MAIN = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static const struct {
  size_t arena_bytes;
  unsigned inputs;
  int8_t *(*input)(uint8_t *arena, unsigned i);
  const int8_t *(*output)(const uint8_t *arena, unsigned i);
  void (*invoke)(uint8_t *arena);
  void (*reset)(uint8_t *arena);
} models[] = {
ROWS};
/* arguments: the model's number, how many inferences, the bytes of its inputs, then of its outputs */
int main(int argc, char **argv) {
  const int number = atoi(argv[1]), inputs = (int)models[number].inputs;
  uint8_t *arena = aligned_alloc(16, models[number].arena_bytes);
  memset(arena, 0xA5, models[number].arena_bytes);
  models[number].reset(arena);
  for (int n = atoi(argv[2]); n > 0; --n) {
    for (int i = 0; i < inputs; ++i) {
      const size_t bytes = (size_t)atol(argv[3 + i]);
      if (fread(models[number].input(arena, (unsigned)i), 1, bytes, stdin) != bytes) return 2;
    }
    models[number].invoke(arena);
  }
  for (int i = 3 + inputs; i < argc; ++i) {
    fwrite(models[number].output(arena, (unsigned)(i - 3 - inputs)), 1, (size_t)atol(argv[i]), stdout);
  }
  free(arena);
  return 0;
}
"""


class SanitizedModel:
    """A model in a program, which may hold others."""

    def __init__(self, graph: Graph, program: Program, path: Path, number: int) -> None:
        self.graph = graph
        self.program = program
        self._path = path
        self._number = number
        self._before: list[bytes] = []

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """See Loaded."""
        data = b"".join(np.ascontiguousarray(a).tobytes() for a in inputs)
        self._before = [*self._before, data] if keeps_state(self.graph) else [data]
        ends = [self.graph.tensors[i].size_bytes for i in (*self.graph.inputs, *self.graph.outputs)]
        argv = [str(self._path), str(self._number), str(len(self._before)), *map(str, ends)]
        done = subprocess.run(argv, input=b"".join(self._before), capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr.decode(errors="replace")[-3000:]
        outputs, start = [], 0
        for index in self.graph.outputs:
            tensor = self.graph.tensors[index]
            values = np.frombuffer(done.stdout[start : start + tensor.size_bytes], tensor.dtype.numpy)
            outputs.append(values.reshape(tensor.shape))
            start += tensor.size_bytes
        return outputs

    def close(self) -> None:
        """See Loaded. The program stays until the session's end."""


_FLASH, _RAM, _STACK, _RETURN = 0x0800_0000, 0x2000_0000, 0x3000_0000, 0x0700_0000
_STACK_BYTES = 4096
_SCRIPT = f"""
SECTIONS {{
  . = {_FLASH:#x};
  .text : {{ *(.text*) *(.rodata*) *(.model_weights*) *(.model_parameters*) *(.data.rel.ro*) *(.ARM.extab*) }}
  .ARM.exidx : {{ *(.ARM.exidx*) }}
  .data : {{ *(.data*) *(.bss*) *(COMMON) }}
}}
"""


class CoreMachine:
    """A Cortex-M4, or another board's core, without anything around it: flash, RAM, registers. No peripherals, no cycle
    model.

    Args:
        toolchain: "gcc" or "zig".
        special: whether kernels may use what the core has beyond Thumb.
        watch: fail on loads and stores of several words at unaligned addresses, which fault on silicon and pass in the
            emulator. Not with zig: Unicorn 2.1 loses its way after `popcc {pc}` when memory accesses are hooked.

    Raises:
        NotHereError: the compiler or the emulator isn't installed.
    """

    def __init__(
        self,
        toolchain: str = "gcc",
        special: bool = True,
        watch: bool = False,
        folder: Path | None = None,
        name: str = _TARGET,
    ) -> None:
        self._folder = folder or Path(mkdtemp(prefix="edgeq-core-"))
        self.core = board(name).core if special else portable(board(name).core)
        try:
            import elftools  # noqa: F401
            import unicorn  # noqa: F401
        except ImportError as missing:
            raise NotHereError(f"{missing.name} is not installed") from missing
        self._gcc = toolchain == "gcc"
        self._watch = watch
        runtime = resources.folder("firmware_templates") / "runtime" / "libc"
        firmware = tuple(f for f in C_FLAGS if not f.startswith(("-D", "-I")))  # no layer hook, no runtime
        common = (*firmware, "-O2", "-g0", f"-I{runtime}")
        if self._gcc:
            program = shutil.which("arm-none-eabi-gcc")
            if program is None:
                raise NotHereError("arm-none-eabi-gcc is not on PATH")
            self._cc: tuple[str, ...] = (program, *gcc_machine_flags(board(name)), *GCC_C_FLAGS, *common)
        else:
            zig = (sys.executable, "-m", "ziglang")
            self._cc = (*zig, "cc", *zig_machine_flags(board(name)), *common)
        self._libc = {f"libc/{p.name}": p.read_bytes() for p in sorted(runtime.iterdir()) if p.suffix == ".c"}
        self._kernels = _Kernels(self._cc, self._folder)
        (self._folder / "link.ld").write_text(_SCRIPT)
        self._count = 0

    def load(self, graph: Graph) -> CoreModel:
        """See Machine."""
        return self.load_many([graph])[0]

    def load_many(self, graphs: Sequence[Graph], planner: Planner | None = None) -> list[CoreModel]:
        """See Machine."""
        made = [generate(graph, self.core, planner) for graph in graphs]
        self._count += 1
        folder = self._folder / f"batch{self._count}"
        source, kernels = joined([files for _, _, files in made])
        _write({**kernels, "batch.c": source}, folder)
        output = folder / "batch.elf"
        kept = [f"-Wl,-u,c{i}_model_{name}" for i in range(len(graphs)) for name in ("invoke", "reset")]
        # zig brings its own compiler_rt, unless it is told to bring nothing.
        alone = ("-nostdlib",) if self._gcc else ()
        link = (*alone, "-Wl,--gc-sections", "-Wl,--entry=c0_model_invoke", *kept, "-T", self._folder / "link.ld")
        objects = self._kernels.objects({**kernels, **self._libc})
        libgcc = ("-lgcc",) if self._gcc else ()
        _run([*self._cc, *link, "-I.", "batch.c", *objects, *libgcc, "-o", output], folder)
        image = _image(output.read_bytes())
        shutil.rmtree(folder, ignore_errors=True)
        return [
            CoreModel(graph, program, plan, image, f"c{i}_model_", self.core, self._watch)
            for i, (graph, (program, plan, _)) in enumerate(zip(graphs, made, strict=True))
        ]


@dataclass(frozen=True)
class _Image:
    functions: dict[str, int]
    segments: tuple[tuple[int, bytes], ...]


def _image(elf: bytes) -> _Image:
    from elftools.elf.elffile import ELFFile

    file = ELFFile(io.BytesIO(elf))
    symbols = file.get_section_by_name(".symtab").iter_symbols()
    functions = {s.name: s["st_value"] | 1 for s in symbols if s["st_info"]["type"] == "STT_FUNC"}
    segments = tuple((s["p_vaddr"], s.data()) for s in file.iter_segments() if s["p_type"] == "PT_LOAD")
    return _Image(functions, segments)


class CoreModel:
    """A model in the emulated core's flash.

    Its arena starts at the second guard's end in RAM; whatever lies beyond what is mapped faults.
    """

    def __init__(
        self,
        graph: Graph,
        program: Program,
        plan: MemoryPlan,
        image: _Image,
        entry: str,
        core: Core,
        watch: bool,
    ) -> None:
        import unicorn
        from unicorn import arm_const as arm

        self.graph = graph
        self.program = program
        self._plan = plan
        self._entry, self._reset = image.functions[f"{entry}invoke"], image.functions[f"{entry}reset"]
        self._uc = uc = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        name = core.emulator_cpu or core.name
        uc.ctl_set_cpu_model(getattr(arm, "UC_CPU_ARM_" + name.upper().replace("-", "_")))
        self._kept = [arm.UC_ARM_REG_R4 + i for i in range(8)]
        self._kept += [arm.UC_ARM_REG_D8 + i for i in range(8)] if "fpu" in core.isa else []
        self._strict = "armv6-m" in core.isa
        uc.mem_map(_RETURN, 4096)
        size = -(-(max(a + len(d) for a, d in image.segments) - _FLASH) // 4096) * 4096
        uc.mem_map(_FLASH, size, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
        for address, data in image.segments:
            uc.mem_write(address, data)
        self._ram_bytes = plan.arena_bytes + 2 * _GUARD
        uc.mem_map(_RAM, -(-self._ram_bytes // 4096) * 4096)
        uc.mem_map(_STACK, _STACK_BYTES)
        self._unaligned: set[int] = set()
        if watch:
            uc.hook_add(unicorn.UC_HOOK_MEM_READ | unicorn.UC_HOOK_MEM_WRITE, self._note)
        self._runs = 0

    def _note(self, uc: Any, access: int, address: int, size: int, value: int, user: Any) -> None:
        from unicorn import arm_const as arm

        # Before a memory hook Unicorn brings the IT state up to date, and doesn't clear that again: a later block would
        # skip instructions (its issue 2309).
        status = uc.reg_read(arm.UC_ARM_REG_XPSR)
        if status & _IT_STATE:
            uc.reg_write(arm.UC_ARM_REG_XPSR, status & ~_IT_STATE)
        if (size >= 4 and address & 3) or (self._strict and address % size):
            self._unaligned.add(uc.reg_read(arm.UC_ARM_REG_PC))

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """See Loaded. The registers that a function must keep are checked too."""
        from unicorn import arm_const as arm

        uc = self._uc
        self._runs += 1
        kept_ram = self._runs > 1 and keeps_state(self.graph)
        ram = np.frombuffer(bytes(uc.mem_read(_RAM, self._ram_bytes)), np.uint8).copy()
        if not kept_ram:
            ram = _junk(self._ram_bytes, self._runs)
            uc.mem_write(_RAM, ram.tobytes())
            if keeps_state(self.graph):
                self._call(self._reset)
                ram = np.frombuffer(bytes(uc.mem_read(_RAM, self._ram_bytes)), np.uint8).copy()
        for index, array in zip(self.graph.inputs, inputs, strict=True):
            data = np.frombuffer(np.ascontiguousarray(array).tobytes(), np.uint8)
            start = _GUARD + self._plan.offsets[index]
            ram[start : start + data.size] = data
        uc.mem_write(_RAM, ram.tobytes())
        for number, register in enumerate(self._kept):
            uc.reg_write(register, 0x1234_5600 + number)
        uc.reg_write(arm.UC_ARM_REG_R0, _RAM + _GUARD)
        uc.reg_write(arm.UC_ARM_REG_SP, _STACK + _STACK_BYTES)
        uc.reg_write(arm.UC_ARM_REG_LR, _RETURN | 1)
        uc.emu_start(self._entry, _RETURN, timeout=120_000_000)
        assert uc.reg_read(arm.UC_ARM_REG_PC) & ~1 == _RETURN, "the model didn't come to its end"
        assert uc.reg_read(arm.UC_ARM_REG_SP) == _STACK + _STACK_BYTES, "the stack pointer wasn't restored"
        for number, register in enumerate(self._kept):
            assert uc.reg_read(register) == 0x1234_5600 + number, f"kept register {number} was changed"
        self._check_alignment()
        after = np.frombuffer(bytes(uc.mem_read(_RAM, self._ram_bytes)), np.uint8)
        for name, part in (("in front of", slice(0, _GUARD)), ("behind", slice(_GUARD + self._plan.arena_bytes, None))):
            where = np.flatnonzero(after[part] != ram[part])
            assert not where.size, f"bytes {where[:8]} {name} the arena were written"
        return [self._output(after, index) for index in self.graph.outputs]

    def _call(self, function: int) -> None:
        """Of the arena alone."""
        from unicorn import arm_const as arm

        self._uc.reg_write(arm.UC_ARM_REG_R0, _RAM + _GUARD)
        self._uc.reg_write(arm.UC_ARM_REG_SP, _STACK + _STACK_BYTES)
        self._uc.reg_write(arm.UC_ARM_REG_LR, _RETURN | 1)
        self._uc.emu_start(function, _RETURN, timeout=60_000_000)
        assert self._uc.reg_read(arm.UC_ARM_REG_PC) & ~1 == _RETURN, "it didn't come to its end"

    def _check_alignment(self) -> None:
        """Loads and stores of several words fault on silicon when unaligned; the emulator lets them pass."""
        if not self._unaligned:
            return
        import capstone

        reader = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
        for pc in sorted(self._unaligned):
            code = bytes(self._uc.mem_read(pc & ~1, 4))
            mnemonic = next(reader.disasm(code, pc & ~1)).mnemonic
            several = mnemonic.startswith(("ldm", "stm", "ldrd", "strd", "push", "pop", "vld", "vst", "vpush", "vpop"))
            assert not several and not self._strict, f"{mnemonic} at {pc:#x} on an unaligned address faults on silicon"

    def _output(self, ram: npt.NDArray[np.uint8], index: int) -> Array:
        tensor = self.graph.tensors[index]
        start = _GUARD + self._plan.offsets[index]
        return np.frombuffer(ram[start : start + tensor.size_bytes].tobytes(), tensor.dtype.numpy).reshape(tensor.shape)

    def close(self) -> None:
        """See Loaded."""
        del self._uc
