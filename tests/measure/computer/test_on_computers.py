"""Whole measurements over a real sshd and a real adb: edgeq's own engine, LiteRT, a stand-in for benchmark_model."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from host_fixtures import Phones, SshServer, needs_adb, needs_sshd, start_sshd, wait_for

from edgeq import target
from edgeq.cli.main import main
from edgeq.errors import DeviceError, NegativeResult, UnsupportedError, UsageError
from edgeq.measure.computer import ComputerMeasurement, Request
from edgeq.pipeline.computers import profile_computer
from edgeq.target import Target

QUICK = {"runs": 20, "seconds": 1, "warmup": 2}


@pytest.fixture(scope="session")
def phone(tmp_path_factory: pytest.TempPathFactory) -> Target:
    """A phone with this machine's processor, as a target file of one's own."""
    folder = tmp_path_factory.mktemp("targets") / "phones"
    folder.mkdir()
    here = Path(target.load("linux-x86-64").path).read_text()
    text = here.replace('"linux-x86-64"', '"acme-seven"').replace('kind = "linux"', 'kind = "phone"')
    text = text.replace('os = "linux"', 'os = "android"\nmodel_pattern = "Acme Seven"').replace('"ssh"', '"adb"')
    (folder / "acme-seven.toml").write_text(text)
    return target.load_file(folder / "acme-seven.toml")


def over_ssh(model: Path, cache: Path, **options: object) -> ComputerMeasurement:
    request = Request("ssh", "board", cache=cache, **{**QUICK, **options})  # type: ignore[arg-type]
    return profile_computer(model, "linux-x86-64", request)


@needs_sshd
def test_edgeq_engine_over_ssh(board_at_ssh: SshServer, model: Path, cache: Path) -> None:
    m = over_ssh(model, cache, cpus="0")
    assert m.validation is not None
    assert m.validation.bit_exact
    assert (m.validation.samples, m.validation.elements) == (20, 200)
    assert m.exact
    assert m.passed
    assert m.latency is not None
    assert m.latency.inferences >= len(m.latency.run_ns) >= 20
    assert 0 < m.latency.percentile_ms(0) <= m.latency.percentile_ms(50) <= m.latency.percentile_ms(99)
    assert sum(m.latency.run_ns) <= 3e9
    assert [(o.op, o.macs) for o in m.operators] == [("FULLY_CONNECTED", 400)]
    assert m.peak_rss_bytes is not None
    assert m.program_bytes is not None
    assert m.program_bytes > 10_000
    assert m.before.machine == m.after.machine == "x86_64"
    assert m.provenance == "measured"
    assert wait_for(lambda: not board_at_ssh.folders())


@needs_sshd
def test_litert_over_ssh(board_at_ssh: SshServer, model: Path, cache: Path) -> None:
    m = over_ssh(model, cache, engine="litert", python=sys.executable, threads=2)
    assert m.engine.startswith("LiteRT without delegates, version ")
    assert m.validation is not None
    assert m.validation.samples == 20
    assert m.validation.max_abs_diff <= 1  # its FULLY_CONNECTED rounds otherwise than 2.14's
    assert m.passed
    assert m.threads == 2
    assert m.latency is not None
    assert len(m.latency.run_ns) >= 20


@needs_sshd
def test_energy_of_a_constant_load(board_at_ssh: SshServer, model: Path, cache: Path, tmp_path: Path) -> None:
    file = tmp_path / "power1_input"
    file.write_text("2500000\n")
    m = over_ssh(model, cache, meter=f"ina2xx:{file}")
    assert m.energy is not None
    assert m.energy.mean_mw == pytest.approx(2500)
    assert m.energy.idle_mw == pytest.approx(2500)
    assert m.energy.above_idle_uj == pytest.approx(0, abs=1e-6)
    assert m.latency is not None
    # 2.5 W for a second, by the number of inferences: the last one may end late on a busy machine.
    assert m.energy.uj_per_inference == pytest.approx(2500 * 1000 / m.latency.inferences, rel=0.2)
    with pytest.raises(DeviceError, match="has no INA2xx"):
        over_ssh(model, cache, meter="ina2xx")
    with pytest.raises(UsageError, match="doesn't measure a computer"):
        over_ssh(model, cache, meter="joulescope")


@needs_sshd
def test_the_device_must_be_the_target(board_at_ssh: SshServer, model: Path, cache: Path) -> None:
    request = Request("ssh", "board", cache=cache)
    with pytest.raises(UnsupportedError, match="is a x86_64"):
        profile_computer(model, "raspberry-pi-4b", request)
    with pytest.raises(UsageError, match="is a microcontroller"):
        profile_computer(model, "nucleo-l4r5zi", request)
    with pytest.raises(UsageError, match="no core 77"):
        over_ssh(model, cache, cpus="77")
    with pytest.raises(UsageError, match="no engine 'x'"):
        over_ssh(model, cache, engine="x")
    assert wait_for(lambda: not board_at_ssh.folders())


@needs_adb
def test_two_phones_at_once(phones: Phones, phone: Target, model: Path, cache: Path) -> None:
    m = profile_computer(model, phone, Request("adb", phones.serials[0], cache=cache, **QUICK))  # type: ignore[arg-type]
    assert m.validation is not None
    assert m.validation.bit_exact
    assert m.device == "Acme Seven"
    assert m.before.battery == "81 %, powered (USB)"
    told = " ".join(m.notices)
    assert "being charged" in told
    assert "screen is on" in told
    assert "thermal status light" in told
    assert list(phones.root.iterdir()) == []
    with pytest.raises(NegativeResult, match="says that it is 'Acme Seven'"):
        profile_computer(model, "pixel-8", Request("adb", phones.serials[0], cache=cache))


@needs_adb
def test_a_program_of_the_users(phones: Phones, phone: Target, model: Path, tmp_path: Path) -> None:
    """benchmark_model is nowhere to be installed from: a script that prints what it prints stands for it."""
    tool = tmp_path / "benchmark_model"
    tool.write_text(
        '#!/bin/sh\n[ -f "${1#--graph=}" ] || exit 1\n'
        'echo "count=50 first=604 curr=610 min=566 max=1411 avg=612.25 std=28 p5=575 median=609 p95=655"\n'
        'echo "Inference timings in us: Init: 2184, First inference: 2113, Inference (avg): 612.25"\n'
        'echo "args: $*" >&2\n'
    )
    request = Request("adb", phones.serials[1], engine="benchmark-model", tool=tool, delegate="gpu", threads=4)
    m = profile_computer(model, phone, request)
    assert m.latency is not None
    assert m.latency.percentile_ms(50) == pytest.approx(0.609)
    assert m.validation is None
    assert m.passed
    tool.write_text("#!/bin/sh\necho 'ERROR: failed to apply GPU delegate' >&2; exit 1\n")
    with pytest.raises(DeviceError, match="failed to apply GPU"):
        profile_computer(model, phone, request)
    with pytest.raises(UsageError, match="needs the program"):
        profile_computer(model, phone, Request("adb", phones.serials[1], engine="benchmark-model"))


@needs_sshd
def test_the_command(
    board_at_ssh: SshServer,
    model: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("EDGEQ_CACHE", str(cache))
    arguments = ["profile", str(model), "--target", "linux-x86-64", "--host", "board", "--seconds", "1", "--runs", "10"]
    assert main([*arguments, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["provenance"] == "measured"
    assert said["validation"]["bit_exact"] is True
    assert said["latency"]["ms"]["min"] <= said["latency"]["ms"]["p99"]
    assert said["conditions"]["before"]["machine"] == "x86_64"
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert "bit-exact" in text
    assert "p99" in text
    assert "edgeq_fully_connected_s8" in text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--target", "linux-x86-64"], "is reached with --host"),
        (["--target", "linux-x86-64", "--serial", "X"], "is reached with --host"),
        (["--target", "pixel-8", "--host", "x"], "is reached with --serial"),
        (["--target", "raspberry-pi-5", "--sim"], "--sim is for microcontrollers"),
        (["--target", "raspberry-pi-5", "--port", "auto"], "--port is for microcontrollers"),
        (["--target", "nucleo-l4r5zi", "--sim", "--threads", "2"], "--threads is for Linux computers"),
        (["--target", "nucleo-l4r5zi", "--host", "x"], "--host is for Linux computers"),
    ],
)
def test_wrong_use(arguments: list[str], told: str, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", str(model), *arguments]) == 2
    assert told in capsys.readouterr().err


QEMU = {"aarch64": "qemu-aarch64-static", "armv7l": "qemu-arm-static"}
DEBIAN = {"aarch64": "arm64", "armv7l": "armhf"}
# Magic and mask of ELF headers, from QEMU's scripts/qemu-binfmt-conf.sh.
MACHINE = {"aarch64": r"\xb7\x00", "armv7l": r"\x28\x00"}
CLASS = {"aarch64": r"\x02", "armv7l": r"\x01"}

APPLETS = ("awk", "cat", "chmod", "cut", "grep", "head", "kill", "mkdir", "mktemp", "rm", "sed", "sh", "tr", "uname")


@pytest.fixture(params=["aarch64", "armv7l"])
def emulated_board(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An SSH server whose sessions run in a BusyBox of another architecture, under qemu-user."""
    machine = str(request.param)
    qemu, formats = shutil.which(QEMU[machine]), Path("/proc/sys/fs/binfmt_misc")
    if qemu is None:
        pytest.skip("no qemu-user-static here: apt-get install qemu-user-static")
    if not (formats / "register").exists():
        subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", formats], capture_output=True, check=False)
    if not (formats / "register").exists():
        pytest.skip(
            "binfmt_misc can't be mounted here: the kernel is to start programs of other architectures by itself"
        )
    ours = formats / f"edgeq-{machine}"
    if not ours.exists() and not (formats / f"qemu-{machine.replace('armv7l', 'arm')}").exists():
        magic = rf"\x7fELF{CLASS[machine]}\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00{MACHINE[machine]}"
        mask = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
        (formats / "register").write_text(f":{ours.name}:M::{magic}:{mask}:{qemu}:PF")
    package = f"busybox-static:{DEBIAN[machine]}"
    for argv in (["dpkg", "--add-architecture", DEBIAN[machine]], ["apt-get", "update", "-qq"]):
        subprocess.run(argv, capture_output=True, check=False)
    got = subprocess.run(["apt-get", "download", package], cwd=tmp_path, capture_output=True, text=True, check=False)
    if got.returncode != 0:
        pytest.skip(f"{package} can't be had here: {got.stderr.strip()[-200:]}")
    subprocess.run(["dpkg-deb", "-x", next(tmp_path.glob("busybox*.deb")), tmp_path / "root"], check=True)
    busybox = next((tmp_path / "root").rglob("bin/busybox"))
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in APPLETS:
        (programs / name).symlink_to(busybox)
    shell = tmp_path / "session"
    shell.write_text(f'#!/bin/sh\nPATH={programs} exec {programs}/sh -c "$SSH_ORIGINAL_COMMAND"\n')
    shell.chmod(0o755)
    (tmp_path / "sshd").mkdir()
    server, found = start_sshd(tmp_path / "sshd", command=str(shell))
    monkeypatch.setenv("HOME", str(found.home))
    yield machine
    server.kill()
    server.wait()
    if ours.exists():
        ours.write_text("-1")


