"""edgeq: take a trained network to the device it has to run on.

    edgeq.convert("model.keras", representative_data="calib.npz")     → QuantizedModel
    edgeq.qat(model, representative_data=x)                           → Prepared (then fit, then convert)
    edgeq.check("model.tflite", "nucleo-l4r5zi")                      → FitReport
    edgeq.build("model.tflite", "nucleo-l4r5zi", output=Path("b"))    → Firmware
    edgeq.flash("b", "nucleo-l4r5zi")                                 → FlashResult
    edgeq.profile("model.tflite", "nucleo-l4r5zi", sim=True)          → Measurement
    edgeq.deploy("model.tflite", "nucleo-l4r5zi", sim=True)           → Deployment

These are the functions of `edgeq.pipeline`. Everything raised on purpose is an `edgeq.EdgeqError`. Names are
imported when they are used; their types are in `__init__.pyi`.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

__version__ = "0.1.0.dev0"

_PIPELINE = (
    "Deployment",
    "Model",
    "analyze",
    "build",
    "check",
    "check_budgets",
    "convert",
    "convert_mixed",
    "deploy",
    "evaluate",
    "export",
    "flash",
    "generate",
    "judge",
    "load_qat",
    "load_target",
    "plan",
    "profile",
    "prune",
    "qat",
    "read_model",
    "remove_dead_channels",
    "simulate",
    "sparsity",
    "survey",
)
_FROM = {
    "EdgeqError": "edgeq.errors",
    "PreparedFiles": "edgeq.quantize.preprocess",
    **dict.fromkeys(_PIPELINE, "edgeq.pipeline"),
}
__all__ = ["__version__", *_FROM]


class _Package(ModuleType):
    """`edgeq.check` is the function, although there is a room of that name.

    Importing `edgeq.check` binds the room to this package's attribute; the function must win whichever comes
    first. The room's contents are reached with `from edgeq.check import …`.
    """

    @property
    def check(self) -> Any:
        return __getattr__("check")

    @check.setter
    def check(self, room: ModuleType) -> None:
        pass


def __getattr__(name: str) -> Any:
    if name not in _FROM:
        raise AttributeError(f"module 'edgeq' has no attribute '{name}'")
    return getattr(importlib.import_module(_FROM[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)


sys.modules[__name__].__class__ = _Package
