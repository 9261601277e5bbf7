from __future__ import annotations

import pytest

from edgepack.device_agent.errors import AgentError
from edgepack.device_agent.power.registry import choose, survey

PMIC = "printf 'VDD_CORE_A current(7)=2.0A\\nVDD_CORE_V volt(15)=0.75V\\n'\n"


@pytest.fixture
def everything(machine):
    """A machine with one of each; auto's order is that of this list."""
    machine.write("hwmon/hwmon7", name="amdgpu", power1_average=1_000_000)
    machine.write("hwmon/hwmon2", name="ina226", power1_input=3_000_000)
    machine.vcgencmd(PMIC)
    machine.write("powercap/intel-rapl:0", name="package-0", energy_uj=1, max_energy_range_uj=9)
    machine.write(
        "power_supply/BAT0", type="Battery", status="Discharging", voltage_now=4_000_000, power_now=10**6
    )
    return machine


def names(machine, settings=None) -> list[str]:
    return [fact["name"] for fact in survey(machine.roots, settings)]


def test_all_are_listed(everything) -> None:
    assert names(everything) == [
        "hwmon:amdgpu",
        "hwmon:ina226",
        "rpi-pmic",
        "powercap:package-0",
        "battery:BAT0",
    ]
    for fact in survey(everything.roots):
        assert set(fact) == {"name", "driver", "path", "covers", "usable", "reason"}
        assert fact["usable"]
        assert "not" in fact["covers"] or "whole" in fact["covers"]


def test_auto_takes_what_covers_most_and_then_the_next(everything) -> None:
    order = ["hwmon:ina226", "rpi-pmic", "powercap:package-0", "battery:BAT0"]
    remove = [
        (everything.root / "class/hwmon/hwmon2/power1_input").unlink,
        (everything.root / "bin/vcgencmd").unlink,
        (everything.root / "class/powercap/intel-rapl:0/name").unlink,
        lambda: (everything.root / "class/power_supply/BAT0/status").write_text("Charging"),
    ]
    for name, gone in zip(order, remove, strict=True):
        sensor = choose("auto", roots=everything.roots)
        assert sensor.name == name
        sensor.close()
        gone()
    with pytest.raises(AgentError) as caught:
        choose("auto", roots=everything.roots)
    assert "battery:BAT0 (the battery is charging" in caught.value.message
    assert "Unplug the charger" in caught.value.remedy


def test_a_cabled_meter_comes_first(everything) -> None:
    settings = {"command": ["cat"]}
    assert names(everything, settings)[0] == "command"
    sensor = choose("auto", settings, everything.roots)
    assert sensor.name == "command"
    sensor.close()


def test_the_kind_names_the_meter_that_the_settings_describe(everything) -> None:
    settings = {"bus": 1, "shunt_ohm": 0.1}
    with pytest.raises(AgentError, match="power sensor ina:i2c-1:0x40 cannot be used"):
        choose("ina226", settings, everything.roots)
    with pytest.raises(AgentError, match=r"power setting 'kind': one of command, .* expected, nothing found"):
        choose("hwmon:ina226", settings, everything.roots)


def test_a_stated_accuracy_enters_the_uncertainty_of_any_sensor(everything, measuring) -> None:
    sensor = choose("hwmon:ina226", {"accuracy": 0.1}, everything.roots)
    found = measuring(sensor, 0.3)
    sensor.close()
    assert found["uncertainty_j"] == pytest.approx(0.2 / 3**0.5 * found["joules"], rel=1e-3)


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("ina226", "hwmon:ina226"),
        ("hwmon:amdgpu", "hwmon:amdgpu"),
        ("batt", "battery:BAT0"),
        ("hwmon:i", "hwmon:ina226"),
        ("rpi-pmic", "rpi-pmic"),
    ],
)
def test_a_name_or_its_unique_beginning(everything, wanted, name) -> None:
    sensor = choose(wanted, roots=everything.roots)
    assert sensor.name == name
    assert sensor.driver
    assert sensor.covers
    sensor.close()


def test_a_chip_s_whole_is_meant_by_the_beginning_of_its_rails_names(machine) -> None:
    rails = {f"{what}{n}_input": 1000 for n in (1, 2) for what in ("in", "curr")}
    machine.write("hwmon/hwmon0", name="ina3221", **rails)
    sensor = choose("hwmon:ina", roots=machine.roots)
    assert sensor.name == "hwmon:ina3221"
    sensor.close()


def test_an_ambiguous_beginning(everything) -> None:
    with pytest.raises(AgentError, match="ambiguous: hwmon:amdgpu, hwmon:ina226"):
        choose("hwmon", roots=everything.roots)


def test_an_unknown_name_gets_a_suggestion(everything) -> None:
    with pytest.raises(AgentError, match="Did you mean 'battery:BAT0'") as caught:
        choose("batery:BAT0", roots=everything.roots)
    assert caught.value.code == "no_power_sensor"


def test_a_machine_without_any(machine) -> None:
    assert survey(machine.roots) == []
    with pytest.raises(AgentError, match="has no power sensor") as caught:
        choose("auto", roots=machine.roots)
    assert "[devices.NAME.power]" in caught.value.remedy


def test_wrong_settings_are_said_before_anything_else(everything) -> None:
    with pytest.raises(AgentError, match="Did you mean 'shelly'") as caught:
        choose("auto", {"kind": "shellly", "host": "x"}, everything.roots)
    assert caught.value.code == "bad_request"


def test_this_machine_can_be_asked() -> None:
    """Whatever runs this test has sensors or none; asking never fails."""
    for fact in survey():
        assert fact["usable"] == (fact["reason"] is None)
