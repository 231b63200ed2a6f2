"""The wire protocol: the very runtime, compiled for the host against a board made of stdin and stdout."""

from __future__ import annotations

import re
import shutil
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fake_model import BUILD, ELEMENTS, SCALE, SHA256, WEIGHTS, ZERO_POINT, fake_tree
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edgeq import target
from edgeq.files import write_tree
from edgeq.toolchains.host import compile_host

Talk = Callable[[bytes], list[str]]
SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-DMODEL_LAYER_HOOK")
GREETING = 4
COMMANDS = ["name", "timestamp", "profile", "help", "db", "load", "print", "infer", "results"]
COMMANDS += ["edgeq", "info", "run", "layers", "out", "stack", "put", "check", "baud"]


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not on PATH: the sanitizers come with it")
    root = tmp_path_factory.mktemp("protocol")
    tree = fake_tree(target.load("nucleo-l4r5zi"))
    write_tree(root, tree.files)
    sources = [root / "main.c", root / "model.c", *sorted((root / "runtime").glob("*.c"))]
    board = Path(__file__).with_name("fake_board.c")
    return compile_host([*sources, board], root / "device", [root], SANITIZE, compiler="gcc")


@pytest.fixture(scope="session")
def talk(program: Path) -> Talk:
    """Send bytes to a fresh device; the lines it answers after its greeting. It must end well."""

    def exchange(sent: bytes) -> list[str]:
        done = subprocess.run([program], input=sent, capture_output=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr.decode()
        assert done.stdout.count(b"\n") == done.stdout.count(b"\r\n")
        return done.stdout.decode("ascii").split("\r\n")[GREETING:-1]

    return exchange


def test_greeting(program: Path) -> None:
    said = subprocess.run([program], input=b"", capture_output=True, timeout=30, check=True).stdout
    assert said == b"m-timestamp-mode-performance\r\nm-lap-us-0\r\nm-init-done\r\nm-ready\r\n"


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("name", ["m-name-dut-[edgeq]"]),
        ("  name ", ["m-name-dut-[edgeq]"]),
        ("\r\nname", ["m-name-dut-[edgeq]"]),
        ("profile", ["m-profile-[ULPMark for tinyML Firmware V0.0.1]", "m-model-[fake]"]),
        ("timestamp", ["m-lap-us-1"]),
        ("nonsense 1 2", ["e-[Unknown command: nonsense]"]),
        ("Name", ["e-[Unknown command: Name]"]),
        ("", ["e-[Unknown command: ]"]),
        ("db", ["e-[Command 'db' requires a subcommand]"]),
        ("db load", ["e-[Command 'db load' requires the # of bytes]"]),
        ("db load 0", ["e-[Command 'db load' must be >0 bytes]"]),
        ("db load x", ["e-[Command 'db load' must be >0 bytes]"]),
        ("db load -1", ["e-[Command 'db load' must be >0 bytes]"]),
        ("db load 4294967297", ["e-[Command 'db load' must be >0 bytes]"]),
        ("db load 13", ["e-[Supplied buffer size 13 exceeds maximum of 12]"]),
        ("db load 12", ["m-[Expecting 12 bytes]"]),
        ("db 00", ["e-[Command 'db' needs a 'db load' before data]"]),
        ("db print", []),
        ("infer 0", ["e-[Inference iterations must be >0]"]),
        ("infer x", ["e-[Inference iterations must be >0]"]),
        ("infer 1 x", ["e-[Inference warmup must be >=0]"]),
        ("edgeq", ["e-[Unknown edgeq verb]"]),
        ("edgeq nonsense", ["e-[Unknown edgeq verb]"]),
        ("edgeq run", ["e-[Inference iterations must be >0]"]),
        ("edgeq run 0", ["e-[Inference iterations must be >0]"]),
        ("edgeq out", ["e-[Command 'edgeq out' requires an output and an offset]"]),
        ("edgeq out 0", ["e-[Command 'edgeq out' requires an output and an offset]"]),
        ("edgeq out 1 0", ["e-[No such output bytes]"]),
        ("edgeq out 0 12", ["e-[No such output bytes]"]),
        ("edgeq out 0 4294967295", ["e-[No such output bytes]"]),
        ("edgeq stack", ["m-edgeq-stack-used-[321]"]),
        ("edgeq put 0 4", ["e-[Command 'edgeq put' requires an offset, a count and a CRC]"]),
        ("edgeq put 0 4 123456789", ["e-[Command 'edgeq put' requires an offset, a count and a CRC]"]),
        ("edgeq put 0 4 12g4", ["e-[Command 'edgeq put' requires an offset, a count and a CRC]"]),
        ("edgeq put 9 4 0", ["e-[No such input bytes]"]),
        ("edgeq put 0 0 0", ["e-[No such input bytes]"]),
        ("edgeq put 4294967295 2 0", ["e-[No such input bytes]"]),
        ("edgeq check 13", ["e-[No such input bytes]"]),
        ("edgeq check 0", ["m-edgeq-check-[0,00000000]"]),
        ("edgeq check 3", [f"m-edgeq-check-[3,{zlib.crc32(bytes(3)):08x}]"]),
        ("edgeq baud 1000001", ["e-[No such speed]"]),
        ("edgeq baud 300", ["e-[No such speed]"]),
        ("edgeq baud 921600", ["m-edgeq-baud-[921600]"]),
        ("x" * 81, ["e-[Command too long]"]),
        ("x" * 500, ["e-[Command too long]"]),
        ("x" * 80, [f"e-[Unknown command: {'x' * 80}]"]),
    ],
)
def test_single_commands(talk: Talk, command: str, answer: list[str]) -> None:
    assert talk(command.encode() + b"%") == [*answer, "m-ready"]


