from __future__ import annotations

import itertools

import pytest

from edgepack.device_agent.errors import AgentError
from edgepack.device_agent.power import powercap
from edgepack.device_agent.power.registry import choose, survey
from edgepack.device_agent.power.source import SensorGoneError

RANGE_UJ = 262_143_328_850


def zone(machine, name: str, number: str, energy_uj: int = 1_000_000):
    return machine.write(
        f"powercap/intel-rapl:{number}", name=name, energy_uj=energy_uj, max_energy_range_uj=RANGE_UJ
    )


def test_one_package(machine, measuring) -> None:
    folder = zone(machine, "package-0", "0")
    zone(machine, "core", "0:0")
    zone(machine, "dram", "0:1")
    machine.write("powercap/intel-rapl-mmio:0", name="package-0", energy_uj=1, max_energy_range_uj=2)
    assert [fact["name"] for fact in survey(machine.roots)] == ["powercap:package-0"]
    sensor = choose("auto", roots=machine.roots)
    found = measuring(sensor, 0.4, lambda: machine.add(folder / "energy_uj", 2_000_000))
    sensor.close()
    assert found["joules"] == pytest.approx(2.0)
    assert found["uncertainty_j"] > 0
    assert found["resolution_w"] is None
    assert "not memory" in found["covers"]


def test_psys_is_preferred_and_packages_are_summed(machine, measuring) -> None:
    folders = [zone(machine, "package-0", "0"), zone(machine, "package-1", "1")]
    psys = zone(machine, "psys", "2")
    assert [fact["name"] for fact in survey(machine.roots)] == [
        "powercap:psys",
        "powercap:packages",
        "powercap:package-0",
        "powercap:package-1",
    ]

    def burn() -> None:
        for folder, uj in zip(folders, (500_000, 250_000), strict=True):
            machine.add(folder / "energy_uj", uj)
        machine.add(psys / "energy_uj", 1_000_000)

    for name, joules in (("powercap:packages", 0.75), ("auto", None)):
        sensor = choose(name, roots=machine.roots)
        assert sensor.name == ("powercap:psys" if name == "auto" else name)
        if joules:
            assert measuring(sensor, 0.3, burn)["joules"] == pytest.approx(joules)
        sensor.close()


def test_the_counter_wraps_at_its_range(machine, measuring) -> None:
    folder = zone(machine, "package-0", "0")
    sensor = choose("powercap", roots=machine.roots)
    found = {}
    while "joules" not in found:  # a machine that was too busy to sample tries again
        machine.put(folder / "energy_uj", RANGE_UJ - 300_000)
        found = measuring(sensor, 0.3, lambda: machine.put(folder / "energy_uj", 200_000), once=True)
    sensor.close()
    assert found["joules"] == pytest.approx(0.5)


def test_a_counter_that_was_reset_did_not_wrap(machine) -> None:
    folder = zone(machine, "package-0", "0", 5_000_000)
    read = powercap.Zone(folder)
    read.read()
    machine.put(folder / "energy_uj", 0)
    with pytest.raises(SensorGoneError, match="was reset"):
        read.read()


def test_a_small_range_wraps_many_times(machine, monkeypatch) -> None:
    folder = machine.write("powercap/intel-rapl:0", name="package-0", energy_uj=0, max_energy_range_uj=1000)
    clock = itertools.count(0, 10_000_000)
    monkeypatch.setattr(powercap.time, "monotonic_ns", lambda: next(clock))
    read = powercap.Zone(folder)
    total = [read.read()]
    for step in range(1, 50):
        machine.put(folder / "energy_uj", step * 700 % 1000)
        total.append(read.read())
    assert total == [pytest.approx(step * 700e-6) for step in range(50)]


def test_no_permission_names_the_reason_and_the_command(machine, monkeypatch) -> None:
    """The permission is really taken away in test_hwmon.py; here the words for RAPL."""
    folder = zone(machine, "package-0", "0")

    def refused(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(powercap, "read_number", refused)
    (fact,) = survey(machine.roots)
    assert "CVE-2020-8694" in fact["reason"]
    with pytest.raises(AgentError) as caught:
        choose("auto", roots=machine.roots)
    assert caught.value.code == "no_power_sensor"
    assert f"sudo chmod a+r {folder / 'energy_uj'}" in caught.value.remedy
