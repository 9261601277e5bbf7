"""The device's state, read from a file tree like that of a Raspberry Pi, and of an x86."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from edgepack.device_agent import state
from edgepack.device_agent.state import StateReader, StateSampler
from edgepack.device_agent.sysfs import MACHINE, Sources
from edgepack.toolchain.results.window_record import State

FILES = {
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "600000\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq": "1500000\n",
    "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor": "ondemand\n",
    "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq": "1500000\n",
    "sys/devices/system/cpu/cpu1/cpufreq/cpuinfo_max_freq": "1800000\n",
    "sys/devices/system/cpu/cpu2/online": "0\n",
    "sys/devices/system/cpu/cpu10/cpufreq/scaling_cur_freq": "700000\n",
    "sys/devices/system/cpu/cpuidle/current_driver": "none\n",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "48200\n",
    "sys/class/thermal/thermal_zone1/type": "broken\n",
    "sys/class/thermal/thermal_zone1/temp": "no number\n",
    "sys/class/thermal/cooling_device0/type": "cpufreq-cpu0\n",
    "sys/class/thermal/cooling_device0/cur_state": "0\n",
    "sys/class/thermal/cooling_device1/type": "pwm-fan\n",
    "sys/class/thermal/cooling_device1/cur_state": "3\n",
    "proc/loadavg": "0.25 0.29 0.84 1/103 31438\n",
    "proc/meminfo": "MemTotal:  3887000 kB\nMemAvailable:  3500000 kB\n",
}


def write(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


@pytest.fixture
def board(tmp_path: Path) -> Sources:
    write(tmp_path, FILES)
    return Sources(tmp_path / "sys", tmp_path / "proc", vcgencmd=(str(tmp_path / "vcgencmd"),))


def vcgencmd(board: Sources, script: str) -> None:
    path = Path(board.vcgencmd[0])
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_a_board(board: Sources) -> None:
    before = time.monotonic_ns()
    found = StateReader(board).read()
    assert before <= found.pop("clock_ns") <= time.monotonic_ns()
    assert found == {
        "governors": ["ondemand", "ondemand", None, None],
        "clocks_hz": [600_000_000, 1_500_000_000, None, 700_000_000],
        "max_clocks_hz": [1_500_000_000, 1_800_000_000, None, None],
        "temperatures_c": [{"name": "cpu-thermal", "value": 48.2}],
        "throttling": None,
        "throttle_events": None,
        "cooling": [{"name": "cpufreq-cpu0", "step": 0}],
        "load_1min": 0.25,
        "available_bytes": 3_584_000_000,
    }


def test_the_host_takes_the_state_of_this_machine_and_of_a_board(board: Sources) -> None:
    for sources in (MACHINE, board):
        State.model_validate(StateReader(sources).read())


def test_nothing_is_known_of_a_bare_container(tmp_path: Path) -> None:
    found = StateReader(Sources(tmp_path, tmp_path, ())).read()
    assert found.pop("clock_ns") > 0
    assert set(found.values()) == {None}


def test_values_are_read_anew_each_time(board: Sources) -> None:
    reader = StateReader(board)
    reader.read()
    write(board.sys.parent, {"sys/class/thermal/thermal_zone0/temp": "81000"})
    assert reader.read()["temperatures_c"] == [{"name": "cpu-thermal", "value": 81.0}]


@pytest.mark.parametrize(
    ("word", "now", "since_boot"),
    [
        ("0", [], []),
        ("50005", ["under-voltage", "throttled"], ["under-voltage", "throttled"]),
        ("80008", ["soft temperature limit"], ["soft temperature limit"]),
        ("20002", ["frequency capped"], ["frequency capped"]),
    ],
)
def test_the_firmware_s_word_from_the_kernel_and_from_its_tool(
    board: Sources, word: str, now: list[str], since_boot: list[str]
) -> None:
    expected = {"bits": int(word, 16), "now": now, "since_boot": since_boot}
    vcgencmd(board, f'[ "$1" = get_throttled ] && echo throttled=0x{word}')
    assert StateReader(board).read()["throttling"] == expected
    vcgencmd(board, "exit 1")
    write(board.sys.parent, {"sys/devices/platform/soc/soc:firmware/get_throttled": f"{word}\n"})
    assert StateReader(board).read()["throttling"] == expected


@pytest.mark.parametrize("answer", ["exit 1", "echo nonsense", "echo throttled=zz", "kill -9 $$", "true"])
def test_a_tool_that_says_nothing_is_no_throttling_and_no_error(board: Sources, answer: str) -> None:
    vcgencmd(board, answer)
    assert StateReader(board).read()["throttling"] is None


def test_a_tool_that_hangs_is_ended(board: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "_TOOL_TIMEOUT_S", 0.2)
    vcgencmd(board, "exec sleep 20")
    begin = time.monotonic()
    assert StateReader(board).read()["throttling"] is None
    assert time.monotonic() - begin < 5


def test_an_x86_counts(board: Sources) -> None:
    counters = "sys/devices/system/cpu/cpu{}/thermal_throttle/{}_throttle_count"
    for cpu in (0, 1):
        write(board.sys.parent, {counters.format(cpu, "core"): "2", counters.format(cpu, "package"): "5"})
    assert StateReader(board).read()["throttle_events"] == 14


def test_hwmon_temperatures_where_no_zone_has_one(board: Sources) -> None:
    write(board.sys.parent, {"sys/class/thermal/thermal_zone0/temp": "none"})
    write(board.sys.parent, {"sys/class/hwmon/hwmon3/name": "coretemp\n"})
    write(board.sys.parent, {"sys/class/hwmon/hwmon3/temp1_input": "51000\n"})
    assert StateReader(board).read()["temperatures_c"] == [{"name": "coretemp", "value": 51.0}]


def test_states_are_read_while_a_window_lasts(board: Sources) -> None:
    with StateSampler(StateReader(board), interval_s=0.01) as during:
        time.sleep(0.5)
    clocks = [found["clock_ns"] for found in during.states]
    assert clocks == sorted(clocks)
    assert 2 <= len(clocks) <= 50
    number = len(clocks)
    time.sleep(0.05)
    assert len(during.states) == number, "and not after it"


def test_reading_is_rare_where_it_is_slow(board: Sources) -> None:
    """A sensor that takes 5 ms is read once a second at most, whatever the interval: 0.5 % of a core."""

    class Slow(StateReader):
        def read(self) -> dict[str, object]:
            end = time.thread_time() + 0.005
            while time.thread_time() < end:
                pass
            return super().read()

    with StateSampler(Slow(board), interval_s=0.01) as during:
        time.sleep(0.6)
    assert len(during.states) == 1


def test_a_slow_tool_counts_as_slow_reading(board: Sources) -> None:
    vcgencmd(board, "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo throttled=0x0")
    with StateSampler(StateReader(board), interval_s=0.01) as during:
        time.sleep(0.6)
    assert len(during.states) == 1


def test_a_very_long_window_keeps_a_bounded_number(board: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "_MAX_STATES", 4)
    monkeypatch.setattr(state, "_REST_FACTOR", 0)
    with StateSampler(StateReader(board), interval_s=0.005) as during:
        time.sleep(0.3)
    assert len(during.states) < 4


def test_reading_costs_under_one_percent_of_a_core() -> None:
    reader = StateReader()
    reader.read()
    begin = time.thread_time_ns()
    for _ in range(20):
        reader.read()
    assert (time.thread_time_ns() - begin) / 20 < 0.01 * state.INTERVAL_S * 1e9
