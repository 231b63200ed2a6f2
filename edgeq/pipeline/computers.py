"""Models on Linux computers and phones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgeq.errors import UsageError
from edgeq.events import Listener, silent
from edgeq.pipeline import ModelLike, TargetLike, load_target, read_model

if TYPE_CHECKING:
    from edgeq.measure.computer import ComputerMeasurement, Request
    from edgeq.runners.locks import Claim


def profile_computer(
    model: ModelLike,
    target: TargetLike,
    request: Request,
    *,
    data: str | Path = "",
    samples: int = 0,
    seed: int = 0,
    claim: Claim | None = None,
    listener: Listener = silent,
) -> ComputerMeasurement:
    """Run a model on a Linux computer or a phone; see `edgeq.measure.computer.profile`.

    Args:
        request: where, with which engine, on which cores.
        data, samples, seed: as for `profile`.
        claim: takes the device's lock; see `edgeq.runners.locks.Claims`.

    Raises:
        UsageError: the target is a microcontroller.
        NegativeResult: the device is another than the target.
        DeviceError: no connection, or something failed there.
    """
    from edgeq.codegen.generate import tensor_info
    from edgeq.measure import computer, inputs
    from edgeq.reference import Reference
    from edgeq.runners.locks import unclaimed

    read, board = read_model(model), load_target(target)
    if board.kind == "microcontroller":
        raise UsageError(
            "is a microcontroller, which has no SSH or adb", where=board.name, next_step="give --port PORT, or --sim"
        )
    ends = [tensor_info(read.graph.tensors[index]) for index in read.graph.inputs]
    chosen = inputs.choose(data, ends, samples or computer.DEFAULT_SAMPLES, seed)
    reference = Reference(read.data, read.graph)
    subject = computer.ComputerSubject(read.data, read.graph, board, chosen, reference.run, reference.name, read.path)
    return computer.profile(request, subject, listener, claim or unclaimed)
