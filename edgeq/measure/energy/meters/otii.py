"""Qoitech's Otii Arc and Ace, through the TCP server of Otii 3 (or otii_server).

Wire the board's window pin to GPI 1 of the expansion port, and the grounds together. An Ace samples at 50 kHz; an Arc
at 4 kHz may miss a pulse of some tens of microseconds, which is then told as a pin that fell too rarely.

The client is Qoitech's own, otii_tcp_client (MIT); it logs in, and reserves the Automation licence that the server asks
for, with what OTII_USERNAME and OTII_PASSWORD or credentials.json say. Channels: the client's documentation of
`Arc.enable_channel` (mc amperes, mp watts, i1 digital).
"""

from __future__ import annotations

import contextlib
import io
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from edgeq.errors import DeviceError, UsageError
from edgeq.measure.energy.measurement import Plan
from edgeq.measure.energy.trace import Trace

_HOST, _PORT = "127.0.0.1", 1905
_ACE_RATE_HZ, _ARC_RATE_HZ = 50_000, 4_000
_PIN = "i1"
_LOWEST_V, _HIGHEST_V = 0.5, 5.0
# Of the expansion port's levels.
_LOWEST_LOGIC_V = 1.2
_BOOT_S = 1.0
_CONNECT_S = 3
_ADDRESS = re.compile(r"(?P<host>[^:/]*)(?::(?P<port>\d+))?(?:/(?P<name>.+))?")


class Otii:
    """An open Arc or Ace."""

    def __init__(self, otii: Any, arc: Any, where: str, plan: Plan) -> None:
        if not _LOWEST_V <= plan.supply_v <= _HIGHEST_V:
            raise UsageError(
                f"an Otii supplies {_LOWEST_V:g} to {_HIGHEST_V:g} V, not {plan.supply_v:g} V", next_step="--supply 3.3"
            )
        self._arc, self._where = arc, where
        # In the supply of others it knows the current alone.
        self._channel, self._volts = ("mp", 1.0) if plan.source else ("mc", plan.supply_v)
        with speaking(where):
            self._project = otii.create_project()
            arc.add_to_project()
            arc.set_power_regulation("voltage" if plan.source else "inline")
            if plan.source:
                arc.set_main_voltage(plan.supply_v)
            arc.set_exp_voltage(max(_LOWEST_LOGIC_V, plan.supply_v))
            arc.enable_exp_port(True)
            for channel in (self._channel, _PIN):
                arc.enable_channel(channel, True)
            if arc.type == "Ace":
                arc.set_channel_samplerate(self._channel, _ACE_RATE_HZ)
            arc.set_main(True)
        if plan.source:
            time.sleep(_BOOT_S)
        self._rate_hz = _ACE_RATE_HZ if arc.type == "Ace" else _ARC_RATE_HZ
        does = "supplies" if plan.source else "in a supply of"
        self.name = f"Otii {arc.type} '{arc.name}' at {where} ({does} {plan.supply_v:g} V)"

    @property
    def shortest_window_s(self) -> float:
        """See Meter."""
        return 1000 / self._rate_hz

    def start(self) -> None:
        """See Meter."""
        with speaking(self._where):
            self._project.start_recording()

    def stop(self) -> Trace:
        """See Meter."""
        with speaking(self._where):
            self._project.stop_recording()
            recording = self._project.get_last_recording()
            if recording is None:
                raise DeviceError("the meter recorded nothing", where=self._where, next_step="is it still plugged in?")
            analog, pin = self._data(recording, self._channel), self._data(recording, _PIN)
            recording.delete()
        power = np.asarray(analog["values"], np.float64) * self._volts
        if len(power) < 2 or not np.isfinite(power).all():
            raise DeviceError(
                "the meter sent no samples", where=self._where, next_step="unplug it and plug it in again"
            )
        interval, first = float(analog["interval"]), float(analog["timestamp"])
        high, falls = True, []
        for change in pin["values"]:
            if high and not change["value"]:
                falls.append(round((float(change["timestamp"]) - first) / interval))
            high = bool(change["value"])
        inside = tuple(at for at in falls if 0 <= at < len(power))
        return Trace(1.0 / interval, power, inside, 0, self.name)

    def _data(self, recording: Any, channel: str) -> dict[str, Any]:
        count = recording.get_channel_data_count(self._arc.id, channel)
        nothing: dict[str, Any] = {"values": [], "interval": 1.0 / self._rate_hz, "timestamp": 0.0}
        return dict(recording.get_channel_data(self._arc.id, channel, 0, count)) if count else nothing

    def close(self) -> None:
        """Leave the application as it was, the recordings gone; what it supplies stays on."""
        with contextlib.suppress(DeviceError), speaking(self._where):
            self._project.close(force=True)


@contextmanager
def speaking(where: str) -> Iterator[None]:
    """The client's exceptions as DeviceError; what it prints is kept off stdout."""
    from otii_tcp_client.otii_client import OtiiClientException
    from otii_tcp_client.otii_connection import DisconnectedException
    from otii_tcp_client.otii_exception import Otii_Exception

    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    except Otii_Exception as refused:
        raise DeviceError(
            f"the Otii server refuses: {refused.message}", where=where, next_step="the message is Otii's own"
        ) from refused
    except OtiiClientException as failed:
        raise DeviceError(
            f"{failed}",
            where=where,
            next_step="the server wants a login with an Automation licence: set OTII_USERNAME and OTII_PASSWORD",
        ) from failed
    except (OSError, DisconnectedException) as failed:
        raise DeviceError(
            f"no Otii server answers: {failed or type(failed).__name__}",
            where=where,
            next_step="start Otii and its server (Settings, TCP server), or name it: --meter otii:HOST:PORT",
        ) from failed


@contextmanager
def open_otii(address: str, plan: Plan) -> Iterator[Otii]:
    """A meter behind an Otii server: `[HOST][:PORT][/NAME]`; the only one that is connected without a name."""
    from otii_tcp_client.otii_client import OtiiClient

    form = _ADDRESS.fullmatch(address)
    if form is None:
        raise UsageError(f"'{address}' is no address of an Otii server", next_step="--meter otii:HOST:PORT/NAME")
    host, port, wanted = form["host"] or _HOST, int(form["port"] or _PORT), form["name"]
    where = f"{host}:{port}"
    with speaking(where):
        otii = OtiiClient().connect(host=host, port=port, try_for_seconds=_CONNECT_S)
    try:
        with speaking(where):
            arcs = [arc for arc in otii.get_devices(timeout=5) if wanted in (None, arc.name, arc.id)]
        if len(arcs) != 1:
            raise DeviceError(
                f"{len(arcs)} meters are connected" if arcs else f"no meter '{wanted or ''}' is connected",
                where=where,
                next_step=f"name one: {', '.join(f'otii:{where}/{arc.name}' for arc in arcs)}"
                if arcs
                else "plug it in",
            )
        meter = Otii(otii, arcs[0], where, plan)
        try:
            yield meter
        finally:
            meter.close()
    finally:
        with contextlib.suppress(DeviceError), speaking(where):
            otii.disconnect()
