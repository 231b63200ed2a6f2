"""Compiles core.c for this machine, once per source and compiler."""

from __future__ import annotations

import hashlib
import sys
import tempfile
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from edgeq.toolchains.cache import default_cache
from edgeq.toolchains.host import HOST_FLAGS, compile_host


def native_library(cache: Path | None = None) -> Path:
    """The compiled core.c; compiled now if the cache has none for this source and compiler.

    Raises:
        ToolError: the compiler failed.
        MissingDependencyError: there is no compiler.
    """
    source = Path(__file__).with_name("core.c")
    key = _key(source.read_bytes())
    suffix = {"darwin": ".dylib", "win32": ".dll"}.get(sys.platform, ".so")
    folder_of_all = cache or default_cache()
    library = folder_of_all / "simulator" / f"core-{key}{suffix}"
    if not library.exists():
        library.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=library.parent) as folder:
            fresh = Path(folder) / library.name
            compile_host([source], fresh, [], shared=True, cache=folder_of_all)
            fresh.replace(library)
    return library


@lru_cache(maxsize=4)
def _key(source: bytes) -> str:
    try:
        compiler = metadata.version("ziglang")
    except metadata.PackageNotFoundError:
        compiler = "the machine's own"
    text = b"\0".join((source, compiler.encode(), " ".join(HOST_FLAGS).encode(), sys.platform.encode()))
    return hashlib.sha256(text).hexdigest()[:16]
