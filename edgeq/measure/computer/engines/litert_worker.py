"""Runs on the device, by itself: a model in LiteRT or tflite-runtime, all samples, then timed.

    python litert_worker.py MODEL INPUTS OUTPUTS REPORT OPTIONS_JSON

INPUTS and OUTPUTS hold every tensor's bytes of every sample, in the model's order. REPORT is what profile.c of edgeq's
own engine writes, without layers. Needs nothing but numpy and the runtime; Python 3.7 or later.
"""

from __future__ import annotations

import json
import resource
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np


def interpreter_class() -> tuple[Any, str]:
    try:
        from ai_edge_litert import interpreter

        return interpreter, "LiteRT"
    except ImportError:
        from tflite_runtime import interpreter

        return interpreter, "tflite-runtime"


class Sensor(threading.Thread):
    """Reads a file that holds one whole number, every 5 ms."""

    def __init__(self, path: str) -> None:
        super().__init__(daemon=True)
        self.path = path
        self.samples: list[list[int]] = []
        self.stop = False

    def run(self) -> None:
        while not self.stop:
            before = time.monotonic_ns()
            try:
                value = int(Path(self.path).read_text())
                self.samples.append([(before + time.monotonic_ns()) // 2, value])
            except (OSError, ValueError):
                pass
            time.sleep(0.005)


def main(model: str, inputs: str, outputs: str, report: str, options: dict[str, Any]) -> None:
    module, name = interpreter_class()
    kind = module.OpResolverType.AUTO if options["xnnpack"] else module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    runner = module.Interpreter(model, num_threads=options["threads"], experimental_op_resolver_type=kind)
    runner.allocate_tensors()
    ends = runner.get_input_details()
    with Path(inputs).open("rb") as stream, Path(outputs).open("wb") as out:
        first: list[Any] = []
        for _ in range(options["samples"]):
            arrays = []
            for end in ends:
                size = int(np.prod(end["shape"])) * np.dtype(end["dtype"]).itemsize
                arrays.append(np.frombuffer(stream.read(size), end["dtype"]).reshape(end["shape"]))
            first = first or arrays
            for end, array in zip(ends, arrays):  # noqa: B905 - strict= came with Python 3.10
                runner.set_tensor(end["index"], array)
            runner.invoke()
            for end in runner.get_output_details():
                out.write(runner.get_tensor(end["index"]).tobytes())

    sensors = [Sensor(path) for path in options["sensors"]]
    for sensor in sensors:
        sensor.start()
    idle = [time.monotonic_ns(), 0]
    time.sleep(options["idle_seconds"])
    idle[1] = time.monotonic_ns()

    def timed() -> int:
        for end, array in zip(ends, first):  # noqa: B905 - strict= came with Python 3.10
            runner.set_tensor(end["index"], array)
        start = time.perf_counter_ns()
        runner.invoke()
        return time.perf_counter_ns() - start

    for _ in range(options["warmup"]):
        timed()
    runs: list[int] = []
    start = time.monotonic_ns()
    while len(runs) < options["runs"] or time.monotonic_ns() < start + options["seconds"] * 1000000000:
        runs.append(timed())
    window = [start, time.monotonic_ns()]
    for sensor in sensors:
        sensor.stop = True
    for sensor in sensors:
        sensor.join()
    made: dict[str, Any] = {
        "runtime": name,
        "run_ns": runs,
        "window_ns": window,
        "max_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "sensors": [{"file": s.path, "samples": s.samples} for s in sensors],
    }
    if options["idle_seconds"]:
        made["idle_ns"] = idle
    Path(report).write_text(json.dumps(made))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], json.loads(sys.argv[5]))
