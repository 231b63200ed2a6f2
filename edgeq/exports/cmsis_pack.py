"""A CMSIS-Pack: Open-CMSIS-Pack specification 1.7.36. The folder, and the same as a `.pack`."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping

from edgeq.exports.contract import Export, Request
from edgeq.exports.library import make_library
from edgeq.exports.rendering import base_files, example_files, made, render

_WITH_DSP: tuple[Mapping[str, str], ...] = (
    {"Dcore": "Cortex-M4"},
    {"Dcore": "Cortex-M7"},
    {"Dcore": "Cortex-M33", "Ddsp": "DSP"},
    {"Dcore": "Cortex-M35P", "Ddsp": "DSP"},
    {"Dcore": "Cortex-M55"},
    {"Dcore": "Cortex-M85"},
)
"""What may be chosen for kernels that need the DSP extension; of the M33 and M35P it is an option."""
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the same files make the same archive


def make(request: Request) -> Export:
    """See `edgeq.exports.contract.Format`."""
    library = make_library(request)
    package = request.package
    vendor = re.sub(r"\W+", "_", package.author, flags=re.ASCII).strip("_") or "unnamed"
    pdsc, pack = f"{vendor}.{package.name}.pdsc", f"{vendor}.{package.name}.{package.version}.pack"
    named = {"vendor": vendor, "pdsc": pdsc, "pack": pack}
    files = base_files(library, "include/", "src/") | example_files(library, "example/")
    cores = _WITH_DSP if library.needs else ()
    files[pdsc] = render("cmsis_pack/pdsc.j2", library, cores=cores, **named)
    files["README.md"] = render("cmsis_pack/README.md.j2", library, **named)
    files[pack] = _archive(files)
    return made("cmsis-pack", "CMSIS-Pack", library, files, f"cpackget add {pack}")


def _archive(files: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in sorted(files.items()):
            entry = zipfile.ZipInfo(path, _LONG_AGO)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, data)
    return stream.getvalue()
