"""Templates of `firmware_templates/exports/` with a library's facts in them, and the files that most formats share."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jinja2

from edgeq import __version__, resources
from edgeq.exports.contract import Export
from edgeq.exports.library import Library, licence

_BYTES_PER_LINE = 20


def render(template: str, library: Library, **more: object) -> bytes:
    """One file from its template."""
    return _templates().get_template(template).render({**_facts(library), **more}).encode()


def base_files(library: Library, headers: str, sources: str) -> dict[str, bytes]:
    """Licence, headers and sources; the folders end in "/"."""
    files = {"LICENSE": licence()}
    files |= {headers + path: data for path, data in library.headers.items()}
    return files | {sources + path: data for path, data in library.sources.items()}


def example_files(library: Library, folder: str, style: str = "hosted") -> dict[str, bytes]:
    """`main.c` and `sample.h`.

    Args:
        folder: ends in "/".
        style: "hosted", a program of a C library; "zephyr"; "esp-idf".
    """
    include, printer, entry = {
        "hosted": ("#include <stdio.h>", "printf", "int main(void)"),
        "zephyr": ("#include <zephyr/sys/printk.h>", "printk", "int main(void)"),
        "esp-idf": ("#include <stdio.h>", "printf", "void app_main(void)"),
    }[style]
    main = render(
        "example/main.c.j2", library, include=include, print=printer, entry=entry, returns=entry.startswith("int")
    )
    return {f"{folder}main.c": main, **sample_file(library, folder)}


def sample_file(library: Library, folder: str) -> dict[str, bytes]:
    """`sample.h` alone."""
    return {f"{folder}sample.h": render("example/sample.h.j2", library)}


def made(format: str, title: str, library: Library, files: dict[str, bytes], next_step: str) -> Export:
    """The product of a format that carries a library."""
    return Export(
        format=format,
        title=title,
        package=library.package,
        files=files,
        next_step=next_step,
        kernels=library.kernels,
        arena_bytes=library.arena_bytes,
        weights_bytes=library.manifest.weights_bytes,
        macs=library.manifest.macs,
        samples=library.samples,
        optimize=library.manifest.optimize,
        choices=library.manifest.choices,
        changed=tuple((f"{layer.op} #{layer.index}", layer.why) for layer in library.manifest.layers if layer.why),
    )


def _facts(library: Library) -> dict[str, Any]:
    package, manifest = library.package, library.manifest
    floats = any(t.dtype == "FLOAT32" for t in (*manifest.inputs, *manifest.outputs))
    return {
        "name": package.name,
        "N": package.name.upper(),
        "version": package.version,
        "author": package.author,
        "url": package.url,
        "edgeq": __version__,
        "manifest": manifest,
        "headers": sorted(library.headers),
        "compiled": library.compiled,
        "assembly": library.assembly,
        "kernels": library.kernels,
        "needs": library.needs,
        "arena_bytes": library.arena_bytes,
        "samples": library.samples,
        "exact": all(variant.exact for variant in library.variants),
        "stateful": any(t.is_variable for t in library.variants[0].program.graph.tensors),
        "precisions": manifest.precisions,
        "floats": floats or not all(variant.exact for variant in library.variants),
        "float_outputs": any(t.dtype == "FLOAT32" for t in manifest.outputs),
        "core_flags": " ".join(library.core_flags),
        "bytes_of": _bytes_of,
    }


def _bytes_of(data: bytes) -> str:
    rows = (data[i : i + _BYTES_PER_LINE] for i in range(0, len(data), _BYTES_PER_LINE))
    return "\n".join("        " + ", ".join(f"0x{byte:02x}" for byte in row) + "," for row in rows)


@lru_cache(maxsize=1)
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(resources.folder("firmware_templates") / "exports"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
