"""The command line: exit codes, errors as text and JSON, and that every command explains itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Edgeq

from edgeq import __version__
from edgeq.cli.main import COMMANDS

TARGET = ("--target", "nucleo-l4r5zi")


def test_help_lists_every_command(edgeq: Edgeq) -> None:
    said = edgeq("--help")
    assert said.code == 0
    assert all(f"\n  {name}" in said.out for name in COMMANDS)
    assert "Exit codes" in said.out


@pytest.mark.parametrize("command", [*COMMANDS, "targets list", "targets show"])
def test_every_command_has_help_with_an_example(edgeq: Edgeq, command: str) -> None:
    said = edgeq(*command.split(), "--help")
    assert said.code == 0
    assert "Example" in said.out and f"edgeq {command}" in said.out
    if command != "targets":
        assert "--json" in said.out


def test_version(edgeq: Edgeq) -> None:
    assert edgeq("--version").out == f"edgeq {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["chekc"], 2, "did you mean `edgeq check`"),
        (["check"], 2, "missing argument"),
        (["check", "m.tflite"], 2, "missing option"),
        (["check", "m.tflite", "--target", "x", "--no-such"], 2, "no such option"),
        (["check", "m.tflite", *TARGET, "--reserve-ram", "lots"], 2, "is not a size"),
        (["check", "m.tflite", "--target", "nucleo-l4r5z"], 2, "did you mean nucleo-l4r5zi"),
        (["check", "/nowhere/m.tflite", *TARGET], 3, "No such file"),
        (["flash", "/nowhere/firmware.bin", *TARGET], 3, "can't be read"),
        (["flash", "{model}", *TARGET], 3, "is no image for nucleo-l4r5zi"),
        (["profile", "{model}", *TARGET], 2, "give --port PORT or --sim"),
        (["profile", "{model}", *TARGET, "--port", "/dev/no-such-port"], 5, "no such port"),
        (["profile", "{model}", *TARGET, "--port", "telepathy://x"], 2, "is not a port"),
        (["profile", "{model}", *TARGET, "--port", "/dev/null"], 5, "is not a serial port"),
        (["profile", "{model}", *TARGET, "--port", "auto"], 5, "0483:374b"),
        (["profile", "{model}", *TARGET, "--port", "x", "--data", "/nowhere/x.npz"], 3, "No such file"),
        (["build", "{model}", *TARGET, "--toolchain", "abacus"], 2, "there is no toolchain 'abacus'"),
        (["build", "{refused}", *TARGET], 1, "can't run on"),
        (["targets", "show", "nucleo"], 2, "did you mean"),
        (["targets", "paint"], 2, "no such command"),
    ],
)
def test_errors_have_their_code_and_next_step_as_text_and_as_json(
    edgeq: Edgeq, model: Path, refused_model: Path, arguments: list[str], code: int, words: str
) -> None:
    line = [a.format(model=model, refused=refused_model) for a in arguments]
    said = edgeq(*line)
    assert (said.code, said.out) == (code, "")
    assert words.lower() in said.err.lower()
    assert said.err.startswith("error: ") and "next: " in said.err

    told = edgeq(*line, "--json")
    assert (told.code, told.err) == (code, "")
    error = told.json["error"]
    assert words.lower() in f"{error['what']} {error['next_step']}".lower()
    assert error["exit_code"] == code
    assert told.json["schema_version"] == 1 and told.json["tool_version"] == __version__


def test_a_damaged_model_is_a_bad_file(edgeq: Edgeq, model: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(model.read_bytes()[:200])
    assert edgeq("check", broken, *TARGET).code == 3


def test_an_unexpected_exception_is_one_line_unless_debug_is_asked_for(
    edgeq: Edgeq, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("seven by nothing")

    monkeypatch.setattr("edgeq.pipeline.check", broken)
    said = edgeq("check", model, *TARGET)
    assert said.code == 70
    assert "a bug in edgeq: ZeroDivisionError: seven by nothing" in said.err
    assert "Traceback" not in said.err and "--debug" in said.err
    assert "Traceback" in edgeq("--debug", "check", model, *TARGET).err
    assert edgeq("check", model, *TARGET, "--json").json["error"]["what"].startswith("a bug")


def test_ctrl_c_is_130(edgeq: Edgeq, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("edgeq.pipeline.check", interrupted)
    said = edgeq("check", model, *TARGET)
    assert said.code == 130 and said.err == "interrupted\n"


def test_a_reader_that_goes_away_leaves_no_traceback(model: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", "from edgeq.cli.main import run; run()", "targets", "show", "nucleo-l4r5zi", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert child.stdout is not None and child.stderr is not None
    child.stdout.close()
    errors = child.stderr.read().decode()
    assert child.wait(60) == 141
    assert errors == ""


@pytest.mark.parametrize(("where", "code", "words"), [(">&-", 0, ""), (">/dev/full", 5, "No space left")])
def test_output_that_cannot_be_written(model: Path, where: str, code: int, words: str) -> None:
    line = f'"{sys.executable}" -c "from edgeq.cli.main import run; run()" check "{model}" {" ".join(TARGET)} {where}'
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60)
    assert done.returncode == code
    assert words in done.stderr and "Traceback" not in done.stderr and "bug" not in done.stderr


def test_a_terminal_without_the_signs_of_the_trade(process: Edgeq, model: Path) -> None:
    said = process("check", model, *TARGET, environment={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
    assert said.code == 0 and "Traceback" not in said.err


def test_termination_runs_the_clean_up(tmp_path: Path) -> None:
    mark = tmp_path / "cleaned"
    code = (
        "import edgeq.pipeline as p, time, pathlib, os, signal\n"
        "def slow(*a, **k):\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGTERM); time.sleep(30)\n"
        f"    finally: pathlib.Path({str(mark)!r}).touch()\n"
        "p.read_model = slow\n"
        "from edgeq.cli.main import run; run()"
    )
    done = subprocess.run([sys.executable, "-c", code, "check", "x", *TARGET], timeout=60)
    assert done.returncode == 143 and mark.exists()


def test_own_targets_from_the_environment(edgeq: Edgeq, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boards = tmp_path / "boards"
    boards.mkdir()
    shipped = Path(edgeq("targets", "show", "nucleo-l4r5zi", "--json").json["target"]["path"]).read_text()
    (boards / "my-board.toml").write_text(shipped.replace('name = "nucleo-l4r5zi"', 'name = "my-board"'))
    monkeypatch.setenv("EDGEQ_TARGETS", str(tmp_path))
    names = [t["name"] for t in edgeq("targets", "list", "--json").json["targets"]]
    assert "my-board" in names and "nucleo-l4r5zi" in names
    (boards / "my-board.toml").write_text("name = 3\n")
    assert edgeq("targets", "show", "my-board").code == 3


def test_doctor(edgeq: Edgeq) -> None:
    said = edgeq("doctor", "--json")
    assert said.code == 0 and said.json["core_works"] is True
    assert {"python", "core"} <= {f["area"] for f in said.json["findings"]}
    assert "numpy" in edgeq("doctor").out


def test_doctor_says_how_to_get_what_is_missing(edgeq: Edgeq, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.metadata

    version = importlib.metadata.version

    def without_unicorn(name: str) -> str:
        if name == "unicorn":
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", without_unicorn)
    said = edgeq("doctor")
    assert said.code == 0 and "pip install 'edgeq[simulate]'" in said.out
    assert edgeq("doctor", "--json").json["missing_extras"] == ["simulate"]


def test_doctor_installs_only_what_it_knows(edgeq: Edgeq) -> None:
    said = edgeq("doctor", "--install", "caffe", "--json")
    assert said.code == 2 and "onnx, torch" in said.json["error"]["next_step"]
    frameworks = [f for f in edgeq("doctor", "--json").json["findings"] if f["area"] == "frameworks"]
    assert [f["name"] for f in frameworks] == ["onnx", "torch", "labgrid"]


def test_preprocessing_is_checked_before_the_model_is_read(edgeq: Edgeq, tmp_path: Path) -> None:
    line = ["convert", str(tmp_path / "m.keras"), "--target", "nucleo-l4r5zi", "--preprocess"]
    assert "no preprocessing 'resnet'" in edgeq(*line, "resnet", "--data", str(tmp_path)).err
    said = edgeq(*line, "tf")
    assert said.code == 2 and "add --data FOLDER" in said.err


def test_doctor_exits_with_4_without_the_core(edgeq: Edgeq, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.metadata

    def nothing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", nothing)
    said = edgeq("doctor", "--json")
    assert said.code == 4
    assert said.json["core_works"] is False
