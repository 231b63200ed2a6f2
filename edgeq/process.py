"""The only place that starts other programs: an argv list, never a shell, always a time limit."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edgeq.errors import MissingDependencyError, ToolError


@dataclass(frozen=True)
class Transcript:
    """What a finished program was asked and what it said."""

    argv: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr: str


def run(
    argv: Sequence[str | Path],
    *,
    timeout_s: float,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    check: bool = True,
) -> Transcript:
    """Run a program to its end.

    Args:
        argv: program and arguments; no shell reads them.
        timeout_s: after this many seconds the program and its children are killed.
        environment: variables added to (or replacing) the present ones.
        stdin: bytes for its standard input; nothing otherwise.
        check: raise when it exits with anything but 0.

    Raises:
        MissingDependencyError: there is no such program.
        ToolError: it failed (with `check`) or ran out of time; `facts` holds argv, exit code, stderr.
    """
    words = [str(word) for word in argv]
    child = _spawn(words, cwd, environment, capture=True, stdin=stdin is not None)
    try:
        out, err = child.communicate(stdin, timeout=timeout_s)
    except subprocess.TimeoutExpired as late:
        kill_tree(child)
        out, err = child.communicate()
        raise ToolError(
            f"{Path(words[0]).name} did not finish within {timeout_s:g} s and was stopped",
            where=" ".join(words[:6]),
            next_step="run the command by hand to see what it waits for",
            argv=words,
            stderr=err.decode(errors="replace")[-4000:],
        ) from late
    except BaseException:
        kill_tree(child)
        child.wait()
        raise
    transcript = Transcript(tuple(words), child.returncode, out.decode(errors="replace"), err.decode(errors="replace"))
    if check and transcript.exit_code != 0:
        said = transcript.stderr.strip() or transcript.stdout.strip()
        raise ToolError(
            f"{Path(words[0]).name} exited with {transcript.exit_code}:\n{said[-4000:]}",
            where=" ".join(words[:6]) + (" …" if len(words) > 6 else ""),
            next_step="the lines above are the tool's own; the first of them is usually the cause",
            argv=words,
            exit_code=transcript.exit_code,
            stderr=transcript.stderr[-4000:],
        )
    return transcript


def start(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program that keeps running, with pipes on stdin, stdout and stderr.

    The caller ends it with `kill_tree`.
    """
    return _spawn([str(word) for word in argv], cwd, environment, capture=True, stdin=True)


def kill_tree(child: subprocess.Popen[bytes]) -> None:
    """End a program started here, and whatever it has started."""
    with suppress(ProcessLookupError, PermissionError):
        if os.name == "posix":
            os.killpg(child.pid, signal.SIGKILL)
        else:
            child.kill()


def _spawn(
    words: list[str],
    cwd: Path | None,
    environment: Mapping[str, str] | None,
    *,
    capture: bool,
    stdin: bool,
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            words,
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE if capture else None,
            stderr=subprocess.PIPE if capture else None,
            start_new_session=True,
        )
    except FileNotFoundError as missing:
        raise MissingDependencyError(
            f"there is no program '{words[0]}'",
            next_step="`edgeq doctor` lists what is missing and how to get it",
            program=words[0],
        ) from missing
    except PermissionError as denied:
        raise ToolError(f"'{words[0]}' may not be executed", where=words[0]) from denied
