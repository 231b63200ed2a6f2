"""Fixtures of all tests that compile for a board: imported by the conftest of each folder that has some."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edgeq import registry, target
from edgeq.target import Target
from edgeq.toolchains.arm_gcc import PROGRAM
from edgeq.toolchains.cache import default_cache


@pytest.fixture(scope="session")
def board() -> Target:
    return target.load("nucleo-l4r5zi")


@pytest.fixture(scope="session", params=["zig", "gcc"])
def toolchain(request: pytest.FixtureRequest) -> str:
    """Each toolchain that is installed here."""
    return require_toolchain(str(request.param))


def require_toolchain(name: str) -> str:
    """The name, or the test skipped with the reason."""
    if name == "gcc" and shutil.which(PROGRAM) is None:
        pytest.skip(f"{PROGRAM} is not on PATH")
    if registry.missing(registry.TOOLCHAINS[name]):
        pytest.skip("the extra 'build' is not installed")
    return name


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache without objects at the start of the session. But zig's own, with the compiler_rt that takes it ten
    seconds to make, is the user's."""
    folder = tmp_path_factory.mktemp("cache")
    kept = default_cache() / "zig"
    kept.mkdir(parents=True, exist_ok=True)
    (folder / "zig").symlink_to(kept)
    return folder
