"""What is asked of an export, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import export_networks
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import edgeq
from edgeq import exports
from edgeq.errors import UnsupportedError, UsageError
from edgeq.exports.naming import default_name, usable


@pytest.mark.parametrize(
    "name", ["2net", "a-b", "naïve", "_x", "int", "Class", "string", "sample", "test", "a" * 33, "a b"]
)
def test_names_that_a_compiler_would_stumble_over(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        edgeq.export(export_networks.vision(), "c", name=name)
    suggested = caught.value.next_step.removeprefix("--name ")
    edgeq.export(export_networks.vision(), "c", name=suggested)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"version": "1.0"}, "not a version of three numbers"),
        ({"version": "01.0.0"}, "not a version of three numbers"),
        ({"author": 'Jane "J" Doe'}, "characters that break files"),
        ({"author": "Jane\nversion=9"}, "characters that break files"),
        ({"url": "ftp://example.com"}, "is no address"),
        ({"url": "https://example.com/'><x"}, "is no address"),
        ({"core": "cortex-m5"}, "there is no core"),
        ({"core": "cortex-m4", "target": "nucleo-l4r5zi"}, "a target has its own core"),
        ({"with_portable": True}, "portable already"),
        ({"kernels": "reference"}, "is for TensorFlow Lite Micro"),
        ({"format": "makefile"}, "there is no format 'makefile'"),
        ({"format": "esp-idf", "core": "cortex-m4"}, "Xtensa and RISC-V"),
        ({"format": "arduino", "name": "arduino_kws"}, "Arduino keeps names"),
        ({"format": "tflm", "core": "cortex-m4", "with_portable": True}, "brings its own kernels"),
    ],
)
def test_wrong_use(options: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        edgeq.export(export_networks.vision(), **{"format": "c", "name": "net", **options})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("kws_int8", "kws_int8"),
        ("My net-2", "my_net_2"),
        ("8bit", "model_8bit"),
        ("float", "float_model"),
        ("", "model"),
    ],
)
def test_names_from_file_names(stem: str, name: str) -> None:
    assert default_name(stem) == name


@given(st.text(max_size=60) | st.sampled_from(["int", "main", "_" * 40, "x" * 60, "9" * 40]))
def test_any_file_name_gives_a_name_that_can_be_used(stem: str) -> None:
    assert usable(default_name(stem))


def test_a_core_without_kernels_of_its_own_has_the_portable_ones() -> None:
    plain = edgeq.export(export_networks.recurrent(), "c", name="net")
    for core in ("cortex-m0plus", "cortex-m4"):  # SVDF has one kernel for all
        made = edgeq.export(export_networks.recurrent(), "c", name="net", core=core)
        assert made.kernels == plain.kernels == "portable C"
        assert made.files["src/net.c"] == plain.files["src/net.c"]


def test_a_target_stands_for_its_core() -> None:
    by_target = edgeq.export(export_networks.vision(), "c", name="net", target="nrf52840dk")
    assert by_target.files == edgeq.export(export_networks.vision(), "c", name="net", core="cortex-m4").files
    assert by_target.kernels == "for Arm Cortex-M4F (dsp)"


def test_the_same_model_gives_the_same_bytes() -> None:
    for format in ("c", "cmsis-pack"):
        first, second = (edgeq.export(export_networks.vision(), format, name="net") for _ in range(2))
        assert first.files == second.files


def test_the_examples_input_may_be_ones_own(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.full((2, 8, 8, 4), 7, np.int8))
    made = edgeq.export(export_networks.vision(), "c", name="net", data=str(tmp_path / "x.npy"))
    assert made.samples is not None
    assert made.samples.samples[0].inputs == (b"\x07" * 256,)
    assert b"0x07, 0x07" in made.files["example/sample.h"]


def written(folder: Path, format: str = "c", force: bool = False, **options: str) -> set[str]:
    made = edgeq.export(export_networks.vision(), format, name="net", **options)  # type: ignore[arg-type]
    exports.write(made, folder, force=force)
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(UsageError, match="is not empty"):
        written(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_force_removes_what_an_earlier_export_wrote_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "net"
    first = written(folder, core="cortex-m4")
    assert "src/kernels/pointwise_conv_2d_paired_s8_dsp.c" in first
    (folder / "src" / "mine.c").write_text("kept")
    again = written(folder, "arduino", force=True)
    clean = written(tmp_path / "clean", "arduino")
    assert again == clean | {"src/mine.c"}
    assert not (folder / "include").exists()


def test_a_list_that_leads_out_of_the_folder_is_not_believed(tmp_path: Path) -> None:
    folder = tmp_path / "net"
    folder.mkdir()
    (tmp_path / "victim").write_text("kept")
    listed = {"files": ["../victim", str(tmp_path / "victim"), "", 3, "x/../../victim"]}
    (folder / "edgeq-export.json").write_text(json.dumps(listed))
    written(folder, force=True)
    assert (tmp_path / "victim").read_text() == "kept"


def test_what_has_no_kernel_is_named_with_its_layer() -> None:
    from models_flatbuffer import T, single_op_model

    model = single_op_model("Sparkle", [T((1, 4), scale=0.5, name="x")], T((1, 4), scale=0.5, name="y"))
    with pytest.raises(UnsupportedError) as caught:
        edgeq.export(model, "zephyr", name="net")
    assert "Sparkle" in str(caught.value) and "#0" in str(caught.value)
    assert caught.value.next_step
