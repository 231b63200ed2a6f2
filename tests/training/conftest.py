"""Both generations of Keras in one process, and what is trained once for several tests."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

import keras_models
import pytest

from edgeq import registry

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")


@pytest.fixture(scope="session", params=["keras", pytest.param("tf_keras", marks=pytest.mark.slow)])
def keras(request: pytest.FixtureRequest) -> Any:
    """Keras 3, then tf_keras."""
    if not registry.installed("tensorflow") or not registry.installed(request.param):
        pytest.skip(f"TensorFlow or {request.param} is not installed")
    return _module(request.param)


@lru_cache(maxsize=2)
def _module(generation: str) -> Any:
    if generation == "keras":
        import keras

        return keras
    import tf_keras

    return tf_keras


@pytest.fixture(scope="session")
def trained(keras: Any) -> Any:
    """The digits network, trained in float."""
    return keras_models.digits_model(keras)
