from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgepack.device_agent.power import hwmon
from edgepack.device_agent.power.registry import choose, survey

SOURCE = Path(__file__).parents[3] / "src"


def ina226(machine, folder: str = "hwmon/hwmon3", watts: float = 6.25, **more: object) -> Path:
    """As the kernel shows it with a shunt of 10 mOhm: in0 is the shunt, in1 the bus."""
    files = {
        "name": "ina226",
        "in0_input": 1,
        "in1_input": 5000,
        "curr1_input": int(watts * 200),
        "power1_input": int(watts * 1e6),
        "shunt_resistor": 10000,
        "update_interval": 35,
        **more,
    }
    return machine.write(folder, **files)


def jetson(machine, labels=("VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"), watts=(5.0, 1.0, 2.0)) -> Path:
    """An INA3221: in4 to in6 are shunt voltages, curr4 is the sum of the currents."""
    files: dict[str, object] = {"name": "ina3221"}
    for n, (label, power) in enumerate(zip(labels, watts, strict=True), 1):
        files |= {f"in{n}_label": label, f"in{n}_input": 5000, f"curr{n}_input": int(power * 200)}
        files |= {f"in{n}_enable": 1, f"shunt{n}_resistor": 5000, f"in{n + 3}_input": 7}
    return machine.write("hwmon/hwmon1", **files, curr4_input=1600, in7_input=21)


def test_an_ina226_is_found_by_its_name_and_read(machine, measuring) -> None:
    machine.write("hwmon/hwmon0", name="cpu_thermal", temp1_input=50000)
    folder = ina226(machine)
    (fact,) = survey(machine.roots)
    assert fact == {
        "name": "hwmon:ina226",
        "driver": "hwmon",
        "path": str(folder),
        "covers": "the rail of channel 1 behind the ina226 monitor; not what is fed past its shunt",
        "usable": True,
        "reason": None,
    }
    sensor = choose("auto", roots=machine.roots)
    found = measuring(sensor, 0.3)
    sensor.close()
    assert found["average_w"] == pytest.approx(6.25)
    # 25 x 250 uA: drivers/hwmon/ina2xx.c, and what the real driver shows for this shunt.
    assert found["resolution_w"] == 0.00625


@pytest.mark.parametrize(("kind", "shunt", "watts"), [("ina219", 100_000, 0.002), ("ina226", 2_000, 0.03125)])
def test_the_step_of_power_follows_from_the_shunt(machine, kind, shunt, watts) -> None:
    chip = machine.write("hwmon/hwmon0", name=kind, power1_input=1, shunt_resistor=shunt)
    channels = hwmon._channels(kind, chip)
    assert hwmon._resolution_w(kind, chip, channels) == pytest.approx(watts)


def test_voltage_times_current_of_the_same_channel(machine, measuring) -> None:
    machine.write("hwmon/hwmon0", name="ltc2990", in1_input=5000, curr1_input=300, in2_input=3300)
    sensor = choose("hwmon:ltc2990", roots=machine.roots)
    found = measuring(sensor, 0.3)
    sensor.close()
    assert found["average_w"] == pytest.approx(1.5)
    assert found["resolution_w"] == pytest.approx(0.005)


def test_an_energy_counter_is_preferred(machine, measuring) -> None:

    chip = machine.write("hwmon/hwmon0", name="ina228", power1_input=9_999_999, energy1_input=5_000_000)
    sensor = choose("auto", roots=machine.roots)
    found = measuring(sensor, 0.4, lambda: machine.add(chip / "energy1_input", 1_500_000))
    sensor.close()
    assert found["joules"] == pytest.approx(1.5)


def test_an_energy_counter_that_starts_again_is_refused(machine, measuring) -> None:

    chip = machine.write("hwmon/hwmon0", name="ina228", energy1_input=5_000_000)
    sensor = choose("auto", roots=machine.roots)
    found = measuring(sensor, 0.3, lambda: machine.put(chip / "energy1_input", 17))
    sensor.close()
    assert "started again" in found["unavailable"]


def test_the_module_s_input_of_a_jetson(machine, measuring) -> None:
    jetson(machine)
    facts = {fact["name"]: fact["covers"] for fact in survey(machine.roots)}
    assert next(iter(facts)) == "hwmon:ina3221"
    assert set(facts) == {
        "hwmon:ina3221",
        "hwmon:ina3221:VDD_IN",
        "hwmon:ina3221:VDD_CPU_GPU_CV",
        "hwmon:ina3221:VDD_SOC",
    }
    assert "the whole module at its input" in facts["hwmon:ina3221"]
    for name, watts in (("auto", 5.0), ("hwmon:ina3221:VDD_SOC", 2.0)):
        sensor = choose(name, roots=machine.roots)
        found = measuring(sensor, 0.3)
        sensor.close()
        assert found["average_w"] == pytest.approx(watts)


