"""Holds a labgrid place for the process that started it; runs where labgrid is installed, apart from edgeq.

labgrid (LGPL-2.1) brings its own pyserial, which would replace edgeq's, so the two don't share an environment. This
file imports nothing of edgeq's.

    python labgrid_worker.py acquire|look COORDINATOR PLACE

One line of JSON on stdout tells the place's resources or what went wrong. After `acquire` the place is held until
standard input ends, which it does also when the parent dies.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
from typing import Any


def main() -> int:
    """One conversation."""
    verb, coordinator, place = sys.argv[1:4]
    answer_to = os.dup(1)
    os.dup2(2, 1)  # labgrid prints what it does; stdout is for the answer

    def answer(**said: object) -> None:
        os.write(answer_to, (json.dumps(said) + "\n").encode())

    try:
        from labgrid.remote.client import Error, start_session
    except ImportError as missing:
        answer(error=str(missing), kind="missing")
        return 0
    arguments = argparse.Namespace(place=place, allow_unmatched=False, kick=False)
    try:
        session = start_session(coordinator, extra={"args": arguments})
    except Exception as failed:  # grpc has a tree of its own
        answer(error=f"{type(failed).__name__}: {failed}", kind="coordinator")
        return 0
    run = session.loop.run_until_complete
    try:
        found = session.get_place()
        if verb == "look":
            answer(place=found.name, acquired=found.acquired or "")
            return 0
        run(session.acquire())
    except Error as failed:
        holder = getattr(session.places.get(place), "acquired", "") or ""
        answer(error=str(failed).removeprefix("Error: "), kind="busy" if holder else "place", holder=holder)
        return 0
    finally:
        if verb == "look":
            run(session.stop())
    try:
        answer(place=found.name, resources=_resources(session, found))
        _until_input_ends(session.loop)
    except Error as failed:
        answer(error=str(failed).removeprefix("Error: "), kind="place")
    finally:
        run(session.release())
        run(session.stop())
    answer(released=True)
    return 0


def _resources(session: Any, place: Any) -> list[dict[str, object]]:
    """The place's resources, with host and port as they are reached from here (through labgrid's proxy if need be)."""
    from labgrid import Target, target_factory
    from labgrid.util.proxy import proxymanager

    target, told = Target(place.name), []
    for (name, cls), entry in session.get_target_resources(session.get_place()).items():
        arguments = {k: v for k, v in entry.args.items() if isinstance(v, (str, int, float, bool))}
        if cls == "NetworkSerialPort":
            resource = target_factory.make_resource(target, entry.cls, name, entry.args)
            resource.extra = entry.extra
            arguments["host"], arguments["port"] = proxymanager.get_host_and_port(resource)
            arguments["protocol"] = resource.protocol
        told.append({"name": name, "cls": cls, "available": bool(entry.avail), "args": arguments})
    return told


def _until_input_ends(loop: Any) -> None:
    """The loop keeps the connection to the coordinator alive meanwhile."""
    ended = loop.create_future()

    def watch() -> None:
        sys.stdin.buffer.read()
        loop.call_soon_threadsafe(ended.set_result, None)

    threading.Thread(target=watch, daemon=True).start()
    loop.run_until_complete(ended)


if __name__ == "__main__":
    sys.exit(main())
