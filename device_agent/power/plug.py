"""Smart plugs by HTTP: Shelly (both generations of interface) and Tasmota.

They measure the mains side: the board, its supply and the supply's loss. They update about once a second, so
a window under ten seconds says nothing and is refused.

Rules: only the host that the settings name is asked, without proxy and without following redirects; an answer
is bounded in size and checked before use. A plug whose own clock of measurements stands still has stalled.

Sources: shelly-api-docs.shelly.cloud, Gen1 `/status` (meters[].power in W, is_valid, timestamp) and Gen2+
`Switch.GetStatus` (apower in W, aenergy.total in Wh, aenergy.minute_ts); tasmota.github.io, "Commands",
`Status 8` (StatusSNS.ENERGY.Power in W, .Total in kWh).
"""

from __future__ import annotations

import json
import math
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import deque
from typing import TYPE_CHECKING, Any, Callable

from .found import Found
from .sampler import SampledSource
from .settings import PLUG_KINDS
from .source import NoReadingError, Traits

if TYPE_CHECKING:
    from .settings import Settings

_COVERS = (
    "everything plugged in, at the mains: board, supply and the supply's loss; about one reading a second"
)
_INTERVAL_NS = 1_000_000_000
_LAG_NS = 1_000_000_000
_MIN_WINDOW_NS = 10_000_000_000
_TIMEOUT_S = 1.5
_MOST_BYTES = 65_536
_MOST_W = 20_000
# The plugs stamp their minute counters: a stamp that is older than two minutes stands still.
_STALE_S = 150
# Source: Shelly Plug S specification: power in steps of 0.1 W; Tasmota shows whole watts by default.
_STEP_W = {"shelly": 0.1, "shelly-gen1": 0.01, "tasmota": 1.0}
_DISAGREEMENT = 0.25


class Plug:
    """One plug.

    Args:
        settings: Its kind, host, port and channel.
    """

    def __init__(self, settings: Settings) -> None:
        self._kind = settings.kind
        self._channel = settings.channel
        host = f"[{settings.host}]" if ":" in (settings.host or "") else settings.host
        path = {
            "shelly": f"/rpc/Switch.GetStatus?id={settings.channel}",
            "shelly-gen1": "/status",
            "tasmota": "/cm?cmnd=Status%208",
        }[settings.kind]
        self.url = f"http://{host}:{settings.port or 80}{path}"
        self._stamp: tuple[Any, float] = (None, 0.0)
        self._counters: deque[tuple[int, float]] = deque(maxlen=65_536)
        self._opener = urllib.request.OpenerDirector()
        self._opener.add_handler(urllib.request.HTTPHandler())

    def read(self) -> float:
        """Return the power at the mains, in watts.

        Raises:
            NoReadingError: No answer, one that is not a plug's, or one that has not changed for minutes.
        """
        answer = self._ask()
        watts, counted_j, stamp = _PARSERS[self._kind](answer, self._channel)
        if not 0 <= watts <= _MOST_W:
            message = f"{self.url} reports {watts:g} W"
            raise NoReadingError(message)
        self._check_stamp(stamp)
        if counted_j is not None:
            self._counters.append((time.monotonic_ns(), counted_j))
        return watts

    def objection(self, from_ns: int, to_ns: int, joules: float) -> str | None:
        """Return how the plug's own energy counter contradicts an energy; None where it does not."""
        counted = [value for clock_ns, value in list(self._counters) if from_ns <= clock_ns <= to_ns]
        steps = [after - before for before, after in zip(counted, counted[1:]) if after != before]
        if len(steps) < 4 or min(steps) < 0:
            return None
        counted_j = counted[-1] - counted[0]
        if abs(counted_j - joules) <= _DISAGREEMENT * joules + 2 * max(steps):
            return None
        return f"its power adds up to {joules:.3g} J, its energy counter to {counted_j:.3g} J"

    def _ask(self) -> dict[str, Any]:
        deadline_s = time.monotonic() + 2 * _TIMEOUT_S
        data = b""
        try:
            with self._opener.open(urllib.request.Request(self.url), timeout=_TIMEOUT_S) as response:
                status = response.status
                while time.monotonic() < deadline_s and len(data) <= _MOST_BYTES:
                    chunk = response.read1(_MOST_BYTES)
                    if not chunk:
                        break
                    data += chunk
        except (OSError, urllib.error.URLError, ValueError) as err:
            message = f"{self.url} does not answer: {getattr(err, 'reason', err)}"
            raise NoReadingError(message) from err
        if status != 200 or len(data) > _MOST_BYTES:
            message = f"{self.url} answered with HTTP status {status} and {len(data)} bytes"
            raise NoReadingError(message)
        try:
            answer = json.loads(data)
        except (ValueError, RecursionError) as err:
            message = f"{self.url} does not answer in JSON"
            raise NoReadingError(message) from err
        return answer if isinstance(answer, dict) else {}

    def _check_stamp(self, stamp: Any) -> None:
        now_s = time.monotonic()
        if stamp is None or stamp != self._stamp[0]:
            self._stamp = (stamp, now_s)
        elif now_s - self._stamp[1] > _STALE_S:
            message = f"{self.url}: the plug's measurements stand still since {_STALE_S} s"
            raise NoReadingError(message)


