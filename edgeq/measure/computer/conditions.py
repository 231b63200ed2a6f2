"""What a computer or phone is, and the state it is in: asked by one shell script that any Linux and Android runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from edgeq.errors import DeviceError
from edgeq.runners.hosts import Host

_TIMEOUT_S = 60.0
# Lines of KEY=VALUE; what a system doesn't have it leaves out. Nothing here needs more rights than a user's.
# vcgencmd: Raspberry Pi's firmware; getprop, dumpsys: Android's. /proc/device-tree strings end in NUL.
_SCRIPT = r"""
say() { [ -n "$2" ] && printf '%s=%s\n' "$1" "$2"; }
say machine "$(uname -m)"
say kernel "$(uname -sr)"
say model "$(tr -d '\0' </proc/device-tree/model 2>/dev/null)"
say compatible "$(tr '\0' ' ' </proc/device-tree/compatible 2>/dev/null)"
say vendor "$(grep -m1 '^vendor_id' /proc/cpuinfo 2>/dev/null | tr -d ' \t')"
say memory_kib "$(awk '/^MemTotal/ {print $2}' /proc/meminfo 2>/dev/null)"
say available_kib "$(awk '/^MemAvailable/ {print $2}' /proc/meminfo 2>/dev/null)"
say load "$(cut -d' ' -f1 /proc/loadavg 2>/dev/null)"
say os "$(. /etc/os-release 2>/dev/null; printf '%s' "$PRETTY_NAME")"
for c in /sys/devices/system/cpu/cpu[0-9]*; do
  n=${c##*cpu}; [ -e "$c/online" ] && [ "$(cat "$c/online")" = 0 ] && continue
  f=$c/cpufreq
  say "cpu$n" "$(cat "$f/cpuinfo_max_freq" 2>/dev/null) $(cat "$f/scaling_cur_freq" 2>/dev/null) \
$(cat "$f/scaling_governor" 2>/dev/null)"
done
for z in /sys/class/thermal/thermal_zone[0-9]*; do
  t=$(cat "$z/temp" 2>/dev/null) && say "thermal_$(cat "$z/type" 2>/dev/null)" "$t"
done
command -v vcgencmd >/dev/null 2>&1 && say throttled "$(vcgencmd get_throttled 2>/dev/null | cut -d= -f2)"
if command -v getprop >/dev/null 2>&1; then
  say android_model "$(getprop ro.product.manufacturer) $(getprop ro.product.model)"
  say os "Android $(getprop ro.build.version.release)"
  say qemu "$(getprop ro.kernel.qemu)$(getprop ro.boot.qemu)"
  say battery_percent "$(dumpsys battery 2>/dev/null | awk '/^ *level:/ {print $2; exit}')"
  say battery_decicelsius "$(dumpsys battery 2>/dev/null | awk '/^ *temperature:/ {print $2; exit}')"
  say battery_powered "$(dumpsys battery 2>/dev/null | awk '/powered: true/ {print $1; exit}')"
  say screen "$(dumpsys power 2>/dev/null | sed -n 's/.*mWakefulness=//p' | head -n1)"
  say thermal_status "$(dumpsys thermalservice 2>/dev/null | sed -n 's/^Thermal Status: //p' | head -n1)"
fi
true
"""

# Raspberry Pi documentation, vcgencmd get_throttled: bit → what happens now; bits 16 to 19: has happened since boot.
_THROTTLED = {0: "under-voltage", 1: "frequency capped", 2: "throttled", 3: "soft temperature limit"}
_SINCE_BOOT = 16
# Android, android.os.PowerManager: THERMAL_STATUS_*.
_THERMAL_STATUS = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")


@dataclass(frozen=True)
class Cpu:
    """One core that is online; frequencies in Hz, 0 where the system doesn't tell."""

    number: int
    max_hz: int = 0
    current_hz: int = 0
    governor: str = ""


@dataclass(frozen=True)
class Conditions:
    """A computer or phone at one moment.

    Attributes:
        machine: the architecture that its kernel names (`uname -m`).
        model: what it says it is; "" where it doesn't.
        emulated: how it is known to be an emulator, in words; "" for what looks like hardware. Under emulation outputs
            are right and times mean nothing.
        temperatures_c: by sensor.
        throttling: what limits the clock now, in words; () if nothing, or nothing tells.
        throttled_before: the same, since it was switched on.
        battery, screen: phones only; "" elsewhere.
        raw: everything that was answered.
    """

    machine: str
    model: str
    os: str
    kernel: str
    emulated: str
    memory_bytes: int
    load: float
    cpus: tuple[Cpu, ...]
    temperatures_c: Mapping[str, float]
    throttling: tuple[str, ...]
    throttled_before: tuple[str, ...]
    battery: str
    screen: str
    raw: Mapping[str, str]

    @property
    def governors(self) -> tuple[str, ...]:
        """The governors in use, sorted."""
        return tuple(sorted({cpu.governor for cpu in self.cpus if cpu.governor}))

    @property
    def hottest_c(self) -> float | None:
        """The highest temperature of a processor's sensor, or of any where none is called that."""
        named = {k: v for k, v in self.temperatures_c.items() if "cpu" in k.lower() or "soc" in k.lower()}
        return max((named or dict(self.temperatures_c)).values(), default=None)

    def to_json(self) -> dict[str, object]:
        """For the report."""
        return {
            "machine": self.machine,
            "model": self.model,
            "os": self.os,
            "kernel": self.kernel,
            "emulated": self.emulated,
            "memory_bytes": self.memory_bytes,
            "load": self.load,
            "cpus": [vars(cpu) for cpu in self.cpus],
            "temperatures_c": dict(self.temperatures_c),
            "throttling": list(self.throttling),
            "throttled_before": list(self.throttled_before),
            "battery": self.battery,
            "screen": self.screen,
        }


def ask(host: Host) -> Conditions:
    """The present state of a host.

    Raises:
        DeviceError: it doesn't answer, or its answer names no architecture.
    """
    said = host.script(_SCRIPT, timeout_s=_TIMEOUT_S)
    raw = dict(line.split("=", 1) for line in said.text.splitlines() if "=" in line)
    if "machine" not in raw:
        raise DeviceError(
            f"doesn't tell its architecture: {said.stderr.decode(errors='replace').strip()[:300]}",
            where=host.name,
            next_step="a POSIX shell with `uname` is needed there",
        )
    return parse(raw)


def parse(raw: Mapping[str, str]) -> Conditions:
    """Conditions from the script's answers."""
    throttled = _whole(raw.get("throttled", "0"), 16)
    status = _whole(raw.get("thermal_status", "0"))
    now = [words for bit, words in _THROTTLED.items() if throttled >> bit & 1]
    if status:
        now.append(f"thermal status {_THERMAL_STATUS[min(status, len(_THERMAL_STATUS) - 1)]}")
    temperatures = {k[8:]: _celsius(v) for k, v in raw.items() if k.startswith("thermal_") and k != "thermal_status"}
    if "battery_decicelsius" in raw:
        temperatures["battery"] = _whole(raw["battery_decicelsius"]) / 10
    return Conditions(
        machine=raw["machine"],
        model=raw.get("android_model", raw.get("model", "")).strip(),
        os=raw.get("os", ""),
        kernel=raw.get("kernel", ""),
        emulated=_emulated(raw),
        memory_bytes=1024 * _whole(raw.get("memory_kib", "0")),
        load=float(raw.get("load", "0") or 0),
        cpus=tuple(sorted((_cpu(k, v) for k, v in raw.items() if _is_cpu(k)), key=lambda cpu: cpu.number)),
        temperatures_c={k: v for k, v in temperatures.items() if v},
        throttling=tuple(now),
        throttled_before=tuple(w for bit, w in _THROTTLED.items() if throttled >> (bit + _SINCE_BOOT) & 1),
        battery=_battery(raw),
        screen=raw.get("screen", ""),
        raw=dict(raw),
    )


def cluster_mask(cpus: tuple[Cpu, ...], which: str) -> int | None:
    """The affinity mask of `big` or `little` cores, of `all`, or of a list such as `0-3,6`.

    Cores of one highest frequency are a cluster: `big` is the fastest, `little` the slowest; where all are equal both
    are all of them.

    Returns:
        None for "all": nothing is to be pinned.

    Raises:
        ValueError: it names no core that is there.
    """
    if which == "all":
        return None
    if which in ("big", "little"):
        edge = (max if which == "big" else min)((cpu.max_hz for cpu in cpus), default=0)
        chosen = {cpu.number for cpu in cpus if cpu.max_hz == edge}
    else:
        chosen = set()
        for part in which.split(","):
            numbers = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
            if numbers is None:
                raise ValueError(f"'{part}' is not a core")
            chosen |= set(range(int(numbers[1]), int(numbers[2] or numbers[1]) + 1))
        if missing := chosen - {cpu.number for cpu in cpus}:
            raise ValueError(f"no core {min(missing)} is online")
    if not chosen:
        raise ValueError("no core is online")
    return sum(1 << number for number in chosen)


def _emulated(raw: Mapping[str, str]) -> str:
    """Reasons to take it for an emulator.

    qemu-user passes the kernel's answers through and the host's /proc/cpuinfo, whose x86 `vendor_id` no Arm kernel
    prints; qemu-system's `virt` machine names itself in the device tree; Android's emulator sets ro.kernel.qemu.
    """
    arm = raw.get("machine", "").startswith(("aarch64", "arm"))
    if arm and raw.get("vendor"):
        return f"qemu-user: it says {raw['machine']}, its /proc/cpuinfo is an x86 processor's"
    if "linux,dummy-virt" in raw.get("compatible", ""):
        return "a virtual machine of QEMU (linux,dummy-virt)"
    if "1" in raw.get("qemu", ""):
        return "Android's emulator (ro.kernel.qemu)"
    return ""


def _is_cpu(key: str) -> bool:
    return key.startswith("cpu") and key[3:].isdigit()


def _cpu(key: str, value: str) -> Cpu:
    words = value.split()
    numbers = [int(word) * 1000 for word in words if word.isdigit()]  # cpufreq counts in kHz
    governor = next((word for word in words if not word.isdigit()), "")
    maximum, current = [*numbers, 0, 0][:2]
    return Cpu(int(key[3:]), maximum, current, governor)


def _celsius(value: str) -> float:
    """Most drivers tell thousandths of a degree, some degrees."""
    found = float(_whole(value))
    return found / 1000 if abs(found) > 1000 else found


def _battery(raw: Mapping[str, str]) -> str:
    if "battery_percent" not in raw:
        return ""
    source = raw.get("battery_powered", "")
    return f"{raw['battery_percent']} %, " + (f"powered ({source})" if source else "discharging")


def _whole(text: str, base: int = 10) -> int:
    try:
        return int(text, base)
    except ValueError:
        return 0
