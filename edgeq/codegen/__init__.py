"""SourceTree: a graph as plain C, generated ahead of time, with everything around it that a board needs."""

from edgeq.codegen.generate import Names, generate, generate_program, manifest_of, model_files
from edgeq.codegen.harness import for_mlperf
from edgeq.codegen.tree import MANIFEST_NAME, Layer, Manifest, SourceTree, TensorInfo

__all__ = [
    "MANIFEST_NAME",
    "Layer",
    "Manifest",
    "Names",
    "SourceTree",
    "TensorInfo",
    "for_mlperf",
    "generate",
    "generate_program",
    "manifest_of",
    "model_files",
]
