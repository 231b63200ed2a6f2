"""Packing for cores with the DSP extension, as firmware_templates/kernels/dsp/edgeq_dsp.h describes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from edgeq.kernels.arithmetic import INT8_MAX, INT8_MIN, Multiplier
from edgeq.kernels.channels import Channels
from edgeq.kernels.contract import Constant

_MOST_RIGHT_SHIFT = 22  # the zero point and half a unit, shifted into place, stay below 2**30
_CAREFUL = 1 << 16


def round_up(value: int, step: int) -> int:
    """The least multiple of `step` that is not below `value`."""
    return -(-value // step) * step


@dataclass(frozen=True, eq=False)
class Prepared:
    """Channels as the DSP kernels take them.

    Attributes:
        weights: int8, [channels][depth].
        bias: int32 with the input's zero point folded in, padded to a multiple of `step`.
        scales: `edgeq_dsp_scale` records, the last repeated up to a multiple of `step`.
        careful: whether any record needs the careful path.
        left: whether any record shifts to the left.
    """

    weights: npt.NDArray[np.int8]
    bias: bytes
    scales: bytes
    careful: bool
    left: bool


def prepare(channels: Channels, step: int, scaled: int = 0) -> Prepared:
    """Fold the zero point into the bias, write the scale records, and write constant channels as constants.

    Args:
        scaled: the kernel's weights, and with them its sums, are 2**scaled times the channels'.
    """
    fixed = channels.constants()
    bias = np.zeros(round_up(channels.bias.size, step), np.int64)
    sums = channels.weights.astype(np.int64).sum(axis=1)
    bias[: channels.bias.size] = channels.bias.astype(np.int64) - channels.in_zero * sums
    for channel in fixed:
        bias[channel] = 0
    records = [
        _fixed_record(fixed[i]) if i in fixed else _record(m, channels, scaled)
        for i, m in enumerate(channels.multipliers)
    ]
    records += records[-1:] * (round_up(len(records), step if len(records) > 1 else 1) - len(records))
    return Prepared(
        weights=channels.weights,
        bias=(bias << scaled & 0xFFFFFFFF).astype("<u4").tobytes(),
        scales=np.array(records, "<u4").tobytes(),
        careful=any(shifts & _CAREFUL for _, _, shifts in records),
        left=any(shifts & 0xFF != 1 for _, _, shifts in records),
    )


def _record(m: Multiplier, channels: Channels, scaled: int) -> tuple[int, int, int]:
    left, right = max(m.shift, 0), max(-m.shift, 0)
    first = scaled - 1 - left if scaled else left + 1
    tight = channels.act_min > INT8_MIN or channels.act_max < INT8_MAX
    rounding = (1 << right >> 1) + (channels.out_zero << right)
    return m.value, rounding & 0xFFFFFFFF, first | right << 8 | (_CAREFUL if right == 0 or tight else 0)


def _fixed_record(value: int) -> tuple[int, int, int]:
    """Any sum times 0, plus twice the value, halved; it lies within the clamp already."""
    return 0, (2 * value) & 0xFFFFFFFF, 1 | 1 << 8


def sums_stay_small(channels: Channels, scaled: int = 0) -> bool:
    """Whether the DSP kernels' rounding is exact: no sum can reach 2**30 after its left shift, and every right shift
    leaves room for the rounding term. Channels that never change don't count.

    Args:
        scaled: as for `prepare`: then sums 2**scaled as large must fit in 31 bits too, and the left shift be less.
    """
    fixed = channels.constants()
    low, high = channels.interval()
    multipliers = channels.multipliers
    return all(
        i in fixed
        or (
            max(abs(a), abs(b)) << max(m.shift, scaled, 0) < 1 << 30
            and -m.shift <= _MOST_RIGHT_SHIFT
            and (not scaled or m.shift < scaled)
        )
        for i, (a, b) in enumerate(zip(low.tolist(), high.tolist(), strict=True))
        for m in (multipliers[min(i, len(multipliers) - 1)],)
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


def pack_two_channels_int4(weights: npt.NDArray[np.int8]) -> bytes:
    """[channels][depth] for edgeq_dsp_mat_mul_4_s4: the words of two neighbouring pairs are the halves of one."""
    words = np.frombuffer(pack_two_channels(weights), np.uint8).reshape(-1, 2, 4)
    return _halves(words[:, 0], words[:, 1])


def pack_rows_int4(weights: npt.NDArray[np.int8]) -> bytes:
    """[rows][depth] for edgeq_dsp_mat_vec_s4: eight rows a time, two words per pair; the rest two rows a time."""
    eights = weights.shape[0] // 8 * 8
    words = np.frombuffer(pack_rows(weights[:eights]), np.uint8).reshape(-1, 2, 4)
    return _halves(words[:, 0], words[:, 1]) + pack_two_channels_int4(weights[eights:])


def _halves(high: npt.NDArray[np.uint8], low: npt.NDArray[np.uint8]) -> bytes:
    return ((high & 15) << 4 | low & 15).astype(np.uint8).tobytes()


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


def pack_filter_rows(weights: npt.NDArray[np.int8]) -> bytes:
    """[channels][3][3] for the 3x3 depthwise kernel: k0 k1 k2 0 for each row of the filter."""
    padded = np.zeros((weights.shape[0], 3, 4), np.int8)
    padded[:, :, :3] = weights
    return padded.tobytes()


def constants(packed: bytes, prepared: Prepared) -> tuple[Constant, ...]:
    """The three constants of every DSP kernel."""
    return (
        Constant("weights", "int8_t", packed),
        Constant("bias", "int32_t", prepared.bias),
        Constant("scales", "int32_t", prepared.scales, "parameters"),
    )


@dataclass(frozen=True)
class Width:
    """A width of weights that has matrix products of its own.

    Attributes:
        tile, rows: the C functions, four pixels at a time and one vector at a time.
        pack_tile, pack_rows: [channels][depth] as they read it.
        tile_source, rows_source: the files that hold them.
        scaled: sums are 2**scaled times what they stand for.
        pace, rows_pace: what they cost on a Cortex-M4 with ideal memory, in words.
    """

    tile: str
    rows: str
    pack_tile: Callable[[npt.NDArray[np.int8]], bytes]
    pack_rows: Callable[[npt.NDArray[np.int8]], bytes]
    tile_source: str
    rows_source: str
    scaled: int
    pace: str
    rows_pace: str


INT8 = Width(
    tile="edgeq_dsp_mat_mul_4",
    rows="edgeq_dsp_mat_vec",
    pack_tile=pack_two_channels,
    pack_rows=pack_rows,
    tile_source="dsp/mat_mul_s8_dsp.S",
    rows_source="dsp/mat_vec_s8_dsp.S",
    scaled=0,
    pace="17 cycles per 16 MACs",
    rows_pace="23 cycles per 16 MACs",
)
INT4 = Width(
    tile="edgeq_dsp_mat_mul_4_s4",
    rows="edgeq_dsp_mat_vec_s4",
    pack_tile=pack_two_channels_int4,
    pack_rows=pack_rows_int4,
    tile_source="dsp/mat_mul_s4_dsp.S",
    rows_source="dsp/mat_vec_s4_dsp.S",
    scaled=4,
    pace="37 cycles per 32 MACs",
    rows_pace="27 cycles per 16 MACs",
)

TOP: Mapping[int, Width] = MappingProxyType(
    {
        bits: replace(
            INT8,
            tile=f"edgeq_dsp_mat_mul_4_top{bits}",
            rows=f"edgeq_dsp_mat_vec_top{bits}",
            tile_source=f"dsp/mat_mul_top{bits}_dsp.S",
            rows_source=f"dsp/mat_vec_top{bits}_dsp.S",
            scaled=scaled,
            pace=f"{tile} cycles per 16 MACs",
            rows_pace=f"{rows} cycles per 16 MACs",
        )
        for bits, scaled, tile, rows in ((4, 4, 20, 35), (2, 5, 19, 31))
    }
)
"""Of int8 weights the highest bits: packed as they are, cut down when they are loaded."""
