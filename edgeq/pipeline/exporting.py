"""A model as a package for another build system or runtime: what `edgeq export` does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgeq.errors import UsageError

if TYPE_CHECKING:
    from edgeq.codegen.tree import Manifest
    from edgeq.exports import Export, SampleSet
    from edgeq.kernels import Objective
    from edgeq.pipeline import Model, ModelLike, TargetLike
    from edgeq.runtimes import Isa
    from edgeq.target import Core

STATEFUL_STEPS = 3
"""Consecutive inferences in the example of a model that keeps a state between them; one of any other."""


def export(
    model: ModelLike,
    format: str = "c",
    *,
    name: str = "",
    version: str = "1.0.0",
    author: str = "unnamed",
    url: str = "https://example.com/",
    target: TargetLike | None = None,
    core: str = "",
    with_portable: bool = False,
    optimize: str | Objective = "balanced",
    data: str | Path = "",
    seed: int = 0,
    kernels: str = "",
    targets_folder: Path | None = None,
) -> Export:
    """A model as a package; `edgeq.exports.write` writes it.

    Args:
        format: a name in edgeq.registry.EXPORTS.
        name: a C identifier; made of the model file's name without.
        target, core: whose kernels (one of the two at most); portable C without. Of tflm, a target's core decides the
            scratch of CMSIS-NN.
        with_portable: portable C as well, for compilers whose core lacks what `core` has.
        optimize: what kernels are chosen for; see `edgeq.kernels.Objective`. Not of tflm.
        data, seed: the example's inputs; see `edgeq.measure.inputs.choose`.
        kernels: of tflm: "cmsis-nn" or "reference".

    Raises:
        UsageError: no such format, core or target; a name that is no C identifier.
        UnsupportedError: the model doesn't run there; the message names the layers and why.
        DataError: the data don't suit the model.
    """
    from edgeq import exports
    from edgeq.kernels import Objective
    from edgeq.pipeline import read_model

    read = read_model(model)
    chosen = _core(target, core, targets_folder)
    if with_portable and chosen is None:
        raise UsageError(
            "without a core the kernels are portable already", next_step="leave --with-portable out, or add --core"
        )
    if kernels and format != "tflm":
        raise UsageError(
            "--kernels is for TensorFlow Lite Micro", next_step="--core says for whose kernels edgeq's C is"
        )
    objective = Objective.named(optimize)
    if objective is not Objective.BALANCED and format == "tflm":
        raise UsageError(
            "TensorFlow Lite Micro's kernels are chosen where it is built", where="optimize",
            next_step="leave --optimize out, or take another --format",
        )  # fmt: skip
    package = exports.Package(name or exports.default_name(read.graph.name), version, author, url)

    def samples(manifest: Manifest) -> SampleSet:
        return compute_samples(read, manifest, data, seed)

    isa = isa_of(chosen) if chosen else "dsp"
    request = exports.Request(read.graph, read.data, package, samples, chosen, with_portable, kernels, isa, objective)
    return exports.export(format, request)


def compute_samples(model: Model, manifest: Manifest, data: str | Path, seed: int) -> SampleSet:
    """Inputs for a package's example, and what the reference makes of them, from a state just reset.

    Raises:
        DataError: the data don't suit the model.
    """
    from edgeq.exports import Sample, SampleSet
    from edgeq.measure import inputs
    from edgeq.pipeline import at_precision
    from edgeq.reference import Reference

    computed = at_precision(model, 8) if model.graph.nested is not None else model
    stateful = any(tensor.is_variable for tensor in model.graph.tensors)
    chosen = inputs.choose(data, manifest.inputs, STATEFUL_STEPS if stateful else 1, seed)
    reference = Reference(computed.data, computed.graph)
    made = tuple(
        Sample(
            tuple(array.tobytes() for array in arrays),
            tuple(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes() for array in reference.run(arrays)),
        )
        for arrays in chosen.arrays
    )
    return SampleSet(made, chosen.source, reference.name, chosen.notices)


def isa_of(core: Core) -> Isa:
    """The build of CMSIS-NN that a core takes."""
    return "mve" if "mve" in core.isa else "dsp" if "dsp" in core.isa else "plain"


def _core(target: TargetLike | None, core: str, targets_folder: Path | None) -> Core | None:
    from edgeq import target as targets
    from edgeq.pipeline import load_target

    if target is not None and core:
        raise UsageError("a target has its own core", next_step="give --target or --core, not both")
    if target is not None:
        return load_target(target, targets_folder).core
    return targets.load_core(core, targets_folder) if core else None
