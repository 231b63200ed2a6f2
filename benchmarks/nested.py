"""Accuracy of one nested model at 8, 4 and 2 bits, beside models quantized for one of these precisions alone.

    EDGEQ_SHARED=../shared python benchmarks/nested.py [kws] [ic] [even] [--evaluate N]

"nested" is one file for all three. "alone" are files whose weights were chosen by the same search for that precision
only. "nearest" is what slicing an ordinary int8 conversion gives, with the scales that the bits have by themselves
(16 and 32 times the 8-bit one) and its biases. First, last and depthwise layers have 8 bits in all of them. Samples
that are evaluated took no part in calibration; the reference kernels compute.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from types import MappingProxyType

import numpy as np

from edgeq import importers, tflite
from edgeq.graph import Level, Nested, NestedLayer
from edgeq.quantize import convert, load_data
from edgeq.quantize.evaluate import evaluate
from edgeq.quantize.nested import convert_nested, nested_layers
from edgeq.tflite.nested import attach

BITS = (8, 4, 2)


def data_of(name: str, folder: Path) -> tuple[Path, np.ndarray, np.ndarray, np.ndarray]:
    """The float model, calibration samples, and labelled ones to evaluate."""
    if name == "kws":
        held = np.load(folder / "kws_features.npz")
        real = (held["x_int8"].astype(np.float32) - float(held["zero_point"])) * float(held["scale"])
        samples = real.reshape(-1, 49, 10, 1)
        return folder / "mlperf_tiny" / "kws_float.tflite", samples[:300], samples[300:], held["y"][300:]
    held = np.load(folder / "cifar10_subset.npz")
    scale = np.float32(255 if name == "even" else 1)
    model = folder / ("hard_cases/even_float.tflite" if name == "even" else "mlperf_tiny/ic_float.tflite")
    return model, held["x_cal"].astype(np.float32) / scale, held["x_test"].astype(np.float32) / scale, held["y_test"]


def sliced(model: bytes) -> bytes:
    """An int8 model as a nested one, nothing optimized."""
    graph = tflite.parse(model)
    layers = []
    for index in nested_layers(graph):
        op = graph.ops[index]
        quant, bias = graph.tensors[op.inputs[1]].quant, graph.tensors[op.inputs[2]].data
        levels = {}
        for bits, step in ((4, 16), (2, 32)):
            scale = np.broadcast_to(quant.scale, bias.shape).astype(np.float32) * np.float32(step)
            levels[bits] = Level(scale, np.rint(bias / step).astype(np.int32))
        layers.append(NestedLayer(op.inputs[1], op.inputs[2], MappingProxyType(levels)))
    return attach(model, Nested(BITS, tuple(layers)))


def compare(name: str, folder: Path, count: int) -> None:
    """One network's table."""
    path, known, samples, labels = data_of(name, folder)
    model = importers.load(path)
    held_back = load_data(samples[:count], model, labels=labels[:count])

    def accuracy(nested: bytes, bits: int) -> tuple[float, float]:
        plain = tflite.at_precision(nested, bits)
        found = evaluate(model, plain, tflite.parse(plain), held_back, held_back=True).accuracy
        return found.quantized_model, found.float_model

    started = time.monotonic()
    nested = convert_nested(model, representative_data=known)
    seconds = time.monotonic() - started
    alone = {b: convert_nested(model, representative_data=known, counted=(b,)).tflite for b in BITS}
    plain = sliced(convert(model, representative_data=known).tflite)
    rows = {b: (accuracy(nested.tflite, b), accuracy(alone[b], b), accuracy(plain, b)) for b in BITS}
    print(f"{name}: float {rows[8][0][1]:.3f} on {len(held_back)} samples; nested converted in {seconds:.0f} s")
    for bits, (one, own, nearest) in rows.items():
        print(f"  {bits} bits: nested {one[0]:.3f}  alone {own[0]:.3f}  nearest {nearest[0]:.3f}", flush=True)


def main() -> None:
    """Every network asked for."""
    parser = argparse.ArgumentParser(description="accuracy of nested precisions")
    parser.add_argument("names", nargs="*", default=["kws", "even", "ic"])
    parser.add_argument("--evaluate", type=int, default=1000, help="samples at most")
    options = parser.parse_args()
    folder = Path(os.environ["EDGEQ_SHARED"]) / "data"
    for name in options.names:
        compare(name, folder, options.evaluate)


if __name__ == "__main__":
    main()
