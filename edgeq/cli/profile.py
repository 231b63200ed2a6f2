"""edgeq profile"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeq.cli import bench, computer_options, context, meter_options
from edgeq.errors import UsageError
from edgeq.events import Listener
from edgeq.target import Target

if TYPE_CHECKING:
    from edgeq.measure.computer import ComputerMeasurement
    from edgeq.pipeline.bench import Way
    from edgeq.runners.locks import Claim
    from edgeq.runners.names import Named


@click.command("profile")
@context.model_argument
@bench.target_or_device_options
@click.option("--port", default="", metavar="PORT", help="/dev/ttyACM0, socket://host:port, …, or auto.")
@click.option("--sim", is_flag=True, help="Build it and start a virtual board.")
@click.option(
    "--firmware",
    type=click.Path(path_type=Path),
    help="The folder of the build that is on the device, for its sizes.",
)
@context.hardware_option
@computer_options.options
@meter_options.options
@click.option(
    "--wait-states",
    type=click.IntRange(0, 15),
    help="With --sim: of the flash, instead of the chip's at its clock; 0 is ideal memory.",
)
@click.option(
    "--precision",
    type=click.Choice(["8", "4", "2", "all"]),
    help="Of a nested model: bits of the weights, or all in one table  [default: 8]",
)
@context.optimize_option(None)
@context.sample_options
@context.timeout_option
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the JSON report to this file too.")
@click.option("--trace", is_flag=True, help="Show what goes over the wire on stderr.")
@context.common
def command(
    model: Path,
    target: str,
    devices: tuple[str, ...],
    wait_s: float,
    port: str,
    sim: bool,
    firmware: Path | None,
    hardware: bool | None,
    wait_states: int | None,
    precision: str | None,
    optimize: str | None,
    data: str,
    samples: int,
    runs: int,
    seed: int,
    timeout_s: float,
    output: Path | None,
    trace: bool,
    as_json: bool,
    quiet: bool,
    **more: Any,
) -> int:
    """Run MODEL (.tflite) on a device: outputs compared byte for byte, latency per layer, memory, energy.

    The device's own model hash is compared first. Exits with 1 when outputs differ. With --device, devices of your
    device file are reached where it says, several at once; each is locked meanwhile. Of Linux computers (--host) and
    phones (--serial) the conditions are told too: governor, temperature, throttling, battery.

    \b
    Examples:
      edgeq profile model.tflite --target nucleo-l4r5zi --sim
      edgeq profile model.tflite --target nucleo-l4r5zi --port /dev/ttyACM0 --data test.npz --samples 50
      edgeq profile model.tflite --port virtual:nrf52840dk
      edgeq profile model_nested.tflite --target nucleo-l4r5zi --sim --precision all
      edgeq profile model.tflite --target raspberry-pi-4b --host pi@raspberrypi.local --engine litert-xnnpack
      edgeq profile model.tflite --device bench-3 --device bench-4 --device pi-5 --wait 600
      edgeq profile model.tflite --target pixel-8 --serial 3A1FDJH --cpus big
      edgeq profile model.tflite --target nrf52840dk --port auto --meter ppk2 --supply 3.0 --save-power power.npz
    """
    from edgeq import pipeline
    from edgeq.files import require_writable
    from edgeq.pipeline.bench import reach
    from edgeq.pipeline.nested import profile_precisions
    from edgeq.report.nested import precisions_text
    from edgeq.report.profile import profile_text
    from edgeq.runners.locks import keys_of_meter
    from edgeq.runners.names import Named

    if output is not None:
        require_writable(output)
    out = context.output("profile", as_json, quiet)
    chosen = bench.named(devices, ids=False)
    if chosen and (port or sim or more["host"] or more["serial"]):
        raise UsageError("--device says where the device is", next_step="leave --port, --sim, --host and --serial out")
    metering = {name: more.pop(name) for name in meter_options.PARAMETERS}
    wanted: dict[str, Any] = {"data": data, "samples": samples, "runs": runs, "seed": seed}
    if len(chosen) > 1:
        _refuse_for_several(
            meter=bool(metering["meter"]), trace=trace, firmware=firmware is not None, precision=precision == "all"
        )
        told = {**more, "precision": int(precision or 0), "timeout_s": timeout_s, "optimize": optimize or ""}
        return _on_several(
            out,
            model,
            target,
            chosen,
            wait_s,
            told,
            wanted,
            hardware,
            output,
        )
    with ExitStack() as stack:
        listener = stack.enter_context(out.teller())
        said = bench.virtual_target(port)
        board = bench.target_of(target, chosen[0] if chosen else Named(port, target=said) if said else None)
        if chosen:
            way = stack.enter_context(
                reach(chosen[0], bench.rules(wait_s), console=board.kind == "microcontroller", listener=listener)
            )
            port, sim, more, hardware = _way_of(chosen[0], way, board, more, hardware)
        if board.kind != "microcontroller":
            _refuse(
                board,
                port=bool(port),
                sim=sim,
                wait_states=wait_states is not None,
                firmware=firmware is not None,
                precision=bool(precision),
            )
            options = {**more, "meter": metering["meter"], "optimize": optimize}
            claim = way.claim if chosen else stack.enter_context(bench.claims(wait_s, listener))
            computers = _on_computers(model, board, options, (data, samples, runs, seed), claim, listener)
            stack.close()  # the bars go before the report comes
            return _show_computers(out, computers, output)
        computer_options.refuse(more, board)
        plan = meter_options.plan(metering)
        port = context.console_called(port, board)
        claim = way.claim if chosen else stack.enter_context(bench.claims(wait_s, listener, "" if sim else port))
        if plan is not None:
            claim(keys_of_meter(plan.meter))
        call: Any = partial(
            pipeline.profile if precision != "all" else profile_precisions,
            model,
            board,
            port=port,
            sim=sim,
            hardware=hardware,
            wait_states=wait_states,
            firmware=firmware,
            optimize=optimize or "",
            **wanted,
            meter=plan,
            timeout_s=timeout_s,
            cache=context.cache_folder(),
            trace=(lambda way, line: click.echo(f"{way} {line}", err=True)) if trace else None,
            listener=(lambda event: None) if trace else listener,
        )
        several = call() if precision == "all" else (call(precision=int(precision or 0)),)
    first = several[0]
    if plan is not None:
        from edgeq.measure.energy.files import save

        for path in metering["traces"]:
            for m in several:
                save(m.metered, path if len(several) == 1 else path.with_stem(f"{path.stem}_{m.precision}bit"))
    if precision == "all":
        out.show(
            lambda width, color: precisions_text(several, width=width, color=color),
            lambda: {"target": first.target, "precisions": [m.to_json() for m in several]},
            output,
        )
    else:
        out.show(lambda width, color: profile_text(first, width=width, color=color), first.to_json, output)
    return 0 if all(m.validation.passed for m in several) else 1


def _refuse(board: Target, **given: bool) -> None:
    """Options of microcontrollers mean nothing on a computer or phone."""
    wrong = [f"--{name.replace('_', '-')}" for name, is_given in given.items() if is_given]
    if wrong:
        way = "--host user@address" if board.kind == "linux" else "--serial NUMBER (see `adb devices`)"
        raise UsageError(f"{', '.join(wrong)} is for microcontrollers", where=board.name, next_step=f"give {way}")


def _refuse_for_several(**given: bool) -> None:
    wrong = [f"--{name}" for name, is_given in given.items() if is_given]
    if wrong:
        raise UsageError(f"{', '.join(wrong)} is for one device", next_step="give one --device")


def _way_of(
    device: Named, way: Way, board: Target, options: dict[str, Any], hardware: bool | None
) -> tuple[str, bool, dict[str, Any], bool | None]:
    """What a device's entry stands for: --port, --sim, options of computers, --hardware."""
    if board.kind == "microcontroller":
        return way.port, way.sim, options, device.hardware if hardware is None else hardware
    found = {"host": (way.host,) if way.host else (), "serial": (way.adb,) if way.adb and not way.host else ()}
    return "", False, {**options, **found}, hardware


