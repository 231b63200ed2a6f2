"""Whether an imported network computes what the original does: both on the same random inputs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeq.errors import UnsupportedError
from edgeq.importers.lowering.net import narrowed

TOLERANCE = 1e-4
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Verification:
    """How near the float `.tflite` is to the model it was made from.

    Attributes:
        against: the engine that ran the original.
        samples: random inputs tried.
        differences: by output name, the largest difference as a share of the output's range (largest minus smallest
            value over all samples).
    """

    against: str
    samples: int
    differences: Mapping[str, float]

    @property
    def largest(self) -> float:
        """Of all outputs."""
        return max(self.differences.values(), default=0.0)

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {
            "against": self.against,
            "samples": self.samples,
            "largest_difference_of_range": self.largest,
            "differences_of_range": dict(self.differences),
        }

    def sentence(self) -> str:
        """For the conversion report."""
        return (
            f"verified against {self.against} on {self.samples} random inputs: outputs differ by at most "
            f"{self.largest:.1e} of their range"
        )


def verify(
    tflite: bytes,
    check: Path,
    inputs: Sequence[str],
    outputs: Sequence[str],
    layouts: Mapping[str, tuple[int, ...]],
    *,
    against: str,
    where: str,
) -> Verification:
    """Run the `.tflite` on the inputs of a `check.npz` and compare.

    Args:
        check: arrays `input SAMPLE PLACE` and `output SAMPLE PLACE`, in the original's layout.
        layouts: ends that come in another: name → axes of the original.

    Raises:
        UnsupportedError: it can't be run, or an output differs by more than 1e-4 of its range; the message names it.
    """
    with np.load(check) as stored:
        samples = 1 + max(int(name.split()[1]) for name in stored.files)
        feeds = [
            [_as_net(stored[f"input {s} {i}"], layouts.get(n)) for i, n in enumerate(inputs)] for s in range(samples)
        ]
        wanted = [
            [_as_net(stored[f"output {s} {i}"], layouts.get(n)) for i, n in enumerate(outputs)] for s in range(samples)
        ]
    found = _run(tflite, feeds, where)
    differences = {name: _difference([w[i] for w in wanted], [f[i] for f in found]) for i, name in enumerate(outputs)}
    wrong = {name: share for name, share in differences.items() if not share <= TOLERANCE}
    if wrong:
        worst = max(wrong, key=lambda name: wrong[name])
        raise UnsupportedError(
            f"the converted network differs from {against}: output '{worst}' by {wrong[worst]:.2g} of its range "
            f"on random inputs ({TOLERANCE:g} is allowed)",
            where=where,
            next_step="report this model to edgeq's authors: one of its operators is converted wrongly; a .tflite "
            "made by another converter is accepted too",
            differences={name: float(share) for name, share in differences.items()},
        )
    return Verification(against, samples, differences)


def _as_net(array: Array, axes: tuple[int, ...] | None) -> Array:
    return np.array(narrowed(array if axes is None else array.transpose(axes)), order="C")


def _difference(wanted: list[Array], found: list[Array]) -> float:
    """The largest difference over all samples, as a share of the range; infinite where shapes or finiteness differ."""
    if any(w.shape != f.shape for w, f in zip(wanted, found, strict=True)):
        return float("inf")
    expected = np.stack(wanted).astype(np.float64)
    actual = np.stack(found).astype(np.float64)
    finite = np.isfinite(expected)
    if not np.array_equal(expected[~finite], actual[~finite], equal_nan=True):
        return float("inf")
    if not finite.any():
        return 0.0
    expected, actual = expected[finite], actual[finite]
    error = float(np.max(np.abs(actual - expected)))
    spread = float(expected.max() - expected.min())
    # A constant output has no range; its own size stands for it.
    scale = spread if spread > 1e-6 * float(np.abs(expected).max()) else float(np.abs(expected).max())
    return error / scale if scale > 0 else (0.0 if error == 0 else float("inf"))


def _run(tflite: bytes, feeds: list[list[Array]], where: str) -> list[list[Array]]:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            interpreter: Any = Interpreter(
                model_content=tflite,
                experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
                num_threads=1,
            )
        interpreter.allocate_tensors()
        ends = [d["index"] for d in interpreter.get_input_details()]
        results = [d["index"] for d in interpreter.get_output_details()]
        found = []
        for feed in feeds:
            for index, array in zip(ends, feed, strict=True):
                interpreter.set_tensor(index, array)
            interpreter.invoke()
            found.append([np.array(interpreter.get_tensor(index)) for index in results])
        return found
    except (RuntimeError, ValueError) as failed:
        raise UnsupportedError(
            f"LiteRT can't run the converted network: {str(failed).strip()}",
            where=where,
            next_step="report this model to edgeq's authors",
        ) from failed