def test_help_names_every_command(talk: Talk) -> None:
    said = "\n".join(talk(b"help%"))
    assert set(COMMANDS) <= set(re.findall(r"\w+", said))


def test_a_too_long_command_does_not_spoil_the_next(talk: Talk) -> None:
    assert talk(b"y" * 90 + b"%name%") == [
        "e-[Command too long]",
        "m-ready",
        "m-name-dut-[edgeq]",
        "m-ready",
    ]


def test_info(talk: Talk) -> None:
    assert talk(b"edgeq info%") == [
        "m-edgeq-model-[fake]",
        f"m-edgeq-sha256-[{SHA256}]",
        "m-edgeq-target-[nucleo-l4r5zi]",
        "m-edgeq-clock-hz-[120000000]",
        "m-edgeq-arena-[32]",
        "m-edgeq-inputs-[12]",
        "m-edgeq-outputs-[12]",
        "m-edgeq-layers-[2]",
        "m-edgeq-stack-[2048]",
        f"m-edgeq-build-[{BUILD}]",
        "m-edgeq-max-baud-[1000000]",
        "m-edgeq-input-form-[stored]",
        "m-ready",
    ]


def load(data: bytes) -> bytes:
    chunks = [data[i : i + 31] for i in range(0, len(data), 31)]
    return f"db load {len(data)}%".encode() + b"".join(b"db " + c.hex().encode() + b"%" for c in chunks)


@settings(max_examples=40, deadline=None)
@given(data=st.binary(min_size=ELEMENTS, max_size=ELEMENTS), runs=st.integers(1, 3))
def test_an_inference_bit_for_bit_however_often_it_is_repeated(talk: Talk, data: bytes, runs: int) -> None:
    x = np.frombuffer(data, np.int8).astype(np.int32)
    y = np.clip(x + np.array(WEIGHTS), -128, 127).astype(np.int8)
    results = (y.astype(np.float32) - np.float32(ZERO_POINT)) * np.float32(SCALE)
    said = talk(load(data) + f"infer {runs} 1%".encode() + b"edgeq out 0 0%edgeq out 0 9%")
    assert said[:4] == [f"m-[Expecting {ELEMENTS} bytes]", "m-ready", "m-load-done", "m-ready"]
    assert said[4:7] == ["m-warmup-start-1", "m-warmup-done", f"m-infer-start-{runs}"]
    assert [re.sub(r"\d+$", "N", line) for line in said[7:9]] == ["m-lap-us-N", "m-lap-us-N"]
    assert said[9] == "m-infer-done"
    assert said[10] == f"m-results-[{','.join(f'{v:.3f}' for v in results)}]"
    assert said[11:] == [
        "m-ready",
        f"m-edgeq-out-[{y.tobytes().hex()}]",
        "m-ready",
        f"m-edgeq-out-[{y.tobytes()[9:].hex()}]",
        "m-ready",
    ]


