"""edgeq export"""

from __future__ import annotations

from pathlib import Path

import click

from edgeq.cli import context


@click.command("export")
@context.model_argument
@context.runtime_option(required=True)
@context.kernels_option
@click.option("-t", "--target", default="", metavar="NAME", help="Its core decides the scratch of CMSIS-NN's kernels.")
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder for the files."
)
@context.common
def command(model: Path, runtime: str, kernels: str, target: str, output: Path, as_json: bool, quiet: bool) -> int:
    """Write MODEL (.tflite) as source files for another runtime's project (tflm).

    The model as an aligned C array, the MicroMutableOpResolver with exactly its operators, the arena's size, and a
    README. All files or none.

    \b
    Example:
      edgeq export model.tflite --runtime tflm -o tflm/
    """
    from edgeq import pipeline
    from edgeq.files import write_folder
    from edgeq.report.runtime import export_text

    read = pipeline.read_model(model)
    board = context.load_target(target) if target else None
    files, report = pipeline.export(read, runtime, kernels=kernels, target=board)
    write_folder(output, files)

    def text(width: int, color: bool) -> str:
        return export_text(report, output, tuple(files), width=width, color=color)

    def body() -> dict[str, object]:
        return {**report.to_json(), "output": str(output), "files": sorted(files)}

    context.output("export", as_json, quiet).show(text, body)
    return 0
