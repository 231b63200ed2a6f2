"""What goes into a layer while calibration samples run: rows of inputs, at the same positions in every network."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeq.graph import Graph, Op, Tensor
from edgeq.kernels.windows import window_of
from edgeq.quantize.affine import dequantized, quantized

Array = npt.NDArray[np.float64]

_ROWS = 8192
"""Rows of inputs that a layer's second moments are made of, about."""


@dataclass(frozen=True)
class Places:
    """Which rows are taken.

    Attributes:
        samples: how many samples are run.
        per_sample: rows of each.
        seed: of their choice.
    """

    samples: int
    seed: int = 0

    def per_sample(self, positions: int) -> int:
        """Rows of each sample, of so many output positions."""
        return min(positions, max(1, _ROWS // self.samples))


def rows_of(graph: Graph, op: Op, values: npt.NDArray[Any], places: Places, number: int) -> Array:
    """Rows of real inputs of a CONV_2D or FULLY_CONNECTED, (count, depth), for one sample.

    Args:
        values: the real values of its input tensor; what is padded is 0.
        number: the sample's, for the choice of positions.
    """
    weights = graph.input_of(op, 1)
    assert weights is not None
    if op.kind == "FULLY_CONNECTED":
        rows = values.reshape(-1, weights.shape[1])
    else:
        rows = _patches(graph, op, values, weights)
    chosen = np.random.default_rng((places.seed, number)).permutation(len(rows))[: places.per_sample(len(rows))]
    return np.asarray(rows[chosen], np.float64)


def _patches(graph: Graph, op: Op, values: npt.NDArray[Any], weights: Tensor) -> npt.NDArray[Any]:
    source = graph.input_of(op, 0)
    assert source is not None
    w = window_of(source, graph.output_of(op), op, weights.shape[1], weights.shape[2])
    below = max(0, (w.out_h - 1) * w.stride_h + (w.filter_h - 1) * w.dilation_h + 1 - w.pad_h - w.in_h)
    right = max(0, (w.out_w - 1) * w.stride_w + (w.filter_w - 1) * w.dilation_w + 1 - w.pad_w - w.in_w)
    padded = np.pad(values, ((0, 0), (w.pad_h, below), (w.pad_w, right), (0, 0)))
    taps = [
        padded[
            :,
            fy * w.dilation_h : fy * w.dilation_h + (w.out_h - 1) * w.stride_h + 1 : w.stride_h,
            fx * w.dilation_w : fx * w.dilation_w + (w.out_w - 1) * w.stride_w + 1 : w.stride_w,
        ]
        for fy in range(w.filter_h)
        for fx in range(w.filter_w)
    ]
    patches: npt.NDArray[Any] = np.stack(taps, axis=3).reshape(w.positions, -1)
    return patches


class IntegerRunner:
    """A quantized model in LiteRT, without delegates, every tensor kept."""

    def __init__(self, model: bytes, graph: Graph) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        self._graph = graph
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "intended for debugging": it is
            self._interpreter: Any = Interpreter(
                model_content=model,
                experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
                experimental_preserve_all_tensors=True,
                num_threads=1,
            )
        self._interpreter.allocate_tensors()

    def run(self, sample: list[npt.NDArray[Any]]) -> None:
        """One inference on real values."""
        self._interpreter.reset_all_variables()
        for index, array in zip(self._graph.inputs, sample, strict=True):
            self._interpreter.set_tensor(index, quantized(self._graph.tensors[index], array))
        self._interpreter.invoke()

    def real(self, index: int) -> npt.NDArray[np.float32]:
        """The real values of a tensor after `run`."""
        return dequantized(self._graph.tensors[index], self._interpreter.get_tensor(index))


def rows_over(
    runner: IntegerRunner, graph: Graph, op: Op, samples: Iterator[list[npt.NDArray[Any]]], places: Places
) -> Array:
    """The rows of all samples, one after the other."""
    found = []
    for number, sample in enumerate(samples):
        runner.run(sample)
        found.append(rows_of(graph, op, runner.real(op.inputs[0]), places, number))
    return np.concatenate(found)
