"""A PlatformIO library: docs.platformio.org, "library.json"."""

from __future__ import annotations

import json

from edgeq.exports.contract import Export, Request
from edgeq.exports.library import Library, make_library
from edgeq.exports.rendering import base_files, example_files, made, render

_SCHEMA = "https://raw.githubusercontent.com/platformio/platformio-core/develop/platformio/assets/schema/library.json"


def make(request: Request) -> Export:
    """See `edgeq.exports.contract.Format`."""
    library = make_library(request)
    files = base_files(library, "include/", "src/") | example_files(library, "examples/run_sample/src/")
    files["examples/run_sample/platformio.ini"] = render("platformio/platformio.ini.j2", library)
    files["library.json"] = _manifest(library)
    files["README.md"] = render("platformio/README.md.j2", library)
    return made("platformio", "PlatformIO library", library, files, "pio pkg pack, or copy it into a project's lib/")


def _manifest(library: Library) -> bytes:
    package = library.package
    told = {
        "$schema": _SCHEMA,
        "name": package.name,
        "version": package.version,
        "description": f"The neural network {library.manifest.model_name} as plain C, exported by edgeq",
        "keywords": ["machine learning", "neural network"],
        "authors": [{"name": package.author}],
        "homepage": package.url,
        "license": "Apache-2.0",
        "frameworks": "*",
        "platforms": "*",
        "headers": [f"{package.name}.h"],
    }
    return (json.dumps(told, indent=2) + "\n").encode()
