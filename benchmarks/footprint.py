"""Measure what firmware takes beside its model, and write it to edgeq/selection/footprint.toml.

    python benchmarks/footprint.py [--check]

For each kind of core, firmware is built with zig cc (by default the compiler) for chains of 1 and 21 pointwise
convolutions: the difference is what a layer takes; kernel files are compiled one by one, and `edgeq check` adds those
that a model uses. For each family of chips, what is left of the chain of 1 is the runtime. Run it after each change of
kernels or runtime; `--check` writes nothing and exits 1 when the file is out of date by more than 2 %.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from elftools.elf.elffile import ELFFile

from edgeq import process, resources, target
from edgeq.codegen import SourceTree, generate
from edgeq.codegen.project import STACK_BYTES
from edgeq.files import write_tree
from edgeq.graph import DType, Graph, Op, QuantParams, Tensor
from edgeq.kernels import KERNELS, Program, lower
from edgeq.kernels.nested import SOURCES
from edgeq.memory import plan_memory
from edgeq.selection.footprint import (
    CORE_EXCEPTIONS,
    FOOTPRINT_FILE,
    VECTOR_BYTES,
    CoreCode,
    Runtime,
    Sizes,
    measured,
)
from edgeq.target import Target
from edgeq.toolchains.build import build_firmware
from edgeq.toolchains.cache import default_cache
from edgeq.toolchains.firmware import Usage
from edgeq.toolchains.zig import TOOLCHAIN

CHANNELS = 8
ALLOCATED = 2  # SHF_ALLOC


def chain(layers: int) -> Graph:
    """Pointwise convolutions on a 4×4 image, one after another."""
    per_tensor = QuantParams(np.float32([0.1]), np.int64([0]))
    per_channel = QuantParams(np.full(CHANNELS, 0.01, np.float32), np.zeros(CHANNELS, np.int64))
    image, kernel = (1, 4, 4, CHANNELS), (CHANNELS, 1, 1, CHANNELS)
    tensors = [Tensor(0, "image", image, DType.INT8, per_tensor)]
    ops = []
    options = {"stride_w": 1, "stride_h": 1, "padding": "SAME", "dilation_w_factor": 1, "dilation_h_factor": 1}
    for i in range(layers):
        weights = np.ones(kernel, np.int8)
        at = len(tensors)
        tensors += [
            Tensor(at, f"weights{i}", kernel, DType.INT8, per_channel, weights),
            Tensor(at + 1, f"bias{i}", (CHANNELS,), DType.INT32, per_channel, np.zeros(CHANNELS, np.int32)),
            Tensor(at + 2, f"layer{i}", image, DType.INT8, per_tensor),
        ]
        ops.append(Op(i, "CONV_2D", 1, (max(0, at - 1), at, at + 1), (at + 2,), options))
    return Graph("footprint", "", "0" * 64, 0, tuple(tensors), tuple(ops), (0,), (len(tensors) - 1,))


def build(layers: int, board: Target) -> tuple[Program, SourceTree, Usage]:
    """The chain as firmware."""
    graph = chain(layers)
    program = lower(graph, board.core)
    tree = generate(program, plan_memory(graph, program.lowerings), board)
    return program, tree, build_firmware(tree, board, "zig").usage


def kernel_sizes(tree: SourceTree, board: Target) -> dict[str, int]:
    """Each kernel file (as in Kernel.sources) → bytes of its code and constants."""
    folder = resources.folder("firmware_templates") / "kernels"
    runs = [kernel for kernel in KERNELS if set(kernel.requires) <= set(board.core.isa)]
    nested = [s for s in SOURCES if not s.startswith("dsp/") or "dsp" in board.core.isa]
    named = {*nested, *(source for kernel in runs for source in kernel.sources)}
    sources = sorted(source for source in named if source.endswith((".c", ".S")))
    headers = {f"kernels/{p.name}": p.read_bytes() for p in sorted(folder.rglob("*")) if p.suffix in (".h", ".inc")}
    sizes = {}
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        write_tree(root, {**tree.files, **headers})
        for source in sources:
            inside = f"kernels/{Path(source).name}"
            (root / inside).write_bytes((folder / source).read_bytes())
            argv = TOOLCHAIN.compile_argv(board, inside, root / "kernel.o")
            environment = TOOLCHAIN.environment(default_cache())
            process.run(argv, timeout_s=300, cwd=root, environment=environment)
            elf = ELFFile(io.BytesIO((root / "kernel.o").read_bytes()))
            kept = [s for s in elf.iter_sections() if s["sh_flags"] & ALLOCATED and s["sh_type"] == "SHT_PROGBITS"]
            sizes[source] = sum(s["sh_size"] for s in kept)
    return sizes


def portable(board: Target) -> Target:
    """The same board for the portable kernels, whose one function per file is all used: what is left after them is
    the runtime."""
    return replace(board, core=replace(board.core, isa=tuple(f for f in board.core.isa if f not in ("dsp", "mve"))))


def without_kernels(usage: Usage, program: Program, kernels: dict[str, int]) -> int:
    """Bytes of code after the kernel files."""
    return usage.code_bytes - sum(kernels.get(source, 0) for source in program.sources)


def measure_core(board: Target) -> tuple[CoreCode, dict[str, int]]:
    """What depends on the core, and each kernel's size."""
    program, tree, one = build(1, portable(board))
    longer, _, many = build(21, portable(board))
    kernels = kernel_sizes(tree, board)
    layer = -(-(without_kernels(many, longer, kernels) - without_kernels(one, program, kernels)) // 20)
    ram = -(-(many.ram_bytes - many.arena_bytes - one.ram_bytes + one.arena_bytes) // 20)
    return CoreCode(board.core.architecture, layer, ram, kernels), kernels


def measure_runtime(board: Target, core: CoreCode) -> Runtime:
    """What depends on the family of chips."""
    program, _, one = build(1, portable(board))
    vectors = VECTOR_BYTES * (CORE_EXCEPTIONS + board.soc.interrupts)
    image = 16 * CHANNELS
    return Runtime(
        without_kernels(one, program, dict(core.kernel_code_bytes)) - core.layer_code_bytes - vectors,
        one.ram_bytes - one.arena_bytes - one.stack_bytes - image - core.layer_ram_bytes,
    )


def measure() -> Sizes:
    """All figures."""
    boards = [target.load(name) for name in target.names()]
    boards = [board for board in boards if board.soc.firmware]
    cores: dict[str, CoreCode] = {}
    runtimes: dict[str, Runtime] = {}
    for board in boards:
        if board.core.name not in cores:
            cores[board.core.name], _ = measure_core(board)
        if board.soc.firmware not in runtimes:
            runtimes[board.soc.firmware] = measure_runtime(board, cores[board.core.name])
        print(f"{board.name}: {board.core.name}, {board.soc.firmware}", flush=True)
    return Sizes(STACK_BYTES, runtimes, cores, f"benchmarks/footprint.py: {TOOLCHAIN.version()}")


def as_toml(sizes: Sizes) -> str:
    """The file's text."""
    lines = [
        "# What firmware takes beside its model, in bytes. Written by benchmarks/footprint.py; don't edit.",
        f"stack_bytes = {sizes.stack_bytes}",
        f'source = "{sizes.source}"',
        "",
        "[runtime]",
    ]
    lines += [
        f'"{family}" = {{ code_bytes = {runtime.code_bytes}, ram_bytes = {runtime.ram_bytes} }}'
        for family, runtime in sorted(sizes.runtime.items())
    ]
    for name, core in sorted(sizes.core.items()):
        lines += [
            "",
            f"[core.{name}]",
            f'architecture = "{core.architecture}"',
            f"layer_code_bytes = {core.layer_code_bytes}",
            f"layer_ram_bytes = {core.layer_ram_bytes}",
            "",
            f"[core.{name}.kernel_code_bytes]",
            *(f'"{source}" = {size}' for source, size in core.kernel_code_bytes.items()),
        ]
    return "\n".join(lines) + "\n"


def out_of_date(new: Sizes, old: Sizes) -> bool:
    """Whether any figure differs by more than 2 %, or a family, core or kernel file came or went."""
    if set(new.core) != set(old.core) or set(new.runtime) != set(old.runtime):
        return True
    pairs = [(new.runtime[k].code_bytes, old.runtime[k].code_bytes) for k in new.runtime]
    pairs += [(new.runtime[k].ram_bytes, old.runtime[k].ram_bytes) for k in new.runtime]
    for name, core in new.core.items():
        before = old.core[name].kernel_code_bytes
        if set(core.kernel_code_bytes) != set(before):
            return True
        pairs += [(size, before[source]) for source, size in core.kernel_code_bytes.items()]
    return any(abs(a - b) > 0.02 * max(a, b) for a, b in pairs)


def main() -> int:
    """Write the file, or compare with it."""
    parser = argparse.ArgumentParser(description="measure what firmware takes beside its model")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    sizes = measure()
    print(as_toml(sizes))
    if options.check:
        return int(out_of_date(sizes, measured()))
    FOOTPRINT_FILE.write_text(as_toml(sizes), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
