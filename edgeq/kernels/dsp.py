"""Packing for cores with the DSP extension, as firmware_templates/kernels/dsp/edgeq_dsp.h describes it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgeq.kernels.arithmetic import INT8_MAX, INT8_MIN, Multiplier
from edgeq.kernels.contract import Constant

_MOST_RIGHT_SHIFT = 22  # the zero point and half a unit, shifted into place, stay below 2**30
_CAREFUL = 1 << 16


def round_up(value: int, step: int) -> int:
    """The least multiple of `step` that is not below `value`."""
    return -(-value // step) * step


def folded_bias(bias: npt.NDArray[np.int32], sums: npt.NDArray[np.int64], zero: int, step: int) -> bytes:
    """bias - zero * (sum of the channel's weights), modulo 2**32, padded with zeros to a multiple of `step`."""
    values = np.zeros(round_up(bias.size, step), np.int64)
    values[: bias.size] = bias.astype(np.int64) - zero * sums
    return (values & 0xFFFFFFFF).astype("<u4").tobytes()


def scale_records(multipliers: tuple[Multiplier, ...], out_zero: int, act_min: int, act_max: int, step: int) -> bytes:
    """`edgeq_dsp_scale` records, the last repeated up to a multiple of `step`."""
    tight = act_min > INT8_MIN or act_max < INT8_MAX
    words: list[int] = []
    for m in multipliers:
        left, right = max(m.shift, 0), max(-m.shift, 0)
        rounding = (1 << right >> 1) + (out_zero << right)
        careful = _CAREFUL if right == 0 or tight else 0
        words += [m.value, rounding & 0xFFFFFFFF, (left + 1) | right << 8 | careful]
    words += words[-3:] * (round_up(len(multipliers), step) - len(multipliers))
    return np.array(words, "<u4").tobytes()


def sums_stay_small(
    weights: npt.NDArray[np.int8], bias: npt.NDArray[np.int32], multipliers: tuple[Multiplier, ...]
) -> bool:
    """Whether no sum can reach 2**30 after its left shift, and every right shift leaves room for the rounding term.

    Args:
        weights: [channels][depth].
    """
    largest = np.abs(weights.astype(np.int64)).sum(axis=1) * 255 + np.abs(bias.astype(np.int64))
    scales = [multipliers[min(i, len(multipliers) - 1)] for i in range(largest.size)]
    return all(
        int(size) << max(m.shift, 0) < 1 << 30 and -m.shift <= _MOST_RIGHT_SHIFT
        for size, m in zip(largest, scales, strict=True)
    )


def in_sxtb16_order(weights: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """[channels][depth] padded to a multiple of four inputs, paired: [channels][pairs][2]."""
    channels, depth = weights.shape
    padded = np.zeros((channels, round_up(depth, 4)), np.int8)
    padded[:, :depth] = weights
    fours = padded.shape[1] // 4
    return padded.reshape(channels, fours, 2, 2).transpose(0, 1, 3, 2).reshape(channels, 2 * fours, 2)


def pack_two_channels(weights: npt.NDArray[np.int8]) -> bytes:
    """[channels][depth] for edgeq_dsp_mat_mul_4: for each two channels, for each pair of inputs, one word."""
    paired = in_sxtb16_order(_even_rows(weights))
    channels, pairs, _ = paired.shape
    return paired.reshape(channels // 2, 2, pairs, 2).transpose(0, 2, 3, 1).tobytes()


def pack_rows(weights: npt.NDArray[np.int8]) -> bytes:
    """[rows][depth] for edgeq_dsp_mat_vec: eight rows a time, four words per pair; the rest two rows a time."""
    eights = weights.shape[0] // 8 * 8
    paired = in_sxtb16_order(weights[:eights])
    blocks = paired.reshape(eights // 8, 4, 2, paired.shape[1], 2).transpose(0, 3, 1, 4, 2)
    return blocks.tobytes() + pack_two_channels(weights[eights:])


def pack_taps(weights: npt.NDArray[np.int8]) -> bytes:
    """[taps][channels] for the depthwise kernel: four channels a time, two words per pair of taps; then the rest."""
    taps, channels = weights.shape
    padded = np.zeros((round_up(taps, 2), channels), np.int8)
    padded[:taps] = weights
    fours = channels // 4 * 4
    blocks = padded[:, :fours].reshape(padded.shape[0] // 2, 2, fours // 4, 2, 2).transpose(2, 0, 3, 1, 4)
    return blocks.tobytes() + padded[:, fours:].T.tobytes()


def _even_rows(weights: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    if weights.shape[0] % 2 == 0:
        return weights
    return np.vstack([weights, np.zeros((1, weights.shape[1]), np.int8)])


def constants(weights: bytes, bias: bytes, scales: bytes) -> tuple[Constant, ...]:
    """The three constants of every DSP kernel."""
    return (
        Constant("weights", "int8_t", weights),
        Constant("bias", "int32_t", bias),
        Constant("scales", "int32_t", scales, "parameters"),
    )
