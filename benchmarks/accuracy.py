"""edgeq, TFLiteConverter and ai-edge-quantizer side by side: accuracy of their default int8, time, peak memory.

    python benchmarks/accuracy.py [--data FOLDER] [--case NAME …] [--tool NAME …] [--json FILE]

FOLDER (or EDGEQ_SHARED/data) has the reference models and data. Each conversion runs in a process of its own, from the
file on disk to the quantized one, imports included. Peak memory is that of the larger of this process and its children
(edgeq's TensorFlow lives in a child). Calibration data are the same 200 samples for all, without labels. edgeq and
ai-edge-quantizer read the float .tflite; TFLiteConverter can't, and reads the Keras file or SavedModel, as edgeq does
once more in its second row. Accuracy is computed on samples that took no part, with LiteRT's own kernels without
delegates (--reference: with TensorFlow Lite's reference kernels, many times slower); ± is one standard error of the
difference to float, on the same samples. A row is called worse when it is below another by more than two of these.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

FROM_KERAS = "edgeq, from Keras"
TOOLS = ("edgeq", FROM_KERAS, "tflite-converter", "ai-edge-quantizer")
CALIBRATION = 200


@dataclass(frozen=True)
class Case:
    """One network with its data.

    Attributes:
        float_file: what edgeq and ai-edge-quantizer read; `source` what TFLiteConverter reads.
        data: (calibration, test, labels).
    """

    float_file: str
    source: str
    data: Callable[[Path], tuple[np.ndarray, np.ndarray, np.ndarray]]


def images(scale: float, spoil: tuple[slice, float] | None = None) -> Callable[[Path], Any]:
    """CIFAR-10, `spoil`ed: which calibration images are multiplied, and by what."""

    def read(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        with np.load(folder / "cifar10_subset.npz") as archive:
            calibration, test = (archive[k].astype(np.float32) * np.float32(scale) for k in ("x_cal", "x_test"))
            calibration = calibration[:CALIBRATION].copy()
            if spoil is not None:
                calibration[spoil[0]] *= spoil[1]
            return calibration, test, archive["y_test"]

    return read


def keywords(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features of Speech Commands: the first 200 calibrate, the others test."""
    with np.load(folder / "kws_features.npz") as archive:
        values = (archive["x_int8"].astype(np.float32) - archive["zero_point"]) * archive["scale"]
        samples, labels = values.astype(np.float32)[..., None], archive["y"]
    return samples[:CALIBRATION], samples[CALIBRATION:], labels[CALIBRATION:]


_HARD = "hard_cases/{}_float.tflite", "hard_cases/{}.keras"
CASES = {
    "kws": Case("mlperf_tiny/kws_float.tflite", "mlperf_tiny/kws_saved_model", keywords),
    "ic": Case("mlperf_tiny/ic_float.tflite", "mlperf_tiny/ic.h5", images(1.0)),
    **{name: Case(*(p.format(name) for p in _HARD), images(1 / 255)) for name in ("even", "uneven3", "uneven5")},
    "one by 255": Case(*(p.format("even") for p in _HARD), images(1 / 255, (slice(17, 18), 255.0))),
    "every 20th by 20": Case(*(p.format("even") for p in _HARD), images(1 / 255, (slice(0, None, 20), 20.0))),
}


def convert(tool: str, case: Case, folder: Path, output: Path) -> None:
    """One conversion, in this process."""
    calibration, _, _ = case.data(folder)
    path = folder / case.float_file
    if tool in ("edgeq", FROM_KERAS):
        import edgeq

        path = path if tool == "edgeq" else folder / case.source
        output.write_bytes(edgeq.convert(path, representative_data=calibration).tflite)
    elif tool == "tflite-converter":
        output.write_bytes(_by_tensorflow(folder / case.source, calibration))
    else:
        output.write_bytes(_by_quantizer(path, calibration))


def _by_tensorflow(path: Path, calibration: np.ndarray) -> bytes:
    os.environ["TF_USE_LEGACY_KERAS"] = "1" if path.suffix == ".h5" else "0"
    import tensorflow as tf

    if path.is_dir():
        converter = tf.lite.TFLiteConverter.from_saved_model(str(path))
    else:
        converter = tf.lite.TFLiteConverter.from_keras_model(tf.keras.models.load_model(path, compile=False))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([sample[None]] for sample in calibration)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def _by_quantizer(path: Path, calibration: np.ndarray) -> bytes:
    from ai_edge_quantizer import quantizer, recipe

    from edgeq import importers

    # edgeq's importer only freezes the batch to 1 here; the weights and the arithmetic are the file's.
    model = importers.load(path)
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "float.tflite"
        plain.write_bytes(model.tflite)
        engine = quantizer.Quantizer(str(plain), recipe.static_wi8_ai8())
        name = model.inputs[0]
        ranges = engine.calibrate({"serving_default": [{name: sample[None]} for sample in calibration]})
        return bytes(engine.quantize(ranges).quantized_model)


