"""What is installed, what is missing, and how to get it. Nothing heavy is imported to find out."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgeq import __version__, registry
from edgeq.importers.environments import ENVIRONMENTS, Environment, beside_edgeq, isolated

State = Literal["ok", "missing", "warning", "info"]

_DISTRIBUTION = "edgeq"
_MARKER = re.compile(r"extra\s*==\s*['\"]([\w-]+)['\"]")
_EXTRAS = ("reference", "convert", "images", "build", "simulate", "device")
_PURPOSE = {
    "core": "check, targets and everything else's base",
    "reference": "the reference interpreter for bit-exactness",
    "convert": "edgeq convert",
    "images": "image folders as data",
    "build": "edgeq build",
    "simulate": "virtual boards (--sim)",
    "device": "serial ports and debug probes",
}
# Where the wheel's metadata isn't there (a checkout that was never installed): what pyproject.toml lists.
_FALLBACK = {
    "core": ("click", "rich", "numpy", "jinja2", "ai-edge-litert"),
    "reference": ("tflite-runtime",),
    "convert": ("tensorflow", "tf_keras", "ai-edge-quantizer"),
    "images": ("pillow",),
    "build": ("ziglang", "pyelftools", "intelhex"),
    "simulate": ("unicorn", "capstone", "ziglang", "pyelftools"),
    "device": ("pyserial", "pyocd"),
}
_PROGRAMS = (("arm-none-eabi-gcc", "the other toolchain", "apt install gcc-arm-none-eabi, or developer.arm.com"),)


@dataclass(frozen=True)
class Finding:
    """One line.

    Attributes:
        version: "" where it is missing or has none.
        fix: what to do about it, "" when nothing.
    """

    area: str
    name: str
    state: State
    version: str = ""
    detail: str = ""
    fix: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """All of it."""

    findings: tuple[Finding, ...]

    @property
    def core_works(self) -> bool:
        """Whether what `check` needs is there."""
        return all(f.state != "missing" for f in self.findings if f.area in ("python", "core"))

    @property
    def missing_extras(self) -> tuple[str, ...]:
        """Extras of which something is missing."""
        return tuple(e for e in _EXTRAS if any(f.area == e and f.state == "missing" for f in self.findings))


def diagnose(cache: Path | None = None) -> Diagnosis:
    """Look at this installation.

    Args:
        cache: where environments apart are; the platform's own place without it.
    """
    findings = [_python(), Finding("python", "edgeq", "ok", __version__, str(Path(__file__).parents[1]))]
    wanted = _requirements()
    for area, packages in wanted.items():
        findings += [_package(area, package) for package in packages]
    findings += [_environment(wanted, cache) for wanted in ENVIRONMENTS.values()]
    findings += [_program(*row) for row in _PROGRAMS]
    findings += _ports()
    return Diagnosis(tuple(findings))


def purpose(area: str) -> str:
    """What an extra is for."""
    return _PURPOSE.get(area, "")


def _python() -> Finding:
    version = platform.python_version()
    good = (3, 10) <= sys.version_info[:2] < (3, 13)
    return Finding(
        "python",
        "python",
        "ok" if good else "warning",
        version,
        f"{platform.system()} {platform.machine()}",
        "" if good else "edgeq is tested with Python 3.10 to 3.12",
    )


def _requirements() -> dict[str, tuple[str, ...]]:
    """Extra → distributions that it installs on this machine, from the installed metadata."""
    try:
        lines = importlib.metadata.requires(_DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        lines = []
    if not lines:
        return dict(_FALLBACK)
    found: dict[str, list[str]] = {"core": [], **{e: [] for e in _EXTRAS}}
    for line in lines:
        name = re.split(r"[\s<>=!~;\[(]", line, maxsplit=1)[0]
        marker = line.partition(";")[2]
        extra = _MARKER.search(marker)
        area = extra.group(1) if extra else "core"
        if area in found and name.lower() != _DISTRIBUTION and _applies(marker) and name not in found[area]:
            found[area].append(name)
    return {area: tuple(names) for area, names in found.items()}


def _applies(marker: str) -> bool:
    """Whether the parts of an environment marker that edgeq's metadata uses hold here."""
    this = sys.version_info[:2]
    for operator, version in re.findall(r"python_version\s*(<|>=)\s*['\"]([\d.]+)['\"]", marker):
        bound = tuple(int(part) for part in version.split("."))
        if (operator == "<" and not this < bound) or (operator == ">=" and not this >= bound):
            return False
    system = re.search(r"sys_platform\s*==\s*['\"](\w+)['\"]", marker)
    return system is None or system.group(1) == sys.platform


def _package(area: str, name: str) -> Finding:
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        command = f"pip install {name}" if area == "core" else f"pip install 'edgeq[{area}]'"
        return Finding(area, name, "missing", fix=command)
    return Finding(area, name, "ok", version)


def _environment(wanted: Environment, cache: Path | None) -> Finding:
    """A framework in an environment of its own, or beside edgeq."""
    if isolated(wanted, cache) is not None:
        return Finding("frameworks", wanted.name, "ok", detail=f"{wanted.summary}; an environment of its own")
    if beside_edgeq(wanted):
        return Finding("frameworks", wanted.name, "ok", detail=f"{wanted.summary}; beside edgeq")
    return Finding(
        "frameworks",
        wanted.name,
        "info",
        detail=f"{wanted.summary}; {wanted.disk_mb} MB",
        fix=f"edgeq doctor --install {wanted.name}",
    )


def _program(name: str, detail: str, fix: str) -> Finding:
    path = shutil.which(name)
    if path is None:
        return Finding("programs", name, "info", detail=f"not on PATH ({detail}; not needed)", fix=fix)
    return Finding("programs", name, "ok", detail=path)


def _ports() -> list[Finding]:
    if not registry.installed("serial"):
        return []
    from edgeq.runners.ports import present

    ports = present()
    if not ports:
        return [Finding("ports", "serial ports", "info", detail="none here now; virtual boards work without")]
    return [_port(p.device, p.title) for p in ports]


def _port(device: str, title: str) -> Finding:
    if os.access(device, os.R_OK | os.W_OK):
        return Finding("ports", device, "ok", detail=title)
    return Finding(
        "ports",
        device,
        "warning",
        detail=f"{title}: no permission",
        fix="sudo usermod -aG dialout $USER, then log in again",
    )