def test_warmup_is_ten_unless_said(talk: Talk) -> None:
    assert talk(b"infer 1%")[0] == "m-warmup-start-10"
    assert talk(b"infer 1 0%")[0] == "m-warmup-start-0"
    assert talk(b"infer%")[:3] == ["m-warmup-start-10", "m-warmup-done", "m-infer-start-1"]


def test_print_shows_what_was_loaded_eight_a_line(talk: Talk) -> None:
    assert talk(load(bytes(range(0xF0, 0xFC))) + b"db print%")[4:] == [
        "m-buffer-f0-f1-f2-f3-f4-f5-f6-f7",
        "m-buffer-f8-f9-fa-fb",
        "m-ready",
    ]
    assert talk(load(bytes(8)) + b"db print%")[4:] == ["m-buffer-00-00-00-00-00-00-00-00", "m-ready"]


def test_broken_chunks_are_refused_whole(talk: Talk) -> None:
    start = b"db load 2%"
    assert talk(start + b"db 0%")[2] == "e-[Insufficient number of hex digits]"
    assert talk(start + b"db 0g%")[2] == "e-[Invalid hex digit 'g']"
    assert talk(start + b"db 11zz%db AaBb%db print%")[2:] == [
        "e-[Invalid hex digit 'z']",
        "m-ready",
        "m-load-done",
        "m-ready",
        "m-buffer-aa-bb",
        "m-ready",
    ]


def test_digits_beyond_the_load_are_disregarded(talk: Talk) -> None:
    assert talk(b"db load 1%db 112233%db print%")[2:] == ["m-load-done", "m-ready", "m-buffer-11", "m-ready"]


def test_cycles_of_the_last_sixteen_runs(talk: Talk) -> None:
    per_run = 500  # the fake board's counter, asked five times between start and end
    line = "m-edgeq-cycles-[" + ",".join([str(per_run)] * 8) + "]"
    assert talk(b"edgeq run 3%") == ["m-edgeq-cycles-[500,500,500]", "m-ready"]
    assert talk(b"edgeq run 9%") == [line, "m-edgeq-cycles-[500]", "m-ready"]
    assert talk(b"edgeq run 40%") == [line, line, "m-ready"]


def test_layers(talk: Talk) -> None:
    assert talk(b"edgeq layers%") == ["m-edgeq-layer-[0,0,0]", "m-ready"]
    assert talk(b"edgeq run 1%edgeq layers%")[2:] == ["m-edgeq-layer-[0,100,100]", "m-ready"]


def frame(offset: int, data: bytes, *, crc_of: bytes | None = None) -> bytes:
    header = offset.to_bytes(4, "little") + len(data).to_bytes(4, "little")
    crc = zlib.crc32(header + (data if crc_of is None else crc_of))
    escaped = b"".join(b"}" + bytes([b ^ 0x20]) if b in b"%}" else bytes([b]) for b in data)
    return f"edgeq put {offset} {len(data)} {crc:x}%".encode() + escaped + b"%"


@settings(max_examples=60, deadline=None)
@given(data=st.binary(min_size=ELEMENTS, max_size=ELEMENTS), cut=st.integers(1, ELEMENTS - 1))
def test_bytes_arrive_as_they_are(talk: Talk, data: bytes, cut: int) -> None:
    said = talk(frame(0, data[:cut]) + frame(cut, data[cut:]) + f"edgeq check {ELEMENTS}%db print%".encode())
    assert said[:4] == ["m-ready", f"m-edgeq-put-[0,{cut}]", "m-ready", "m-ready"]
    assert said[4:6] == [f"m-edgeq-put-[{cut},{ELEMENTS - cut}]", "m-ready"]
    assert said[6] == f"m-edgeq-check-[{ELEMENTS},{zlib.crc32(data):08x}]"
    assert bytes.fromhex("".join(line[len("m-buffer-") :] for line in said[8:-1]).replace("-", "")) == data


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (frame(0, b"abc", crc_of=b"abd"), "e-[Frame with another CRC]"),
        (frame(0, b"abcd").replace(b"abcd", b"abd"), "e-[Frame of 3 bytes instead of 4]"),
        (frame(0, b"abcd").replace(b"abcd", b"abbcd"), "e-[Frame of 5 bytes instead of 4]"),
        (frame(0, b"abcd").replace(b"put 0", b"put 1"), "e-[Frame with another CRC]"),
        (frame(0, b"%%%%").replace(b"}\x05", b"\x05", 1), "e-[Frame with another CRC]"),
    ],
    ids=["flipped", "lost", "doubled", "another place", "lost escape"],
)
def test_a_damaged_frame_is_refused_and_ends_at_its_percent(talk: Talk, sent: bytes, answer: str) -> None:
    assert talk(sent + b"name%") == ["m-ready", answer, "m-ready", "m-name-dut-[edgeq]", "m-ready"]


