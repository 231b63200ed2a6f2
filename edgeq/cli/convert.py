"""edgeq convert"""

from __future__ import annotations

from pathlib import Path

import click

from edgeq.cli import context


@click.command("convert")
@click.argument("model", type=click.Path(path_type=Path))
@context.target_option
@click.option(
    "--representative-data",
    "--data",
    "data",
    metavar="SOURCE",
    help="Typical inputs: .npz, .npy, a folder of .npy, or module:function of your own generator.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The .tflite  [default: MODEL_int8.tflite]")
@click.option("--io", type=click.Choice(["int8", "uint8", "float32"]), default="int8", show_default=True)
@click.option("--method", default="min-max", show_default=True, help="How activation ranges are chosen.")
@click.option("--labels", metavar="SOURCE", help="Classes: a .npy, or a key of the .npz, for the accuracy.")
@click.option("--samples", type=click.IntRange(min=1), help="Calibrate with so many at most  [default: 500]")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the split into calibration and held-back.")
@click.option("--allow-float", is_flag=True, help="Accept operators that stay in float; they are listed.")
@context.common
def command(
    model: Path,
    target: str,
    data: str | None,
    output: Path | None,
    io: str,
    method: str,
    labels: str | None,
    samples: int | None,
    seed: int,
    allow_float: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Make an int8 .tflite of MODEL (.keras, .h5, a SavedModel folder, or a float .tflite).

    The result is proved to be integer only, and compared with the float model on data held back from
    calibration. Whether it runs on the target is told as well: exits with 1 when it doesn't, with the reason; the
    file is written all the same.

    \b
    Example:
      edgeq convert model.keras --target nucleo-l4r5zi --representative-data calib.npz -o model_int8.tflite
    """
    from edgeq import pipeline
    from edgeq.files import require_writable, write_whole
    from edgeq.report.convert import convert_text
    from edgeq.report.fit import fit_text, headline

    out = context.output("convert", as_json, quiet)
    board = context.load_target(target)
    path = output or model.with_name(f"{model.stem}_int8.tflite")
    require_writable(path)
    with out.teller() as listener:
        made = pipeline.convert(
            model,
            representative_data=data,
            io=io,  # type: ignore[arg-type]  # click.Choice holds exactly EndType's values
            method=method,
            labels=labels,
            samples=samples,
            seed=seed,
            allow_float=allow_float,
            listener=listener,
        )
    write_whole(path, made.tflite)
    fit = pipeline.check(pipeline.Model(made.tflite, made.graph, str(path)), board)

    def text(width: int, color: bool) -> str:
        judged = f"{headline(fit)}\n" if fit.fits else fit_text(fit, width=width, color=color)
        return f"{convert_text(made.report, str(path), width=width, color=color)}\n{judged}"

    out.show(text, lambda: {"output": str(path), **made.report.to_json(), "check": fit.to_json()})
    return 0 if fit.fits else 1
