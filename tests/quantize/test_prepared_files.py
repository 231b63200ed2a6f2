"""Image folders and recordings: prepared as the text says, labelled by their sub-folders."""

from __future__ import annotations

import wave
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models import NetBuilder, digits, digits_float_tflite

from edgeq import registry
from edgeq.errors import DataError, UsageError
from edgeq.importers import Model
from edgeq.importers.plain_float import plain_float
from edgeq.quantize import PreparedFiles, convert, load_data
from edgeq.quantize.data_prepared import find_files, image, read_wav
from edgeq.quantize.mfcc import mfcc
from edgeq.quantize.preprocess import PRESETS, ImageSteps, SpeechSteps, parse

pillow = pytest.importorskip("PIL.Image", reason="the images extra is not installed")
RNG = np.random.default_rng(0)


def taking(*shape: int) -> Model:
    net = NetBuilder()
    x = net.input((1, *shape), name="x")
    return plain_float(net.finish([net.op("TANH", [x], (1, *shape))]), name="n", source="", kind="tflite")


def saved(path: Path, pixels: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pillow.fromarray(np.asarray(pixels, np.uint8)).save(path)
    return path


def picture(height: int, width: int) -> np.ndarray:
    return RNG.integers(0, 256, (height, width, 3)).astype(np.uint8)


def test_digits_as_pngs_in_class_folders_convert_and_are_judged(tmp_path: Path) -> None:
    images, labels = digits()
    for i in range(60):
        saved(tmp_path / str(labels[i]) / f"{i}.png", images[i, :, :, 0] * 255)
    model = plain_float(digits_float_tflite(), name="digits", source="", kind="tflite")
    data = load_data(PreparedFiles(tmp_path, "unit"), model)
    order = np.argsort(labels[:60], kind="stable")
    assert data.labels is not None and data.labels.tolist() == labels[:60][order].tolist()
    brightness = np.sort(data.arrays[0].reshape(60, -1).sum(axis=1))
    np.testing.assert_allclose(brightness, np.sort(images[:60].reshape(60, -1).sum(axis=1)), atol=0.3)
    report = convert(model, representative_data=PreparedFiles(tmp_path, "unit")).report
    assert report.evaluation is not None and report.evaluation.accuracy is not None
    assert report.evaluation.accuracy.float_model > 0.7
    assert any("labels from sub-folders: 0 0, 1 1" in n for n in report.notices)


@pytest.mark.parametrize(
    ("preset", "formula"),
    [
        ("raw", lambda x: x),
        ("unit", lambda x: x / 255),
        ("tf", lambda x: x / 127.5 - 1),
        ("mobilenet_v2", lambda x: x / 127.5 - 1),
        ("torch", lambda x: (x / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]),
        ("caffe", lambda x: x[..., ::-1] - [103.939, 116.779, 123.68]),
    ],
)
def test_presets(tmp_path: Path, preset: str, formula: Any) -> None:
    pixels = picture(6, 5)
    steps = parse(preset)
    assert isinstance(steps, ImageSteps)
    found = image(saved(tmp_path / "x.png", pixels), steps, (6, 5), 3)
    np.testing.assert_allclose(found, formula(pixels.astype(np.float64)), rtol=1e-5, atol=1e-4)


@pytest.mark.slow
@pytest.mark.skipif(not registry.installed("keras"), reason="Keras is not installed")
@pytest.mark.parametrize("mode", ["tf", "torch", "caffe"])
def test_presets_are_those_of_keras(tmp_path: Path, mode: str) -> None:
    from keras.src.applications.imagenet_utils import preprocess_input

    pixels = picture(6, 5)
    steps = parse(mode)
    assert isinstance(steps, ImageSteps)
    found = image(saved(tmp_path / "x.png", pixels), steps, (6, 5), 3)
    np.testing.assert_allclose(found, preprocess_input(pixels.astype(np.float32), mode=mode), rtol=1e-5, atol=1e-4)


def test_crop_takes_the_middle_and_resize_stretches(tmp_path: Path) -> None:
    pixels = np.zeros((4, 8, 3), np.uint8)
    pixels[:, 2:6] = 200
    path = saved(tmp_path / "x.png", pixels)
    middle = image(path, ImageSteps(crop=True), (4, 4), 3)
    assert np.all(middle == 200)
    assert not np.all(image(path, ImageSteps(), (4, 4), 3) == 200)
    smaller = image(path, ImageSteps(resize=(8,), crop=True, interpolation="nearest"), (4, 4), 3)
    assert np.all(smaller == 200)


def test_gray_bgr_and_rotated_photographs(tmp_path: Path) -> None:
    pixels = picture(4, 4)
    path = saved(tmp_path / "x.png", pixels)
    gray = image(path, ImageSteps(), (4, 4), 1)
    np.testing.assert_allclose(gray[..., 0], pixels @ [0.299, 0.587, 0.114], atol=1)
    np.testing.assert_array_equal(image(path, ImageSteps(color="bgr"), (4, 4), 3), pixels[..., ::-1])
    turned = pillow.fromarray(pixels)
    exif = turned.getexif()
    exif[0x0112] = 6  # the camera was held upright: rotate by 270 degrees
    turned.save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(image(tmp_path / "turned.png", ImageSteps(), (4, 4), 3), np.rot90(pixels, 3))


def test_classes_by_name_by_number_and_by_file(tmp_path: Path) -> None:
    for name in ("dog", "cat", "cow"):
        saved(tmp_path / name / "1.png", picture(2, 2))
    found = find_files(tmp_path, (".png",))
    assert found.classes == ("cat", "cow", "dog") and found.labels == (0, 1, 2)
    (tmp_path / "classes.txt").write_text("bird\ndog\ncow\ncat\n")
    found = find_files(tmp_path, (".png",))
    assert found.labels == (1, 2, 3) and [p.parent.name for p in found.paths] == ["dog", "cow", "cat"]
    (tmp_path / "classes.txt").write_text("dog\ncow\n")
    with pytest.raises(DataError, match=r"cat are not among the 2 classes"):
        find_files(tmp_path, (".png",))
    for number in (2, 10):
        saved(tmp_path / "numbers" / str(number) / "1.png", picture(2, 2))
    assert find_files(tmp_path / "numbers", (".png",)).labels == (2, 10)


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    model = taking(4, 4, 3)
    saved(tmp_path / "a.png", picture(4, 4))
    with pytest.raises(DataError, match=r"folder of images.*\n.*--preprocess: raw, unit, tf"):
        load_data(tmp_path, model)
    (tmp_path / "b.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    with pytest.raises(DataError, match=r"b\.png: can't be read as an image"):
        load_data(PreparedFiles(tmp_path, "raw"), model)
    with pytest.raises(DataError, match="gives 1 channels, but the model takes 3"):
        load_data(PreparedFiles(tmp_path, "raw,color=gray"), model)
    with pytest.raises(DataError, match="mean has 2 values"):
        load_data(PreparedFiles(tmp_path / "a.png", "mean=1:2"), model)
    with pytest.raises(DataError, match=r"images have \(1, height, width, 1 or 3\)"):
        load_data(PreparedFiles(tmp_path / "a.png", "raw"), taking(12))
    with pytest.raises(DataError, match=r"holds no \.wav"):
        load_data(PreparedFiles(tmp_path, "mfcc"), taking(49, 10))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("resnet", r"no preprocessing 'resnet'(.|\n)*raw, unit, tf"),
        ("tf,zoom=2", "'zoom=2' says nothing"),
        ("tf,crop", "'crop' says nothing"),
        ("scale=1/0", "a number like 0.5 or 1/255"),
        ("std=0", "can't be 0"),
        ("resize=96x", "HEIGHTxWIDTH"),
        ("crop=left", "one of center, none"),
        ("mfcc,scale=2", "'scale=2' says nothing"),
        ("mfcc,coefficients=0", "above 0"),
    ],
)
def test_a_text_that_means_nothing(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse(text)


def test_a_text_that_does() -> None:
    steps = parse("torch,resize=256,crop=center,interpolation=bicubic")
    torch = PRESETS["torch"][0]
    assert isinstance(torch, ImageSteps)
    assert steps == replace(torch, resize=(256,), crop=True, interpolation="bicubic")
    assert parse("scale=1/255,mean=0.5,resize=96x64") == ImageSteps(scale=1 / 255, mean=(0.5,), resize=(96, 64))
    assert parse("mfcc,coefficients=13,peak=no") == SpeechSteps(coefficients=13, peak=False)
    documented = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
    assert all(f"| `{name}` |" in documented for name in PRESETS)


def tone(path: Path, *, rate: int = 16000, seconds: float = 1.0, width: int = 2, channels: int = 1) -> np.ndarray:
    """A rising tone with some noise; gives the samples as they are stored, -1 to 1."""
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(int(rate * seconds)) / rate
    values = 0.6 * np.sin(2 * np.pi * (300 + 900 * time) * time) + 0.05 * RNG.normal(size=time.size)
    limit = 2 ** (8 * width - 1)
    stored = np.clip(np.round(values * limit), -limit, limit - 1).astype(np.int64)
    raw = (stored + 128 if width == 1 else stored).astype("<i8").view(np.uint8).reshape(-1, 8)[:, :width]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(np.repeat(raw[:, None], channels, axis=1).tobytes())
    return stored / limit


@settings(max_examples=20, deadline=None)
@given(width=st.integers(1, 4), channels=st.integers(1, 3))
def test_recordings_of_every_width(width: int, channels: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("wav") / "x.wav"
    stored = tone(path, seconds=0.01, width=width, channels=channels)
    found, rate = read_wav(path)
    assert rate == 16000
    np.testing.assert_allclose(found, stored, atol=1e-12)


def test_a_folder_of_recordings_is_49_by_10(tmp_path: Path) -> None:
    for word, seconds in (("yes", 1.0), ("no", 0.4)):
        for i in range(2):
            tone(tmp_path / word / f"{i}.wav", seconds=seconds)
    model = taking(49, 10, 1)
    data = load_data(PreparedFiles(tmp_path, "mfcc"), model)
    assert (
        data.arrays[0].shape == (4, 1, 49, 10, 1) and data.labels is not None and data.labels.tolist() == [0, 0, 1, 1]
    )
    assert not np.allclose(data.arrays[0][0], data.arrays[0][2])
    tone(tmp_path / "yes" / "fast.wav", rate=44100)
    with pytest.raises(DataError, match=r"fast\.wav: was recorded at 44100 Hz"):
        load_data(PreparedFiles(tmp_path, "mfcc"), model)
    (tmp_path / "yes" / "fast.wav").write_bytes(b"RIFF")
    with pytest.raises(DataError, match=r"can't be read as a \.wav"):
        load_data(PreparedFiles(tmp_path, "mfcc"), model)


def test_a_pure_tone_is_loudest_in_its_own_mel_bin() -> None:
    from edgeq.quantize.mfcc import hann, mel_weights

    weights = mel_weights(257, 16000, 40, 20.0, 4000.0)
    assert weights.shape == (257, 40) and weights.min() == 0 and weights.max() <= 1
    wave_1k = np.sin(2 * np.pi * 1000 * np.arange(480) / 16000)
    energies = np.abs(np.fft.rfft(wave_1k * hann(480), 512)) @ weights
    edges = 700 * (np.exp(np.linspace(*(1127 * np.log1p(np.array([20, 4000]) / 700)), 42) / 1127) - 1)
    assert edges[energies.argmax()] < 1000 < edges[energies.argmax() + 2]


@pytest.mark.slow
@pytest.mark.skipif(not registry.installed("tensorflow"), reason="TensorFlow is not installed")
def test_coefficients_are_tensorflows() -> None:
    import tensorflow as tf

    steps = SpeechSteps()
    audio = RNG.normal(0, 0.2, 16000).astype(np.float32)
    found = mfcc(
        audio, rate_hz=16000, window_ms=30, stride_ms=20, mel_bins=40, low_hz=20, high_hz=4000, coefficients=10
    )
    spectra = tf.abs(tf.signal.stft(audio, frame_length=480, frame_step=320, window_fn=tf.signal.hann_window))
    matrix = tf.signal.linear_to_mel_weight_matrix(40, spectra.shape[-1], 16000, 20.0, 4000.0)
    logarithms = tf.math.log(tf.tensordot(spectra, matrix, 1) + 1e-6)
    expected = tf.signal.mfccs_from_log_mel_spectrograms(logarithms)[..., :10].numpy()
    assert expected.shape == found.shape == (49, steps.coefficients)
    np.testing.assert_allclose(found, expected, atol=2e-3 * np.abs(expected).max())
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
