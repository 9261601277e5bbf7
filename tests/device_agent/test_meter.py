"""Power over a window where the sensor works, fails, or is absent."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from edgepack.device_agent.errors import AgentError
from edgepack.device_agent.meter import Meter, open_meter


class Sensor:
    name, driver, covers = "fake:1", "fake", "the whole board"

    def __init__(self, begin: Exception | None = None, end: Exception | None = None) -> None:
        self.failures = {"begin": begin, "end": end}
        self.calls: list[str] = []

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if failure := self.failures.get(name):
            raise failure

    def begin(self) -> None:
        self._call("begin")

    def end(self) -> dict[str, Any]:
        self._call("end")
        return {"sensor": self.name, "joules": 1.0}

    def close(self) -> None:
        self._call("close")


def test_a_sensor_that_works() -> None:
    sensor = Sensor()
    with Meter(sensor) as meter:
        assert meter.about == {"name": "fake:1", "driver": "fake", "covers": "the whole board"}
        meter.begin()
        assert meter.end() == {"sensor": "fake:1", "joules": 1.0}
    assert sensor.calls == ["begin", "end", "close"]


@pytest.mark.parametrize("when", ["begin", "end"])
def test_a_sensor_that_fails_costs_its_window_and_nothing_else(when: str) -> None:
    sensor = Sensor(**{when: OSError(19, "No such device")})
    meter = Meter(sensor)
    meter.begin()
    found = meter.end()
    assert found["sensor"] == "fake:1"
    assert "No such device" in found["unavailable"]
    assert sensor.calls == ["begin", "end"][: 1 + (when == "end")], "what has not begun is not ended"
    sensor.failures.clear()
    meter.begin()
    assert meter.end()["joules"] == 1.0, "the next window is whole again"


def test_no_sensor_is_a_reason() -> None:
    with Meter(None, "nothing here") as meter:
        assert not meter.measures
        meter.begin()
        assert meter.end() == meter.about == {"unavailable": "nothing here"}


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The table of sensors, as far as a choice among them is concerned."""
    answers: dict[str, Any] = {}

    def choose(wanted: str, settings: dict[str, Any]) -> Any:
        answers["asked"] = (wanted, settings)
        if isinstance(answers["answer"], Exception):
            raise answers["answer"]
        return answers["answer"]

    module = ModuleType("registry")
    module.choose = choose  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "edgepack.device_agent.power.registry", module)
    return answers


def test_the_sensor_that_a_spec_asks_for(registry: dict[str, Any]) -> None:
    registry["answer"] = Sensor()
    assert open_meter({"power": "fake:1", "power_settings": {"a": 1}}).measures
    assert registry["asked"] == ("fake:1", {"a": 1})
    assert open_meter({"power": "none", "power_settings": {}}).about == {"unavailable": "not asked for"}


def test_a_sensor_that_was_named_must_be_there(registry: dict[str, Any]) -> None:
    registry["answer"] = AgentError("no_power_sensor", "there is no ina226", "")
    assert open_meter({"power": "auto", "power_settings": {}}).about == {"unavailable": "there is no ina226"}
    with pytest.raises(AgentError, match="ina226"):
        open_meter({"power": "hwmon:ina226", "power_settings": {}})
    registry["answer"] = AgentError("bad_request", "no such setting", "")
    with pytest.raises(AgentError, match="no such setting"):
        open_meter({"power": "auto", "power_settings": {"x": 1}})


def test_a_meter_of_another_machine_leaves_room_and_a_reason() -> None:
    with open_meter({"power": "host", "power_settings": {}}) as meter:
        assert meter.measures, "idle times are taken too"
        meter.begin()
        assert meter.end() == meter.about
        assert "not cabled to the device" in meter.about["unavailable"]
