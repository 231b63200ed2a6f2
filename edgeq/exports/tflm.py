"""Source files for a project with TensorFlow Lite Micro: the model as an array, its resolver, its arena's size."""

from __future__ import annotations

from edgeq import runtimes
from edgeq.errors import UsageError
from edgeq.exports.contract import Export, Request


def make(request: Request) -> Export:
    """See `edgeq.exports.contract.Format`."""
    if request.with_portable:
        raise UsageError("TensorFlow Lite Micro brings its own kernels", next_step="leave --with-portable out")
    files, report = runtimes.export(
        request.graph, request.data, "tflm", kernels=request.kernels, isa=request.isa, name=request.package.name
    )
    return Export(
        format="tflm",
        title="TensorFlow Lite Micro",
        package=request.package,
        files=files,
        next_step=f'#include "{request.package.name}_model.h" and "{request.package.name}_resolver.h"',
        report=report,
    )
