"""What computers and phones say of themselves."""

from __future__ import annotations

import pytest

from edgeq.measure.computer.conditions import Cpu, cluster_mask, parse

PI = {
    "machine": "aarch64", "kernel": "Linux 6.6.31", "model": "Raspberry Pi 4 Model B Rev 1.4", "load": "0.08",
    "memory_kib": "947448", "cpu0": "1500000 600000 ondemand", "cpu1": "1500000 1500000 ondemand",
    "thermal_cpu-thermal": "61836", "throttled": "0x50005", "os": "Debian GNU/Linux 12 (bookworm)",
}  # fmt: skip
PHONE = {
    "machine": "aarch64", "android_model": "Google Pixel 8", "os": "Android 15", "battery_percent": "81",
    "battery_decicelsius": "264", "battery_powered": "USB", "thermal_status": "2", "screen": "Awake",
    **{f"cpu{i}": "1704000 300000 sched_pixel" for i in range(4)},
    **{f"cpu{i}": "2367000 400000 sched_pixel" for i in range(4, 8)},
    "cpu8": "2914000 500000 sched_pixel",
}  # fmt: skip


def test_a_raspberry_pi_that_is_throttled() -> None:
    found = parse(PI)
    assert found.model == "Raspberry Pi 4 Model B Rev 1.4"
    assert found.cpus[0] == Cpu(0, 1_500_000_000, 600_000_000, "ondemand")
    assert found.governors == ("ondemand",)
    assert found.temperatures_c == {"cpu-thermal": pytest.approx(61.836)}
    assert found.hottest_c == pytest.approx(61.836)
    assert found.throttling == ("under-voltage", "throttled")
    assert found.throttled_before == ("under-voltage", "throttled")
    assert found.memory_bytes == 947448 * 1024
    assert found.emulated == ""


def test_a_phone() -> None:
    found = parse(PHONE)
    assert found.model == "Google Pixel 8"
    assert found.battery == "81 %, powered (USB)"
    assert found.throttling == ("thermal status moderate",)
    assert found.temperatures_c == {"battery": 26.4}
    assert found.screen == "Awake"
    assert [cpu.number for cpu in found.cpus] == list(range(9))


def test_clusters_by_highest_frequency() -> None:
    cpus = parse(PHONE).cpus
    assert cluster_mask(cpus, "big") == 1 << 8
    assert cluster_mask(cpus, "little") == 0b1111
    assert cluster_mask(cpus, "4-6,8") == 0b1_0111_0000
    assert cluster_mask(cpus, "all") is None
    assert cluster_mask(parse(PI).cpus, "big") == cluster_mask(parse(PI).cpus, "little") == 0b11
    for wrong in ("9", "0-9", "", "x", "3-"):
        with pytest.raises(ValueError, match=r"is online|is not"):
            cluster_mask(cpus, wrong)


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ({"machine": "aarch64", "vendor": "vendor_id:AuthenticAMD"}, "qemu-user"),
        ({"machine": "armv7l", "vendor": "vendor_id:GenuineIntel"}, "qemu-user"),
        ({"machine": "aarch64", "compatible": "linux,dummy-virt "}, "QEMU"),
        ({"machine": "aarch64", "qemu": "1"}, "Android's emulator"),
        ({"machine": "x86_64", "vendor": "vendor_id:AuthenticAMD"}, ""),
        ({"machine": "aarch64"}, ""),
    ],
)
def test_emulators_are_recognised(raw: dict[str, str], told: str) -> None:
    emulated = parse(raw).emulated
    assert told in emulated
    assert bool(emulated) == bool(told)


def test_a_system_that_tells_almost_nothing() -> None:
    found = parse({"machine": "riscv64", "throttled": "", "cpu0": "  "})
    assert (found.model, found.throttling, found.hottest_c, found.governors) == ("", (), None, ())
    assert found.cpus == (Cpu(0),)
