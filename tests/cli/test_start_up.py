"""Start-up: what is imported, and how long it takes."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Edgeq

HEAVY = (
    "tensorflow", "tf_keras", "keras", "unicorn", "capstone", "serial", "pyocd", "elftools", "jinja2", "ziglang",
    "tflite_runtime", "ai_edge_quantizer", "intelhex", "onnx", "onnxruntime", "torch", "PIL",
)  # fmt: skip
SHOW_MODULES = (
    "import sys, atexit\n"
    "atexit.register(lambda: print('MODULES', *sorted({m.partition('.')[0] for m in sys.modules}), file=sys.stderr))\n"
    "from edgeq.cli.main import run; run()"
)


def loaded(process: Edgeq, *arguments: str | Path) -> set[str]:
    said = process(*arguments, code=SHOW_MODULES)
    assert said.code == 0, said.err
    return set(next(line for line in said.err.splitlines() if line.startswith("MODULES")).split()[1:])


def test_help_loads_neither_numpy_nor_rich(process: Edgeq) -> None:
    assert not loaded(process, "--help") & {*HEAVY, "numpy", "rich", "ai_edge_litert"}


@pytest.mark.parametrize("form", [[], ["--json"], ["--plan"]])
def test_check_loads_nothing_heavy(process: Edgeq, model: Path, form: list[str]) -> None:
    assert not loaded(process, "check", model, "--target", "nucleo-l4r5zi", *form) & set(HEAVY)


@pytest.mark.parametrize("line", [["targets", "list"], ["targets", "show", "nucleo-l4r5zi"], ["doctor"]])
def test_listing_loads_nothing_heavy(process: Edgeq, line: list[str]) -> None:
    # doctor looks for serial ports, which is pyserial's own listing.
    assert not loaded(process, *line) & (set(HEAVY) - {"serial"} if line == ["doctor"] else set(HEAVY))


def test_the_library_is_lazy_and_complete(process: Edgeq) -> None:
    code = (
        "import sys, edgeq\n"
        "assert 'numpy' not in sys.modules and 'edgeq.pipeline' not in sys.modules\n"
        "for name in edgeq.__all__: getattr(edgeq, name)\n"
        "import edgeq.check\n"
        "assert callable(edgeq.check), edgeq.check\n"
        "from edgeq.check import FitReport\n"
        f"assert not set(sys.modules) & set({HEAVY!r})\n"
    )
    assert process(code=code).err == ""


def test_the_librarys_types_name_what_it_exports() -> None:
    import edgeq

    stub = Path(edgeq.__file__).with_suffix(".pyi").read_text()
    assert all(f" as {name}\n" in stub or f"{name}: " in stub for name in edgeq.__all__)