@pytest.mark.slow
@needs_sshd
@pytest.mark.timeout(900)
def test_other_architectures_under_emulation(emulated_board: str, model: Path, cache: Path) -> None:
    m = profile_computer(
        model,
        "raspberry-pi-4b",
        Request("ssh", "board", cache=cache, **QUICK),  # type: ignore[arg-type]
    )
    assert m.before.machine == emulated_board
    assert m.validation is not None
    assert m.validation.bit_exact
    assert m.provenance == "emulated"
    assert m.latency is None
    assert m.operators == ()
    assert any("times are withheld" in text for text in m.notices)


@pytest.mark.slow
@needs_sshd
@pytest.mark.timeout(900)
def test_the_environment_on_the_board(board_at_ssh: SshServer, model: Path, cache: Path, tmp_path: Path) -> None:
    empty = tmp_path / "wheels"
    empty.mkdir()
    with pytest.raises(UsageError, match="holds no wheels"):
        over_ssh(model, cache, engine="litert-xnnpack", wheels=empty)
    m = over_ssh(model, cache, engine="litert-xnnpack")
    assert m.engine == "LiteRT with XNNPACK, version 2.3.0"
    again = time.monotonic()
    over_ssh(model, cache, engine="litert-xnnpack")
    assert time.monotonic() - again < 60
