"""Peak memory of a conversion: a float network of 200 MB from ONNX, Keras or `.tflite` to int8.

    python benchmarks/convert_memory.py [--megabytes 200] [--samples 40] [--auto] [tflite onnx keras]

Each conversion runs in a process of its own. What is printed is the highest resident set of that process, and of the
largest of the workers that it started (TensorFlow, onnxruntime), as the kernel counts them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

_CONVERT = """
import json, resource, sys, time
from edgeq import pipeline
start = time.perf_counter()
made = pipeline.convert(sys.argv[1], representative_data=sys.argv[2], calibration=sys.argv[3], repair=sys.argv[4])
own, worker = (resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
report = made.report
print(json.dumps({"seconds": time.perf_counter() - start, "own_mb": own, "worker_mb": worker,
                  "float_mb": report.float_bytes / 2**20, "int8_mb": report.quantized_bytes / 2**20,
                  "stages": report.seconds}))
"""
_UNITS = 2048  # 2048 x 2048 float32 weights are 16 MB


def write_tflite(path: Path, layers: int) -> None:
    """A perceptron of so many square layers."""
    from edgeq.importers.lowering.emit import emit
    from edgeq.importers.lowering.net import Net, NetWriter, Value

    rng = np.random.default_rng(0)
    writer = NetWriter()
    x = writer.add(Value("x", (1, _UNITS)))
    for _ in range(layers):
        weights = writer.constant(rng.standard_normal((_UNITS, _UNITS), np.float32) / np.float32(_UNITS**0.5))
        bias = writer.constant(np.zeros(_UNITS, np.float32))
        x = writer.op("FULLY_CONNECTED", [x, weights, bias], (1, _UNITS), fusedActivationFunction=1)
    path.write_bytes(emit(Net(writer.values, tuple(writer.steps), ("x",), (x,)), ["x"], ["y"]))


def write_onnx(path: Path, layers: int) -> None:
    """The same."""
    import onnx
    from onnx import helper, numpy_helper

    rng = np.random.default_rng(0)
    nodes, constants, x = [], [], "x"
    for i in range(layers):
        weights = rng.standard_normal((_UNITS, _UNITS), np.float32) / np.float32(_UNITS**0.5)
        constants.append(numpy_helper.from_array(weights, f"w{i}"))
        nodes.append(helper.make_node("Gemm", [x, f"w{i}"], [f"a{i}"], transB=1))
        nodes.append(helper.make_node("Relu", [f"a{i}"], [f"r{i}"]))
        x = f"r{i}"
    ends = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1, _UNITS]) for n in ("x", x)]
    graph = helper.make_graph(nodes, "large", ends[:1], ends[1:], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))


def write_keras(path: Path, layers: int) -> None:
    """The same."""
    program = (
        "import sys, keras\n"
        "m = keras.Sequential([keras.Input((int(sys.argv[3]),), name='x')] + "
        "[keras.layers.Dense(int(sys.argv[3]), activation='relu') for _ in range(int(sys.argv[2]))])\n"
        "m.save(sys.argv[1])\n"
    )
    subprocess.run([sys.executable, "-c", program, path, str(layers), str(_UNITS)], check=True, capture_output=True)


WRITERS = {"tflite": write_tflite, "onnx": write_onnx, "keras": write_keras}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", choices=[*WRITERS, []], default=[])
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--auto", action="store_true", help="all calibrations and repairs, as convert tries them")
    parser.add_argument("--samples", type=int, default=40)
    chosen = parser.parse_args()
    how = ("auto", "auto") if chosen.auto else ("min-max", "none")
    layers = max(1, round(chosen.megabytes * 2**20 / (4 * _UNITS**2)))
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "x.npy"
        np.save(data, np.random.default_rng(1).standard_normal((chosen.samples, _UNITS), np.float32))
        for kind in chosen.kinds or list(WRITERS):
            model = Path(scratch) / f"large.{kind}"
            WRITERS[kind](model, layers)
            start = time.perf_counter()
            said = subprocess.run([sys.executable, "-c", _CONVERT, model, data, *how], capture_output=True, text=True)
            model.unlink()
            if said.returncode:
                print(f"{kind}: failed after {time.perf_counter() - start:.0f} s\n{said.stderr[-2000:]}")
                continue
            r = json.loads(said.stdout.splitlines()[-1])
            print(
                f"{kind:7s} float {r['float_mb']:.0f} MB, int8 {r['int8_mb']:.0f} MB, {r['seconds']:.0f} s; "
                f"peak resident memory {r['own_mb']:.0f} MB, its largest worker {r['worker_mb']:.0f} MB"
            )


if __name__ == "__main__":
    main()
