"""Hosts to measure on, and a small network to measure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from host_fixtures import adb_server, board_at_ssh, phones, ssh_server
from models_flatbuffer import T, single_op_model
from toolchain_fixtures import cache

__all__ = ["adb_server", "board_at_ssh", "cache", "phones", "ssh_server"]


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fully-connected layer, 40 → 10, int8: the same bytes from every engine."""
    values = np.random.default_rng(3)
    path = tmp_path_factory.mktemp("model") / "small.tflite"
    path.write_bytes(
        single_op_model(
            "FULLY_CONNECTED",
            [
                T((1, 40), scale=0.5, zero_point=3, name="x"),
                T((10, 40), scale=0.01, data=values.integers(-127, 128, (10, 40)), name="w"),
                T((10,), "INT32", scale=0.005, data=values.integers(-500, 500, 10), name="b"),
            ],
            T((1, 10), scale=0.25, zero_point=-5, name="y"),
        )
    )
    return path
