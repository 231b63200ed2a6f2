"""The tables are whole: sources, types, rules and calls that exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeq import resources
from edgeq.errors import TargetFileError, UsageError
from edgeq.graph import DType
from edgeq.kernels import operators
from edgeq.runtimes import Runtime, load, load_file, names
from edgeq.runtimes.rules import NAMED
from edgeq.runtimes.table import ANY_TYPE

FROM_FILES = tuple(n for n in names() if n != "edgeq")


def test_the_runtimes_that_the_project_promises() -> None:
    assert names() == ("edgeq", "litert", "litert-gpu", "litert-xnnpack", "tflite-runtime-2.14", "tflm")


@pytest.mark.parametrize("name", FROM_FILES)
def test_every_table_says_its_source_and_its_facts_are_legal(name: str) -> None:
    table = load(name)
    assert table.version
    assert any("/" in line or "release" in line for line in table.source)
    assert table.falls_back_to in ("", *FROM_FILES)
    types = {d.value for d in DType}
    for row in table.operator:
        assert row.types, row.name
        for written in row.types:
            parts = written.replace("*", " ").replace(">", " ").split() if written != ANY_TYPE else []
            assert set(parts) <= types, (row.name, written)
        assert set(row.rules) <= set(NAMED), row.name
        assert row.max_version == 0 or row.min_version <= row.max_version


@pytest.mark.parametrize("name", ["litert", "tflm"])
def test_delegates_and_tflm_have_no_operator_that_the_schema_lacks(name: str) -> None:
    from edgeq.tflite.options import enum_names

    known = set(enum_names("BuiltinOperator").values())
    custom = {row.name for row in load(name).operator if row.name not in known}
    assert all(not n.isupper() or n in ("TFLM_DECODE", "CIRCULAR_BUFFER") for n in custom)


def test_tflm_has_one_call_for_each_operator() -> None:
    calls = [row.call for row in load("tflm").operator]
    assert len(set(calls)) == len(calls) > 100
    assert all(call.startswith("Add") for call in calls)


def test_what_a_delegate_takes_its_runtime_has() -> None:
    for name in ("litert-gpu", "litert-xnnpack"):
        delegate = load(name)
        base = load(delegate.falls_back_to)
        assert {row.name for row in delegate.operator} <= {row.name for row in base.operator}


def test_edgeq_is_made_of_its_kernel_table() -> None:
    assert tuple(row.name for row in load("edgeq").operator) == operators()


def test_a_wrong_name_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean tflm"):
        load("tfml")


def test_files_are_read_strictly(tmp_path: Path) -> None:
    whole = (resources.folder("targets") / "runtimes" / "tflm.toml").read_text("utf-8")
    for text, message in (
        (whole.replace("max_version = 8", "maxversion = 8", 1), "did you mean 'max_version'"),
        (whole.replace('name = "tflm"', 'name = "other"', 1), "is called 'tflm.toml'"),
        (whole + '\n[[operator]]\nname = "ADD"\ntypes = ["INT8"]\n', "two rows for ADD"),
        ("name = ", "is not valid TOML"),
    ):
        path = tmp_path / "tflm.toml"
        path.write_text(text, "utf-8")
        with pytest.raises(TargetFileError) as refused:
            load_file(path)
        assert message in str(refused.value)
    assert isinstance(load_file(resources.folder("targets") / "runtimes" / "tflm.toml"), Runtime)
