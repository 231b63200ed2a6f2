"""An Otii server on loopback: JSON in lines that end in CR LF, as Qoitech's client documents it, and one meter."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from meter_doubles import Script


class OtiiDouble:
    """Serves one client at a time; a context. `port` is where."""

    def __init__(self, scripts: Sequence[Script], rate: int, *, kind: str = "Ace", supply_v: float = 3.3) -> None:
        self.scripts, self.rate, self.kind, self.supply_v = scripts, rate, kind, supply_v
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.reserved: list[int] = []
        self.licensed = True
        self.recordings = 0
        self.devices = [{"device_id": "Ace01", "name": "bench", "type": kind}]
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def say(self, body: dict[str, Any]) -> None:
                self.wfile.write((json.dumps(body) + "\r\n").encode())

            def handle(self) -> None:
                told = {"otii_version": "3.5.5", "protocol_version": "0.1", "server": "otii-server"}
                self.say({"type": "information", "info": "connected", "data": told})
                for line in self.rfile:
                    asked = json.loads(line)
                    head = {"cmd": asked["cmd"], "trans_id": asked["trans_id"]}
                    try:
                        data = outer.answer(asked["cmd"], asked.get("data", {}))
                        self.say({"type": "response", **head, "data": data})
                    except LookupError as unknown:
                        self.say({"type": "error", **head, "errorcode": "Invalid command", "data": {"x": str(unknown)}})

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])

    def __enter__(self) -> OtiiDouble:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, command: str, data: dict[str, Any]) -> dict[str, Any]:
        """The `data` of the answer; LookupError for what there isn't."""
        self.asked.append((command, data))
        if command.startswith("arc_") and data.get("device_id") != "Ace01":
            raise LookupError(command)
        if command == "project_start_recording":
            self.recordings += 1
        if command in ("otii_reserve_license", "otii_return_license"):
            (self.reserved.append if "reserve" in command else self.reserved.remove)(data["license_id"])
        fixed: dict[str, dict[str, Any]] = {
            "otii_is_logged_in": {"logged_in": True},
            "otii_get_licenses": {
                "licenses": [
                    {"id": 7, "type": "Automation", "available": self.licensed, "reserved_to": "", "hostname": ""}
                ]
            },
            "otii_get_devices": {"devices": self.devices},
            "otii_create_project": {"project_id": 1},
            "project_get_last_recording": {"recording_id": self.recordings - 1, "name": "r"},
        }
        if command in fixed:
            return fixed[command]
        if command.startswith("recording_get_channel_data"):
            return self._channel(command, data)
        known = ("arc_", "project_start", "project_stop", "project_close", "recording_delete", "otii_re")
        if not command.startswith(known):
            raise LookupError(command)
        return {}

    def _channel(self, command: str, data: dict[str, Any]) -> dict[str, Any]:
        script = self.scripts[data["recording_id"] % len(self.scripts)]
        if data["channel"] == "i1":
            edges = [0, *(np.flatnonzero(np.diff(script.pin.astype(int))) + 1)]
            values: list[Any] = [{"timestamp": 0.25 + i / self.rate, "value": bool(script.pin[i])} for i in edges]
        else:
            volts = self.supply_v if data["channel"] == "mp" else 1.0
            values = [float(v) for v in script.milliamperes / 1000 * volts]
        if command.endswith("count"):
            return {"count": len(values)}
        if data["channel"] == "i1":
            return {"data_type": "digital", "values": values[data["index"] :][: data["count"]]}
        part = values[data["index"] :][: data["count"]]
        at = 0.25 + data["index"] / self.rate  # a recording need not begin at 0
        return {"data_type": "analog", "timestamp": at, "interval": 1 / self.rate, "values": part}
