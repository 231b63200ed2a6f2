"""Random networks over planes: convolutions, pooling, branches that join; int8, as `.tflite` files."""

from __future__ import annotations

import numpy as np
from models_flatbuffer import O, T, model_bytes

_SCALE = 0.05


def _scale_of(tensor: T) -> float:
    return tensor.scale if isinstance(tensor.scale, float) else _SCALE


class _Planes:
    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.tensors: list[T] = []
        self.operators: list[O] = []

    def new(self, shape: tuple[int, ...], scale: float = _SCALE, zero_point: int = 0) -> int:
        self.tensors.append(T(shape, scale=scale, zero_point=zero_point))
        return len(self.tensors) - 1

    def shape(self, index: int) -> tuple[int, ...]:
        return tuple(self.tensors[index].shape)

    def window(self, x: int, kind: str, channels: int, size: int, stride: int, dilation: int, padding: str) -> int:
        """A convolution or pooling; -1 where the plane is too small for it."""
        _, height, width, in_c = self.shape(x)
        reach = (size - 1) * dilation + 1
        if padding == "SAME":
            sides = [-(-n // stride) for n in (height, width)]
        else:
            sides = [(n - reach) // stride + 1 for n in (height, width)]
        if min(sides) < 1:
            return -1
        options: dict[str, object] = {"padding": padding, "stride_h": stride, "stride_w": stride}
        options["fused_activation_function"] = str(self.rng.choice(["NONE", "RELU", "RELU6"]))
        if kind.endswith("POOL_2D"):
            zero = self.tensors[x].zero_point
            out = self.new((1, *sides, in_c), _scale_of(self.tensors[x]), zero if isinstance(zero, int) else 0)
            self.operators.append(O(kind, [x], [out], {**options, "filter_height": size, "filter_width": size}, 2))
            return out
        is_depthwise = kind == "DEPTHWISE_CONV_2D"
        channels = in_c if is_depthwise else channels
        depth = 1 if is_depthwise else in_c
        shape = (1, size, size, channels) if is_depthwise else (channels, size, size, depth)
        scale = 1.5 / (74 * (size * size * depth) ** 0.5)
        at = len(self.tensors)
        self.tensors += [
            T(shape, scale=scale, data=self.rng.integers(-127, 128, shape)),
            T((channels,), "INT32", scale=scale * _SCALE, data=self.rng.integers(-400, 400, channels)),
        ]
        out = self.new((1, *sides, channels), zero_point=int(self.rng.integers(-20, 20)))
        options |= {"dilation_h_factor": dilation, "dilation_w_factor": dilation}
        options |= {"depth_multiplier": 1} if is_depthwise else {}
        self.operators.append(O(kind, [x, at, at + 1], [out], options, 3))
        return out

    def padded(self, x: int) -> int:
        """PAD with an uneven border, and a convolution that has no padding of its own."""
        _, height, width, channels = self.shape(x)
        top, below = int(self.rng.integers(0, 3)), int(self.rng.integers(0, 3))
        self.tensors.append(T((4, 2), "INT32", scale=None, data=[[0, 0], [top, below], [1, 0], [0, 0]]))
        at = len(self.tensors) - 1
        tensor = self.tensors[x]
        zero = tensor.zero_point if isinstance(tensor.zero_point, int) else 0
        out = self.new((1, height + top + below, width + 1, channels), _scale_of(tensor), zero)
        self.operators.append(O("PAD", [x, at], [out], {}, 2))
        return self.window(out, "CONV_2D", 8, 3, int(self.rng.choice([1, 2])), 1, "VALID")

    def layer(self, x: int) -> int:
        """One more operator; its output, or x where there was no room for it."""
        if self.rng.random() < 0.15:
            return self.padded(x)
        kinds = ["CONV_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D", "AVERAGE_POOL_2D"]
        kind = str(self.rng.choice(kinds))
        size, stride = int(self.rng.choice([1, 2, 3, 3, 5])), int(self.rng.choice([1, 1, 2]))
        dilation = 2 if stride == 1 and kind.endswith("CONV_2D") and self.rng.random() < 0.2 else 1
        padding, channels = str(self.rng.choice(["SAME", "SAME", "VALID"])), int(self.rng.choice([4, 8, 12]))
        found = self.window(x, kind, channels, size, stride, dilation, padding)
        return x if found < 0 else found

    def join(self, x: int) -> int:
        """Two branches from one tensor that are added or concatenated."""
        deep = self.window(x, "CONV_2D", 8, 3, 1, 1, "SAME")
        if self.rng.random() < 0.5:
            deep = self.window(deep, "DEPTHWISE_CONV_2D", 8, 3, 1, 1, "SAME")
        flat = self.window(x, "CONV_2D", 8, 1, 1, 1, "SAME")
        _, height, width, channels = self.shape(deep)
        if self.rng.random() < 0.5:
            out = self.new((1, height, width, channels), 0.08, 3)
            self.operators.append(O("ADD", [flat, deep], [out], {"fused_activation_function": "RELU"}, 2))
            return out
        self.tensors[flat] = self.tensors[deep] = T(self.shape(deep), scale=_SCALE, zero_point=5)
        out = self.new((1, height, width, 2 * channels), _SCALE, 5)
        self.operators.append(O("CONCATENATION", [deep, flat], [out], {"axis": 3}, 2))
        return out


def plane_network(seed: int, layers: int = 5) -> bytes:
    """A network of that many layers and joins, all of whose rows are whole words; its output is a plane."""
    rng = np.random.default_rng(seed)
    net = _Planes(rng)
    x = net.new(
        (1, int(rng.integers(9, 26)), int(rng.choice([4, 8, 12])), int(rng.choice([1, 3, 4, 8]))), zero_point=-7
    )
    x = net.window(x, "CONV_2D", 8, int(rng.choice([1, 3, 5])), int(rng.choice([1, 1, 2])), 1, "SAME")
    while len(net.operators) < layers:
        x = net.join(x) if rng.random() < 0.3 else net.layer(x)
        if min(net.shape(x)[1:3]) < 3:
            break
    return model_bytes(net.tensors, net.operators, [0], [x])
