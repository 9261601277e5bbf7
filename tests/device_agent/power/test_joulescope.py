"""In place of the maker's library: one that publishes blocks of statistics as its documentation shows."""

from __future__ import annotations

import sys
import threading
import time
import types

import pytest

from edgepack.device_agent.power import joulescope
from edgepack.device_agent.power.joulescope import JoulescopeSource
from edgepack.device_agent.power.registry import choose, survey
from edgepack.device_agent.power.samples import Samples
from edgepack.device_agent.power.settings import Settings

NATIVE_HZ = 2_000_000


def block(first: int, last: int, joules: float) -> dict:
    return {
        "time": {
            "samples": {"value": [first, last], "units": "samples"},
            "sample_freq": {"value": NATIVE_HZ, "units": "Hz"},
        },
        "signals": {"power": {"avg": {"value": 0.5, "units": "W"}}},
        "accumulators": {"energy": {"value": joules, "units": "J"}, "charge": {"value": 0.1, "units": "C"}},
    }


class FakeDriver:
    """An instrument behind 0.5 W."""

    paths: tuple[str, ...] = ("u/js220/001234",)
    latest = None

    def __init__(self) -> None:
        self.log: list[tuple] = []
        self.stop = threading.Event()
        self.thread: threading.Thread | None = None
        FakeDriver.latest = self

    def device_paths(self):
        return list(self.paths)

    def open(self, path):
        self.log.append(("open", path))

    def publish(self, topic, value):
        self.log.append((topic, value))

    def subscribe(self, topic, flags, callback):
        self.log.append((topic, flags))
        self.thread = threading.Thread(target=self._publish, args=(topic, callback), daemon=True)
        self.thread.start()

    def _publish(self, topic, callback):
        size = NATIVE_HZ // 50
        start = time.monotonic()
        n = 0
        while not self.stop.wait(max(start + (n + 1) / 50 - time.monotonic(), 0)):
            callback(topic, block(n * size, (n + 1) * size, (n + 1) * 0.5 / 50))
            n += 1

    def close(self, path):
        self.stop.set()
        self.thread.join()
        self.log.append(("close", path))

    def finalize(self):
        self.log.append(("finalize",))


@pytest.fixture
def library(monkeypatch):
    module = types.ModuleType("pyjoulescope_driver")
    module.Driver = FakeDriver
    module.__spec__ = types.SimpleNamespace(name="pyjoulescope_driver")
    monkeypatch.setitem(sys.modules, "pyjoulescope_driver", module)
    monkeypatch.setattr(FakeDriver, "paths", ("u/js220/001234",))
    return module


@pytest.mark.usefixtures("library")
def test_a_window_of_a_js220(machine, measuring) -> None:
    sensor = choose("auto", {"kind": "joulescope"}, machine.roots)
    found = measuring(sensor, 0.4)
    sensor.close()
    assert found["joules"] == pytest.approx(
        0.5 * found["duration_ns"] / 1e9, rel=0.15
    )  # the fake's thread publishes when it is scheduled
    topics = dict(entry for entry in FakeDriver.latest.log if len(entry) == 2)
    assert topics["u/js220/001234/s/stats/scnt"] == 20_000
    assert topics["u/js220/001234/s/stats/ctrl"] == 0  # switched on, and off at the end
    assert FakeDriver.latest.log[-1] == ("finalize",)


def test_a_js110_by_its_serial_number(machine, library, measuring, monkeypatch) -> None:
    monkeypatch.setattr(library.Driver, "paths", ("u/js220/001234", "u/js110/000777"))
    sensor = choose("joulescope", {"kind": "joulescope", "serial": "000777"}, machine.roots)
    assert measuring(sensor, 0.4)["average_w"] == pytest.approx(
        0.5, rel=0.15
    )  # the fake's thread publishes when it is scheduled
    sensor.close()
    assert ("u/js110/000777/s/sstats/value", "pub") in FakeDriver.latest.log


def test_several_instruments_without_a_serial_number(machine, library, measuring, monkeypatch) -> None:
    monkeypatch.setattr(library.Driver, "paths", ("u/js220/1", "u/js220/2"))
    sensor = choose("joulescope", {"kind": "joulescope"}, machine.roots)
    assert "name its `serial`" in measuring(sensor, 0.05)["unavailable"]
    sensor.close()


def test_blocks_that_are_missing_are_counted() -> None:
    source, samples = JoulescopeSource(Settings("joulescope")), Samples()
    at = [0, 1, 2, 5, 6]
    for n in at:
        source.take(block(n * 40_000, (n + 1) * 40_000, n * 0.01), 10**9 + n * 20_000_000, samples)
    source.take({"time": {}}, 10**9 + 150_000_000, samples)
    cut = samples.cut(0, 2 * 10**9)
    assert cut.dropped == 3  # two blocks and one that could not be read
    assert len(cut.values) == len(at)


def test_no_library_says_how_to_install_it(machine, monkeypatch) -> None:
    from edgepack.device_agent.errors import AgentError

    monkeypatch.setattr(joulescope, "_is_installed", lambda: False)
    (fact,) = survey(machine.roots, {"kind": "joulescope"})
    assert fact["reason"] == "the library pyjoulescope_driver is not installed"
    with pytest.raises(AgentError) as caught:
        choose("auto", {"kind": "joulescope"}, machine.roots)
    assert "pip install 'edgepack[meters]'" in caught.value.remedy


def test_the_real_library_has_what_is_used() -> None:
    real = pytest.importorskip("pyjoulescope_driver")
    for name in ("device_paths", "open", "publish", "subscribe", "close", "finalize"):
        assert callable(getattr(real.Driver, name))
