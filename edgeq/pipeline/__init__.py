"""The whole flow on one page: each function takes a stage's input and gives its one product.

    model file → convert → QuantizedModel          (importers, quantize)
    .tflite    → read_model → Model                (tflite)
    Model      → check → FitReport                 (check, memory, kernels)
    Model      → build → Firmware                  (kernels, memory, codegen, toolchains)
    Model      → export → Export                   (kernels, memory, codegen, exports; `edgeq.pipeline.exporting`)
    image      → flash → FlashResult               (runners)
    device     → profile → Measurement             (measure)
    float and quantized Model → analyze → Analysis (quantize.sensitivity; `edgeq.pipeline.accuracy`)
    Keras model → qat → Prepared → convert         (training; `edgeq.pipeline.training`)
    Model + labels → evaluate → AccuracyReport     (measure; `edgeq.pipeline.accuracy`)

Nothing here prints or reads the environment; progress goes to a listener. Rooms are imported where they are
used, so that `check` never loads what only `profile` needs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgeq import target as targets
from edgeq.errors import UsageError
from edgeq.events import Listener, silent
from edgeq.graph import Graph
from edgeq.pipeline.accuracy import analyze as analyze
from edgeq.pipeline.accuracy import convert_mixed as convert_mixed
from edgeq.pipeline.accuracy import evaluate as evaluate
from edgeq.pipeline.exporting import export as export
from edgeq.pipeline.exporting import isa_of
from edgeq.pipeline.flashing import greeted, one_board
from edgeq.pipeline.training import load_qat as load_qat
from edgeq.pipeline.training import prune as prune
from edgeq.pipeline.training import qat as qat
from edgeq.pipeline.training import remove_dead_channels as remove_dead_channels
from edgeq.pipeline.training import sparsity as sparsity
from edgeq.simulator import kept
from edgeq.target import Target

if TYPE_CHECKING:
    from edgeq.check import BudgetReport, FitReport, Survey
    from edgeq.codegen.tree import SourceTree
    from edgeq.kernels import Objective
    from edgeq.measure.energy import Plan
    from edgeq.measure.measurement import Measurement
    from edgeq.memory import ArenaChart, MemoryPlan
    from edgeq.quantize import EndType, QuantizedModel, Scheme
    from edgeq.runners.contract import FlashOptions, FlashResult
    from edgeq.runners.image import Image
    from edgeq.runners.locks import Claim
    from edgeq.runners.virtual import VirtualBoardProcess
    from edgeq.runtimes import RuntimeReport
    from edgeq.toolchains.firmware import Firmware


@dataclass(frozen=True, eq=False)
class Model:
    """A `.tflite`, read.

    Attributes:
        path: where it came from, "" when made in memory.
    """

    data: bytes
    graph: Graph
    path: str = ""


@dataclass(frozen=True)
class Deployment:
    """What `deploy` did."""

    fit: FitReport
    firmware: Firmware
    flash: FlashResult
    measurement: Measurement


ModelLike = str | Path | bytes | Model
TargetLike = str | Target
Trace = Callable[[str, str], None]


def load_target(name: TargetLike, targets_folder: Path | None = None) -> Target:
    """A target by name, or by the path of a board file; see `edgeq.target.load`."""
    if isinstance(name, Target):
        return name
    if name.endswith(".toml"):
        return targets.load_file(Path(name), targets_folder)
    return targets.load(name, targets_folder)


def read_model(model: ModelLike) -> Model:
    """Read a `.tflite` from a file or from bytes.

    Raises:
        ModelFileError: missing, damaged or not a `.tflite`.
    """
    from edgeq import tflite

    if isinstance(model, Model):
        return model
    if isinstance(model, bytes):
        return Model(model, tflite.parse(model))
    path = Path(model)
    data = tflite.load(path)
    return Model(data, tflite.parse(data, str(path), path.stem), str(path))


def convert(
    source: object,
    *,
    representative_data: Any = None,
    scheme: str | Scheme = "static_wi8_ai8",
    per_layer: Mapping[int | str, str | Scheme] | None = None,
    io: EndType | None = None,
    target: TargetLike | None = None,
    calibration: str = "auto",
    repair: str | Sequence[str] = "auto",
    labels: object | None = None,
    samples: int | None = None,
    seed: int = 0,
    allow_float: bool = False,
    signature: str = "",
    example_inputs: object | None = None,
    cache: Path | None = None,
    listener: Listener = silent,
) -> QuantizedModel:
    """Make a quantized `.tflite` of a trained network; see `edgeq.quantize.convert`.

    What `edgeq.qat` prepared keeps the ranges that it learned; see `edgeq.training.conversion.convert`.
    """
    from edgeq import quantize
    from edgeq.pipeline.training import convert_trained, is_prepared

    if is_prepared(source):
        return convert_trained(
            source, representative_data, scheme, per_layer, io, target, labels, samples, listener
        )  # fmt: skip
    return quantize.convert(
        source,
        representative_data=representative_data,
        scheme=scheme,
        per_layer=per_layer,
        io=io,
        target=None if target is None else load_target(target),
        calibration=calibration,
        repair=repair,
        labels=labels,
        samples=samples,
        seed=seed,
        allow_float=allow_float,
        signature=signature,
        example_inputs=example_inputs,
        cache=cache,
        listener=listener,
    )


def at_precision(model: ModelLike, bits: int) -> Model:
    """One precision of a model that has several, as a model of its own; see `edgeq.tflite.at_precision`.

    Raises:
        UsageError: the model has no such precision.
    """
    from edgeq import tflite

    read = read_model(model)
    data = tflite.at_precision(read.data, bits, read.graph)
    return Model(data, tflite.parse(data, read.path, f"{read.graph.name}_{bits}bit"), read.path)


def check(
    model: ModelLike,
    target: TargetLike,
    *,
    reserve_ram_bytes: int = 0,
    reserve_flash_bytes: int = 0,
    optimize: str | Objective = "balanced",
) -> FitReport:
    """Whether a model runs on a target; see `edgeq.check.check`."""
    from edgeq.check import check as judge
    from edgeq.kernels import Objective

    return judge(
        read_model(model).graph,
        load_target(target),
        reserve_ram_bytes=reserve_ram_bytes,
        reserve_flash_bytes=reserve_flash_bytes,
        objective=Objective.named(optimize),
    )


def survey(
    model: ModelLike,
    many: Sequence[TargetLike],
    *,
    reserve_ram_bytes: int = 0,
    reserve_flash_bytes: int = 0,
    optimize: str | Objective = "balanced",
) -> Survey:
    """A model on many targets, the best first; see `edgeq.check.survey`."""
    from edgeq.check import survey as over
    from edgeq.kernels import Objective

    return over(
        read_model(model).graph,
        [load_target(target) for target in many],
        reserve_ram_bytes=reserve_ram_bytes,
        reserve_flash_bytes=reserve_flash_bytes,
        objective=Objective.named(optimize),
    )


def check_budgets(path: Path, targets_folder: Path | None = None) -> BudgetReport:
    """The budgets of a file (edgeq.toml), each against its model on its target.

    Raises:
        BudgetFileError: the file, or a report that it names, isn't valid.
        ModelFileError, UsageError: a model or a target of it isn't there.
    """
    from edgeq.check import BudgetReport, judge_limits, read_budgets

    models: dict[str, Model] = {}
    judged = []
    for limits, line in read_budgets(path):
        if limits.model not in models:
            models[limits.model] = read_model(path.parent / limits.model)
        own = str(path.parent / limits.target) if limits.target.endswith(".toml") else limits.target
        fit = check(models[limits.model], load_target(own, targets_folder), optimize=limits.optimize)
        judged.append(judge_limits(limits, line, fit, path.parent))
    return BudgetReport(str(path), tuple(judged))


def judge(model: ModelLike, runtime: str, *, kernels: str = "", target: TargetLike | None = None) -> RuntimeReport:
    """What a runtime does with each operator of a model; see `edgeq.runtimes.judge`.

    Args:
        target: its core decides the scratch of TFLM's CMSIS-NN kernels; a core with the DSP extension without.
    """
    from edgeq import runtimes

    isa = isa_of(load_target(target).core) if target is not None else "dsp"
    return runtimes.judge(read_model(model).graph, runtime, kernels=kernels, isa=isa)


def plan(
    model: ModelLike, target: TargetLike, *, optimize: str | Objective = "balanced"
) -> tuple[MemoryPlan, ArenaChart]:
    """Where every tensor lies in the arena, and the drawing of it.

    Raises:
        UnsupportedError: an operator without a kernel.
    """
    from edgeq import memory, selection
    from edgeq.kernels import Objective

    made = selection.compile_model(read_model(model).graph, load_target(target).core, Objective.named(optimize))
    return made.plan, memory.chart(made.program.graph, made.plan)


def generate(
    model: ModelLike, target: TargetLike, mlperf: str = "", *, optimize: str | Objective = "balanced"
) -> SourceTree:
    """The C of a model with everything around it that the target needs.

    Args:
        mlperf: as which model the official MLPerf Tiny runner is to drive it; see `edgeq.codegen.harness`.
        optimize: what kernels are chosen for: "balanced", "latency", "size" or "ram"; see `edgeq.kernels.Objective`.

    Raises:
        UsageError: `optimize` names nothing.
        UnsupportedError: an operator without a kernel, or ends that firmware can't have.
    """
    from edgeq import codegen, selection
    from edgeq.check import require_runnable
    from edgeq.kernels import Objective

    graph, board = read_model(model).graph, load_target(target)
    board.require_firmware("build")
    require_runnable(graph)
    made = selection.compile_model(graph, board.core, Objective.named(optimize))
    tree = codegen.generate(made.program, made.plan, board)
    return codegen.for_mlperf(tree, mlperf) if mlperf else tree


def build(
    model: ModelLike,
    target: TargetLike,
    *,
    toolchain: str = "auto",
    output: Path | None = None,
    mlperf: str = "",
    optimize: str | Objective = "balanced",
    cache: Path | None = None,
    listener: Listener = silent,
) -> Firmware:
    """Firmware for a model.

    Args:
        mlperf, optimize: see `generate`.
        output: a folder that receives sources, `edgeq.json`, and firmware.elf, .bin and .hex.
        cache: a folder for compiled objects.

    Raises:
        UsageError: the output can't be written.
        UnsupportedError: an operator without a kernel.
        NegativeResult: it doesn't fit.
        MissingDependencyError, ToolError: the compiler is absent, or refused.
    """
    from edgeq.files import require_writable
    from edgeq.toolchains.build import build_firmware, write_firmware

    if output is not None:
        require_writable(output, folder=True)
    tree = generate(model, target, mlperf, optimize=optimize)
    firmware = build_firmware(tree, load_target(target), toolchain, output, listener, cache)
    if output is not None:
        write_firmware(firmware, output)
    return firmware


def flash(
    image: str | Path | Image | Firmware,
    target: TargetLike,
    *,
    sim: bool = False,
    runner: str = "",
    device: str = "",
    port: str = "",
    hello: bool | None = None,
    options: FlashOptions | None = None,
    claim: Claim | None = None,
    listener: Listener = silent,
) -> FlashResult:
    """Write an image onto a board (see `edgeq.runners.select`), and ask the board which build it runs.

    Args:
        image: a file, the folder of a build, or a product of this library.
        sim: a virtual board that ends when this returns.
        runner, device: only these; the target's list and what is present decide otherwise. `virtual:TARGET@FOLDER` is a
            virtual board that stays, flashed by pyOCD; see `edgeq.simulator.kept`.
        port: the board's console; "" or "auto" finds it by the target's USB ids.
        hello: False, don't ask; None, ask where the build is known and a console is found, and say so otherwise.
        claim: takes the locks of the device that is found, before it is touched; see `edgeq.runners.locks.Claims`.
    """
    from edgeq.runners import select
    from edgeq.runners.contract import FlashOptions
    from edgeq.runners.image import check_image, image_of, manifest_of

    device, port = one_board(device, port, sim)
    board, chosen = load_target(target), options or FlashOptions()
    board.require_firmware("flash")
    if sim:
        _require_virtual_board(board)
    found = image_of(image, board)
    check_image(found, board)
    choice = select.choose(board, runner=select.VIRTUAL if sim else runner, device=device, options=chosen)
    manifest = manifest_of(image) if hello is not False else None
    if claim is not None and choice.runner.name != select.VIRTUAL:
        from edgeq.pipeline.bench import claim_found

        claim_found(choice.device, port if manifest is not None else None, claim)
    result = select.flash(found, board, choice, chosen, listener)
    if manifest is not None and manifest.optimize != "balanced":
        told = f"its kernels were chosen for {manifest.optimize}"
        result = replace(result, notices=(*result.notices, told))
    if hello is False or choice.runner.name == select.VIRTUAL:
        return result
    return greeted(result, board, manifest, port, hello is True, listener, claim)


@contextmanager
def _virtual(
    built: Firmware | Path | None, board: Target, port: str, wait_states: int | None = None
) -> Iterator[VirtualBoardProcess]:
    """A virtual board: that of the port, with what is in its flash; without a port a new one, with this firmware."""
    if not port:
        assert built is not None
        with simulate(built, board, wait_states=wait_states) as running:
            yield running
        return
    from edgeq.runners.image import elf_of
    from edgeq.runners.virtual import kept_board

    elf = b"" if built is None else elf_of(built)
    with kept_board(port, board, elf=elf, wait_states=wait_states) as running:
        yield running


@contextmanager
def simulate(
    image: str | Path | Image | Firmware,
    target: TargetLike,
    *,
    socket: bool = False,
    wait_states: int | None = None,
) -> Iterator[VirtualBoardProcess]:
    """A virtual board that runs the image, for as long as the context lasts; `.port` is its console.

    Args:
        wait_states: of the flash, instead of the SoC's at its clock; 0 is ideal memory.
    """
    from edgeq.runners.image import check_image, elf_of, image_of
    from edgeq.runners.virtual import check_flash, virtual_board

    board = load_target(target)
    board.require_firmware("simulate")
    found = image_of(image, board)
    check_image(found, board)
    with virtual_board(found, board, elf=elf_of(image), socket=socket, wait_states=wait_states) as running:
        check_flash(running, found)
        yield running


def profile(
    model: ModelLike,
    target: TargetLike,
    *,
    port: str = "",
    sim: bool = False,
    hardware: bool | None = None,
    wait_states: int | None = None,
    firmware: Firmware | Path | None = None,
    data: str | Path = "",
    samples: int = 0,
    runs: int = 0,
    seed: int = 0,
    precision: int = 0,
    optimize: str | Objective = "",
    meter: Plan | None = None,
    timeout_s: float = 15.0,
    cache: Path | None = None,
    trace: Trace | None = None,
    listener: Listener = silent,
) -> Measurement:
    """Run a model on a device and compare, time and size it; see `edgeq.measure.profile`.

    Args:
        port: where the device is; "auto" finds it by the target's USB ids; `virtual:TARGET` starts a virtual board that
            stays with what is in its flash (see `edgeq.simulator.kept`).
        sim: build the firmware and run it on a virtual board instead.
        hardware: what is behind the port, where that can't be seen: True, a real board (socat, ser2net), whose
            figures are called measured; False, a simulator. A remote port needs it; see `edgeq.measure.origin`.
        wait_states: of the virtual board's flash, instead of the SoC's at its clock; 0 is ideal memory.
        firmware: what is on the device, for sizes: a product of `build`, or its folder.
        data: `.npz` or `.npy`, with `:ARRAY` to name one; seeded random samples otherwise.
        samples: to validate; 0 for 20, or fewer where they take long.
        runs: inferences to time; 0 for one per sample.
        precision: bits of the weights, of a model that has several precisions; 0 for its first, 8.
        optimize: what the firmware's kernels are chosen for, or were; "" for what `firmware` says, or else "balanced".
        meter: measure energy with it; see `edgeq.measure.energy`.
        timeout_s: how long a port that went away is waited for, before the run is given up.

    Raises:
        UsageError: neither port nor sim, or both; a remote port without `hardware`; a virtual board called hardware.
        NegativeResult: the device runs another model. Outputs that differ are in the result, not raised.
        DeviceError: the device doesn't answer, or fails.
    """
    if bool(port) == sim:
        raise UsageError("needs a device: either a port or a virtual board", next_step="give --port PORT or --sim")
    stays = kept.is_address(port)
    _check_claim(sim or stays, hardware)
    if optimize and firmware is not None:
        raise UsageError(
            "the firmware's kernels are chosen already, its manifest says for what",
            where="optimize",
            next_step="leave --optimize or --firmware out",
        )
    wanted_for = optimize or "balanced"
    if wait_states is not None and not (sim or stays):
        raise UsageError("only a virtual board's wait states can be chosen", next_step="add --sim")
    if meter is not None and (sim or stays):
        raise UsageError(
            "a virtual board draws no current that a meter could see",
            next_step="leave --meter out: its energy is estimated; or give --port",
        )
    read, board = read_model(model), load_target(target)
    if precision:
        from edgeq.tflite import require_precision

        require_precision(read.graph, precision)
    board.require_firmware("profile")
    if sim:
        _require_virtual_board(board)
    if sim or stays:
        built = firmware
        if sim and built is None:
            built = build(read, board, optimize=wanted_for, cache=cache, listener=listener)
        with _virtual(built, board, port, wait_states) as running:
            title = f"virtual {board.board.title}" + ("" if wait_states is None else f", {wait_states} wait states")
            setting = _Setting(running.port, "simulated", title, running, wanted_for)
            return _measure(setting, read, board, built, (data, samples, runs, seed, precision), trace, listener)
    from edgeq.measure.origin import provenance
    from edgeq.runners import ports

    if port == "auto":
        port = ports.console_of(board, ports.present()).device
    called = provenance(port, hardware)
    setting = _Setting(port, called, board.board.title if called == "measured" else "", None, wanted_for)
    wanted = (data, samples, runs, seed, precision)
    return _measure(setting, read, board, firmware, wanted, trace, listener, meter, timeout_s)


def deploy(
    model: ModelLike,
    target: TargetLike,
    *,
    port: str = "",
    sim: bool = False,
    hardware: bool | None = None,
    reserve_ram_bytes: int = 0,
    reserve_flash_bytes: int = 0,
    toolchain: str = "auto",
    optimize: str | Objective = "balanced",
    runner: str = "",
    device: str = "",
    options: FlashOptions | None = None,
    data: str | Path = "",
    samples: int = 0,
    runs: int = 0,
    seed: int = 0,
    output: Path | None = None,
    cache: Path | None = None,
    claim: Claim | None = None,
    listener: Listener = silent,
) -> Deployment:
    """check, build, flash and profile in one.

    Args:
        claim: see `flash`.

    Raises:
        DoesNotFit: with the FitReport. Nothing is built then, or nothing flashed when the finished build shows it.
        EdgeqError: see the single steps.
    """
    from edgeq.check import DoesNotFit, after_build

    device, port = one_board(device, port, sim)
    _check_claim(sim or kept.is_address(port), hardware)
    if port not in ("", "auto") and not (sim or kept.is_address(port)):
        from edgeq.measure.origin import provenance

        provenance(port, hardware)  # a port that profile would refuse is refused before anything is written
    if output is not None:
        from edgeq.files import require_writable

        require_writable(output, folder=True)
    read, board = read_model(model), load_target(target)
    board.require_firmware("flash")
    if sim:
        _require_virtual_board(board)
    fit = check(
        read,
        board,
        reserve_ram_bytes=reserve_ram_bytes,
        reserve_flash_bytes=reserve_flash_bytes,
        optimize=optimize,
    )
    if not fit.fits:
        raise DoesNotFit(fit, read.path)
    firmware = build(read, board, toolchain=toolchain, optimize=optimize, output=output, cache=cache, listener=listener)
    usage = firmware.usage
    fit = after_build(fit, flash_bytes=usage.flash_bytes, weights_bytes=usage.weights_bytes, ram_bytes=usage.ram_bytes)
    if not fit.fits:
        raise DoesNotFit(fit, read.path)
    wanted = (data, samples, runs, seed, 0)
    if sim:
        from edgeq.runners.image import image_of
        from edgeq.runners.virtual import flash_result

        started = time.monotonic()
        with simulate(firmware, board) as running:
            flashed = flash_result(running, image_of(firmware, board), board, time.monotonic() - started)
            setting = _Setting(running.port, "simulated", flashed.device.title, running)
            measured = _measure(setting, read, board, firmware, wanted, None, listener)
        return Deployment(fit, firmware, flashed, measured)
    from edgeq.pipeline.bench import keys_of_port, with_ports

    # `profile` asks it what it runs.
    flashed = flash(
        firmware, board, runner=runner, device=device, hello=False, options=options,
        claim=None if claim is None else with_ports(claim), listener=listener,
    )  # fmt: skip
    if port in ("", "auto"):
        from edgeq.runners import ports

        port = ports.console_of_flashed(board, flashed.device).device
    if claim is not None:
        claim(keys_of_port(port))
    measured = profile(
        read, board, port=port, hardware=hardware, firmware=firmware, data=data, samples=samples, runs=runs,
        seed=seed, listener=listener,
    )  # fmt: skip
    return Deployment(fit, firmware, flashed, measured)


def _require_virtual_board(board: Target) -> None:
    from edgeq.runners.virtual import require_virtual_board

    require_virtual_board(board)


def _check_claim(sim: bool, hardware: bool | None) -> None:
    if sim and hardware is not None:
        raise UsageError(
            "a virtual board's figures are simulated, whatever is said of them",
            next_step="leave --hardware and --simulated out, or give the --port of a real board",
        )


@dataclass(frozen=True)
class _Setting:
    port: str
    provenance: Literal["measured", "simulated"]
    device: str
    board: VirtualBoardProcess | None
    optimize: str | Objective = "balanced"


def _measure(
    setting: _Setting,
    model: Model,
    target: Target,
    firmware: Firmware | Path | None,
    wanted: tuple[str | Path, int, int, int, int],
    trace: Trace | None,
    listener: Listener,
    plan: Plan | None = None,
    reconnect_s: float = 0.0,
) -> Measurement:
    from edgeq.measure import built, inputs
    from edgeq.measure import profile as room
    from edgeq.measure.measurement import CycleModel
    from edgeq.reference import Reference
    from edgeq.runners import ports

    sha256 = model.graph.sha256
    if firmware is None:
        known = built.Built(generate(model, target, optimize=setting.optimize).manifest)
    elif isinstance(firmware, Path):
        known = built.from_folder(firmware, target, sha256)
    else:
        known = built.from_firmware(firmware, sha256)
    data, count, runs, seed, precision = wanted
    precision = precision or (8 if model.graph.nested is not None else 0)
    computed = at_precision(model, precision) if precision else model
    reference = Reference(computed.data, computed.graph)
    count = count or room.default_samples(known.manifest, virtual=setting.board is not None)
    samples = inputs.choose(data, known.manifest.inputs, count, seed)
    announced = setting.board.announcement if setting.board else None
    cycle_model = CycleModel(
        announced.cycle_model if announced else target.core.cycle_model, announced.known_error if announced else ""
    )
    return room.profile(
        room.Setting(
            setting.port,
            target.board.console.baud,
            setting.provenance,
            device=setting.device,
            runs=runs,
            cycle_model=cycle_model,
            memory=known.memory,
            symbols=known.symbols,
            plan=plan,
            find=None if setting.board else ports.follow(setting.port),
            reconnect_s=reconnect_s,
        ),
        room.Subject(
            known.manifest,
            target,
            samples,
            reference.run,
            reference.name,
            model.path,
            precision,
            reference.reset if any(tensor.is_variable for tensor in model.graph.tensors) else None,
        ),
        trace=trace,
        listener=listener,
    )
