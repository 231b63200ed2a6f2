"""An ESP-IDF component: docs.espressif.com, "Build System" and "idf_component.yml"."""

from __future__ import annotations

from edgeq.errors import UsageError
from edgeq.exports.contract import Export, Request
from edgeq.exports.library import make_library
from edgeq.exports.rendering import base_files, example_files, made, render

_EXAMPLE = "examples/run_sample/"


def make(request: Request) -> Export:
    """See `edgeq.exports.contract.Format`.

    Raises:
        UsageError: kernels of an Arm core were asked for.
    """
    if request.core is not None:
        raise UsageError(
            f"ESP-IDF's chips have Xtensa and RISC-V cores, not {request.core.title}",
            next_step="leave --core and --target out: the kernels are portable C then",
        )
    library = make_library(request)
    files = base_files(library, "include/", "src/") | example_files(library, f"{_EXAMPLE}main/", "esp-idf")
    for template, path in (
        ("idf_component.yml", "idf_component.yml"),
        ("CMakeLists.txt", "CMakeLists.txt"),
        ("example_CMakeLists.txt", f"{_EXAMPLE}CMakeLists.txt"),
        ("main_CMakeLists.txt", f"{_EXAMPLE}main/CMakeLists.txt"),
        ("README.md", "README.md"),
    ):
        files[path] = render(f"esp_idf/{template}.j2", library)
    return made("esp-idf", "ESP-IDF component", library, files, "idf.py -C examples/run_sample build")
