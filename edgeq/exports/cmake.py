"""A CMake project: for add_subdirectory(), and installable for find_package()."""

from __future__ import annotations

from edgeq.exports.contract import Export, Request
from edgeq.exports.library import make_library
from edgeq.exports.rendering import base_files, example_files, made, render


def make(request: Request) -> Export:
    """See `edgeq.exports.contract.Format`."""
    library = make_library(request)
    files = base_files(library, "include/", "src/") | example_files(library, "example/")
    files["CMakeLists.txt"] = render("cmake/CMakeLists.txt.j2", library)
    files[f"cmake/{request.package.name}Config.cmake"] = render("cmake/Config.cmake.j2", library)
    files["README.md"] = render("cmake/README.md.j2", library)
    alone = "cmake -B build && cmake --build build && ctest --test-dir build"
    return made(
        "cmake",
        "CMake project",
        library,
        files,
        f"add_subdirectory({request.package.name})" if library.needs else alone,
    )
