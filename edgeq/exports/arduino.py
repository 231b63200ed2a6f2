"""An Arduino library, by the Arduino library specification (rev 2.2, "1.5 format").

What may be called how: arduino.github.io/arduino-cli/latest/library-specification. Assembly files in src/ are compiled
too; a library can't set compiler flags, so what the C needs of them is in it.
"""

from __future__ import annotations

from edgeq.errors import UsageError
from edgeq.exports.contract import Export, Request
from edgeq.exports.library import make_library
from edgeq.exports.rendering import base_files, made, render, sample_file


def make(request: Request) -> Export:
    """See `edgeq.exports.contract.Format`."""
    for what, text in (("name", request.package.name), ("author", request.package.author)):
        if text.lower().startswith("arduino"):
            raise UsageError(f"Arduino keeps {what}s that start with 'Arduino' to itself", next_step=f"--{what} …")
    library = make_library(request)
    files = base_files(library, "src/", "src/") | sample_file(library, "examples/RunSample/")
    files["examples/RunSample/RunSample.ino"] = render("arduino/RunSample.ino.j2", library)
    files["library.properties"] = render("arduino/library.properties.j2", library)
    files["README.md"] = render("arduino/README.md.j2", library)
    return made("arduino", "Arduino library", library, files, "copy it into the sketchbook's libraries folder")