def _on_several(
    out: context.Output,
    model: Path,
    target: str,
    devices: Sequence[Named],
    wait_s: float,
    options: dict[str, Any],
    wanted: Mapping[str, Any],
    hardware: bool | None,
    output: Path | None,
) -> int:
    """On several devices of the device file at once, of whatever kind."""
    from edgeq import pipeline
    from edgeq.measure.measurement import Measurement
    from edgeq.pipeline.bench import reach
    from edgeq.pipeline.computers import profile_computer
    from edgeq.report.computer import computer_text
    from edgeq.report.profile import profile_text

    read = pipeline.read_model(model)
    precision, timeout_s = options.pop("precision"), options.pop("timeout_s")

    # click's context, which all of these read, isn't there in other threads
    how, boards = bench.rules(wait_s), {device.name: bench.target_of(target, device) for device in devices}
    cache = context.cache_folder()

    def work(device: Named, listener: Listener) -> Any:
        board = boards[device.name]
        on_board = board.kind == "microcontroller"
        with reach(device, how, console=on_board, listener=listener) as way:
            port, sim, more, real = _way_of(device, way, board, options, hardware)
            if on_board:
                return pipeline.profile(
                    read, board, port=port, sim=sim, hardware=real, precision=precision, **wanted,
                    optimize=options["optimize"], cache=cache, timeout_s=timeout_s, listener=listener,
                )  # fmt: skip
            (request,) = computer_options.requests(more, board, wanted["runs"], "", cache)
            rest = {key: wanted[key] for key in ("data", "samples", "seed")}
            return profile_computer(read, board, request, **rest, claim=way.claim, listener=listener)

    def passed(m: Any) -> bool:
        return bool(m.validation.passed if isinstance(m, Measurement) else m.passed)

    def text(m: Any, width: int, color: bool) -> str:
        write: Any = profile_text if isinstance(m, Measurement) else computer_text
        return str(write(m, width=width, color=color))

    return bench.on_several(
        out,
        devices,
        target,
        work,
        passed=passed,
        told=lambda m: text(m, 200, False).splitlines()[0].partition(": ")[2],
        text=text,
        body=lambda m: m.to_json(),
        output=output,
    )


