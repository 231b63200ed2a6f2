"""How image files and recordings become a network's input: a short text, or the name of what a model card says.

resize=256,crop=center,scale=1/255,mean=0.485:0.456:0.406,std=0.229:0.224:0.225,color=rgb
torch,resize=256,crop=center
mfcc,coefficients=13
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

from edgeq.errors import UsageError

COLORS = ("rgb", "bgr", "gray")
INTERPOLATIONS = ("bilinear", "nearest", "bicubic")


@dataclass(frozen=True)
class ImageSteps:
    """(pixel × scale − mean) / std, per channel, on pixels of 0 to 255.

    Attributes:
        resize: (height, width), or (n,) for the shorter side with the shape kept; () for the model's own input size.
        crop: whether the middle is cut out at the model's input size; the picture is stretched to it otherwise.
        color: the order of channels; "" for gray with one channel and rgb with three.
    """

    resize: tuple[int, ...] = ()
    crop: bool = False
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    color: str = ""
    interpolation: str = "bilinear"


@dataclass(frozen=True)
class SpeechSteps:
    """Mel-frequency cepstral coefficients; see `edgeq.quantize.mfcc`.

    Attributes:
        rate_hz: the recordings' sampling rate; others are refused.
        seconds: recordings are cut, or filled up with silence, to this length.
        window_ms, stride_ms: of the frames.
        mel_bins, low_hz, high_hz: the mel filters.
        coefficients: how many are kept.
        peak: divide each recording by its largest value first, as the MLPerf Tiny training does.
    """

    rate_hz: int = 16000
    seconds: float = 1.0
    window_ms: float = 30.0
    stride_ms: float = 20.0
    mel_bins: int = 40
    low_hz: float = 20.0
    high_hz: float = 4000.0
    coefficients: int = 10
    peak: bool = True


Steps = ImageSteps | SpeechSteps

_TF = ImageSteps(scale=1 / 127.5, mean=(1.0,))
PRESETS: Mapping[str, tuple[Steps, str]] = MappingProxyType(
    {
        "raw": (ImageSteps(), "pixels as they are, 0 to 255"),
        "unit": (ImageSteps(scale=1 / 255), "pixels divided by 255"),
        "tf": (_TF, "-1 to 1: Keras imagenet_utils, mode 'tf' (MobileNet, Inception, Xception)"),
        "mobilenet_v2": (_TF, "Keras applications.mobilenet_v2.preprocess_input, which is mode 'tf'"),
        "torch": (
            ImageSteps(scale=1 / 255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
            "ImageNet's mean and deviation: Keras imagenet_utils, mode 'torch' (DenseNet), and torchvision's models",
        ),
        "caffe": (
            ImageSteps(mean=(103.939, 116.779, 123.68), color="bgr"),
            "BGR less ImageNet's mean: Keras imagenet_utils, mode 'caffe' (VGG, ResNet 50 to 152)",
        ),
        "mfcc": (SpeechSteps(), "49 × 10 coefficients of a second at 16 kHz, for the MLPerf Tiny keyword model"),
    }
)  # fmt: skip


@dataclass(frozen=True)
class PreparedFiles:
    """Files that are to be prepared: a source of data beside arrays and `.npz`.

    Attributes:
        folder: of images or `.wav` files, or of one sub-folder per class with such in it; or one such file.
        preprocess: as above.
    """

    folder: str | Path
    preprocess: str


def parse(text: str) -> Steps:
    """The steps that a text describes.

    Raises:
        UsageError: an unknown name or key, or a value that can't be meant; the message lists what there is.
    """
    first, *rest = [part.strip() for part in text.split(",")]
    steps: Steps = ImageSteps()
    if "=" in first:
        rest = [first, *rest]
    elif first in PRESETS:
        steps = PRESETS[first][0]
    else:
        raise UsageError(
            f"there is no preprocessing '{first}'",
            where="--preprocess",
            next_step=f"start with one of {', '.join(PRESETS)}, or with key=value",
            name=first,
        )
    values = dict(vars(steps))
    for part in rest:
        key, equals, value = part.partition("=")
        reader = (_IMAGE_KEYS if isinstance(steps, ImageSteps) else _SPEECH_KEYS).get(key)
        if reader is None or not equals:
            keys = _IMAGE_KEYS if isinstance(steps, ImageSteps) else _SPEECH_KEYS
            raise UsageError(
                f"'{part}' says nothing about preprocessing",
                where="--preprocess",
                next_step=f"write key=value with one of {', '.join(keys)}",
                part=part,
            )
        name, read = reader
        try:
            values[name] = read(value)
        except ValueError as wrong:
            raise UsageError(
                f"'{part}' can't be meant: {wrong}", where="--preprocess", next_step="see docs/data.md", part=part
            ) from wrong
    return type(steps)(**values)


def _number(text: str) -> float:
    """0.5, 1/255."""
    try:
        return float(Fraction(text.replace(" ", ""))) if "/" in text else float(text)
    except (ValueError, ZeroDivisionError) as wrong:
        raise ValueError("a number like 0.5 or 1/255 is wanted") from wrong


def _numbers(text: str) -> tuple[float, ...]:
    """One number, or one per channel: 0.485:0.456:0.406."""
    return tuple(_number(part) for part in text.split(":"))


def _deviations(text: str) -> tuple[float, ...]:
    found = _numbers(text)
    if 0.0 in found:
        raise ValueError("it is divided by, and can't be 0")
    return found


def _size(text: str) -> tuple[int, ...]:
    if not re.fullmatch(r"[1-9]\d*(x[1-9]\d*)?", text):
        raise ValueError("HEIGHTxWIDTH is wanted, or one number for the shorter side")
    return tuple(int(part) for part in text.split("x"))


def _crop(text: str) -> bool:
    return _one_of(text, ("center", "none")) == "center"


def _one_of(text: str, allowed: tuple[str, ...]) -> str:
    if text not in allowed:
        raise ValueError(f"one of {', '.join(allowed)} is wanted")
    return text


def _count(text: str) -> int:
    if not re.fullmatch(r"[1-9]\d*", text):
        raise ValueError("a whole number above 0 is wanted")
    return int(text)


def _positive(text: str) -> float:
    value = _number(text)
    if not value > 0:
        raise ValueError("a number above 0 is wanted")
    return value


_IMAGE_KEYS: Mapping[str, tuple[str, Any]] = MappingProxyType(
    {
        "resize": ("resize", _size),
        "crop": ("crop", _crop),
        "scale": ("scale", _number),
        "mean": ("mean", _numbers),
        "std": ("std", _deviations),
        "color": ("color", lambda text: _one_of(text, COLORS)),
        "interpolation": ("interpolation", lambda text: _one_of(text, INTERPOLATIONS)),
    }
)
_SPEECH_KEYS: Mapping[str, tuple[str, Any]] = MappingProxyType(
    {
        "rate": ("rate_hz", _count),
        "seconds": ("seconds", _positive),
        "window": ("window_ms", _positive),
        "stride": ("stride_ms", _positive),
        "bins": ("mel_bins", _count),
        "low": ("low_hz", _number),
        "high": ("high_hz", _positive),
        "coefficients": ("coefficients", _count),
        "peak": ("peak", lambda text: _one_of(text, ("yes", "no")) == "yes"),
    }
)
