"""`edgeq check --budget`: a table, an exit code, and the formats that continuous integration reads."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from command_line import Edgeq


@pytest.fixture
def budgets(model: Path, tmp_path: Path) -> Path:
    """One kept, one exceeded, one that can't be known."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "small.tflite").write_bytes(model.read_bytes())
    head = '[[budget]]\nmodel = "models/small.tflite"\ntarget = "{}"\n'
    text = head.format("nucleo-l4r5zi") + "max_latency_ms = 50\nmax_ram_bytes = 100\n\n"
    path = tmp_path / "edgeq.toml"
    path.write_text(text + head.format("nucleo-g0b1re") + "max_latency_ms = 50\n")
    return path


def test_an_exceeded_limit_is_a_no(edgeq: Edgeq, budgets: Path) -> None:
    said = edgeq("check", "--budget", budgets)
    assert said.code == 1 and said.err == ""
    assert "2 budgets: 1 EXCEEDED, 1 not known" in said.out and "cortex-m4 only" in said.out
    told = edgeq("check", "--budget", budgets, "--json").json
    assert (told["kept"], told["exceeded"], told["unknown"]) == (False, 1, 1)
    first, second = told["budgets"]
    assert [(f["name"], f["status"]) for f in first["findings"]] == [
        ("fits", "within"),
        ("max_latency_ms", "within"),
        ("max_ram_bytes", "exceeded"),
    ]
    assert first["findings"][1]["provenance"] == "estimated" and second["line"] == 7


def test_what_is_not_known_alone_is_no_no(edgeq: Edgeq, budgets: Path) -> None:
    budgets.write_text(budgets.read_text().replace("max_ram_bytes = 100\n", ""))
    said = edgeq("check", "--budget", budgets)
    assert said.code == 0 and "nothing exceeded, 1 not known" in " ".join(said.out.split())  # lines break


def test_without_a_name_it_is_edgeq_toml_here(edgeq: Edgeq, budgets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(budgets.parent)
    assert edgeq("check", "--budget").code == 1
    monkeypatch.chdir(budgets.parent / "models")
    said = edgeq("check", "--budget")
    assert said.code == 3 and "edgeq.toml" in said.err


def test_junit(edgeq: Edgeq, budgets: Path) -> None:
    said = edgeq("check", "--budget", budgets, "--format", "junit")
    root = ElementTree.fromstring(said.out)
    assert said.code == 1
    assert (root.get("tests"), root.get("failures"), root.get("skipped")) == ("5", "1", "1")
    (failed,) = (case for case in root.iter("testcase") if case.find("failure") is not None)
    assert failed.get("name") == "max_ram_bytes" and failed.get("classname") == "models/small.tflite on nucleo-l4r5zi"


def test_sarif(edgeq: Edgeq, budgets: Path) -> None:
    body = json.loads(edgeq("check", "--budget", budgets, "--format", "sarif").out)
    (run,) = body["runs"]
    rules = {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    levels = {r["ruleId"]: r["level"] for r in run["results"]}
    assert body["version"] == "2.1.0" and levels == {"max_ram_bytes": "error", "max_latency_ms": "note"}
    assert set(levels) <= rules
    lines = [r["locations"][0]["physicalLocation"]["region"]["startLine"] for r in run["results"]]
    assert lines == [1, 7]


def test_markdown(edgeq: Edgeq, budgets: Path) -> None:
    lines = edgeq("check", "--budget", budgets, "--format", "markdown").out.splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + 5 and len({line.count("|") for line in table}) == 1
    assert any("EXCEEDED" in line and "max_ram_bytes" in line for line in table)


@pytest.mark.parametrize(
    "wrong",
    [("--budget", "b.toml", "--all"), ("--budget", "b.toml", "--json", "--format", "sarif"), ("--format", "junit"), ()],
)
def test_wrong_use(edgeq: Edgeq, wrong: tuple[str, ...]) -> None:
    assert edgeq("check", *wrong).code == 2