def _on_computers(
    model: Path,
    board: Target,
    options: Mapping[str, Any],
    wanted: tuple[str, int, int, int],
    claim: Claim,
    listener: Listener,
) -> list[ComputerMeasurement]:
    """On one computer or phone, or several at once."""
    from concurrent.futures import ThreadPoolExecutor

    from edgeq import pipeline
    from edgeq.pipeline.computers import profile_computer

    data, samples, runs, seed = wanted
    read = pipeline.read_model(model)
    requests = computer_options.requests(options, board, runs, options["meter"], context.cache_folder())
    with ThreadPoolExecutor(len(requests)) as pool:
        futures = [
            pool.submit(
                profile_computer,
                read,
                board,
                request,
                data=data,
                samples=samples,
                seed=seed,
                claim=claim,
                listener=listener,
            )
            for request in requests
        ]
        return [future.result() for future in futures]


def _show_computers(out: context.Output, measured: Sequence[ComputerMeasurement], output: Path | None) -> int:
    from edgeq.report.computer import computer_text

    def body() -> Mapping[str, object]:
        return measured[0].to_json() if len(measured) == 1 else {"measurements": [m.to_json() for m in measured]}

    out.show(lambda width, color: "\n".join(computer_text(m, width=width, color=color) for m in measured), body, output)
    return 0 if all(m.passed for m in measured) else 1
