"""Virtual boards for the simulator's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

pytest.importorskip("unicorn")
pytest.importorskip("capstone")

from edgeq import target
from edgeq.simulator.board import VirtualBoard
from edgeq.target import Target
from tests.simulator.images import TestImage

MakeBoard = Callable[..., VirtualBoard]


@pytest.fixture(scope="session")
def nucleo() -> Target:
    return target.load("nucleo-l4r5zi")


@pytest.fixture
def board(nucleo: Target) -> Iterator[MakeBoard]:
    """Makes boards that are closed after the test."""
    made: list[VirtualBoard] = []

    def make(firmware: TestImage, of: Target = nucleo, **options: object) -> VirtualBoard:
        made.append(VirtualBoard(of, firmware.image, firmware.elf, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for each in made:
        each.close()
