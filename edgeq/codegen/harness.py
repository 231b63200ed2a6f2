"""Firmware for the official MLPerf Tiny runner: its names for the models, and the inputs that it sends.

The runner (github.com/mlcommons/tiny, benchmark/runner and benchmark/evaluation) sends its datasets' bytes as they are:
unsigned pixels for ic01 and vww01, int8 features for kws01, single-precision spectrogram windows for ad01.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Literal

from edgeq.codegen.project import build_files
from edgeq.codegen.tree import Manifest, SourceTree, build_id
from edgeq.errors import UnsupportedError, UsageError

InputForm = Literal["stored", "unsigned", "float"]
FORMS: Mapping[str, InputForm] = MappingProxyType(
    {"ic01": "unsigned", "vww01": "unsigned", "kws01": "stored", "ad01": "float"}
)
"""What the runner sends, by its name of the model."""
_HEADER = "runtime/harness.h"


def for_mlperf(tree: SourceTree, name: str) -> SourceTree:
    """The same firmware under the runner's name, taking the runner's inputs.

    Args:
        name: a key of FORMS.

    Raises:
        UsageError: not a model of the benchmark.
        UnsupportedError: the model's inputs can't be made of what the runner sends.
    """
    form = FORMS.get(name)
    if form is None:
        raise UsageError(f"'{name}' is no model of MLPerf Tiny", next_step=f"choose one of: {', '.join(FORMS)}")
    _check(tree.manifest, name, form)
    header = tree.files[_HEADER].decode()
    header = header.replace("#define HARNESS_NAME MODEL_NAME", f'#define HARNESS_NAME "{name}"')
    header = header.replace("#define INPUT_FORM INPUT_STORED", f"#define INPUT_FORM INPUT_{form.upper()}")
    manifest = replace(tree.manifest, build="", input_form=form)
    made = build_files(manifest)
    files = {path: data for path, data in tree.files.items() if path not in made} | {_HEADER: header.encode()}
    told = replace(manifest, build=build_id(files))
    return SourceTree({**files, **build_files(told)}, told)


def _check(manifest: Manifest, name: str, form: InputForm) -> None:
    for tensor in manifest.inputs:
        # Of unsigned pixels, 0 is the lowest value of an int8 input: real 0 or, of images in -1 to 1, real -1.
        if form != "stored" and tensor.dtype != "INT8":
            raise UnsupportedError(
                f"the input '{tensor.name}' is {tensor.dtype}, and the runner's {name} needs INT8",
                where=manifest.model_name,
                next_step="convert the model again with --io int8",
            )
