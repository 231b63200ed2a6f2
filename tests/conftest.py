"""Fixtures that several rooms' tests share."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest

# Before any test imports TensorFlow: the other way round tflite-runtime 2.14 crashes the process.
with suppress(ImportError):
    import tflite_runtime.interpreter  # noqa: F401


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the reference models and data; absent on machines that only have the project."""
    value = os.environ.get("EDGEQ_SHARED", "")
    if not value:
        pytest.skip("EDGEQ_SHARED is not set: the reference models and data are not part of the project")
    folder = Path(value) / "data"
    if not folder.is_dir():
        pytest.skip(f"EDGEQ_SHARED has no data folder: {folder}")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _locks_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Devices that tests make up are nobody else's: not the user's, and not those of tests that run beside."""
    os.environ["EDGEQ_LOCKS"] = str(tmp_path_factory.mktemp("locks"))
