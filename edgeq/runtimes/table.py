"""A runtime's operators as data: `targets/runtimes/*.toml`, one file each, read strictly.

A type in `types` is `ACTIVATIONS`, `ACTIVATIONS*WEIGHTS` or `INPUT>OUTPUT`, in the names of `edgeq.graph.DType`;
`*` alone stands for every type.
"""

from __future__ import annotations

import difflib
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from edgeq import resources
from edgeq.errors import TargetFileError, UsageError
from edgeq.toml_schema import build

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ANY_TYPE = "*"


@dataclass(frozen=True)
class Operator:
    """One operator as a runtime has it.

    Attributes:
        name: the builtin's name, or a custom operator's.
        types: what it computes in; see the module.
        min_version, max_version: the operator versions that are registered, or that a delegate takes; 0: any.
        call: tflm: the method of MicroMutableOpResolver that registers it.
        data_input: position of the input whose type is meant by ACTIVATIONS.
        weights_input: position of the input whose type is meant by WEIGHTS.
        ranks: the numbers of dimensions that the data input may have; () for any.
        constant_inputs: positions that must be in the file.
        max_inputs: at most that many inputs; 0 for any number.
        activations: fused activation functions that it has; () for all.
        rules: names of further functions in `edgeq.runtimes.rules`.
        note: what users of it should know, though it is no refusal.
        options_bytes, options_align, data_bytes, cmsis_nn_data_bytes: tflm: what the parsed options and the kernel's
            own data take in the arena, sizeof on a 32-bit Arm with short enums; cmsis_nn_data_bytes 0: the same.
        copies_shape: tflm: the kernel moves its output's shape into the arena.
    """

    name: str
    types: tuple[str, ...]
    min_version: int = 1
    max_version: int = 0
    call: str = ""
    data_input: int = 0
    weights_input: int = 1
    ranks: tuple[int, ...] = ()
    constant_inputs: tuple[int, ...] = ()
    max_inputs: int = 0
    activations: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    note: str = ""
    options_bytes: int = 0
    options_align: int = 1
    data_bytes: int = 0
    cmsis_nn_data_bytes: int = 0
    copies_shape: bool = False

    @property
    def weighted(self) -> bool:
        """Whether its types tell weights from activations."""
        return any("*" in t for t in self.types if t != ANY_TYPE)


@dataclass(frozen=True)
class Runtime:
    """What runs a model on a device.

    Attributes:
        version: release or commit that the table was read from.
        source: files, with what was taken from each.
        falls_back_to: delegates only: the runtime (by name) whose kernels run what the delegate leaves.
        checks_versions: False where operator versions are ignored when a model is loaded.
        resizes: whether inputs can get another shape than the file's.
        unresolved_shapes: whether tensors with open dimensions can be computed with.
        kernels: names of its kernel libraries, the default first; () where there is one.
    """

    name: str
    title: str
    version: str
    source: tuple[str, ...]
    operator: tuple[Operator, ...]
    falls_back_to: str = ""
    checks_versions: bool = True
    resizes: bool = True
    unresolved_shapes: bool = True
    kernels: tuple[Literal["cmsis-nn", "reference"], ...] = ()

    def find(self, name: str) -> Operator | None:
        """The row of an operator, None where it isn't registered."""
        return _index(self).get(name)


EDGEQ = "edgeq"
"""The engine of this package: its table is made of the kernel table, not read from a file."""


def names() -> tuple[str, ...]:
    """Every runtime's name: edgeq's own first."""
    return (EDGEQ, *sorted(p.stem for p in _folder().glob("*.toml")))


def load(name: str) -> Runtime:
    """The runtime of that name.

    Raises:
        UsageError: no such runtime; the nearest name is suggested.
        TargetFileError: its file is not valid.
    """
    if name == EDGEQ:
        from edgeq.runtimes.engine import engine

        return engine()
    path = _folder() / f"{name}.toml"
    if name not in names():
        near = difflib.get_close_matches(name.lower(), names(), n=1, cutoff=0.4)
        raise UsageError(
            f"there is no runtime '{name}'",
            next_step=(f"did you mean {near[0]}? " if near else "") + f"choose one of: {', '.join(names())}",
            name=name,
        )
    return _read(path, path.stat().st_mtime_ns)


def load_file(path: Path) -> Runtime:
    """A runtime from a file.

    Raises:
        TargetFileError: it isn't valid.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as failed:
        raise TargetFileError(f"can't be read: {failed.strerror}", where=str(path)) from failed
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as failed:
        raise TargetFileError(f"is not valid TOML: {failed}", where=str(path)) from failed
    runtime = build(Runtime, table, str(path))
    if runtime.name != path.stem:
        raise TargetFileError(f"name is '{runtime.name}' but the file is called '{path.stem}.toml'", where=str(path))
    twice = sorted({o.name for o in runtime.operator if sum(p.name == o.name for p in runtime.operator) > 1})
    if twice:
        raise TargetFileError(f"has two rows for {', '.join(twice)}", where=str(path))
    return runtime


def _folder() -> Path:
    return resources.folder("targets") / "runtimes"


@lru_cache(maxsize=32)
def _read(path: Path, modified_ns: int) -> Runtime:
    return load_file(path)


@lru_cache(maxsize=32)
def _index(runtime: Runtime) -> dict[str, Operator]:
    return {row.name: row for row in runtime.operator}
