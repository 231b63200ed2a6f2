"""Boards on other hosts through labgrid: its coordinator knows them, its exporters serve their serial ports.

A place is acquired, its console's address is asked, and it is released whatever happens, also when edgeq is killed: a
process of its own holds it (`edgeq.runners.labgrid_worker`), in the environment that `edgeq doctor --install labgrid`
makes.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from edgeq import process
from edgeq.errors import DeviceError, MissingDependencyError
from edgeq.events import Listener, Progress, silent
from edgeq.importers.environments import python_for

_ANSWER_S = 30.0
_RELEASE_S = 15.0
_RETRY_S = 1.0


@dataclass(frozen=True)
class Place:
    """An acquired place.

    Attributes:
        port: a pyserial URL of its console, "" where it has none.
        host: [USER@]ADDRESS[:PORT] for SSH, "" where it has none.
    """

    name: str
    port: str
    host: str


@contextmanager
def acquired(
    place: str, coordinator: str, cache: Path | None = None, *, wait_s: float = 0.0, listener: Listener = silent
) -> Iterator[Place]:
    """Hold a place for as long as the context lasts.

    Args:
        coordinator: HOST[:PORT].
        cache: where isolated environments are.
        wait_s: how long to wait for whoever has it.

    Raises:
        MissingDependencyError: labgrid isn't installed.
        DeviceError: no coordinator, no such place, somebody else has it, or it has neither console nor address.
    """
    until = time.monotonic() + wait_s
    while True:
        child = _start("acquire", place, coordinator, cache)
        try:
            said = _answer(child, place, coordinator)
            if said.get("kind") == "busy" and time.monotonic() < until:
                listener(Progress("wait", 0, None, detail=f"for {said.get('holder')}, who has place {place}"))
                time.sleep(_RETRY_S)
                continue
            if "error" in said:
                _refuse(said, place, coordinator)
            yield _place(said, place, coordinator)
            return
        finally:
            _release(child)


def look(place: str, coordinator: str, cache: Path | None = None) -> str:
    """Who has a place: HOST/USER, "" nobody.

    Raises:
        MissingDependencyError: labgrid isn't installed.
        DeviceError: no coordinator, or no such place.
    """
    child = _start("look", place, coordinator, cache)
    try:
        said = _answer(child, place, coordinator)
    finally:
        _release(child)
    if "error" in said:
        _refuse(said, place, coordinator)
    return str(said.get("acquired", ""))


def _start(verb: str, place: str, coordinator: str, cache: Path | None) -> subprocess.Popen[bytes]:
    python = python_for("labgrid", cache)  # isolated (-I): this very file would hide the package labgrid
    return process.start([python, "-I", Path(__file__).with_name("labgrid_worker.py"), verb, coordinator, place])


def _answer(child: subprocess.Popen[bytes], place: str, coordinator: str) -> Mapping[str, Any]:
    """The worker's first line; it has a time limit of its own in gRPC, and one here."""
    assert child.stdout is not None and child.stderr is not None
    late = threading.Timer(_ANSWER_S, process.kill_tree, (child,))
    late.start()
    try:
        line = child.stdout.readline()
    finally:
        late.cancel()
    try:
        said: Mapping[str, Any] = json.loads(line)
    except ValueError:
        process.kill_tree(child)
        words = child.stderr.read().decode(errors="replace").strip()
        raise DeviceError(
            f"labgrid gave no answer within {_ANSWER_S:g} s" + (f": {words[-500:]}" if words else ""),
            where=coordinator,
            next_step=f"try it by hand: labgrid-client -x {coordinator} -p {place} show",
        ) from None
    return said


def _refuse(said: Mapping[str, Any], place: str, coordinator: str) -> NoReturn:
    if said["kind"] == "missing":
        raise MissingDependencyError(
            f"labgrid can't be imported: {said['error']}", next_step="edgeq doctor --install labgrid"
        )
    steps = {
        "coordinator": "is labgrid-coordinator running there? `coordinator` of the device file names it",
        "busy": "wait for it with --wait SECONDS",
        "place": f"labgrid-client -x {coordinator} places",
    }
    raise DeviceError(
        f"labgrid: {said['error']}",
        where=f"place {place} at {coordinator}",
        next_step=steps.get(str(said["kind"]), ""),
        reason=str(said["kind"]),
        holder=str(said.get("holder", "")),
    )


def _place(said: Mapping[str, Any], place: str, coordinator: str) -> Place:
    port = host = ""
    for resource in said["resources"]:
        arguments = resource["args"]
        if not resource["available"]:
            continue
        if resource["cls"] == "NetworkSerialPort" and not port:
            at = f"{arguments['host']}:{arguments['port']}"
            # ser2net can't set the modem lines of every port, and says nothing then: pyserial is not to wait for it.
            port = f"socket://{at}" if arguments["protocol"] == "raw" else f"rfc2217://{at}?ign_set_control"
        if resource["cls"] == "NetworkService" and not host:
            user, ssh = arguments.get("username", ""), arguments.get("port", 22)
            host = f"{user}@" * bool(user) + f"{arguments['address']}" + f":{ssh}" * (ssh != 22)
    if not (port or host):
        kinds = ", ".join(str(r["cls"]) for r in said["resources"]) or "none"
        raise DeviceError(
            f"the place has no serial port and no address that are available (its resources: {kinds})",
            where=f"place {place} at {coordinator}",
            next_step="is its exporter running? labgrid-client resources",
        )
    return Place(str(said["place"]), port, host)


def _release(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None and child.stdout is not None and child.stderr is not None
    with suppress(OSError):
        child.stdin.close()  # the worker releases and ends
    try:
        child.wait(_RELEASE_S)
    except subprocess.TimeoutExpired:
        process.kill_tree(child)
        child.wait()
    for stream in (child.stdout, child.stderr):
        stream.close()
