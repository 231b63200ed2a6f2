"""edgeq convert"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeq.cli import context, convert_mixed
from edgeq.errors import UsageError

if TYPE_CHECKING:
    from edgeq.target import Target

_SUFFIXES = {"static_wi8_ai8": "int8"}


@click.command("convert")
@click.argument("model", type=click.Path(path_type=Path))
@context.target_option
@click.option(
    "--representative-data",
    "--data",
    "data",
    metavar="SOURCE",
    help="Typical inputs: .npz, .npy, a folder of .npy, images or .wav, or module:function of your own generator.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The .tflite  [default: MODEL_int8.tflite, or MODEL_SCHEME.tflite]",
)
@click.option(
    "--scheme",
    default="static_wi8_ai8",
    show_default=True,
    metavar="NAME",
    help="Weights and activations: static_wi8_ai8, static_wi8_ai16, static_wi4_ai8, dynamic_wi8_afp32, "
    "weight_only_wi8_afp32, weight_only_wi4_afp32 or float16.",
)
@click.option(
    "--nested",
    default="",
    metavar="BITS",
    help="One int8 file whose weights hold lower precisions in their highest bits: 8,4,2 or 8,4 or 8,2.",
)
@click.option("--io", type=click.Choice(["int8", "uint8", "int16", "float32"]), help="Ends  [default: the scheme's]")
@click.option(
    "--calibration",
    default="auto",
    show_default=True,
    metavar="METHOD",
    help="How activation ranges are chosen: min-max, sample-percentile, percentile, mse, entropy, moving-average, "
    "auto, which tries them (three of them above 32 MB of float weights), or all, which does so at any size.",
)
@click.option(
    "--repair",
    default="auto",
    show_default=True,
    metavar="NAMES",
    help="What is done to the float model first: batch-norm, cle, activation-equalization, weight-clipping, adaround, "
    "bias-correction (several with commas, in order), none, auto, which keeps what helps (above 32 MB of float weights "
    "only cheap ones are tried), or all, which tries them at any size. Not with --nested.",
)
@click.option("--labels", metavar="SOURCE", help="Classes: a .npy, or a key of the .npz, for the accuracy.")
@click.option("--samples", type=click.IntRange(min=1), help="Calibrate with so many at most  [default: 500]")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the split into calibration and held-back.")
@click.option("--allow-float", is_flag=True, help="Accept operators that stay in float; they are listed.")
@click.option("--signature", default="", metavar="NAME", help="Which one, of a SavedModel or .tflite with several.")
@context.preprocess_option
@convert_mixed.options
@context.common
def command(
    model: Path,
    target: str,
    data: str | None,
    output: Path | None,
    scheme: str,
    nested: str,
    io: str | None,
    calibration: str,
    repair: str,
    labels: str | None,
    samples: int | None,
    seed: int,
    allow_float: bool,
    signature: str,
    preprocess: str,
    mixed: bool,
    max_drop: float | None,
    max_latency: float | None,
    max_flash: int | None,
    pareto: Path | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Make a quantized .tflite of MODEL: .keras, .h5, a SavedModel folder, .onnx, .pt2 or a float .tflite.

    Methods of calibration and repairs of the float model are tried, and what held-back samples prefer is kept, and
    told. With an integer scheme the result is proved to be integer only. It is compared with the float model on data
    held back from all of that. A scheme that nothing on the target can run is refused. Whether the model fits there
    is told as well: exits with 1 when it doesn't, with the reason; the file is written all the same. Of a scheme that
    edgeq's own engine has no kernels for, the target's runtimes that do are named instead.

    \b
    Examples:
      edgeq convert model.keras --target nucleo-l4r5zi --representative-data calib.npz -o model_int8.tflite
      edgeq convert model.keras --target nucleo-l4r5zi --representative-data calib.npz --nested 8,4,2
    """
    from edgeq import pipeline
    from edgeq.files import require_writable, write_whole
    from edgeq.report.convert import convert_text
    from edgeq.report.fit import fit_text, headline
    from edgeq.target.schema import OWN_ENGINE

    out = context.output("convert", as_json, quiet)
    board = context.load_target(target)
    if mixed and (nested or scheme != "static_wi8_ai8" or allow_float):
        raise UsageError(
            "--mixed chooses the bits of each layer itself, of integers only",
            next_step="leave --scheme, --nested and --allow-float out, or --mixed",
        )
    if mixed:
        place = output or model.with_name(f"{model.stem}_mixed.tflite")
        inputs, bounds = context.data_source(data, preprocess), (max_drop, max_latency, max_flash, pareto)
        asked = (labels, io, calibration, repair, samples, seed, signature)
        return convert_mixed.run(convert_mixed.Wanted(model, board, place, inputs, *asked, *bounds), out)
    convert_mixed.refuse_stray(max_drop=max_drop, max_latency=max_latency, max_flash=max_flash, pareto=pareto)
    suffix = "nested" if nested else _SUFFIXES.get(scheme, scheme)
    path = output or model.with_name(f"{model.stem}_{suffix}.tflite")
    require_writable(path)
    source = context.data_source(data, preprocess)
    if nested:
        _refuse_with_nested(scheme, allow_float, repair)
        choices = {
            "io": io, "calibration": calibration, "labels": labels, "samples": samples, "seed": seed,
            "signature": signature,
        }  # fmt: skip
        return _nested(out, model, board, path, source, nested, choices)
    with out.teller() as listener:
        made = pipeline.convert(
            model,
            representative_data=source,
            scheme=scheme,
            io=io,  # type: ignore[arg-type]  # click.Choice holds exactly EndType's values
            target=board,
            calibration=calibration,
            repair=repair,
            labels=labels,
            samples=samples,
            seed=seed,
            allow_float=allow_float,
            signature=signature,
            cache=context.cache_folder(),
            listener=listener,
        )
    write_whole(path, made.tflite)
    fit = pipeline.check(pipeline.Model(made.tflite, made.graph, str(path)), board)
    elsewhere = not fit.supported and OWN_ENGINE not in made.report.runtimes

    def text(width: int, color: bool) -> str:
        if elsewhere:
            judged = f"{board.name} runs {scheme} with {', '.join(made.report.runtimes)}, not with edgeq's own engine\n"
        else:
            judged = f"{headline(fit)}\n" if fit.fits else fit_text(fit, width=width, color=color)
        return f"{convert_text(made.report, str(path), width=width, color=color)}\n{judged}"

    out.show(text, lambda: {"output": str(path), **made.report.to_json(), "check": fit.to_json()})
    return 0 if fit.fits or elsewhere else 1


