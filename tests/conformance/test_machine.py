"""The machines notice what they are there to notice."""

from __future__ import annotations

import numpy as np
import pytest
from conformance import machine as machines
from conformance.cases import Case, held
from conformance.machine import Machine
from models_flatbuffer import T, single_op_model

_CASE = Case(single_op_model("RELU", [T((1, 8), scale=1.0)], T((1, 8), scale=1.0), version=2), {})
_ALL = pytest.mark.parametrize("machine", ["host", "core", "sanitized"], indirect=True)


def _spoil(monkeypatch: pytest.MonkeyPatch, statement: str) -> None:
    """Put a statement at the start of the generated model_invoke."""
    sound = machines.generate
    start = b"void model_invoke(uint8_t *arena) {\n"

    def spoilt(*arguments: object) -> object:
        program, plan, files = sound(*arguments)  # type: ignore[arg-type]
        assert start in files["model.c"]
        return program, plan, {**files, "model.c": files["model.c"].replace(start, start + statement.encode())}

    monkeypatch.setattr(machines, "generate", spoilt)


@_ALL
def test_a_sound_model_passes(machine: Machine) -> None:
    assert held(machine, _CASE) == 4


@_ALL
@pytest.mark.parametrize("where", ["arena + MODEL_ARENA_BYTES", "arena - 1"])
def test_a_write_outside_of_the_arena_is_found(machine: Machine, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _spoil(monkeypatch, f"  volatile uint8_t *p = {where};\n  *p ^= 1u;\n")
    with pytest.raises(AssertionError, match=r"the arena were written|heap-buffer-overflow"):
        held(machine, _CASE)


@_ALL
def test_a_wrong_byte_is_found(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    _spoil(monkeypatch, "  arena[3] = 77u;\n")
    with pytest.raises(AssertionError, match="elements of output 0 in run 0 differ"):
        held(machine, _CASE)


@pytest.mark.parametrize("machine", ["sanitized"], indirect=True)
def test_undefined_behaviour_is_found(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    _spoil(monkeypatch, "  volatile int x = 2147483647;\n  x = x + 1;\n")
    with pytest.raises(AssertionError, match="signed integer overflow"):
        held(machine, _CASE)


@pytest.mark.parametrize("machine", ["core-watched"], indirect=True)
@pytest.mark.parametrize(("instruction", "faults"), [("ldrd r2, r3, [%0]", True), ("ldr r2, [%0]", False)])
def test_groups_of_words_at_unaligned_addresses_are_found(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, instruction: str, faults: bool
) -> None:
    _spoil(monkeypatch, f'  __asm__ volatile("{instruction}" : : "r"(arena + 2) : "r2", "r3");\n')
    if not faults:
        assert held(machine, _CASE) == 4
        return
    with pytest.raises(AssertionError, match=r"ldrd at 0x.* on an unaligned address faults on silicon"):
        held(machine, _CASE)


@pytest.mark.parametrize("machine", ["core"], indirect=True)
def test_a_kept_register_that_changes_is_found(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    _spoil(monkeypatch, '  __asm__ volatile("vmov s16, %0" : : "r"(arena));\n')
    with pytest.raises(AssertionError, match="kept register"):
        held(machine, _CASE)


def test_junk_differs_from_run_to_run() -> None:
    assert np.count_nonzero(machines._junk(4096, 1) == machines._junk(4096, 2)) < 64
