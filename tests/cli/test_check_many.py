"""`edgeq check` over many targets."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Edgeq

from edgeq import target

PAIR = ("--target", "nucleo-l4r5zi", "--target", "nucleo-g0b1re")


def order(edgeq: Edgeq, *arguments: str | Path) -> list[str]:
    return [row["target"] for row in edgeq("check", *arguments, "--json").json["targets"]]


def test_a_table_of_the_named_targets(edgeq: Edgeq, model: Path) -> None:
    said = edgeq("check", model, *PAIR)
    assert said.code == 0 and said.err == ""
    assert "fits 2 of 2 targets" in said.out
    assert "nucleo-l4r5zi" in said.out and "640 KiB" in said.out and "estimated latency" in said.out


def test_one_named_target_that_does_not_fit_is_a_no(edgeq: Edgeq, model: Path) -> None:
    said = edgeq("check", model, *PAIR, "--reserve-ram", "200K", "--json")
    assert said.code == 1
    first, last = said.json["targets"]
    assert (first["target"], first["verdict"]) == ("nucleo-l4r5zi", "fits")
    assert (last["target"], last["verdict"]) == ("nucleo-g0b1re", "does not fit")
    assert last["headroom_percent"] < 0 and not last["ram"]["fits"] and said.json["fits"] == ["nucleo-l4r5zi"]
    assert "DOES NOT FIT" in edgeq("check", model, *PAIR, "--reserve-ram", "200K").out


def test_kinds_and_all(edgeq: Edgeq, model: Path) -> None:
    assert sorted(order(edgeq, model, "--all")) == list(target.names())
    phones = order(edgeq, model, "--kind", "phone")
    assert phones and all(target.load(name).kind == "phone" for name in phones)
    assert set(order(edgeq, model, "--kind", "phone", *PAIR)) == {*phones, "nucleo-l4r5zi", "nucleo-g0b1re"}
    assert order(edgeq, model, *PAIR[:2], *PAIR) == order(edgeq, model, *PAIR)


def test_of_a_kind_one_that_fits_is_enough(edgeq: Edgeq, model: Path) -> None:
    reserve = ("--reserve-ram", "200K")
    assert edgeq("check", model, "--kind", "microcontroller", *reserve).code == 0
    assert edgeq("check", model, "--kind", "microcontroller", "--target", "nucleo-g0b1re", *reserve).code == 1
    assert edgeq("check", model, "--kind", "microcontroller", "--reserve-ram", "512M").code == 1


def test_a_model_that_is_refused_everywhere(edgeq: Edgeq, refused_model: Path) -> None:
    said = edgeq("check", refused_model, "--all")
    assert said.code == 1 and "NOT SUPPORTED: 1 of 1 operators" in said.out


def test_targets_of_ones_own_are_in_the_table(edgeq: Edgeq, model: Path, tmp_path: Path) -> None:
    text = target.load("nucleo-l4r5zi").path.read_text().replace('"nucleo-l4r5zi"', '"mine"')
    (tmp_path / "mine.toml").write_text(text)
    assert "mine" in order(edgeq, model, "--all", "--targets-dir", tmp_path)


@pytest.mark.parametrize("option", [("--plan",), ("--runtime", "tflm")])
def test_what_is_of_a_single_target(edgeq: Edgeq, model: Path, option: tuple[str, ...]) -> None:
    said = edgeq("check", model, "--all", *option)
    assert said.code == 2 and "single target" in said.err