def test_rails_without_a_common_input_are_summed_and_said_so(machine, measuring) -> None:
    jetson(machine, ("GPU", "CPU", "SOC"), (3.0, 1.0, 2.0))
    sensor = choose("auto", roots=machine.roots)
    found = measuring(sensor, 0.3)
    sensor.close()
    assert found["average_w"] == pytest.approx(6.0)
    assert found["covers"].startswith("the sum of the rails GPU, CPU, SOC")
    # Two readings of 5 V in steps of max(1 mA, 40 uV / 5 mOhm = 8 mA) each.
    assert found["resolution_w"] == pytest.approx(3 * 5 * 0.008)


def test_a_channel_that_is_off_or_not_connected_is_left_out(machine) -> None:
    jetson(machine, ("VDD_IN", "NC", "VDD_SOC"))
    (machine.root / "class/hwmon/hwmon1/in3_enable").write_text("0\n")
    assert [fact["name"] for fact in survey(machine.roots)] == ["hwmon:ina3221"]


def test_two_chips_of_a_kind_are_told_apart_by_their_bus_address(machine) -> None:
    for number, address in ((2, "1-0040"), (5, "1-0041")):
        chip = ina226(machine, f"hwmon/hwmon{number}")
        (machine.root / address).mkdir()
        (chip / "device").symlink_to(machine.root / address)
    assert [fact["name"] for fact in survey(machine.roots)] == ["hwmon:ina226@1-0040", "hwmon:ina226@1-0041"]


def test_a_graphics_processor_is_listed_but_not_chosen(machine) -> None:
    from edgepack.device_agent.errors import AgentError

    machine.write("hwmon/hwmon0", name="amdgpu", power1_average=20_000_000)
    (fact,) = survey(machine.roots)
    assert fact["usable"]
    assert "graphics processor alone" in fact["covers"]
    with pytest.raises(AgentError, match="amdgpu"):
        choose("auto", roots=machine.roots)


def test_the_hwmon_face_of_a_battery_is_left_to_the_battery_s_reader(machine) -> None:
    chip = machine.write("hwmon/hwmon0", name="BAT0", in0_input=12000, curr1_input=500, power1_input=1)
    machine.write("power_supply/BAT0", type="Battery", uevent="")
    (chip / "device").symlink_to(machine.root / "class/power_supply/BAT0")
    assert [fact["driver"] for fact in survey(machine.roots)] == ["battery"]


def test_a_chip_that_is_unbound_in_mid_window(machine, measuring) -> None:
    chip = ina226(machine)
    sensor = choose("auto", roots=machine.roots)
    found = measuring(sensor, 0.3, (chip / "power1_input").unlink)
    sensor.close()
    assert found == {
        "sensor": "hwmon:ina226",
        "unavailable": f"the sensor disappeared: {chip / 'power1_input'}",
    }


PERMISSION = """
import os, sys, json
from edgepack.device_agent.power.roots import Roots
from edgepack.device_agent.power.registry import survey, choose
from edgepack.device_agent.errors import AgentError
from pathlib import Path
os.seteuid(65534)
roots = Roots(Path(sys.argv[1]), Path(sys.argv[1]), ())
try:
    choose("auto", roots=roots)
except AgentError as err:
    print(json.dumps([survey(roots), err.code, err.message, err.remedy]))
"""


def as_nobody(folder: Path) -> list:
    """Ask for the sensors as a user who may not read what root alone may."""
    import json

    done = subprocess.run(
        [sys.executable, "-c", PERMISSION, str(folder)],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
@pytest.mark.root
def test_permission_denied_is_said_with_the_command_that_helps(machine, request) -> None:
    chip = ina226(machine)
    (chip / "power1_input").chmod(0o400)
    for folder in (machine.root, *machine.root.parents):
        if folder.stat().st_mode & 0o005 != 0o005 and str(folder).startswith("/tmp/"):
            mode = folder.stat().st_mode
            folder.chmod(0o755)
            request.addfinalizer(lambda folder=folder, mode=mode: folder.chmod(mode))
    facts, code, message, remedy = as_nobody(machine.root / "class")
    assert facts[0]["usable"] is False
    assert facts[0]["reason"] == f"{chip / 'power1_input'}: Permission denied"
    assert code == "no_power_sensor"
    assert "hwmon:ina226" in message
    assert f"sudo chmod a+r {chip / 'power1_input'}" in remedy
