"""edgeq export"""

from __future__ import annotations

from pathlib import Path

import click

from edgeq.cli import context
from edgeq.errors import UsageError
from edgeq.registry import EXPORTS

_FORMATS = ", ".join(EXPORTS)


@click.command("export")
@context.model_argument
@click.option("--format", "format_", default="", metavar="NAME", help=f"One of {_FORMATS}.")
@click.option("--name", default="", help="A C identifier for package, header and functions  [default: the file's name]")
@click.option("--package-version", "version", default="1.0.0", show_default=True, help="Of the package.")
@click.option("--author", default="unnamed", show_default=True, help="Who answers for the package.")
@click.option("--url", default="https://example.com/", show_default=True, help="The package's home page.")
@click.option("-t", "--target", default="", metavar="NAME", help="For its core's kernels; see `edgeq targets list`.")
@click.option("--core", default="", metavar="NAME", help="For this core's kernels  [default: portable C, for any core]")
@click.option("--with-portable", is_flag=True, help="With --core: portable C too, for other cores.")
@context.optimize_option()
@click.option("--data", default="", metavar="FILE[:ARRAY]", help="The example's input, .npz or .npy  [default: random]")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the random input.")
@context.kernels_option
@click.option("--runtime", default="", metavar="NAME", help="--runtime tflm is --format tflm.")
@click.option("--force", is_flag=True, help="Write into a folder that is not empty.")
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder for the files."
)
@context.targets_dir_option
@context.common
def command(
    model: Path,
    format_: str,
    name: str,
    version: str,
    author: str,
    url: str,
    target: str,
    core: str,
    with_portable: bool,
    optimize: str,
    data: str,
    seed: int,
    kernels: str,
    runtime: str,
    force: bool,
    output: Path,
    as_json: bool,
    quiet: bool,
) -> int:
    """Write MODEL (.tflite) as a package for another build system.

    The generated network with the kernels that it calls and no others, a header, an example that runs an embedded
    sample and compares the outputs with the reference's, a README and the licence. All files or none. The kernels are
    portable C, for any core of 32 bits; --core and --target take those of a core, for which the compiler is set then.

    \b
    Examples:
      edgeq export kws.tflite --format c -o kws/            then: make -C kws check
      edgeq export kws.tflite --format cmake -o kws/        add_subdirectory, or install and find_package
      edgeq export kws.tflite --format arduino -o kws/      into the sketchbook's libraries folder
      edgeq export kws.tflite --format platformio -o kws/   into a project's lib/, or: pio pkg pack kws
      edgeq export kws.tflite --format zephyr -o kws/       west build -b BOARD kws/samples/run_sample
      edgeq export kws.tflite --format esp-idf -o kws/      into a project's components/
      edgeq export kws.tflite --format cmsis-pack --core cortex-m4 --author Acme -o kws/
      edgeq export kws.tflite --format tflm -o kws/         the model's array, resolver and arena size
      edgeq export kws.tflite --format arduino --core cortex-m4 --with-portable -o kws/
    """
    from edgeq import exports, pipeline
    from edgeq.exports.writing import require_room
    from edgeq.files import require_writable
    from edgeq.report.export import export_json, export_text

    chosen = _format(format_, runtime)
    require_room(output, force=force)
    require_writable(output, folder=True)
    made = pipeline.export(
        model,
        chosen,
        name=name,
        version=version,
        author=author,
        url=url,
        target=context.load_target(target) if target else None,
        core=core,
        with_portable=with_portable,
        optimize=optimize,
        data=data,
        seed=seed,
        kernels=kernels,
        targets_folder=context.targets_folder(),
    )
    paths = exports.write(made, output, force=force)
    sizes = {path: (output / path).stat().st_size for path in paths}
    context.output("export", as_json, quiet).show(
        lambda width, color: export_text(made, model.name, output, sizes, width=width, color=color),
        lambda: export_json(made, output, sizes),
    )
    return 0


def _format(given: str, runtime: str) -> str:
    """What --format says; --runtime is how it was said before there was more than TensorFlow Lite Micro.

    Raises:
        UsageError: neither, both, or a runtime that loads the `.tflite` file itself.
    """
    if given and runtime not in ("", given):
        raise UsageError("--format and --runtime say different things", next_step="leave --runtime out")
    if runtime:
        from edgeq.runtimes import require_export

        require_export(runtime)
    if not (given or runtime):
        raise UsageError("no format was given", next_step=f"--format, one of: {_FORMATS}")
    return given or runtime
