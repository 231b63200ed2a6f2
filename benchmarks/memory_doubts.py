"""What would change if what documents leave open of a chip's flash were otherwise: the table in docs/cycle-model.md.

    EDGEQ_SHARED=../shared python benchmarks/memory_doubts.py [kws ad]

Each doubt is a change of the chip's TOML file in a folder of one's own targets. Cycles are simulated: they are counted,
not timed.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from edgeq import pipeline, resources
from edgeq import target as targets
from edgeq.events import silent

# Board, chip, what were otherwise, and the change of the chip's file: (old, new); none: as it is, on ideal memory.
DOUBTS = (
    ("nrf52840dk", "nrf52840", "8 bytes an access", ("read_bytes = 16", "read_bytes = 8")),
    ("nrf52840dk", "nrf52840", "4 bytes an access", ("read_bytes = 16", "read_bytes = 4")),
    (
        "nrf52840dk",
        "nrf52840",
        "2 wait states of a miss too",
        ("instruction_miss_cycles = 1", "instruction_miss_cycles = 0"),
    ),
    ("nrf52840dk", "nrf52840", "no wait states at all", None),
    ("nucleo-f429zi", "stm32f429", "a data cache hit costs nothing", ("data_hit_cycles = 2", "data_hit_cycles = 0")),
)


def cycles(model: Path, board: targets.Target, wait_states: int | None = None) -> int:
    """Of one inference, whose outputs must be the reference's."""
    found = pipeline.profile(model, board, sim=True, samples=1, runs=1, wait_states=wait_states, listener=silent)
    assert found.validation.bit_exact
    return found.median_cycles


def changed(board: str, chip: str, change: tuple[str, str], folder: Path) -> targets.Target:
    """The board with a changed chip, under names of its own."""
    known = resources.folder("targets")
    for part in ("boards", "socs"):
        (folder / part).mkdir()
    text = (known / f"socs/{chip}.toml").read_text("utf-8")
    assert text.count(change[0]) == 1, change
    (folder / "socs/changed.toml").write_text(text.replace(*change).replace(f'name = "{chip}"', 'name = "changed"'))
    shutil.copy(known / f"boards/{board}.toml", folder / "boards/changed-board.toml")
    place = folder / "boards/changed-board.toml"
    own = place.read_text().replace(f'name = "{board}"', 'name = "changed-board"')
    place.write_text(own.replace(f'soc = "{chip}"', 'soc = "changed"'))
    return targets.load("changed-board", folder)


def main(names: list[str]) -> int:
    """Print one row for each doubt and model."""
    models = Path(os.environ["EDGEQ_SHARED"]) / "data/mlperf_tiny"
    for name in names or ["kws", "ad"]:
        model = models / f"{name}_int8.tflite"
        base = {board: cycles(model, targets.load(board)) for board in dict.fromkeys(row[0] for row in DOUBTS)}
        for board, chip, told, change in DOUBTS:
            with tempfile.TemporaryDirectory() as folder:
                if change is None:
                    otherwise = cycles(model, targets.load(board), wait_states=0)
                else:
                    otherwise = cycles(model, changed(board, chip, change, Path(folder)))
            share = 100 * (otherwise / base[board] - 1)
            sys.stdout.write(f"{name:4} {board:14} {base[board]:>11,} {told:32} {otherwise:>11,} {share:+.2f} %\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
