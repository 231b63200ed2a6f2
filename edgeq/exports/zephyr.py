"""A Zephyr module: docs.zephyrproject.org, "Modules (External projects)"."""

from __future__ import annotations

from edgeq.exports.contract import Export, Request
from edgeq.exports.library import make_library
from edgeq.exports.rendering import base_files, example_files, made, render

_SAMPLE = "samples/run_sample/"


def make(request: Request) -> Export:
    """See `edgeq.exports.contract.Format`."""
    library = make_library(request)
    files = base_files(library, "include/", "src/") | example_files(library, f"{_SAMPLE}src/", "zephyr")
    for template, path in (
        ("module.yml", "zephyr/module.yml"),
        ("CMakeLists.txt", "zephyr/CMakeLists.txt"),
        ("Kconfig", "zephyr/Kconfig"),
        ("sample_CMakeLists.txt", f"{_SAMPLE}CMakeLists.txt"),
        ("prj.conf", f"{_SAMPLE}prj.conf"),
        ("sample.yaml", f"{_SAMPLE}sample.yaml"),
        ("README.md", "README.md"),
    ):
        files[path] = render(f"zephyr/{template}.j2", library)
    return made("zephyr", "Zephyr module", library, files, "west build -b native_sim samples/run_sample -t run")
