"""Facts from a file tree like that of a Raspberry Pi 4 with a power sensor."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgepack.device_agent import process, system


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    files = {
        "cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
        "cpu/cpu0/cpufreq/scaling_cur_freq": "600000\n",
        "cpu/cpu1/cpufreq/scaling_cur_freq": "1500000\n",
        "class/thermal/thermal_zone0/type": "cpu-thermal\n",
        "class/thermal/thermal_zone0/temp": "48200\n",
        "class/thermal/thermal_zone1/type": "broken\n",
        "class/thermal/thermal_zone1/temp": "no number\n",
        "class/hwmon/hwmon0/name": "test_ac\n",
        "class/hwmon/hwmon0/in0_input": "1\n",
        "class/hwmon/hwmon1/name": "ina226\n",
        "class/hwmon/hwmon1/power1_input": "6250000\n",
        "class/hwmon/hwmon2/name": "ina3221\n",
        "class/hwmon/hwmon2/in1_input": "5000\n",
        "class/hwmon/hwmon2/curr1_input": "1250\n",
        "class/powercap/intel-rapl:0/energy_uj": "123\n",
        "class/powercap/intel-rapl:0/name": "package-0\n",
        "class/power_supply/BAT0/type": "Battery\n",
        "class/power_supply/BAT0/current_now": "-1600000\n",
        "class/power_supply/AC/type": "Mains\n",
        "model": "Raspberry Pi 4 Model B Rev 1.4\0",
        "cpuinfo": "processor\t: 0\nFeatures\t: fp asimd crc32\nCPU part\t: 0xd08\n\nCPU part\t: 0xd03\n",
    }
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    monkeypatch.setattr(system, "_CPU", tmp_path / "cpu")
    monkeypatch.setattr(system, "_CLASS", tmp_path / "class")
    return tmp_path


def test_clocks_and_temperatures(board: Path) -> None:
    assert system._clocks_hz() == [600_000_000, 1_500_000_000]
    assert system._temperatures_c() == [{"name": "cpu-thermal", "value": 48.2}]
    assert system._text(board / "cpu/cpu0/cpufreq/scaling_governor") == "ondemand"
    assert system._text(board / "model") == "Raspberry Pi 4 Model B Rev 1.4"


def test_power_sensors_are_found_by_what_they_measure(board: Path) -> None:
    found = [
        (sensor["driver"], sensor["name"], Path(sensor["path"]).name) for sensor in system._power_sensors()
    ]
    assert found == [
        ("hwmon", "ina226", "hwmon1"),
        ("hwmon", "ina3221", "hwmon2"),
        ("powercap", "package-0", "intel-rapl:0"),
        ("power_supply", "BAT0", "BAT0"),
    ]


def test_the_first_core_names_the_processor(board: Path) -> None:
    fields = system._fields(str(board / "cpuinfo"))
    assert system._ARM_PARTS[fields["CPU part"]] == "Cortex-A72"
    assert fields["Features"].split() == ["fp", "asimd", "crc32"]


def test_what_is_not_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "_CPU", tmp_path)
    monkeypatch.setattr(system, "_CLASS", tmp_path)
    assert system._clocks_hz() is None
    assert system._temperatures_c() is None
    assert system._power_sensors() == []
    assert system._text(tmp_path / "nothing") is None
    assert system._number(tmp_path / "nothing") is None
    assert system._fields(str(tmp_path / "nothing")) == {}


def test_hwmon_temperatures_where_there_are_no_zones(board: Path) -> None:
    (board / "class/hwmon/hwmon3").mkdir()
    (board / "class/hwmon/hwmon3/name").write_text("coretemp\n")
    (board / "class/hwmon/hwmon3/temp1_input").write_text("51000\n")
    for name in ("thermal_zone0", "thermal_zone1"):
        (board / "class/thermal" / name / "type").unlink()
        (board / "class/thermal" / name / "temp").unlink()
        (board / "class/thermal" / name).rmdir()
    assert system._temperatures_c() == [{"name": "coretemp", "value": 51.0}]


def test_this_process_is_alive_and_a_note_of_another_start_is_not() -> None:
    import os

    note = process.identify(os.getpid())
    assert process.is_alive(note)
    assert not process.is_alive({**note, "start_ticks": 1})
    assert not process.is_alive({**note, "boot_id": "x"})
    assert not process.is_alive({})
