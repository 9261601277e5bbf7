from __future__ import annotations

import re

import pytest

from edgepack.device_agent.errors import AgentError
from edgepack.device_agent.power import battery
from edgepack.device_agent.power.battery import Battery
from edgepack.device_agent.power.registry import choose, survey
from edgepack.device_agent.power.source import NoReadingError, SensorGoneError

S = 1_000_000_000


@pytest.fixture(autouse=True)
def _fast(monkeypatch) -> None:
    monkeypatch.setattr(battery, "_MIN_WINDOW_NS", 0)
    monkeypatch.setattr(battery, "_INTERVAL_NS", 20_000_000)


def supply(machine, name: str = "BAT0", **files: object):
    usual = {"type": "Battery", "status": "Discharging", "voltage_now": 4_000_000}
    return machine.write(f"power_supply/{name}", **{**usual, **files})


@pytest.mark.parametrize(
    "files", [{"power_now": 2_000_000}, {"current_now": 500_000}, {"current_now": -500_000}]
)
def test_power_or_current_of_either_sign(machine, measuring, files) -> None:
    supply(machine, **files)
    sensor = choose("auto", roots=machine.roots)
    found = measuring(sensor, 0.3)
    sensor.close()
    assert found["sensor"] == "battery:BAT0"
    assert found["average_w"] == pytest.approx(2.0)


@pytest.mark.parametrize("status", ["Charging", "Full", "Not charging", "Unknown"])
def test_only_a_battery_that_discharges_is_measured(machine, status) -> None:
    supply(machine, status=status, current_now=500_000)
    with pytest.raises(AgentError) as caught:
        choose("auto", roots=machine.roots)
    assert status.lower() in caught.value.message
    assert "Unplug the charger" in caught.value.remedy


def test_a_charger_that_is_plugged_in_ends_the_window(machine, measuring) -> None:
    folder = supply(machine, current_now=500_000)
    sensor = choose("auto", roots=machine.roots)
    found = measuring(sensor, 0.3, lambda: machine.put(folder / "status", "Charging"))
    sensor.close()
    assert found["unavailable"] == "the battery is charging: only discharging is measured"


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"voltage_now": 4100, "current_now": -1600}, "voltage_now would be 0.0041 V"),  # test_power
        ({"voltage_now": 3900, "current_now": 500_000}, "does not report in microvolts"),
        ({"power_now": 900}, "power or current would be 0.0009 W"),
        ({"current_now": 900_000_000_000}, "which no battery has"),
    ],
)
def test_units_that_no_battery_has_are_refused(machine, files, words) -> None:
    supply(machine, **files)
    (fact,) = survey(machine.roots)
    assert fact["usable"] is False
    assert words in fact["reason"]


def test_no_current_at_all_is_no_reading(machine) -> None:
    with pytest.raises(NoReadingError, match="no current"):
        Battery(supply(machine, current_now=0)).read()


def test_a_gauge_without_current_says_what_is_missing(machine) -> None:
    supply(machine)
    (fact,) = survey(machine.roots)
    assert "it has no" in fact["reason"]
    assert "current_now" in fact["reason"]


def test_the_battery_of_a_mouse_is_not_this_machine_s(machine) -> None:
    supply(machine, "hidpp_battery_0", scope="Device", current_now=1000)
    supply(machine, "AC", type="Mains")
    assert survey(machine.roots) == []


def with_counter(machine, monkeypatch, watts: float, counted_watts: float, name: str = "energy_now"):
    """Read a battery for 100 s, its counter moving in steps of a real gauge."""
    folder = supply(machine, power_now=int(watts * 1e6), **{name: 50_000_000})
    gauge = Battery(folder)
    joules_a_unit = 3600e-6 * (4.0 if name != "energy_now" else 1.0)
    for second in range(101):
        monkeypatch.setattr(battery.time, "monotonic_ns", lambda second=second: second * S)
        spent = int(second * counted_watts / joules_a_unit)
        machine.put(folder / name, 50_000_000 - spent // 1000 * 1000)
        gauge.read()
    return gauge


@pytest.mark.parametrize("name", ["energy_now", "charge_counter", "charge_now"])
def test_a_counter_that_agrees(machine, monkeypatch, name) -> None:
    gauge = with_counter(machine, monkeypatch, 2.0, 2.1, name)
    assert gauge.objection(0, 100 * S, 200.0) is None


@pytest.mark.parametrize("name", ["energy_now", "charge_counter"])
def test_a_counter_that_contradicts(machine, monkeypatch, name) -> None:
    gauge = with_counter(machine, monkeypatch, 2.0, 4.0, name)
    assert re.search(
        f"give 200 J, the gauge's {name} (38|39|40).* J", gauge.objection(0, 100 * S, 200.0) or ""
    )


def test_a_counter_that_hardly_moved_says_nothing(machine, monkeypatch) -> None:
    gauge = with_counter(machine, monkeypatch, 2.0, 0.05)
    assert gauge.objection(0, 100 * S, 200.0) is None


def test_a_short_window_is_refused(machine, measuring, monkeypatch) -> None:
    monkeypatch.setattr(battery, "_MIN_WINDOW_NS", 5 * S)
    supply(machine, current_now=500_000)
    sensor = choose("auto", roots=machine.roots)
    assert "needs 5 s" in measuring(sensor, 0.1)["unavailable"]
    sensor.close()


def test_a_battery_that_is_taken_out(machine, measuring) -> None:
    folder = supply(machine, current_now=500_000)
    sensor = choose("auto", roots=machine.roots)
    found = measuring(sensor, 0.2, (folder / "status").unlink)
    sensor.close()
    assert "disappeared" in found["unavailable"]


def test_a_gone_counter_is_left_out(machine) -> None:
    folder = supply(machine, current_now=500_000, charge_counter=1000)
    gauge = Battery(folder)
    (folder / "charge_counter").unlink()
    assert gauge.read() == pytest.approx(2.0)
    machine.put(folder / "status", "Full")
    with pytest.raises(SensorGoneError):
        gauge.read()
