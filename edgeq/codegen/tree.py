"""SourceTree: generated C, one folder that compiles by itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

MANIFEST_NAME = "edgeq.json"


@dataclass(frozen=True)
class Layer:
    """One call of the generated code, for reports: what the device's layer counters refer to.

    Attributes:
        why: this kernel and not the first that could serve; "" where it is the first.
    """

    index: int
    op: str
    name: str
    kernel: str
    macs: int
    weights_bytes: int
    why: str = ""


@dataclass(frozen=True)
class TensorInfo:
    """One of the model's ends. `scale` is 0 where the tensor isn't quantized."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    size_bytes: int
    scale: float
    zero_point: int


@dataclass(frozen=True)
class Manifest:
    """What the firmware was made from; written beside it as edgeq.json and needed to profile it.

    Attributes:
        build: `build_id` of the tree; the firmware tells it too. "" where no firmware is made.
        input_form: what is sent as the input: "stored", the bytes that the model's inputs hold; see `codegen.harness`.
        precisions: bits of the weights that an inference can use, falling; () for a model that has one precision.
        optimize: what the kernels were chosen for: a value of `edgeq.kernels.Objective`.
        choices: what was weighed for that, one sentence each.
    """

    model_name: str
    model_sha256: str
    model_bytes: int
    target: str
    clock_hz: int
    arena_bytes: int
    weights_bytes: int
    macs: int
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    layers: tuple[Layer, ...]
    build: str = ""
    input_form: Literal["stored", "unsigned", "float"] = "stored"
    precisions: tuple[int, ...] = ()
    optimize: str = "balanced"
    choices: tuple[str, ...] = ()

    def to_json(self) -> str:
        """As text; `from_json` is its inverse."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Read what `to_json` wrote.

        Raises:
            ValueError, KeyError, TypeError: it isn't that.
        """
        raw: dict[str, Any] = json.loads(text)
        tensors = {
            k: tuple(TensorInfo(**{**t, "shape": tuple(t["shape"])}) for t in raw[k]) for k in ("inputs", "outputs")
        }
        layers = tuple(Layer(**layer) for layer in raw["layers"])
        listed = {key: tuple(raw.get(key, ())) for key in ("precisions", "choices")}
        return cls(**{**raw, **tensors, **listed, "layers": layers})


def build_id(files: Mapping[str, bytes]) -> str:
    """Which sources these are: the first 16 hexadecimal digits of a sha256 over paths and contents.

    What isn't compiled (Markdown) doesn't count. The compiler is no part of it.

    Args:
        files: a tree's, made with a manifest without `build`.
    """
    digest = hashlib.sha256()
    for path, content in sorted(files.items()):
        if not path.endswith(".md"):
            digest.update(f"{len(path.encode())} {len(content)} {path}".encode() + content)
    return digest.hexdigest()[:16]


@dataclass(frozen=True)
class SourceTree:
    """Everything the compiler needs.

    Attributes:
        files: relative POSIX path → contents. C and assembly sources are compiled, `linker.ld` links.
        manifest: what it was made from.
    """

    files: Mapping[str, bytes]
    manifest: Manifest

    @property
    def sources(self) -> tuple[str, ...]:
        """The paths to compile, sorted."""
        return tuple(sorted(p for p in self.files if p.endswith((".c", ".S"))))
