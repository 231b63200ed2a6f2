"""Profiling over a bad line: it ends, in time, with the right figures or with an error, and never with wrong ones."""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bad_line import BadLine, Damage
from fake_model import SHA256, fake_tree, weights_of

from edgeq import target as targets
from edgeq.codegen.tree import Manifest
from edgeq.errors import DeviceError
from edgeq.files import write_tree
from edgeq.measure.inputs import seeded
from edgeq.measure.profile import Setting, Subject, profile
from edgeq.toolchains.host import compile_host

ELEMENTS = 700
# What one run may take at most: the patience of all its questions together is finite.
LONGEST_S = 240.0
# How long an inference is waited for: here it takes microseconds, and what is waited for hasn't come.
INFERENCE_S = 2.0
BOARD = targets.load("nucleo-l4r5zi")


@pytest.fixture(scope="module")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not on PATH")
    root = tmp_path_factory.mktemp("torture")
    tree = fake_tree(BOARD, 2 * 704, weights_of(ELEMENTS))
    write_tree(root, tree.files)
    sources = [root / "main.c", root / "model.c", *sorted((root / "runtime").glob("*.c"))]
    board = Path(__file__).parents[1] / "firmware" / "pipe_board.c"
    flags = ("-DMODEL_LAYER_HOOK", "-D_POSIX_C_SOURCE=199309L")
    return compile_host([*sources, board], root / "device", [root], flags, compiler="gcc"), tree.manifest


def damage_of(seed: int) -> Damage:
    """One of the ways in which lines are bad, with rates from one byte in 3,000 to one in 60."""
    chance = random.Random(seed)
    rate = 10 ** chance.uniform(-3.5, -1.8)
    kinds = (
        Damage(drop=rate),
        Damage(double=rate),
        Damage(flip=rate),
        Damage(drop=rate / 3, double=rate / 3, flip=rate / 3),
        Damage(junk=chance.randrange(1, 3000)),
        Damage(unplug_after=chance.randrange(1, 9000)),
        Damage(unplug_after=chance.randrange(1, 9000), flip=rate),
        Damage(unplug_after=chance.randrange(1, 9000), returns=True),
        Damage(unplug_after=chance.randrange(1, 9000), returns=True, flip=rate / 3),
        Damage(thief=True),
        Damage(still_until=chance.randrange(9000), drop=rate, flip=rate),
    )
    return kinds[seed % len(kinds)]


def right(inputs: Sequence[Any]) -> list[Any]:
    summed = inputs[0].astype(np.int32) + np.array(weights_of(ELEMENTS))
    return [np.clip(summed, -128, 127).astype(np.int8)]


def wrong(inputs: Sequence[Any]) -> list[Any]:
    """Another function in one element: a device that computes `right` must be found to differ from it."""
    (out,) = right(inputs)
    out.ravel()[ELEMENTS // 2] ^= 1
    return [out]


def run(firmware: tuple[Path, Manifest], seed: int, count: int = 3) -> str:
    """One seeded run of `count` samples; how it ended. Fails on a figure that isn't so."""
    program, manifest = firmware
    differs = seed % 7 == 0
    samples = seeded(list(manifest.inputs), count, seed)
    subject = Subject(manifest, BOARD, samples, wrong if differs else right, "the rule")
    started = time.monotonic()
    damage = damage_of(seed)
    with BadLine(program, damage, seed) as line:
        try:
            setting = Setting(line.port, 115200, "simulated", runs=count + 2, inference_timeout_s=INFERENCE_S)
            if damage.returns:
                setting = replace(setting, find=line.now, reconnect_s=20.0)
            got = profile(setting, subject)
        except DeviceError as failed:
            assert failed.next_step, failed
            return type(failed).__name__
        finally:
            assert time.monotonic() - started < LONGEST_S, f"seed {seed} took too long"
    assert got.validation.bit_exact is not differs, (seed, got.validation)
    assert got.validation.differing == (count if differs else 0), (seed, got.validation)
    assert got.cycles == (500,) * (count + 2), (seed, got.cycles)
    assert [t.cycles for t in got.layers] == [100, 100], (seed, got.layers)
    assert (got.memory.stack_bytes, got.memory.stack_reserved_bytes) == (321, 2048)
    assert got.model_sha256 == SHA256 and got.clock_hz == BOARD.clock_hz
    assert got.reconnections <= damage.returns
    return "right after an unplug" if got.reconnections else "right"


def many(firmware: tuple[Path, Manifest], seeds: Sequence[int], count: int) -> Counter[str]:
    # Nearly all of a run is waiting for answers that don't come.
    with ThreadPoolExecutor(64) as pool:
        return Counter(pool.map(lambda seed: run(firmware, seed, count), seeds))


def test_a_good_line_is_no_torture(firmware: tuple[Path, Manifest]) -> None:
    program, manifest = firmware
    subject = Subject(manifest, BOARD, seeded(list(manifest.inputs), 3, 1), right, "the rule")
    with BadLine(program, Damage(), 1) as line:
        got = profile(Setting(line.port, 115200, "simulated"), subject)
    assert got.validation.bit_exact and got.notices == ()


def test_many_samples_are_bound_by_the_line(firmware: tuple[Path, Manifest]) -> None:
    """An accuracy run of a thousand inputs takes as long as 115200 baud take to carry them, and not much longer."""
    program, manifest = firmware
    subject = Subject(manifest, BOARD, seeded(list(manifest.inputs), 20, 1), right, "the rule")
    with BadLine(program, Damage(pace_baud=115200), 1) as line:
        started = time.monotonic()
        got = profile(Setting(line.port, 115200, "simulated"), subject)
        wall = time.monotonic() - started
        busy = line.busy_s
    assert got.validation.bit_exact and len(got.cycles) == 20
    assert busy / wall > 0.7, (busy, wall)


def test_bad_lines(firmware: tuple[Path, Manifest]) -> None:
    ends = many(firmware, range(22), 1)
    assert sum(ends.values()) == 22 and ends["right"] + ends["right after an unplug"] >= 8, ends


def test_an_unplug_at_any_byte_costs_time_and_nothing_else(firmware: tuple[Path, Manifest]) -> None:
    """On a line that is good but for that, every one of them ends well."""
    seeds = [seed for seed in range(22, 242) if damage_of(seed).returns and not damage_of(seed).flip]
    ends = many(firmware, seeds, 3)
    assert ends == {"right after an unplug": len(seeds)}, ends


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_thousand_bad_lines(firmware: tuple[Path, Manifest]) -> None:
    ends = many(firmware, range(1000, 2000), 3)
    assert sum(ends.values()) == 1000 and ends["right"] >= 200 and ends["right after an unplug"] >= 60, ends
