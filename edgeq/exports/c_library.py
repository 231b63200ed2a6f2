"""A plain C library: sources and a Makefile."""

from __future__ import annotations

from edgeq.exports.contract import Export, Request
from edgeq.exports.library import make_library
from edgeq.exports.rendering import base_files, example_files, made, render


def make(request: Request) -> Export:
    """See `edgeq.exports.contract.Format`."""
    library = make_library(request)
    files = base_files(library, "include/", "src/") | example_files(library, "example/")
    files["Makefile"] = render("c/Makefile.j2", library)
    files["README.md"] = render("c/README.md.j2", library)
    compiler = f"make CC=arm-none-eabi-gcc AR=arm-none-eabi-ar CFLAGS='-O2 {' '.join(library.core_flags)}'"
    return made("c", "C library", library, files, compiler if library.needs else "make check")
