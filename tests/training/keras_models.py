"""Keras models for tests, built with either generation."""

from __future__ import annotations

from typing import Any

import numpy as np
from models import digits


def every_layer(keras: Any) -> Any:
    """One of each layer that `edgeq.qat` knows, two inputs, two outputs; 8×8×3 and 4; random batch norm statistics."""
    layers = keras.layers
    image, extra = keras.Input((8, 8, 3), name="image"), keras.Input((4,), name="extra")
    x = layers.Rescaling(1 / 2.0, offset=0.25)(image)
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="first")(x)
    x = layers.BatchNormalization()(x)
    skip = x = layers.ReLU(6.0)(x)
    x = layers.SeparableConv2D(8, 3, padding="same", activation="relu", depth_multiplier=2)(x)
    x = layers.BatchNormalization()(x)  # behind an activation: a depthwise convolution of its own
    x = layers.Add()([x, skip])
    x = layers.Activation("relu")(x)
    x = layers.ZeroPadding2D(((1, 0), (1, 0)))(x)
    x = layers.DepthwiseConv2D(3, strides=2, use_bias=False, depth_multiplier=2)(x)
    x = layers.BatchNormalization(scale=False)(x)
    x = layers.LeakyReLU()(x)
    gate = layers.Dense(16, activation="sigmoid", name="gate")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    x = layers.Multiply()([x, gate])
    x = layers.Subtract()([x, layers.Conv2D(16, 1, activation="tanh")(x)])
    a, b = layers.AveragePooling2D(2, padding="same")(x), layers.MaxPooling2D(2, padding="same")(x)
    x = layers.SpatialDropout2D(0.1)(layers.Concatenate()([a, b, layers.Conv2D(4, 2, strides=2, padding="same")(x)]))
    x = layers.UpSampling2D(2)(layers.Conv2D(8, 1, activation="swish")(x))
    peak = layers.GlobalMaxPooling2D()(x)
    x = layers.Reshape((4, 4 * 8))(x)
    x = layers.Dropout(0.1)(layers.Flatten()(x))
    x = layers.Concatenate()([x, layers.Dense(6)(layers.Normalization(mean=0.5, variance=2.0)(extra)), peak])
    scores = layers.Softmax(name="scores")(layers.Dense(5)(x))
    level = layers.Dense(1, activation="sigmoid", name="level")(x)
    model = keras.Model([image, extra], [scores, level], name="every")
    return with_random_statistics(model)


def with_random_statistics(model: Any) -> Any:
    """Batch norms as after training: neither 0 nor 1 in them."""
    rng = np.random.default_rng(5)
    for layer in model.layers:
        if type(layer).__name__ == "BatchNormalization":
            shapes = [np.shape(w) for w in layer.get_weights()]
            layer.set_weights([rng.uniform(0.5, 1.5, s).astype(np.float32) for s in shapes])
    return model


def samples(count: int = 32) -> list[np.ndarray]:
    """Inputs of `every_layer`."""
    rng = np.random.default_rng(3)
    return [
        rng.normal(0.5, 0.5, (count, 8, 8, 3)).astype(np.float32),
        rng.normal(0.5, 1.0, (count, 4)).astype(np.float32),
    ]


def digits_model(keras: Any) -> Any:
    """A small residual network with batch norms that reads digits, trained on the first 1300 for a few epochs."""
    keras.utils.set_random_seed(4)
    layers = keras.layers

    def block(x: Any, channels: int) -> Any:
        x = layers.SeparableConv2D(channels, 3, padding="same", use_bias=False)(x)
        return layers.ReLU()(layers.BatchNormalization(momentum=0.8)(x))

    image = keras.Input((8, 8, 1), name="image")
    x = layers.Conv2D(12, 3, padding="same", use_bias=False, name="first")(image)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.8)(x))
    x = layers.Add(name="join")([block(x, 12), x])
    x = layers.MaxPooling2D(2)(x)
    x = layers.GlobalAveragePooling2D()(block(x, 24))
    model = keras.Model(image, layers.Dense(10, activation="softmax", name="scores")(x), name="digits")
    model.compile(keras.optimizers.Adam(4e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    images, labels = training_digits()
    model.fit(images, labels, epochs=12, batch_size=64, verbose=0)
    return model


def training_digits() -> tuple[np.ndarray, np.ndarray]:
    """The first 1300 digits."""
    images, labels = digits()
    return images[:1300], labels[:1300]


def unseen_digits() -> tuple[np.ndarray, np.ndarray]:
    """The other 497."""
    images, labels = digits()
    return images[1300:], labels[1300:]