@pytest.mark.parametrize("command", ["edgeq stack", "edgeq run 40", "edgeq layers", "edgeq nonsense"])
def test_an_answer_with_a_sum(talk: Talk, command: str) -> None:
    plain = talk(f"{command}%".encode())[:-1]
    asked = f"{command} #a7"
    crc = zlib.crc32((asked + "".join(f"{line}\r\n" for line in plain)).encode())
    assert talk(f"{asked}%".encode()) == [*plain, f"m-edgeq-sum-[a7,{crc:08x}]", "m-ready"]


def test_the_speed_changes_after_the_answer_and_falls_back_when_the_host_does_not_follow(program: Path) -> None:
    def speeds(sent: bytes) -> list[bytes]:
        done = subprocess.run([program], input=sent, capture_output=True, timeout=30, check=True)
        return [line for line in done.stderr.splitlines() if line.startswith(b"baud")]

    assert speeds(b"edgeq baud 921600%name%") == [b"baud 921600"]
    assert speeds(b"edgeq baud 921600%\r\nname%\x00name%") == [b"baud 921600"]
    assert speeds(b"edgeq baud 921600%\x00\xe0name%") == [b"baud 921600", b"baud 115200"]
    assert speeds(b"edgeq baud 921600%" + frame(0, b"\x00\xe0\x80") + b"name%") == [b"baud 921600"]
    assert speeds(b"edgeq baud 921600%nome%nume%name%") == [b"baud 921600", b"baud 115200"]
    assert speeds(b"\x00\x00\x00name%") == []


NUMBERS = ["0", "1", "2", "3", "12", "13", "ff", "00ff", "0g", "4294967295", "99999999999", "-1"]
WORDS = st.sampled_from([*COMMANDS, *NUMBERS, "%", "%%", "\r\n"])
JUNK = st.lists(st.one_of(WORDS.map(str.encode), st.binary(max_size=100), st.just(b"%")), max_size=40)


@settings(max_examples=150, deadline=None)
@given(junk=JUNK, glue=st.sampled_from([b"", b" "]))
def test_junk_never_harms(talk: Talk, junk: list[bytes], glue: bytes) -> None:
    """Whatever comes: no crash under the sanitizers, a ready for each '%', and it still works afterwards."""
    sent = glue.join(junk)
    printable = bytes(c for c in sent if 32 <= c < 127)  # what the device looks at
    assume(not re.search(rb"(run|infer)[^%]*\d{5}", printable))  # it would do as told, for minutes
    said = talk(sent + b"%name%")
    assert said.count("m-ready") == sent.count(b"%") + 2
    assert said[-2:] == ["m-name-dut-[edgeq]", "m-ready"]


def test_the_pin_falls_at_both_edges_of_the_window(program: Path) -> None:
    """As MLPerf Tiny's energy mode has it; nothing else moves it."""

    def levels(sent: bytes) -> list[bytes]:
        done = subprocess.run([program], input=sent, capture_output=True, timeout=30, check=True)
        return [line for line in done.stderr.splitlines() if line.startswith(b"pin")]

    assert levels(b"name%timestamp%edgeq run 3%") == [b"pin 1"]
    assert levels(b"infer 5 2%") == [b"pin 1", b"pin 0", b"pin 1", b"pin 0", b"pin 1"]