def parse_shelly(answer: dict[str, Any], _channel: int) -> tuple[float, float | None, Any]:
    """Return watts, joules counted and the time stamp of a Gen2+ answer."""
    energy = answer.get("aenergy")
    energy = energy if isinstance(energy, dict) else {}
    counted = energy.get("total")
    return _number(answer, "apower"), _real(counted, 3600.0), energy.get("minute_ts")


def parse_shelly_gen1(answer: dict[str, Any], channel: int) -> tuple[float, float | None, Any]:
    """Return watts, joules counted (the answer has watt-minutes) and the time stamp of a Gen1 answer."""
    meters = answer.get("meters")
    if not isinstance(meters, list) or len(meters) <= channel or not isinstance(meters[channel], dict):
        message = f"the plug has no meter of channel {channel}"
        raise NoReadingError(message)
    meter = meters[channel]
    if meter.get("is_valid") is False:
        message = "the plug says that its meter's value is not valid"
        raise NoReadingError(message)
    return _number(meter, "power"), _real(meter.get("total"), 60.0), meter.get("timestamp") or None


def parse_tasmota(answer: dict[str, Any], channel: int) -> tuple[float, float | None, Any]:
    """Return watts, joules counted and the time stamp; plugs of several channels answer with lists."""
    found: Any = answer.get("StatusSNS")
    energy = found.get("ENERGY") if isinstance(found, dict) else None
    if not isinstance(energy, dict):
        message = "the plug's answer has no StatusSNS.ENERGY: it measures no power"
        raise NoReadingError(message)
    power = energy.get("Power")
    if isinstance(power, list):
        power = power[channel] if channel < len(power) else None
    total = energy.get("Total") if not isinstance(energy.get("Power"), list) else None
    return _number({"Power": power}, "Power"), _real(total, 3.6e6), None


_PARSERS: dict[str, Callable[[dict[str, Any], int], tuple[float, float | None, Any]]] = {
    "shelly": parse_shelly,
    "shelly-gen1": parse_shelly_gen1,
    "tasmota": parse_tasmota,
}


def find(settings: Settings) -> list[Found]:
    """Return the plug that the settings name."""
    if settings.kind not in PLUG_KINDS:
        return []
    plug = Plug(settings)
    reason = None
    try:
        plug.read()
    except NoReadingError as err:
        reason = str(err)
    remedy = "Check `host` and `kind` in `[devices.NAME.power]` of lab.toml." if reason else None
    name = f"plug:{settings.kind}"
    return [Found(name, "plug", plug.url, _COVERS, lambda: make_source(settings), reason, remedy)]


def make_source(settings: Settings) -> SampledSource:
    """Return a source of a plug's readings."""
    plug = Plug(settings)
    traits = Traits(
        resolution_w=_STEP_W[settings.kind],
        lag_ns=_LAG_NS,
        min_window_ns=_MIN_WINDOW_NS,
    )
    return SampledSource(
        plug.read, traits, interval_ns=_INTERVAL_NS, objection=plug.objection, calibrate=False
    )


def _number(answer: dict[str, Any], key: str) -> float:
    value = _real(answer.get(key), 1.0)
    if value is None:
        message = f"the plug's answer has no number {key!r}: it measures no power, or is of another kind"
        raise NoReadingError(message)
    return value


def _real(value: Any, factor: float) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value) * factor
