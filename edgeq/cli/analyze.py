"""edgeq analyze"""

from __future__ import annotations

from pathlib import Path

import click

from edgeq.cli import context


@click.command("analyze")
@click.argument("float_model", metavar="FLOAT", type=click.Path(path_type=Path))
@context.model_argument
@click.option("--data", required=True, metavar="SOURCE", help="Typical inputs; labels in them aren't needed.")
@context.preprocess_option
@click.option(
    "--samples", type=click.IntRange(min=1), default=50, show_default=True, help="So many at most, at random."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of that choice.")
@click.option(
    "--plots",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Pictures (SVG, PNG) and report.html into this folder; needs the extra `plot`.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the JSON report to this file too.")
@context.common
def command(
    float_model: Path,
    model: Path,
    data: str,
    preprocess: str,
    samples: int,
    seed: int,
    plots: Path | None,
    output: Path | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Tell which layers of MODEL (a quantized .tflite) lose the accuracy of FLOAT, and why, with what to do.

    Each layer's own error is separated from what it inherits, and weighed by what it does to the network's output.

    \b
    Example:
      edgeq analyze model.keras model_int8.tflite --data calib.npz --plots report/
    """
    from edgeq import pipeline, registry
    from edgeq.files import require_writable, write_folder
    from edgeq.report.analyze import analyze_text
    from edgeq.report.analyze_plots import analyze_pictures

    if plots is not None:
        registry.require(registry.PLOTTING, "drawing")
        require_writable(plots, folder=True)
    if output is not None:
        require_writable(output)
    out = context.output("analyze", as_json, quiet)
    with out.teller() as listener:
        found = pipeline.analyze(
            float_model,
            model,
            data=context.data_source(data, preprocess),
            samples=samples,
            seed=seed,
            listener=listener,
        )
    if plots is not None:
        write_folder(plots, analyze_pictures(found))
    out.show(lambda width, color: analyze_text(found, width=width, color=color), found.to_json, output)
    return 0
