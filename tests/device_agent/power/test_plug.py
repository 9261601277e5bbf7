"""Plugs that speak the published interfaces, on a real server on loopback."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from edgepack.device_agent.errors import AgentError
from edgepack.device_agent.power import plug
from edgepack.device_agent.power.plug import Plug
from edgepack.device_agent.power.registry import choose, survey
from edgepack.device_agent.power.settings import Settings
from edgepack.device_agent.power.source import NoReadingError

S = 1_000_000_000


class FakePlug:
    """A plug's web server.

    Attributes:
        watts: What the load takes.
        behaviour: None, or a function that answers a request in some wrong way.
    """

    def __init__(self) -> None:
        self.watts = 5.0
        self.watt_hours = 100.0
        self.behaviour = None
        self.asked: list[str] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                fake.asked.append(self.path)
                if fake.behaviour:
                    fake.behaviour(self)
                    return
                answer = fake.answer(self.path)
                self.send_response(200 if answer else 404)
                self.end_headers()
                self.wfile.write(json.dumps(answer).encode())

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def answer(self, path: str) -> dict | None:
        """As the makers' documents show it."""
        if path == "/rpc/Switch.GetStatus?id=0":
            counter = {"total": self.watt_hours, "by_minute": [0.0, 0.0, 0.0], "minute_ts": int(time.time())}
            return {"id": 0, "source": "init", "output": True, "apower": self.watts, "voltage": 230.1,
                    "current": 0.02, "aenergy": counter, "temperature": {"tC": 42.5}}  # fmt: skip
        if path == "/status":
            meter = {"power": self.watts, "overpower": 0.0, "is_valid": True, "timestamp": int(time.time()),
                     "counters": [1.0, 2.0, 3.0], "total": self.watt_hours * 60}  # fmt: skip
            return {"wifi_sta": {"connected": True}, "relays": [{"ison": True}], "meters": [meter]}
        if path == "/cm?cmnd=Status%208":
            energy = {"TotalStartTime": "2022-01-01T00:00:00", "Total": self.watt_hours / 1000, "Today": 0.1,
                      "Power": self.watts, "ApparentPower": 8, "Factor": 0.6, "Voltage": 230}  # fmt: skip
            return {"StatusSNS": {"Time": "2022-09-01T01:07:30", "ENERGY": energy}}
        return None


@pytest.fixture
def fake():
    server = FakePlug()
    yield server
    server.server.shutdown()
    server.server.server_close()
    server.thread.join()


@pytest.fixture
def fast(monkeypatch) -> None:
    monkeypatch.setattr(plug, "_MIN_WINDOW_NS", 0)
    monkeypatch.setattr(plug, "_INTERVAL_NS", 30_000_000)


def settings(fake: FakePlug, kind: str = "shelly") -> dict:
    return {"kind": kind, "host": "127.0.0.1", "port": fake.port}


def one(fake: FakePlug, kind: str = "shelly") -> Plug:
    return Plug(Settings(kind, host="127.0.0.1", port=fake.port))


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("kind", ["shelly", "shelly-gen1", "tasmota"])
def test_a_window_of_each_kind(machine, fake, measuring, kind) -> None:
    sensor = choose("auto", settings(fake, kind), machine.roots)
    found = measuring(sensor, 0.4)
    sensor.close()
    assert found["sensor"] == f"plug:{kind}"
    assert found["average_w"] == pytest.approx(5.0)
    assert "supply" in found["covers"]
    assert found["resolution_w"] > 0


def test_a_short_window_is_refused(machine, fake, measuring) -> None:
    sensor = choose("plug", settings(fake), machine.roots)
    assert "it needs 10 s" in measuring(sensor, 0.1)["unavailable"]
    sensor.close()


def test_the_counter_s_units() -> None:
    assert plug.parse_shelly({"apower": 1, "aenergy": {"total": 2, "minute_ts": 60}}, 0) == (1, 7200, 60)
    gen1 = {"meters": [{"power": 1, "is_valid": True, "timestamp": 60, "total": 120}]}
    assert plug.parse_shelly_gen1(gen1, 0) == (1, 7200, 60)
    assert plug.parse_tasmota({"StatusSNS": {"ENERGY": {"Power": 1, "Total": 0.002}}}, 0) == (1, 7200, None)
    two = {"StatusSNS": {"ENERGY": {"Power": [1, 2], "Total": 0.002}}}
    assert plug.parse_tasmota(two, 1) == (2, None, None)


