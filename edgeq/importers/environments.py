"""Environments for frameworks whose requirements don't go with edgeq's own: a folder in the user's cache each.

`edgeq doctor --install NAME` makes one. An importer takes it where it is, and this Python where the framework is
installed beside edgeq (the extra of the same name).
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from edgeq import process, registry
from edgeq.errors import MissingDependencyError, ToolError, UsageError
from edgeq.events import Listener, Progress, silent
from edgeq.resources import default_cache

_INSTALL_TIMEOUT_S = 3600.0
_READY = "edgeq-ready"
_STEP = re.compile(r"(Collecting|Downloading|Using cached|Installing collected packages:)\s*(\S+)")


@dataclass(frozen=True)
class Environment:
    """One framework's.

    Attributes:
        requirements: what pip installs, exact where others are known not to work.
        packages: import names that show that it is installed beside edgeq.
        summary: one line for `edgeq doctor`.
        disk_mb: roughly what it takes on disk.
        extra: of edgeq, that installs it beside edgeq (None: of the same name); "" where they would spoil each other.
    """

    name: str
    requirements: tuple[str, ...]
    packages: tuple[str, ...]
    summary: str
    disk_mb: int
    extra: str | None = None

    @property
    def key(self) -> str:
        """Changes with the requirements and the Python: an environment made for others isn't taken."""
        text = "\n".join((*self.requirements, f"{sys.version_info[0]}.{sys.version_info[1]}"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]


ENVIRONMENTS: Mapping[str, Environment] = MappingProxyType(
    {
        "onnx": Environment(
            "onnx",
            ("onnx>=1.17,<2", "onnxruntime>=1.20,<2"),
            ("onnx", "onnxruntime"),
            ".onnx models",
            210,
        ),
        "torch": Environment(
            "torch",
            # Exact, because the exporter changes with each release and this one is tested.
            ("torch==2.13.0", "onnx>=1.17,<2", "onnxscript>=0.5", "onnxruntime>=1.20,<2"),
            ("torch", "onnxscript", "onnx", "onnxruntime"),
            "PyTorch: .pt2 programs and torch.nn.Module",
            1100,
        ),
        "labgrid": Environment(
            "labgrid",
            ("labgrid>=25,<27",),
            ("labgrid",),
            "boards behind a labgrid coordinator",
            60,
            extra="",  # its pyserial-labgrid would overwrite the pyserial that edgeq needs
        ),
    }
)


def environment(name: str) -> Environment:
    """The environment of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in ENVIRONMENTS:
        raise UsageError(
            f"there is no environment '{name}'", next_step=f"choose one of: {', '.join(ENVIRONMENTS)}", name=name
        )
    return ENVIRONMENTS[name]


def folder_of(wanted: Environment, cache: Path | None = None) -> Path:
    """Where the environment is, or would be."""
    return (cache or default_cache()) / "environments" / f"{wanted.name}-{wanted.key}"


def python_in(folder: Path) -> Path:
    """Its interpreter."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def isolated(wanted: Environment, cache: Path | None = None) -> Path | None:
    """The interpreter of the isolated environment; None where it isn't installed."""
    folder = folder_of(wanted, cache)
    return python_in(folder) if (folder / _READY).is_file() and python_in(folder).exists() else None


def beside_edgeq(wanted: Environment) -> bool:
    """Whether the framework is installed in edgeq's own environment (looked for, not imported)."""
    return all(registry.installed(package) for package in wanted.packages)


def python_for(name: str, cache: Path | None = None, *, prefer_own: bool = False) -> Path:
    """The interpreter that runs a framework's worker.

    Args:
        prefer_own: take edgeq's own environment where it will do, as for objects that live in it.

    Raises:
        MissingDependencyError: it is installed nowhere.
    """
    wanted = environment(name)
    own = Path(sys.executable) if beside_edgeq(wanted) else None
    apart = isolated(wanted, cache)
    found = (own or apart) if prefer_own else (apart or own)
    if found is None:
        absent = [package for package in wanted.packages if not registry.installed(package)]
        raise MissingDependencyError(
            f"{wanted.summary} need {', '.join(absent)}",
            next_step=f"edgeq doctor --install {name} (an environment of its own, about {wanted.disk_mb} MB)"
            + ("" if wanted.extra == "" else f", or pip install 'edgeq[{wanted.extra or name}]'"),
            packages=absent,
            extra=name,
        )
    return found


def install(name: str, cache: Path | None = None, listener: Listener = silent) -> Path:
    """Make the isolated environment; one that is there already stays.

    Returns:
        Its interpreter.

    Raises:
        UsageError: no such environment.
        ToolError: pip failed; its own words are in the message. Nothing half-made is left.
    """
    wanted = environment(name)
    there = isolated(wanted, cache)
    if there is not None:
        return there
    target = folder_of(wanted, cache)
    target.parent.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time(target), tempfile.TemporaryDirectory(prefix="edgeq-pip-") as scratch:
        there = isolated(wanted, cache)  # another process may have made it meanwhile
        if there is not None:
            return there
        shutil.rmtree(target, ignore_errors=True)
        try:
            listener(Progress("install", 0, None, detail=f"a virtual environment in {target}"))
            venv.EnvBuilder(with_pip=True, symlinks=os.name != "nt").create(target)
            _pip(python_in(target), wanted, Path(scratch), listener)
            (target / _READY).write_text("\n".join(wanted.requirements) + "\n")
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)
            raise
    _drop_older(wanted, target)
    listener(Progress("install", 1, 1, detail=f"{name} is in {target}"))
    return python_in(target)


