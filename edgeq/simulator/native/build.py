"""Compiles core.c for this machine, once per source and compiler."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from edgeq import process

_FLAGS = ("-std=c11", "-O2", "-shared", "-fPIC")


def default_cache() -> Path:
    """Where compiled pieces are kept when the caller doesn't say: the user's cache folder."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "edgeq"
    if os.name == "nt":
        return Path.home() / "AppData" / "Local" / "edgeq" / "cache"
    return Path.home() / ".cache" / "edgeq"


def native_library(cache: Path | None = None) -> Path:
    """The compiled core.c; compiled now if the cache has none for this source and compiler.

    Raises:
        ToolError: the compiler failed.
        MissingDependencyError: there is no compiler.
    """
    source = Path(__file__).with_name("core.c")
    key = _key(source.read_bytes())
    suffix = {"darwin": ".dylib", "win32": ".dll"}.get(sys.platform, ".so")
    library = (cache or default_cache()) / "simulator" / f"core-{key}{suffix}"
    if not library.exists():
        library.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=library.parent) as folder:
            fresh = Path(folder) / library.name
            _compile(source, fresh)
            fresh.replace(library)
    return library


@lru_cache(maxsize=4)
def _key(source: bytes) -> str:
    compiler = metadata.version("ziglang")
    text = b"\0".join((source, compiler.encode(), " ".join(_FLAGS).encode(), sys.platform.encode()))
    return hashlib.sha256(text).hexdigest()[:16]


def _compile(source: Path, output: Path) -> None:
    process.run([sys.executable, "-m", "ziglang", "cc", *_FLAGS, source, "-o", output], timeout_s=300)
