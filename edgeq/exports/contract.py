"""What a format is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from edgeq.codegen.tree import Manifest
from edgeq.graph import Graph
from edgeq.kernels import Objective
from edgeq.runtimes import Isa, RuntimeReport
from edgeq.target import Core


@dataclass(frozen=True)
class Package:
    """What the package calls itself.

    Attributes:
        name: a C identifier: the package's name, its header's, and what its functions start with.
        version: three numbers, as package managers want them.
        author: a person or a company, who answers for the package.
        url: its home page.
    """

    name: str
    version: str = "1.0.0"
    author: str = "unnamed"
    url: str = "https://example.com/"


@dataclass(frozen=True)
class Sample:
    """One inference: the bytes of each input in order, and of each output as the reference computes them."""

    inputs: tuple[bytes, ...]
    outputs: tuple[bytes, ...]


@dataclass(frozen=True)
class SampleSet:
    """Consecutive inferences after a reset; of a model without state there is one.

    Attributes:
        source: where the inputs come from, for people.
        reference: what computed the outputs.
        notices: what a reader should know about the inputs.
    """

    samples: tuple[Sample, ...]
    source: str
    reference: str
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Request:
    """What to export.

    Attributes:
        data: the bytes of the `.tflite` that `graph` was read from.
        core: whose kernels; None for portable C.
        with_portable: portable C too, chosen by the preprocessor where the compiler's core lacks what `core` has.
        samples: computes the example's samples when called; of the ends that the manifest names.
        kernels, isa: of tflm; see `edgeq.runtimes.export`.
        objective: what edgeq's kernels are chosen for.
    """

    graph: Graph
    data: bytes
    package: Package
    samples: Callable[[Manifest], SampleSet]
    core: Core | None = None
    with_portable: bool = False
    kernels: str = ""
    isa: Isa = "dsp"
    objective: Objective = Objective.BALANCED


@dataclass(frozen=True)
class Export:
    """A package, ready to be written.

    Attributes:
        format: as `--format` takes it.
        title: of the format, for people.
        files: relative POSIX path → contents.
        kernels: which kernels it has, in words; "" for another runtime's.
        arena_bytes: of each variant, by the preprocessor's condition ("" where there is only one).
        weights_bytes, macs: of the model; exact.
        samples: those of the example; None for another runtime.
        optimize: what the kernels are chosen for.
        choices: what was weighed for that, one sentence each; changed: (label, why) of those it changes.
        report: another runtime's verdict, None for edgeq's own engine.
        next_step: the first thing to do with the package.
    """

    format: str
    title: str
    package: Package
    files: Mapping[str, bytes]
    next_step: str
    kernels: str = ""
    arena_bytes: Mapping[str, int] | None = None
    weights_bytes: int = 0
    macs: int = 0
    samples: SampleSet | None = None
    report: RuntimeReport | None = None
    optimize: str = "balanced"
    choices: tuple[str, ...] = ()
    changed: tuple[tuple[str, str], ...] = ()


class Format(Protocol):
    """One format: what a row of `edgeq.registry.EXPORTS` names."""

    def __call__(self, request: Request) -> Export:
        """Make the package.

        Raises:
            UnsupportedError: the model, or the core asked for, doesn't go with the format; says why.
        """
        ...