def _pip(python: Path, wanted: Environment, scratch: Path, listener: Listener) -> None:
    """pip with its progress passed on."""
    argv: list[str | Path] = [
        python,
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-input",
        "--progress-bar",
        "off",
    ]
    log = scratch / "pip.log"
    child = process.start([*argv, "--log", log, *wanted.requirements])
    assert child.stdin is not None and child.stdout is not None and child.stderr is not None
    child.stdin.close()
    said: list[str] = []
    try:
        for raw in child.stdout:
            line = raw.decode(errors="replace").rstrip()
            said.append(line)
            step = _STEP.search(line)
            if step:
                listener(Progress("install", len(said), None, detail=f"{step[1].rstrip(':').lower()} {step[2]}"))
        child.wait(_INSTALL_TIMEOUT_S)
        complaints = child.stderr.read().decode(errors="replace")
    except subprocess.TimeoutExpired as late:
        raise ToolError("pip did not end", where=wanted.name, next_step="try again") from late
    finally:
        process.kill_tree(child)
        for stream in (child.stdout, child.stderr):
            stream.close()
    if child.returncode != 0:
        raise ToolError(
            f"pip could not install {' '.join(wanted.requirements)}:\n{complaints.strip()[-2000:]}",
            where=f"edgeq doctor --install {wanted.name}",
            next_step="the lines above are pip's own; an index for this machine can be named by PIP_INDEX_URL or "
            "PIP_EXTRA_INDEX_URL",
            exit_code=child.returncode,
            stderr=complaints[-4000:],
        )


@contextmanager
def _one_at_a_time(target: Path) -> Iterator[None]:
    """Two installations of one environment at once would spoil each other's."""
    lock = target.with_name(target.name + ".lock")
    with lock.open("w") as stream:
        if os.name == "posix":
            import fcntl

            fcntl.flock(stream, fcntl.LOCK_EX)
        yield
    with suppress(OSError):
        lock.unlink()


def _drop_older(wanted: Environment, kept: Path) -> None:
    """Environments of the same name made for other requirements."""
    for other in kept.parent.glob(f"{wanted.name}-*"):
        if other != kept and other.is_dir() and re.fullmatch(rf"{wanted.name}-[0-9a-f]{{12}}", other.name):
            shutil.rmtree(other, ignore_errors=True)
