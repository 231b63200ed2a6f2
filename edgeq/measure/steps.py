"""The steps of a profile with edgeq's own firmware: each can begin again, whatever has become of the last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edgeq.errors import ProtocolError
from edgeq.measure.answers import ATTEMPTS, DeviceInfo
from edgeq.measure.forms import on_the_wire
from edgeq.measure.link import Link
from edgeq.measure.session import Session

if TYPE_CHECKING:
    from edgeq.measure.profile import Setting, Subject

Array = npt.NDArray[Any]


def reset(session: Session, subject: Subject) -> None:
    """Have the device and the reference forget their state."""
    session.reset_state()
    if subject.reset is not None:
        subject.reset()


def one(
    session: Session,
    info: DeviceInfo,
    setting: Setting,
    subject: Subject,
    sample: Sequence[Array],
    with_layers: bool,
) -> tuple[int, list[Array], list[bytes], tuple[int, ...]]:
    """One sample: cycles, the reference's outputs, the device's, and its layers' cycles."""
    ran, expected = infer(session, info, setting, subject, sample)
    got = outputs(session, info)
    return ran, expected, got, session.layers(info.layers) if with_layers else ()


def more(
    link: Link, info: DeviceInfo, setting: Setting, subject: Subject, count: int, with_layers: bool, session: Session
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """More inferences on the last sample: their cycles, and the layers' of the last."""
    ensure_loaded(link, info, subject, session)
    ran = session.run(count, timeout_s=setting.inference_timeout_s)
    return ran, session.layers(info.layers) if with_layers else ()


def stack_used(link: Link, info: DeviceInfo, setting: Setting, subject: Subject, session: Session) -> int:
    """The stack's high-water mark; a board that has restarted meanwhile has to run once more to have one."""
    if ensure_loaded(link, info, subject, session):
        session.run(1, timeout_s=setting.inference_timeout_s)
    return session.stack_used()


def ensure_loaded(link: Link, info: DeviceInfo, subject: Subject, session: Session) -> bool:
    """After a reconnection the board may have restarted, and its input be empty: the last sample is sent again."""
    if link.holding is session:
        return False
    session.load(on_the_wire(subject.samples.arrays[-1], subject.manifest.inputs, info.input_form))
    link.holding = session
    return True


def outputs(session: Session, info: DeviceInfo) -> list[bytes]:
    return [session.output(i, size) for i, size in enumerate(info.outputs)]


def infer(
    session: Session, info: DeviceInfo, setting: Setting, subject: Subject, sample: Sequence[Array]
) -> tuple[int, list[Array]]:
    """One sample's inference: its cycles, and the reference's outputs.

    Where the answer was damaged the device may have run once more than it was believed to. A model with a state then
    starts a new sequence, on both sides.
    """
    session.load(on_the_wire(sample, subject.manifest.inputs, info.input_form))
    for _ in range(ATTEMPTS):
        expected = [np.asarray(a) for a in subject.reference(sample)]
        repaired = session.repaired
        (cycles,) = session.run(1, timeout_s=setting.inference_timeout_s)
        if subject.reset is None or session.repaired == repaired:
            return cycles, expected
        session.reset_state()
        subject.reset()
    raise ProtocolError(
        f"the answer to each of {ATTEMPTS} inferences was damaged, and the model's state is unknown after that",
        where=setting.port,
        next_step="look at the cable, or try a slower line",
    )