def _refuse_with_nested(scheme: str, allow_float: bool, repair: str) -> None:
    """What a nested model can't have is refused rather than left out unsaid."""
    if scheme != "static_wi8_ai8" or allow_float:
        raise UsageError(
            "a nested model has int8 weights and activations throughout",
            next_step="leave --scheme and --allow-float out, or --nested",
        )
    if repair not in ("auto", "none"):
        raise UsageError(
            "a nested model's lower precisions are made of the float weights as they are, without repairs",
            next_step="leave --repair out, or --nested",
        )


def _bits(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in text.split(","))
    except ValueError:
        raise UsageError(f"'{text}' are no precisions", next_step="give bits, the most first: --nested 8,4,2") from None


def _nested(
    out: context.Output, model: Path, board: Target, path: Path, source: Any, bits: str, choices: dict[str, Any]
) -> int:
    """The command with --nested."""
    from edgeq import pipeline
    from edgeq.files import write_whole
    from edgeq.pipeline.nested import convert_nested
    from edgeq.report.fit import fit_text, headline
    from edgeq.report.nested import nested_text

    wanted = _bits(bits)
    with out.teller() as listener:
        made = convert_nested(
            model,
            representative_data=source,
            precisions=wanted,
            target=board,
            cache=context.cache_folder(),
            listener=listener,
            **choices,
        )
    write_whole(path, made.tflite)
    fit = pipeline.check(pipeline.Model(made.tflite, made.graph, str(path)), board)

    def text(width: int, color: bool) -> str:
        judged = f"{headline(fit)}\n" if fit.fits else fit_text(fit, width=width, color=color)
        return f"{nested_text(made, str(path), width=width, color=color)}\n{judged}"

    out.show(text, lambda: {"output": str(path), **made.to_json(), "check": fit.to_json()})
    return 0 if fit.fits else 1
