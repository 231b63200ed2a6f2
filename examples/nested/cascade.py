"""Compile the generated C with cascade.c for this computer, and tell how often two bits are enough.

python cascade.py FOLDER        the folder that demo.sh has filled
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

import edgeq
from edgeq import codegen, memory, optimize, pipeline
from edgeq.quantize import quantized

HERE = Path(__file__).parent


def library(folder: Path, model: pipeline.Model) -> ctypes.CDLL:
    """The model's C for any core, with cascade.c, as a shared library."""
    program = optimize.compile_program(model.graph, edgeq.load_target("linux-x86-64").core)
    files = codegen.model_files(program, memory.plan_memory(program.graph, program.lowerings))
    root = folder / "cascade"
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for name in ("cascade.c", "cascade.h"):
        shutil.copy(HERE / name, root)
    compiler = [shutil.which("cc")] if shutil.which("cc") else [sys.executable, "-m", "ziglang", "cc"]
    sources = sorted(str(path.relative_to(root)) for path in root.rglob("*.c"))
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-O2", "-shared", "-fPIC", "-I."]
    subprocess.run([*compiler, *flags, *sources, "-o", "cascade.so"], cwd=root, check=True)
    made = ctypes.CDLL(str(root / "cascade.so"))
    made.model_output.restype = ctypes.c_void_p
    return made


def main(folder: Path) -> None:
    """All test images, at three thresholds."""
    model = pipeline.read_model(folder / "digits_nested.tflite")
    held = np.load(folder / "test.npz")
    entry = model.graph.tensors[model.graph.inputs[0]]
    images = [quantized(entry, image[None]).tobytes() for image in held["image"]]
    made = library(folder, model)
    arena = (ctypes.c_uint8 * (1 << 17))()
    base = ctypes.c_void_p(-(-ctypes.addressof(arena) // 16) * 16)
    classes = model.graph.tensors[model.graph.outputs[0]].elements
    for sure in (0, 128, 256):
        right = twice = 0
        for image, label in zip(images, held["y"], strict=True):
            twice += made.cascade(base, image, sure, 0) == 8
            scores = np.frombuffer(ctypes.string_at(made.model_output(base, 0), classes), np.int8)
            right += int(scores.argmax()) == int(label)
        share = twice / len(images)
        print(f"sure from a margin of {sure:3}: {right / len(images):.3f} right, {share:.1%} ran at 8 bits too")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "nested-output"))