def test_a_counter_that_contradicts_the_power(fake, monkeypatch) -> None:
    meter = one(fake)
    for second in range(100):
        monkeypatch.setattr(plug.time, "monotonic_ns", lambda second=second: second * S)
        fake.watt_hours = 100 + second * 10.0 / 3600
        meter.read()
    assert "adds up to 500 J, its energy counter to 990 J" in (meter.objection(0, 100 * S, 500.0) or "")
    assert meter.objection(0, 100 * S, 990.0) is None


def redirect(handler) -> None:
    handler.send_response(302)
    handler.send_header("Location", "/rpc/Switch.GetStatus?id=0")
    handler.end_headers()


def endless(handler) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        for _ in range(100):
            handler.wfile.write(b" " * 10_000)
    except OSError:
        pass


def answering(body: bytes, status: int = 200):
    def answer(handler) -> None:
        handler.send_response(status)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (redirect, "HTTP status 302"),
        (endless, "HTTP status 200 and"),
        (answering(b"", 401), "HTTP status 401"),
        (answering(b"<html>"), "not answer in JSON"),
        (answering(b"[]"), "no number 'apower'"),
        (answering(b'{"apower": "5"}'), "no number 'apower'"),
        (answering(b'{"apower": true}'), "no number 'apower'"),
        (answering(b'{"apower": NaN}'), "no number 'apower'"),
        (answering(b'{"apower": -3}'), "reports -3 W"),
        (answering(b'{"apower": 1e9}'), "reports 1e+09 W"),
        (answering(b"[" * 60_000), "not answer in JSON"),
    ],
)
def test_answers_that_are_not_a_plug_s(fake, behaviour, words) -> None:
    fake.behaviour = behaviour
    with pytest.raises(NoReadingError, match=words.replace("+", r"\+")):
        one(fake).read()
    assert len(fake.asked) == 1


def test_a_plug_that_does_not_answer_in_time(fake, monkeypatch) -> None:
    monkeypatch.setattr(plug, "_TIMEOUT_S", 0.1)
    fake.behaviour = lambda _: time.sleep(0.5)
    with pytest.raises(NoReadingError, match="does not answer"):
        one(fake).read()


def test_an_answer_that_trickles_is_cut_off(fake, monkeypatch) -> None:
    monkeypatch.setattr(plug, "_TIMEOUT_S", 0.2)

    def trickle(handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            for _ in range(40):
                handler.wfile.write(b"{")
                handler.wfile.flush()
                time.sleep(0.05)
        except OSError:
            pass

    fake.behaviour = trickle
    started = time.monotonic()
    with pytest.raises(NoReadingError):
        one(fake).read()
    assert time.monotonic() - started < 1.5


def test_measurements_that_stand_still(fake, monkeypatch) -> None:
    meter = one(fake)
    frozen = fake.answer("/rpc/Switch.GetStatus?id=0")
    fake.behaviour = answering(json.dumps(frozen).encode())
    meter.read()
    later = time.monotonic() + 200
    monkeypatch.setattr(plug.time, "monotonic", lambda: later)
    with pytest.raises(NoReadingError, match="stand still"):
        meter.read()


def test_a_gen1_meter_that_says_it_is_not_valid() -> None:
    with pytest.raises(NoReadingError, match="not valid"):
        plug.parse_shelly_gen1({"meters": [{"power": 0, "is_valid": False}]}, 0)
    with pytest.raises(NoReadingError, match="no meter of channel 2"):
        plug.parse_shelly_gen1({"meters": [{"power": 0}]}, 2)
    with pytest.raises(NoReadingError, match="measures no power"):
        plug.parse_tasmota({"StatusSNS": {"Switch1": "OFF"}}, 0)


@pytest.mark.usefixtures("fast")
def test_a_plug_that_goes_away_in_mid_window(machine, fake, measuring) -> None:
    sensor = choose("plug", settings(fake), machine.roots)

    def away() -> None:
        fake.behaviour = answering(b"", 500)

    found = measuring(sensor, 0.4, away, once=True)
    sensor.close()
    assert "HTTP status 500" in found["unavailable"]


def test_a_wrong_host_is_said(machine) -> None:
    wrong = {"kind": "shelly", "host": "127.0.0.1", "port": 1}
    (fact,) = survey(machine.roots, wrong)
    assert "does not answer" in fact["reason"]
    with pytest.raises(AgentError) as caught:
        choose("auto", wrong, machine.roots)
    assert "`host`" in caught.value.remedy
