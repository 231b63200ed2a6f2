"""What the commands say and do, on a small model."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Edgeq
from device_double import DeviceDouble, Firmware

TARGET = ("--target", "nucleo-l4r5zi")


def test_check_says_yes(edgeq: Edgeq, model: Path) -> None:
    said = edgeq("check", model, *TARGET)
    assert said.code == 0 and said.err == ""
    assert f"{model} on nucleo-l4r5zi: fits (1 operators, 84 MACs)" in said.out
    assert "estimated" in said.out and "arena" in said.out


def test_check_says_no_with_the_figure_and_what_helps(edgeq: Edgeq, model: Path) -> None:
    said = edgeq("check", model, *TARGET, "--reserve-ram", "640K")
    assert said.code == 1
    assert "DOES NOT FIT" in said.out and "OVER" in said.out
    told = edgeq("check", model, *TARGET, "--reserve-ram", "655360", "--json")
    assert told.code == 1 and told.json["fits"] is False and told.json["command"] == "check"
    assert told.json["ram"]["headroom_bytes"] < 0


def test_check_names_the_operator_that_is_not_supported(edgeq: Edgeq, refused_model: Path) -> None:
    said = edgeq("check", refused_model, *TARGET, "--plan")
    assert said.code == 1
    assert "NOT SUPPORTED" in said.out and "Sparkle #0" in said.out


def test_check_draws_the_arena(edgeq: Edgeq, model: Path) -> None:
    said = edgeq("check", model, *TARGET, "--plan")
    assert "planned = allocated" in said.out and "↑ peak" in said.out and "FULLY_CONNECTED #0" in said.out


@pytest.mark.parametrize(("written", "count"), [("16K", 16384), ("1.5KiB", 1536), ("2M", 2097152), ("77", 77)])
def test_sizes(edgeq: Edgeq, model: Path, written: str, count: int) -> None:
    told = edgeq("check", model, *TARGET, "--reserve-flash", written, "--json").json
    parts = {p["name"]: p["bytes"] for m in told["memories"] for p in m["parts"] if m["kind"] == "flash"}
    assert parts["reserve"] == count


def test_build_writes_what_it_says(edgeq: Edgeq, model: Path, tmp_path: Path) -> None:
    pytest.importorskip("ziglang")
    said = edgeq("build", model, *TARGET, "-o", tmp_path / "b", "--json")
    assert said.code == 0, said.err
    body = said.json
    assert Path(body["files"]["bin"]).stat().st_size == body["memory"]["flash_bytes"]
    assert (tmp_path / "b" / "edgeq.json").is_file() and (tmp_path / "b" / "firmware.elf").is_file()
    text = edgeq("build", model, *TARGET, "-o", tmp_path / "b")
    assert text.code == 0 and "small built for nucleo-l4r5zi" in text.out


def test_build_into_a_place_that_cannot_be_written(edgeq: Edgeq, model: Path, tmp_path: Path) -> None:
    pytest.importorskip("ziglang")
    (tmp_path / "file").touch()
    assert edgeq("build", model, *TARGET, "-o", tmp_path / "file" / "b").code == 2


def test_flash_without_a_board_lists_what_was_looked_for(
    edgeq: Edgeq, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = tmp_path / "firmware.bin"
    image.write_bytes(b"\x00\x10\x00\x20\x09\x00\x00\x08" + bytes(64))
    said = edgeq("flash", image, *TARGET, "--runner", "stlink-drive")
    assert said.code == 5
    assert "NODE_L4R5ZI" in said.err and "--sim" in said.err


def test_profile_of_a_device_with_another_model(edgeq: Edgeq, model: Path) -> None:
    with DeviceDouble(Firmware(sha256="cd" * 32)) as device:
        said = edgeq("profile", model, *TARGET, "--port", device.port)
        assert said.code == 1
        assert "another model" in said.err and "cdcdcdcd" in said.err and "edgeq deploy" in said.err
        told = edgeq("profile", model, *TARGET, "--port", device.port, "--json")
        assert told.code == 1 and told.json["error"]["facts"]["device_sha256"] == "cd" * 32


def test_profile_over_a_pseudo_terminal_is_never_called_measured(edgeq: Edgeq, model: Path, tmp_path: Path) -> None:
    """The double inverts bytes, so outputs differ; what matters here is how the figures are called."""
    firmware = Firmware(sha256=_sha(model), inputs=12, outputs=7, layer_cycles=(900,))
    with DeviceDouble(firmware) as device:
        report = tmp_path / "report.json"
        said = edgeq("profile", model, *TARGET, "--port", device.port, "--samples", "2", "-o", report)
        assert said.code == 1
        assert "OUTPUTS DIFFER" in said.out and "simulated" in said.out and "measured" not in said.out
        assert report.is_file()
        told = edgeq(
            "profile", model, *TARGET, "--port", device.port, "--samples", "2", "--hardware", "--json", "--trace"
        )
    assert told.json["provenance"] == "measured"
    assert told.json["validation"]["passed"] is False
    assert told.json["energy"]["provenance"] == "estimated"
    assert "> edgeq info #1%" in told.err and "< m-edgeq-sha256-[" in told.err


@pytest.mark.parametrize("command", ["profile", "deploy"])
def test_a_remote_port_without_a_word_is_wrong_use_before_any_work(edgeq: Edgeq, model: Path, command: str) -> None:
    said = edgeq(command, model, *TARGET, "--port", "socket://192.0.2.7:3333")
    assert said.code == 2
    assert "--hardware" in said.err and "--simulated" in said.err
    said = edgeq(command, model, *TARGET, "--sim", "--hardware")
    assert said.code == 2 and "are simulated" in said.err


def test_a_report_that_cannot_be_written_is_one_object_and_takes_no_text_away(
    edgeq: Edgeq, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could have been, when that was looked at."""
    from edgeq import files

    monkeypatch.setattr(files, "require_writable", lambda path: None)
    (tmp_path / "file").touch()
    firmware = Firmware(sha256=_sha(model), inputs=12, outputs=7, layer_cycles=(900,))
    with DeviceDouble(firmware) as device:
        line = ("profile", model, *TARGET, "--port", device.port, "--samples", "1", "-o", tmp_path / "file" / "report")
        told = edgeq(*line, "--json")
        said = edgeq(*line)
    assert told.code == said.code == 2
    assert told.json["error"]["type"] == "UsageError"
    assert "OUTPUTS DIFFER" in said.out and "can't be written" in said.err


