"""Mel-frequency cepstral coefficients in numpy, as TensorFlow's `tf.signal` computes them.

Frames by a periodic Hann window, the magnitude of their FFT (length: the next power of two), triangular mel filters
(HTK's scale, mel = 1127 ln(1 + f/700)), ln(x + 1e-6), the DCT-II scaled by 1/sqrt(2 bins). This is the feature pipeline
that the MLPerf Tiny keyword model was trained with: stft, linear_to_mel_weight_matrix, mfccs_from_log_mel_spectrograms.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
_FLOOR = 1e-6


def mfcc(
    samples: Array,
    *,
    rate_hz: int,
    window_ms: float,
    stride_ms: float,
    mel_bins: int,
    low_hz: float,
    high_hz: float,
    coefficients: int,
) -> npt.NDArray[np.float32]:
    """Coefficients of one recording.

    Args:
        samples: shape (n,).

    Returns:
        Shape (frames, coefficients); frames that would reach beyond the end are left out.
    """
    window = round(rate_hz * window_ms / 1000)
    stride = round(rate_hz * stride_ms / 1000)
    count = max(0, 1 + (len(samples) - window) // stride)
    starts = np.arange(count) * stride
    frames = samples.astype(np.float64)[starts[:, None] + np.arange(window)]
    length = 1 << max(0, window - 1).bit_length()
    magnitudes = np.abs(np.fft.rfft(frames * hann(window), length))
    energies = magnitudes @ mel_weights(magnitudes.shape[1], rate_hz, mel_bins, low_hz, high_hz)
    found: npt.NDArray[np.float32] = (np.log(energies + _FLOOR) @ dct(mel_bins)[:, :coefficients]).astype(np.float32)
    return found


def hann(length: int) -> Array:
    """The periodic Hann window."""
    window: Array = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    return window


def mel_weights(spectrum_bins: int, rate_hz: int, mel_bins: int, low_hz: float, high_hz: float) -> Array:
    """Shape (spectrum_bins, mel_bins): triangles in mel; the bin of 0 Hz counts for nothing."""

    def mel(hertz: Array) -> Array:
        mels: Array = 1127.0 * np.log1p(hertz / 700.0)
        return mels

    spectrum = mel(np.linspace(0.0, rate_hz / 2, spectrum_bins)[1:])[:, None]
    low, high = mel(np.array([low_hz, high_hz]))
    edges = np.linspace(low, high, mel_bins + 2)
    below, centre, above = edges[:-2], edges[1:-1], edges[2:]
    rising = (spectrum - below) / (centre - below)
    falling = (above - spectrum) / (above - centre)
    return np.vstack([np.zeros((1, mel_bins)), np.maximum(0.0, np.minimum(rising, falling))])


def dct(bins: int) -> Array:
    """Shape (bins, bins): the DCT-II of each, scaled by 1/sqrt(2 bins) after its own factor 2."""
    n, k = np.arange(bins)[:, None], np.arange(bins)[None, :]
    cosines: Array = 2.0 * np.cos(np.pi * k * (2 * n + 1) / (2 * bins)) / np.sqrt(2.0 * bins)
    return cosines
