"""Networks of the kinds that people deploy, built small in Keras and quantized to int8 by TensorFlow's own converter.

    python tests/networks.py FOLDER [NAME …]

writes FOLDER/NAME.tflite. It runs in a process of its own: TensorFlow and tflite-runtime don't live in one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SEED = 5


def _conv(x: Any, channels: int, size: int = 3, stride: int = 1, activation: str | None = "relu6") -> Any:
    from tensorflow.keras import layers

    x = layers.Conv2D(channels, size, stride, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    return layers.Activation(activation)(x) if activation else x


def _depthwise(x: Any, stride: int = 1, activation: str = "relu6") -> Any:
    from tensorflow.keras import layers

    x = layers.DepthwiseConv2D(3, stride, padding="same", use_bias=False)(x)
    return layers.Activation(activation)(layers.BatchNormalization()(x))


def _end(x: Any, classes: int = 4) -> Any:
    from tensorflow.keras import initializers, layers

    x = layers.GlobalAveragePooling2D()(x)  # whose values are close together: the classes are to tell them apart
    return layers.Dense(classes, activation="softmax", kernel_initializer=initializers.RandomNormal(0, 8))(x)


def _image(side: int = 24) -> Any:
    from tensorflow.keras import layers

    return layers.Input((side, side, 3), batch_size=1)


def mobilenet_v1() -> Any:
    """Depthwise separable blocks."""
    image = x = _image()
    x = _conv(x, 8, stride=2)
    for channels, stride in ((16, 1), (24, 2), (24, 1)):
        x = _conv(_depthwise(x, stride), channels, 1)
    return image, _end(x)


def mobilenet_v2() -> Any:
    """Inverted residuals."""
    from tensorflow.keras import layers

    image = x = _image()
    x = _conv(x, 8, stride=2)
    for channels, stride in ((8, 1), (16, 2), (16, 1)):
        y = _conv(_depthwise(_conv(x, x.shape[-1] * 4, 1), stride), channels, 1, activation=None)
        x = layers.Add()([x, y]) if y.shape == x.shape else y
    return image, _end(x)


def mobilenet_v3() -> Any:
    """HARD_SWISH, squeeze-and-excite that multiplies with broadcasting."""
    from tensorflow.keras import layers

    image = x = _image()
    x = layers.Activation("hard_swish")(_conv(x, 8, stride=2, activation=None))
    for channels, stride in ((8, 1), (16, 2)):
        y = layers.Activation("hard_swish")(_conv(x, x.shape[-1] * 3, 1, activation=None))
        y = layers.DepthwiseConv2D(3, stride, padding="same")(y)
        gate = layers.GlobalAveragePooling2D(keepdims=True)(y)
        gate = layers.Conv2D(4, 1, activation="relu")(gate)
        gate = layers.Activation("hard_sigmoid")(layers.Conv2D(y.shape[-1], 1)(gate))
        y = _conv(layers.Multiply()([y, gate]), channels, 1, activation=None)
        x = layers.Add()([x, y]) if y.shape == x.shape else y
    return image, _end(x)


def resnet() -> Any:
    """Residual blocks with a projection."""
    from tensorflow.keras import layers

    image = x = _image()
    x = layers.MaxPooling2D(2)(_conv(x, 8, activation="relu"))
    for channels, stride in ((8, 1), (16, 2)):
        y = _conv(_conv(x, channels, 3, stride, "relu"), channels, activation=None)
        short = x if y.shape == x.shape else _conv(x, channels, 1, stride, None)
        x = layers.Activation("relu")(layers.Add()([short, y]))
    return image, _end(x)


def efficientnet_lite() -> Any:
    """Inverted residuals with RELU6 and 5x5 filters."""
    from tensorflow.keras import layers

    image = x = _image()
    x = _conv(x, 8, stride=2)
    for channels, size, stride in ((8, 3, 1), (12, 5, 2), (12, 5, 1)):
        y = _conv(x, x.shape[-1] * 3, 1)
        y = layers.DepthwiseConv2D(size, stride, padding="same", activation="relu6")(y)
        y = _conv(y, channels, 1, activation=None)
        x = layers.Add()([x, y]) if y.shape == x.shape else y
    return image, _end(x)


def unet() -> Any:
    """Down, up by TRANSPOSE_CONV and by bilinear resizing, skips by CONCATENATION."""
    from tensorflow.keras import layers

    image = x = _image(16)
    first = _conv(x, 8, activation="relu")
    second = _conv(layers.MaxPooling2D(2)(first), 12, activation="relu")
    x = _conv(layers.MaxPooling2D(2)(second), 16, activation="relu")
    x = layers.Conv2DTranspose(12, 2, 2, padding="same", activation="relu")(x)
    x = _conv(layers.Concatenate()([x, second]), 12, activation="relu")
    x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    x = _conv(layers.Concatenate()([x, first]), 8, activation="relu")
    return image, layers.Conv2D(1, 1, activation="sigmoid")(x)


def ssd() -> Any:
    """Box and class heads on two planes."""
    from tensorflow.keras import layers

    image = x = _image()
    x = _conv(_depthwise(_conv(x, 8, stride=2), 2), 16, 1)
    planes = [x, _conv(_depthwise(x, 2), 24, 1)]
    boxes = [layers.Reshape((-1, 4))(layers.Conv2D(8, 3, padding="same")(p)) for p in planes]
    classes = [layers.Reshape((-1, 3))(layers.Conv2D(6, 3, padding="same")(p)) for p in planes]
    return image, [layers.Concatenate(1)(boxes), layers.Activation("sigmoid")(layers.Concatenate(1)(classes))]


def transformer() -> Any:
    """A block of attention, layer normalization and a feed-forward part."""
    from tensorflow.keras import layers

    tokens = x = layers.Input((8, 16), batch_size=1)
    y = layers.MultiHeadAttention(2, 8)(x, x)
    x = layers.LayerNormalization()(layers.Add()([x, y]))
    y = layers.Dense(16)(layers.Dense(32, activation="gelu")(x))
    x = layers.LayerNormalization()(layers.Add()([x, y]))
    return tokens, layers.Dense(4, activation="softmax")(layers.GlobalAveragePooling1D()(x))


def detector() -> Any:
    """A head over two planes: SPLIT, nearest neighbours, boxes from a grid in five dimensions, a class by ARG_MAX."""
    import tensorflow as tf
    from tensorflow.keras import layers

    image = x = _image(16)
    x = _conv(x, 8, stride=2, activation="swish")
    deep = layers.LeakyReLU()(_conv(x, 12, stride=2, activation=None))
    x = layers.Concatenate()([layers.UpSampling2D(2)(layers.Conv2D(8, 1)(deep)), x])
    first, second = layers.Lambda(lambda t: tf.split(t, 2, axis=-1), output_shape=[(8, 8, 8)] * 2)(x)
    x = layers.Concatenate()([first, _conv(second, 8, activation="swish")])
    x = layers.Reshape((8, 8, 2, 7))(layers.Conv2D(14, 1)(x))

    def boxes(t: Any) -> Any:
        grid = np.stack(np.meshgrid(np.arange(8), np.arange(8)), -1).astype(np.float32)[None, :, :, None]
        sigmoid = tf.sigmoid(t)
        size = tf.square(sigmoid[..., 2:4] * 2) * np.float32([[10, 13], [16, 30]])
        return tf.concat([(sigmoid[..., :2] * 2 + grid) * 2, size, sigmoid[..., 4:]], -1)

    x = layers.Lambda(boxes, output_shape=(8, 8, 2, 7))(x)
    return image, [x, layers.Lambda(lambda t: tf.argmax(t[..., 4:], -1), output_shape=(8, 8, 2))(x)]


def lstm_unrolled() -> Any:
    """An LSTM as its parts: FULLY_CONNECTED, LOGISTIC, TANH, SPLIT."""
    from tensorflow.keras import layers

    frames = x = layers.Input((6, 8), batch_size=1)
    return frames, layers.Dense(4, activation="softmax")(layers.LSTM(8, unroll=True)(x))


def lstm() -> Any:
    """A recurrent layer as one UNIDIRECTIONAL_SEQUENCE_LSTM, which the converter makes of Keras 2's."""
    from tf_keras import layers

    frames = layers.Input((10, 8), batch_size=1)
    x = layers.Flatten()(layers.LSTM(12, return_sequences=True)(frames))
    return frames, layers.Dense(4, activation="softmax")(x)