def test_deploy_of_what_does_not_fit_tells_what_check_tells(edgeq: Edgeq, model: Path) -> None:
    line = (model, *TARGET, "--reserve-ram", "640K")
    said, checked = edgeq("deploy", *line, "--sim"), edgeq("check", *line)
    assert said.code == checked.code == 1
    assert said.out == checked.out and "OVER" in said.out
    assert "error: " in said.err and "does not fit" in said.err
    told = edgeq("deploy", *line, "--sim", "--json")
    fit = edgeq("check", *line, "--json").json
    assert told.code == 1 and told.json["error"]["type"] == "DoesNotFit"
    assert fit == fit | told.json["error"]["facts"]["fit"]


def test_deploy_of_what_is_not_supported_names_the_operator(edgeq: Edgeq, refused_model: Path) -> None:
    said = edgeq("deploy", refused_model, *TARGET, "--sim")
    assert said.code == 1 and "Sparkle #0" in said.out


@pytest.mark.parametrize(
    "line",
    [
        ["convert", "--data", "calib.npz", "-o"],
        ["build", "-o"],
        ["deploy", "--sim", "-o"],
        ["deploy", "--sim", "--build"],
        ["profile", "--sim", "-o"],
    ],
)
def test_an_output_that_cannot_be_written_is_told_before_the_work(
    edgeq: Edgeq, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: list[str]
) -> None:
    from edgeq import pipeline

    def work(*_: object, **__: object) -> None:
        raise AssertionError("the work has begun")

    for name in ("convert", "generate", "check", "profile"):
        monkeypatch.setattr(pipeline, name, work)
    (tmp_path / "file").touch()
    said = edgeq(line[0], model, *TARGET, *line[1:], tmp_path / "file" / "output")
    assert said.code == 2 and "can't be written" in said.err
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_fault_of_a_simulated_board_is_told_on_stderr(
    edgeq: Edgeq, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: list[str]
) -> None:
    """stdout has the port, with --json as its one object."""
    from contextlib import nullcontext
    from types import SimpleNamespace

    from edgeq import pipeline
    from edgeq.errors import DeviceError
    from edgeq.runners.virtual import Announcement

    told = Announcement("/dev/pts/77", "a model", "", "")
    board = SimpleNamespace(port=told.port, announcement=told, wait=lambda: DeviceError("HardFault at 0x08000100"))
    monkeypatch.setattr(pipeline, "simulate", lambda *_, **__: nullcontext(board))
    said = edgeq("simulate", tmp_path / "firmware.bin", *TARGET, *form)
    assert said.code == 5 and "HardFault at 0x08000100" in said.err
    assert (said.json["port"] if form else said.out.split()[1]) == "/dev/pts/77"


def test_convert_without_data_is_wrong_use(edgeq: Edgeq, model: Path) -> None:
    said = edgeq("convert", model, *TARGET)
    assert said.code == 2 and "next: --representative-data" in said.err


def test_convert_makes_a_file_and_tells_how_good_it_is(edgeq: Edgeq, tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_quantizer")
    import models
    import numpy as np

    images, labels = models.digits()
    np.savez(tmp_path / "calib.npz", x=images, y=labels)
    (tmp_path / "digits.tflite").write_bytes(models.digits_float_tflite())
    line = ("convert", tmp_path / "digits.tflite", *TARGET, "--representative-data", tmp_path / "calib.npz")
    said = edgeq(*line, "--json")
    assert said.code == 0, said.err
    made = Path(said.json["output"])
    assert made == tmp_path / "digits_int8.tflite" and made.is_file()
    assert said.json["integer_only"] is True and said.json["check"]["fits"] is True
    text = edgeq(*line, "-o", tmp_path / "out.tflite")
    assert "integer only" in text.out and "dB" in text.out and "fits" in text.out and "agreement" in text.out
    assert (tmp_path / "out.tflite").read_bytes() == made.read_bytes()
    said = edgeq("check", tmp_path / "digits.tflite", *TARGET)
    assert said.code == 0 and "compute in float" in said.out  # the float one


def test_convert_says_no_when_the_result_does_not_fit_and_writes_it_all_the_same(
    edgeq: Edgeq, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ai_edge_quantizer")
    import models
    import numpy as np

    from edgeq import pipeline

    check = pipeline.check
    monkeypatch.setattr(pipeline, "check", lambda model, target: check(model, target, reserve_ram_bytes=655_360))
    np.savez(tmp_path / "calib.npz", x=models.digits()[0])
    (tmp_path / "digits.tflite").write_bytes(models.digits_float_tflite())
    line = ("convert", tmp_path / "digits.tflite", *TARGET, "--representative-data", tmp_path / "calib.npz")
    said = edgeq(*line)
    assert said.code == 1
    assert "integer only" in said.out and "DOES NOT FIT" in said.out and "OVER" in said.out
    assert (tmp_path / "digits_int8.tflite").is_file()
    told = edgeq(*line, "--json")
    assert told.code == 1 and told.json["check"]["fits"] is False


def _sha(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()
