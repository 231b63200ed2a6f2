"""edgeq evaluate"""

from __future__ import annotations

from pathlib import Path

import click

from edgeq.cli import bench, context


@click.command("evaluate")
@context.model_argument
@click.option(
    "--data",
    required=True,
    metavar="SOURCE",
    help="Labelled inputs: .npz (FILE.npz:ARRAY names the input), .npy, a folder, or module:function.",
)
@click.option(
    "--labels", metavar="SOURCE", help="A key of the .npz, or a .npy  [default: y, labels or label in the .npz]"
)
@click.option("--metric", default="", metavar="NAME", help="top1, auc, mse or module:function  [default: what suits]")
@click.option(
    "--on",
    default="host",
    show_default=True,
    metavar="PLACE",
    help="host, the reference interpreter; host-c, the generated C on this computer; a target, with --sim or --port.",
)
@click.option("--sim", is_flag=True, help="With --on TARGET: build it and start a virtual board.")
@click.option(
    "--port", default="", metavar="PORT", help="With --on TARGET: /dev/ttyACM0, socket://host:port, …, or auto."
)
@context.hardware_option
@bench.wait_option
@context.timeout_option
@context.targets_dir_option
@click.option(
    "--float", "float_model", type=click.Path(path_type=Path), help="The float model that this was made from."
)
@click.option("--min-accuracy", type=float, metavar="X", help="Exit with 1 when the score is below (top1, auc, …).")
@click.option("--max-error", type=float, metavar="X", help="Exit with 1 when the error is above (mse).")
@click.option("--samples", type=click.IntRange(min=0), default=0, help="So many at most, at random  [default: all]")
@click.option("--seed", type=int, default=0, show_default=True, help="Of that choice, and of every bootstrap.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the JSON report to this file too.")
@context.preprocess_option
@context.common
def command(
    model: Path,
    data: str,
    labels: str | None,
    metric: str,
    on: str,
    sim: bool,
    port: str,
    hardware: bool | None,
    wait_s: float,
    timeout_s: float,
    float_model: Path | None,
    min_accuracy: float | None,
    max_error: float | None,
    samples: int,
    seed: int,
    output: Path | None,
    preprocess: str,
    as_json: bool,
    quiet: bool,
) -> int:
    """Tell how right MODEL's answers are on labelled data, with a confidence interval, on this computer or on a device.

    Exits with 1 when a limit (--min-accuracy, --max-error) is missed.

    \b
    Examples:
      edgeq evaluate model_int8.tflite --data test.npz --float model.tflite --min-accuracy 0.9
      edgeq evaluate model_int8.tflite --data test.npz --on nucleo-l4r5zi --sim --samples 100
    """
    from edgeq import pipeline
    from edgeq.files import require_writable
    from edgeq.report.evaluate import evaluate_text

    _check_limits(metric, min_accuracy, max_error)
    if output is not None:
        require_writable(output)
    out = context.output("evaluate", as_json, quiet)
    place = on if on in ("host", "host-c") else context.load_target(on)
    port = context.port_called(port) if isinstance(place, str) else context.console_called(port, place)
    with out.teller() as listener, bench.claims(wait_s, listener, "" if sim else port):
        report = pipeline.evaluate(
            model,
            data=context.data_source(data, preprocess),
            labels=labels,
            metric=metric or ("mse" if max_error is not None else ""),
            on=place,
            port=port,
            sim=sim,
            hardware=hardware,
            float_model=float_model,
            limit=min_accuracy if max_error is None else max_error,
            samples=samples,
            seed=seed,
            timeout_s=timeout_s,
            cache=context.cache_folder(),
            listener=listener,
        )
    out.show(lambda width, color: evaluate_text(report, width=width, color=color), report.to_json, output)
    return 0 if report.passed else 1


def _check_limits(metric: str, min_accuracy: float | None, max_error: float | None) -> None:
    from edgeq.errors import UsageError

    if min_accuracy is not None and (max_error is not None or metric == "mse"):
        raise UsageError("a mean squared error has a greatest value, not a least", next_step="give --max-error alone")
    if max_error is not None and metric not in ("", "mse"):
        raise UsageError(f"--max-error is for mse, not for {metric}", next_step="give --min-accuracy")
