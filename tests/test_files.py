"""Outputs that can't be written are told beforehand, and looking leaves nothing behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgeq.errors import UsageError
from edgeq.files import require_writable, write_whole


def test_what_can_be_written_is_not_made_by_looking(tmp_path: Path) -> None:
    require_writable(tmp_path / "a" / "b" / "report.json")
    require_writable(tmp_path / "a" / "b", folder=True)
    require_writable(tmp_path, folder=True)
    assert not list(tmp_path.iterdir())
    write_whole(tmp_path / "a" / "b" / "report.json", "{}")
    require_writable(tmp_path / "a" / "b" / "report.json")
    assert [p.name for p in (tmp_path / "a" / "b").iterdir()] == ["report.json"]


def test_a_relative_name_is_written_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    require_writable(Path("report.json"))
    require_writable(Path("build"), folder=True)


@pytest.mark.parametrize("folder", [False, True])
def test_below_a_file_nothing_can_be_written(tmp_path: Path, folder: bool) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="can't be written: Not a directory"):
        require_writable(tmp_path / "file" / "x" / "y", folder=folder)


def test_a_file_and_a_folder_do_not_take_each_others_place(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="Not a directory"):
        require_writable(tmp_path / "file", folder=True)
    with pytest.raises(UsageError, match="Is a directory"):
        require_writable(tmp_path)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UsageError, match="Permission denied"):
        require_writable(tmp_path / "report.json")
