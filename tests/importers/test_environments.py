"""Environments of their own: made whole or not at all, found by their requirements."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgeq import process
from edgeq.errors import MissingDependencyError, ToolError, UsageError
from edgeq.events import Event, Progress
from edgeq.importers import environments
from edgeq.importers.environments import ENVIRONMENTS, Environment, folder_of, install, isolated, python_for


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """A package on this disk, so that pip needs no index: its wheel is a zip archive of three files."""
    import zipfile

    wheel = tmp_path / "edgeq_nothing-1.0-py3-none-any.whl"
    info = "edgeq_nothing-1.0.dist-info"
    files = {
        "edgeq_nothing.py": "value = 42\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: edgeq_nothing\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    made = Environment("nothing", (str(wheel),), ("edgeq_nothing",), "nothing", 1)
    monkeypatch.setattr(environments, "ENVIRONMENTS", {**ENVIRONMENTS, "nothing": made})
    return made


@pytest.mark.slow
def test_it_is_made_with_progress_and_found(package: Environment, tmp_path: Path) -> None:
    with pytest.raises(MissingDependencyError, match="edgeq doctor --install nothing") as missing:
        python_for("nothing", tmp_path)
    assert missing.value.facts["packages"] == ["edgeq_nothing"]
    events: list[Event] = []
    python = install("nothing", tmp_path, events.append)
    assert isolated(package, tmp_path) == python == python_for("nothing", tmp_path)
    assert process.run([python, "-c", "import edgeq_nothing as n; print(n.value)"], timeout_s=60).stdout == "42\n"
    stages = [event for event in events if isinstance(event, Progress)]
    assert {event.stage for event in stages} == {"install"} and stages[-1].done == stages[-1].total == 1
    before = len(events)
    assert install("nothing", tmp_path, events.append) == python and len(events) == before
    older = folder_of(package, tmp_path).with_name("nothing-0123456789ab")
    older.mkdir()
    environments._drop_older(package, folder_of(package, tmp_path))
    assert not older.exists() and python.exists()


@pytest.mark.slow
def test_a_failure_leaves_nothing_and_shows_pips_words(
    package: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Environment("nothing", ("edgeq-nothing @ file:///no/such/file.whl",), ("edgeq_nothing",), "nothing", 1)
    monkeypatch.setattr(environments, "ENVIRONMENTS", {"nothing": broken})
    with pytest.raises(ToolError, match=r"pip could not install(.|\n)*no/such/file"):
        install("nothing", tmp_path)
    assert not folder_of(broken, tmp_path).exists() and isolated(broken, tmp_path) is None


def test_an_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"'caffe'(.|\n)*onnx, torch"):
        install("caffe")


def test_other_requirements_are_another_environment() -> None:
    one = ENVIRONMENTS["torch"]
    other = Environment(one.name, (*one.requirements, "x"), one.packages, one.summary, one.disk_mb)
    assert folder_of(one) != folder_of(other)
    assert any(r.startswith("torch==") for r in one.requirements)


def test_a_folder_without_its_mark_is_no_environment(tmp_path: Path) -> None:
    wanted: Any = ENVIRONMENTS["onnx"]
    (folder_of(wanted, tmp_path) / "bin").mkdir(parents=True)
    (folder_of(wanted, tmp_path) / "bin" / "python").touch()
    assert isolated(wanted, tmp_path) is None
