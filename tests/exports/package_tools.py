"""Packages of small networks, written to disk, and the host's compiler for them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from functools import cache as remembered
from pathlib import Path

import export_networks
import pytest
from toolchain_fixtures import cache

import edgeq
from edgeq import exports

__all__ = ["cache", "exported", "host_library"]

STRICT = ("-std=c11", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror")
_NETWORKS = {"vision": export_networks.vision, "recurrent": export_networks.recurrent, "floats": export_networks.floats}
Exported = Callable[..., Path]


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A package's folder: exported("c", "vision", core="cortex-m4"). Tests don't write into it."""

    @remembered
    def folder(format: str, network: str = "vision", **options: object) -> Path:
        made = edgeq.export(_NETWORKS[network](), format, **{"name": network, **options})  # type: ignore[arg-type]
        path = tmp_path_factory.mktemp("export") / str(options.get("name", network))
        exports.write(made, path)
        return path

    return folder


def run(argv: Sequence[str | Path], folder: Path | None = None, code: int = 0, **environment: str) -> str:
    """What a program says on both streams; fails with it where the exit code is another."""
    done = subprocess.run(
        [str(word) for word in argv],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=200,
        env={**os.environ, **environment},
    )
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    return said


def needs(program: str, package: str = "") -> pytest.MarkDecorator:
    """Skipped, with the reason, where a program isn't installed."""
    return pytest.mark.skipif(
        shutil.which(program) is None, reason=f"{program} is not on PATH: apt-get install {package or program}"
    )


def sources(folder: Path) -> list[Path]:
    """What a build system compiles of a package."""
    return sorted(path for path in (folder / "src").rglob("*") if path.suffix in (".c", ".S"))


@pytest.fixture(scope="session")
def host_library(exported: Exported, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The static library of a network's portable C; its sources are the same in all formats."""

    @remembered
    def library(network: str) -> Path:
        folder, objects = exported("c", network), tmp_path_factory.mktemp("library")
        run(["gcc", *STRICT, f"-I{folder / 'include'}", "-c", *sources(folder)], objects)
        run(["ar", "rcs", f"lib{network}.a", *sorted(objects.glob("*.o"))], objects)
        return objects / f"lib{network}.a"

    return library
