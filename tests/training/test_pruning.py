"""Pruning: the schedule, masks through fits and through QAT, channels taken out, what a file's zeros buy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras_models import every_layer, samples, training_digits, unseen_digits

import edgeq
from edgeq.errors import UnsupportedError, UsageError
from edgeq.training.channels import kept_channels, tied_groups, zero_channels
from edgeq.training.network import Network, Node
from edgeq.training.pruning import Schedule
from edgeq.training.trace import trace


@given(st.floats(0.1, 0.99), st.floats(0, 0.1), st.integers(0, 100), st.integers(1, 500), st.integers(0, 700))
def test_the_schedule_rises_to_its_end(final: float, initial: float, begin: int, length: int, step: int) -> None:
    schedule = Schedule(final, begin, begin + length, initial)
    assert schedule.share(step) <= schedule.share(step + 1) + 1e-12
    assert schedule.share(begin + length) == pytest.approx(final) == pytest.approx(schedule.share(10_000))
    assert schedule.share(begin) == pytest.approx(initial) and schedule.is_due(begin + length)
    assert begin == 0 or schedule.share(begin - 1) == 0.0


def residual() -> tuple[Network, dict[str, np.ndarray]]:
    """x → a(4) → relu → d (depthwise); x → b(4); a + b → c(3) → flatten → out."""
    rng = np.random.default_rng(0)
    nodes = (
        Node("x", "INPUT", (), (2, 2, 2)),
        Node("a", "CONV_2D", ("x",), (2, 2, 4)),
        Node("r", "RELU", ("a",), (2, 2, 4)),
        Node("d", "DEPTHWISE_CONV_2D", ("r",), (2, 2, 4)),
        Node("b", "CONV_2D", ("x",), (2, 2, 4)),
        Node("sum", "ADD", ("d", "b"), (2, 2, 4)),
        Node("c", "CONV_2D", ("sum",), (2, 2, 3)),
        Node("flat", "RESHAPE", ("c",), (12,)),
        Node("out", "FULLY_CONNECTED", ("flat",), (5,)),
    )
    shapes = {"a": (1, 1, 2, 4), "d": (3, 3, 4, 1), "b": (1, 1, 2, 4), "c": (1, 1, 4, 3), "out": (12, 5)}
    weights = {f"{n}/kernel": rng.normal(size=s).astype(np.float32) for n, s in shapes.items()}
    weights |= {f"{n}/bias": np.zeros(s[2] if n == "d" else s[-1], np.float32) for n, s in shapes.items()}
    return Network("n", nodes, ("x",), ("out",), ("x",), ("out",)), weights


def test_a_channel_goes_only_where_all_that_is_tied_is_zero() -> None:
    network, weights = residual()
    weights["a/kernel"][..., [0, 1]] = 0
    weights["b/kernel"][..., [1, 2]] = 0
    weights["c/kernel"][..., 2] = 0
    zero = zero_channels(network, weights)
    assert zero["d"].tolist() == [True, True, False, False] and zero["sum"].tolist() == [False, True, False, False]
    keep = kept_channels(network, weights)
    for name in ("a", "r", "d", "b", "sum"):
        assert keep[name].tolist() == [True, False, True, True]
    assert keep["c"].tolist() == [True, True, False] and keep["flat"].tolist() == [True, True, False] * 4
    assert keep["x"].all() and keep["out"].all()
    weights["a/bias"][1] = 0.5  # no longer zero: the depthwise convolution smears a constant
    assert kept_channels(network, weights)["sum"].all()


def test_one_channel_stays_where_all_are_zero() -> None:
    network, weights = residual()
    weights["c/kernel"][:] = 0
    assert kept_channels(network, weights)["c"].tolist() == [True, False, False]


def test_additions_and_depthwise_convolutions_tie_layers_together() -> None:
    network, _ = residual()
    groups = {frozenset(n.name for n in group) for group in tied_groups(network)}
    assert groups == {frozenset({"a", "r", "d", "b", "sum"}), frozenset({"c"})}


@pytest.mark.slow
def test_pruned_weights_stay_zero_through_fit_and_quantization_aware_training(keras: Any, trained: Any) -> None:
    images, labels = training_digits()
    model = keras.models.clone_model(trained)
    model.set_weights(trained.get_weights())
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    pruning = edgeq.prune(model, sparsity=0.6, end_step=20, frequency=5, skip=["first"])
    model.fit(images, labels, epochs=1, batch_size=64, verbose=0, callbacks=[pruning.callback()])
    assert pruning.step == 21 and pruning.zero_share() == pytest.approx(0.6, abs=0.01)
    assert np.all(model.get_layer("first").get_weights()[0] != 0)
    made = edgeq.qat(model, representative_data=images[:50])
    made.model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    made.model.fit(images[:320], labels[:320], epochs=1, batch_size=64, verbose=0)
    result = edgeq.convert(made, representative_data=unseen_digits()[0][:100])
    report = edgeq.sparsity(result.tflite)
    pointwise = [layer for layer in report.layers if "pointwise" in layer.label]
    assert pointwise and all(layer.zeros >= 0.59 * layer.weights for layer in pointwise)
    assert report.dense_bytes == sum(layer.weights for layer in report.layers)  # zeros are stored as any weight
    assert report.deflated_bytes < 0.9 * report.dense_bytes and "stored dense" in report.text()


def test_dead_channels_are_taken_out_and_the_function_stays(keras: Any, trained: Any) -> None:
    images, labels = training_digits()
    model = keras.models.clone_model(trained)
    model.set_weights(trained.get_weights())
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    pruning = edgeq.prune(model, sparsity=0.5, end_step=20, structured=True)
    model.fit(images, labels, epochs=1, batch_size=64, verbose=0, callbacks=[pruning.callback()])
    smaller = edgeq.remove_dead_channels(model)
    assert smaller.channels["first"] == (12, 6) and smaller.channels["join"] == (12, 6)
    assert smaller.weights_after < 0.5 * smaller.weights_before
    seen = images[:20]
    np.testing.assert_allclose(np.asarray(smaller.model(seen)), np.asarray(model(seen)), rtol=1e-4, atol=1e-5)
    made = edgeq.qat(smaller.model, representative_data=images[:50])
    assert made.plan.network.node("first").shape[-1] == 6


def test_nothing_is_taken_out_of_a_dense_model(keras: Any) -> None:
    model = every_layer(keras)
    shrunk = edgeq.remove_dead_channels(model)
    assert not shrunk.channels and shrunk.weights_before == shrunk.weights_after
    for wanted, got in zip(model(samples(4)), shrunk.model(samples(4)), strict=True):
        np.testing.assert_allclose(np.asarray(got), np.asarray(wanted), rtol=1e-5, atol=1e-6)


def test_pruning_goes_on_in_a_prepared_model(keras: Any) -> None:
    layers = keras.layers
    model = keras.Sequential([keras.Input((8,)), layers.Dense(16, activation="relu"), layers.Dense(4)])
    rng = np.random.default_rng(0)
    x = rng.normal(size=(256, 8)).astype(np.float32)
    made = edgeq.qat(model, representative_data=x[:50])
    made.model.compile("adam", "mse")
    pruning = edgeq.prune(made, sparsity=0.5, end_step=6, frequency=2)
    made.model.fit(x, x[:, :4], batch_size=32, verbose=0, callbacks=[pruning.callback()])
    report = edgeq.sparsity(edgeq.convert(made).tflite)
    assert report.zero_share >= 0.49


def test_wrong_use(keras: Any) -> None:
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(16, name="only")])
    with pytest.raises(UsageError, match=r"sparsity 1\.5"):
        edgeq.prune(model, sparsity=1.5, end_step=5)
    with pytest.raises(UsageError, match="from step 5 to 5"):
        edgeq.prune(model, sparsity=0.5, begin_step=5, end_step=5)
    with pytest.raises(UsageError, match="no layer 'other'"):
        edgeq.prune(model, sparsity=0.5, end_step=5, skip=["other"])
    with pytest.raises(UnsupportedError, match="nothing to prune"):
        edgeq.prune(model, sparsity=0.5, end_step=5, structured=True)  # its channels are the model's outputs
    assert trace(model).network.outputs == ("only",)
    inner = keras.Sequential([keras.Input((8,)), model], name="outer")
    with pytest.raises(UnsupportedError, match="a model inside the model"):
        edgeq.remove_dead_channels(inner)
