"""edgeq extract"""

from __future__ import annotations

from pathlib import Path

import click

from edgeq.cli import context


@click.command("extract")
@context.model_argument
@click.option("--precision", "bits", type=click.IntRange(2, 8), required=True, help="Bits of the weights.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The .tflite  [default: MODEL_4bit.tflite]")
@context.common
def command(model: Path, bits: int, output: Path | None, as_json: bool, quiet: bool) -> int:
    """Write one precision of a nested MODEL (convert --nested) as a .tflite of its own.

    Its layers have int4 weights at 4 and at 2 bits; 8 bits is the model without the other precisions. On edgeq's engine
    it computes the same bytes as the nested model does at that precision, and takes half of its weights' flash.

    \b
    Example:
      edgeq extract model_nested.tflite --precision 4 -o model_4bit.tflite
    """
    from edgeq import pipeline
    from edgeq.files import require_writable, write_whole
    from edgeq.units import format_bytes

    path = output or model.with_name(f"{model.stem}_{bits}bit.tflite")
    require_writable(path)
    made = pipeline.at_precision(model, bits)
    write_whole(path, made.data)
    context.output("extract", as_json, quiet).show(
        lambda width, color: f"{path}: {bits} bits, {format_bytes(len(made.data))}\n",
        lambda: {"output": str(path), "precision_bits": bits, "bytes": len(made.data), "sha256": made.graph.sha256},
    )
    return 0