NETWORKS: dict[str, Callable[[], Any]] = {
    f.__name__: f
    for f in (
        mobilenet_v1,
        mobilenet_v2,
        mobilenet_v3,
        resnet,
        efficientnet_lite,
        unet,
        ssd,
        transformer,
        detector,
        lstm_unrolled,
        lstm,
    )
}


def quantized(build: Callable[[], Any]) -> bytes:
    """The network with random weights as an int8 `.tflite`, calibrated on noise."""
    import tensorflow as tf

    tf.keras.utils.set_random_seed(SEED)
    inputs, outputs = build()
    rng = np.random.default_rng(SEED)
    if "tf_keras" in type(inputs).__module__:
        import tf_keras

        model = tf_keras.Model(inputs, outputs)
        shape = model.inputs[0].shape
        function = tf.function(model).get_concrete_function(tf.TensorSpec(shape, tf.float32))
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function], model)
    else:
        model = tf.keras.Model(inputs, outputs)
        shape = model.inputs[0].shape
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([rng.normal(0, 1, shape).astype(np.float32)] for _ in range(8))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def main() -> int:
    """Write the networks that are asked for."""
    folder, names = Path(sys.argv[1]), sys.argv[2:] or list(NETWORKS)
    for name in names:
        (folder / f"{name}.tflite").write_bytes(quantized(NETWORKS[name]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
