"""The sampling thread: what it costs, and what it does when a sensor fails."""

from __future__ import annotations

import errno
import subprocess
import sys
import threading
import time

import pytest

from edgepack.device_agent.power import sampler
from edgepack.device_agent.power.recorder import Recorder
from edgepack.device_agent.power.roots import read_number
from edgepack.device_agent.power.sampler import CPU_BUDGET, LONGEST_FILE_INTERVAL_NS, SampledSource
from edgepack.device_agent.power.sensor import Meter
from edgepack.device_agent.power.source import NoReadingError, SensorGoneError, Traits


def meter(read, **options) -> Meter:
    return Meter("test", "test", "a test", SampledSource(read, Traits(), **options))


def test_a_window_of_constant_power(measuring) -> None:
    sensor = meter(lambda: 3.0)
    found = measuring(sensor, 0.3)
    sensor.close()
    assert found["joules"] == pytest.approx(3.0 * found["duration_ns"] / 1e9)
    assert found["coverage"] == pytest.approx(1)
    assert found["duration_ns"] >= 150_000_000
    assert found["samples"] >= 5


def test_a_step_in_the_middle() -> None:
    watts = [1.0]
    found: dict = {}
    truth = 0.0
    with Recorder("test", "test", "a test", SampledSource(lambda: watts[0], Traits())) as recorder:
        while "joules" not in found:  # a machine that was too busy to sample tries again
            watts[0] = 1.0
            time.sleep(0.1)
            edges = [time.monotonic_ns()]
            for power in (1.0, 5.0):
                watts[0] = power
                edges.append(time.monotonic_ns())
                time.sleep(0.2)
            edges[1:2] = []
            edges.append(time.monotonic_ns())
            found = recorder.energy(edges[0], edges[2])
            truth = ((edges[1] - edges[0]) * 1.0 + (edges[2] - edges[1]) * 5.0) / 1e9
    assert abs(found["joules"] - truth) <= found["uncertainty_j"]
    assert found["peak_w"] == 5.0
    assert 0 < found["uncertainty_j"] < truth


def test_reading_a_file_of_sysfs_costs_about_half_a_percent_of_a_core(
    tmp_path, measuring, monkeypatch
) -> None:
    monkeypatch.setattr(sampler, "CPU_BUDGET", CPU_BUDGET)
    file = tmp_path / "power1_input"
    file.write_text("6250000\n")
    source = SampledSource(lambda: read_number(file) / 1e6, Traits())
    sensor = Meter("test", "test", "a test", source)
    measuring(sensor, 0.1)
    before_ns = source.cpu_ns
    found = measuring(sensor, 1.0, once=True)
    sensor.close()
    share = (source.cpu_ns - before_ns) / found["duration_ns"]
    print(f"{share:.3%} of a core at {1e9 / source.interval_ns:.0f} Hz")
    assert (
        share < 0.02
    )  # the budget is 0.6 %; other load of this machine makes a wake-up dearer within a window


def test_an_expensive_reading_is_taken_less_often(measuring, monkeypatch) -> None:
    monkeypatch.setattr(sampler, "CPU_BUDGET", CPU_BUDGET)

    def read() -> float:
        until_ns = time.thread_time_ns() + 2_000_000
        while time.thread_time_ns() < until_ns:
            pass
        return 1.0

    source = SampledSource(read, Traits())
    sensor = Meter("test", "test", "a test", source)
    measuring(sensor, 0.05, once=True)
    sensor.close()
    assert source.interval_ns == LONGEST_FILE_INTERVAL_NS


def test_a_program_a_reading_counts_with_what_it_costs_its_children(measuring, monkeypatch) -> None:
    monkeypatch.setattr(sampler, "CPU_BUDGET", CPU_BUDGET)

    def read() -> float:
        subprocess.run([sys.executable, "-I", "-S", "-c", "sum(range(100_000))"], check=True)
        return 1.0

    source = SampledSource(read, Traits(), runs_program=True)
    sensor = Meter("test", "test", "a test", source)
    measuring(sensor, 0.05, once=True)
    sensor.close()
    assert source.interval_ns > 500_000_000


def test_a_sensor_that_disappears(tmp_path, measuring) -> None:
    file = tmp_path / "power1_input"
    file.write_text("1000000\n")
    sensor = meter(lambda: read_number(file) / 1e6)
    found = measuring(sensor, 0.3, file.unlink)
    again = measuring(sensor, 0.05)
    sensor.close()
    assert found["unavailable"] == f"the sensor disappeared: {file}"
    assert again["unavailable"] == found["unavailable"]


def test_a_sensor_that_stalls_without_answering(measuring, monkeypatch) -> None:
    monkeypatch.setattr(sampler, "_STOP_TIMEOUT_S", 0.2)
    stalled, free = threading.Event(), threading.Event()

    def read() -> float:
        if stalled.is_set():
            free.wait(5)
        return 1.0

    sensor = meter(read)
    found = measuring(sensor, 0.3, stalled.set, once=True)
    free.set()
    sensor.close()
    assert "cover" in found["unavailable"]
    assert "last sample came" in found["unavailable"]


def test_a_sensor_that_answers_eagain_from_some_moment_on(measuring) -> None:
    failing = threading.Event()

    def read() -> float:
        if failing.is_set():
            raise OSError(errno.EAGAIN, "again")
        return 1.0

    sensor = meter(read)
    found = measuring(sensor, 0.3, failing.set, once=True)
    sensor.close()
    assert "samples cover" in found["unavailable"]
    assert "lost): reading: again" in found["unavailable"]


def test_single_readings_that_fail_are_counted_and_bridged(measuring) -> None:
    turn = [0]

    def read() -> float:
        turn[0] += 1
        if turn[0] % 5 == 4:
            message = "not now"
            raise NoReadingError(message)
        return 2.0

    sensor = meter(read)
    found = measuring(sensor, 0.4)
    sensor.close()
    assert found["dropped"] >= 1
    assert found["joules"] == pytest.approx(2.0 * found["duration_ns"] / 1e9)


def test_ticks_that_were_missed_are_counted(measuring) -> None:
    slow = threading.Event()

    def read() -> float:
        if slow.is_set():
            slow.clear()
            time.sleep(0.2)
        return 1.0

    sensor = meter(read)
    found = measuring(sensor, 0.4, slow.set, once=True)
    sensor.close()
    # One reading of 0.2 s belongs to no known time; it and the ticks behind it are lost.
    assert "lost): it has gaps" in found["unavailable"]


def test_a_source_that_ends_says_why(measuring) -> None:
    def read() -> float:
        message = "the battery is charging"
        raise SensorGoneError(message)

    sensor = meter(read)
    assert measuring(sensor, 0.05)["unavailable"] == "the battery is charging"
    sensor.close()


def test_a_bug_in_a_reader_does_not_end_the_measurement(measuring) -> None:
    sensor = meter(lambda: {}["watts"])
    assert "cannot be read any more" in measuring(sensor, 0.05)["unavailable"]
    sensor.close()


def test_the_thread_rests_between_windows(measuring) -> None:
    count = [0]

    def read() -> float:
        count[0] += 1
        return 1.0

    sensor = meter(read)
    measuring(sensor, 0.1)
    before = count[0]
    time.sleep(0.1)
    assert count[0] == before
    assert measuring(sensor, 0.3)["average_w"] == pytest.approx(1.0)
    sensor.close()


def test_end_without_begin() -> None:
    with pytest.raises(RuntimeError, match="without begin"):
        meter(lambda: 1.0).end()