def measured(tool: str, name: str, folder: Path, output: Path) -> dict[str, float]:
    """Seconds and MB of a conversion in a process of its own."""
    line = [sys.executable, __file__, "--data", str(folder), "--convert", tool, name, str(output)]
    started = time.monotonic()
    done = subprocess.run(line, capture_output=True, check=False, text=True)
    if done.returncode:
        raise SystemExit(f"{tool} failed on {name}:\n{done.stderr[-3000:]}")
    told = json.loads(done.stdout.splitlines()[-1])
    return {"seconds": time.monotonic() - started, **told}


def right(data: bytes, test: np.ndarray, labels: np.ndarray, by_reference: bool) -> np.ndarray:
    """Whether each test sample's first choice is its label."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    from edgeq import tflite
    from edgeq.quantize import dequantized, quantized
    from edgeq.reference import Reference

    graph = tflite.parse(data)
    first, last = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
    if by_reference:
        reference = Reference(data, graph)
        stored = [reference.run([quantized(first, s[None])])[0] for s in test]
    else:
        kernels = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        interpreter = Interpreter(model_content=data, experimental_op_resolver_type=kernels, num_threads=1)
        interpreter.allocate_tensors()
        stored = []
        for sample in test:
            interpreter.set_tensor(first.index, quantized(first, sample[None]))
            interpreter.invoke()
            stored.append(interpreter.get_tensor(last.index))
    return np.array([dequantized(last, values).argmax() for values in stored]) == labels


def compare(name: str, folder: Path, tools: Sequence[str], by_reference: bool) -> dict[str, Any]:
    """All tools on one case."""
    from edgeq import importers

    case = CASES[name]
    _, test, labels = case.data(folder)
    floating = right(importers.load(folder / case.float_file).tflite, test, labels, by_reference)
    rows: dict[str, Any] = {}
    marks: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for tool in tools:
            output = Path(scratch) / f"{tool}.tflite"
            figures = measured(tool, name, folder, output)
            marks[tool] = right(output.read_bytes(), test, labels, by_reference)
            rows[tool] = {"accuracy": float(marks[tool].mean()), "error": _error(marks[tool], floating), **figures}
    for tool, row in rows.items():
        row["worse_than"] = [
            other
            for other in rows
            if marks[other].mean() - marks[tool].mean() > 2 * _error(marks[other], marks[tool]) and other != tool
        ]
    return {"case": name, "samples": len(test), "float": float(floating.mean()), "tools": rows}


def _error(a: np.ndarray, b: np.ndarray) -> float:
    """The standard error of the difference of two accuracies on the same samples."""
    return float((a.astype(float) - b).std() / math.sqrt(len(a)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("EDGEQ_SHARED", ".")) / "data")
    parser.add_argument("--case", nargs="*", choices=list(CASES), default=list(CASES))
    parser.add_argument("--tool", nargs="*", choices=TOOLS, default=TOOLS)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--reference", action="store_true")
    parser.add_argument("--convert", nargs=3, metavar=("TOOL", "CASE", "OUTPUT"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.convert:
        tool, name, output = asked.convert
        convert(tool, CASES[name], asked.data, Path(output))
        peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        cpu = sum(sum(resource.getrusage(w)[:2]) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        print(json.dumps({"peak_mb": max(peaks) / 1024, "cpu_seconds": cpu}))
        return 0
    results = []
    print(f"{'case':18}{'float':>7}  {'tool':18}{'accuracy':>9}{'±':>7}{'s':>7}{'CPU s':>7}{'MB':>7}")
    for name in asked.case:
        found = compare(name, asked.data, asked.tool, asked.reference)
        results.append(found)
        for place, (tool, row) in enumerate(found["tools"].items()):
            head = f"{name:18}{found['float']:7.3f}" if place == 0 else " " * 25
            worse = f"  worse than {', '.join(row['worse_than'])}" if row["worse_than"] else ""
            print(
                f"{head}  {tool:18}{row['accuracy']:9.3f}{row['error']:7.3f}{row['seconds']:7.1f}"
                f"{row['cpu_seconds']:7.1f}{row['peak_mb']:7.0f}{worse}",
                flush=True,
            )
    if asked.json:
        asked.json.write_text(json.dumps(results, indent=1))
    return int(any(row["worse_than"] for found in results for tool, row in found["tools"].items() if tool == "edgeq"))


if __name__ == "__main__":
    sys.exit(main())
