"""A Power Profiler Kit II that speaks its protocol on a pty."""

from __future__ import annotations

import os
import select
import struct
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgepack.device_agent.power import ppk2
from edgepack.device_agent.power.ppk2 import regulator_command
from edgepack.device_agent.power.ppk2_words import Calibration, WordDecoder, parse_metadata
from edgepack.device_agent.power.registry import choose, survey

METADATA = (
    "Calibrated: 0\n"
    "R0: 1003.3506\nR1: 101.5865\nR2: 10.3027\nR3: 0.9636\nR4: 0.0500\n"
    "GS0: 0.0000\nGS1: 0.0000\nGS2: 0.0000\nGS3: 0.0000\nGS4: 0.0000\n"
    "GI0: 1.0000\nGI1: 0.9695\nGI2: 0.9609\nGI3: 0.9519\nGI4: 1.0000\n"
    "O0: 112.7890\nO1: 92.0995\nO2: 92.6760\nO3: 95.9205\nO4: 0.0000\n"
    "S0: 0.000000048\nS1: 0.000000596\nS2: 0.000005281\nS3: 0.000062577\nS4: 0.000000000\n"
    "I0: -0.000000104\nI1: -0.000001443\nI2: 0.000036439\nI3: -0.000374119\nI4: 0.000000000\n"
    "UG0: 1.00\nUG1: 1.00\nUG2: 1.00\nUG3: 1.00\nUG4: 1.00\n"
    "HW: 9173\nmode: 2\nvdd: 3000\nIA: 56\nEND"
)
GAIN = 1.8 / 163840
READING = 1000  # in range 4: 1000 x 4 x GAIN / 0.05 ohm
AMPERES = READING * 4 * GAIN / 0.05


def word(reading: int, index: int, counter: int, logic: int = 0) -> bytes:
    return struct.pack("<I", reading | index << 14 | counter % 64 << 18 | logic << 24)


RATE_HZ = 10_000  # a tenth of the kit's: a busy test machine has to keep up as well


class FakeKit(threading.Thread):
    """The kit's end: words from `start` to `stop`."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.master, slave = os.openpty()
        self.path = os.ttyname(slave)
        self.slave = slave
        self.received = b""
        self.reading = READING
        self.skip = 0
        self.silent = False
        self.over = threading.Event()
        self.start()

    def run(self) -> None:
        started = None
        sent = counter = 0
        while not self.over.is_set():
            if select.select([self.master], [], [], 0.002)[0]:
                data = os.read(self.master, 100)
                self.received += data
                if b"\x19" in data:
                    os.write(self.master, METADATA.encode())
                if data.endswith(b"\x06"):
                    started, sent = time.monotonic(), 0
                elif data.endswith(b"\x07"):
                    started = None
            if started is None or self.silent:
                continue
            due = int((time.monotonic() - started) * RATE_HZ)
            counter += self.skip
            sent += self.skip
            self.skip = 0
            count = max(min(due - sent, 1000), 0)
            self.write(b"".join(word(self.reading, 4, counter + n, 0xA5) for n in range(count)))
            counter += count
            sent += count

    def write(self, data: bytes) -> None:
        while data and not self.over.is_set():
            if select.select([], [self.master], [], 0.05)[1]:
                data = data[os.write(self.master, data[:2048]) :]

    def stop(self) -> None:
        self.over.set()
        self.join()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def kit(monkeypatch):
    monkeypatch.setattr(ppk2, "_SAMPLE_NS", 1_000_000_000 // RATE_HZ)
    fake = FakeKit()
    yield fake
    if not fake.over.is_set():
        fake.stop()


def raw(kit: FakeKit, mode: str = "source") -> dict:
    return {"kind": "ppk2", "port": kit.path, "source_mv": 3300, "mode": mode}


def test_the_calibration_out_of_the_metadata() -> None:
    found = parse_metadata(METADATA)
    assert found.R == [1003.3506, 101.5865, 10.3027, 0.9636, 0.05]
    assert found.I[3] == -0.000374119
    assert found.UG == [1.0] * 5
    assert parse_metadata("R0: 0\nR1: 5\n").R[:2] == [1031.64, 5.0]
    with pytest.raises(ValueError, match="no calibration"):
        parse_metadata("hello END")


@pytest.mark.parametrize("index", range(5))
def test_a_word_of_each_range(index: int) -> None:
    calibration = parse_metadata(METADATA.replace("GS2: 0.0000", "GS2: 0.7500"))
    reading, supply = 8191, 3.3
    x = (reading * 4 - calibration.O[index]) * GAIN / calibration.R[index]
    expected = calibration.UG[index] * (
        x * (calibration.GS[index] * x + calibration.GI[index])
        + calibration.S[index] * supply
        + calibration.I[index]
    )
    (found,), lost = WordDecoder(calibration, supply).decode(word(reading, index, 7))
    assert found == pytest.approx(expected)
    assert lost == 0


@settings(max_examples=20)
@given(st.lists(st.integers(1, 4000), max_size=20), st.integers(0, 63))
def test_bytes_may_be_cut_anywhere(cuts: list[int], start: int) -> None:
    stream = b"".join(word(n % 16384, 4, start + n) for n in range(300))
    whole, _ = WordDecoder(Calibration(), 3.3).decode(stream)
    decoder = WordDecoder(Calibration(), 3.3)
    pieces, at, total_lost = [], 0, 0
    for cut in [*sorted(min(cut, len(stream)) for cut in cuts), len(stream)]:
        values, lost = decoder.decode(stream[at:cut])
        pieces += values
        total_lost += lost
        at = max(at, cut)
    assert pieces == whole
    assert total_lost == 0


@settings(max_examples=40)
@given(st.integers(0, 63), st.integers(0, 200))
def test_the_counter_shows_up_to_63_lost_samples(lost: int, at: int) -> None:
    stream = b"".join(word(5, 4, n if n < at else n + lost) for n in range(201))
    assert WordDecoder(Calibration(), 3.3).decode(stream)[1] == (lost if at else 0)


def test_ringing_after_a_change_of_range_is_smoothed() -> None:
    """Three samples after the change are a moving average; the fourth is taken as it is."""
    shunts = Calibration(R=[1000.0, 100.0, 10.0, 1.0, 0.05], GS=[0.0] * 5)
    steady = [word(4000, 2, n) for n in range(50)]
    spike = [word(16383, 3, 50 + n) for n in range(3)]
    after = [word(400, 3, 53 + n) for n in range(5)]
    found, _ = WordDecoder(shunts, 3.3).decode(b"".join(steady + spike + after))
    before, spiked = found[49], 16383 * 4 * GAIN
    assert before == pytest.approx(4000 * 4 * GAIN / 10)
    assert all(before < value < 0.5 * spiked for value in found[50:53])
    assert found[53] == pytest.approx(400 * 4 * GAIN)


@pytest.mark.parametrize(
    ("source_mv", "command"), [(800, b"\x0d\x03\x20"), (3300, b"\x0d\x0c\xe4"), (5000, b"\x0d\x13\x88")]
)
def test_the_voltage_s_command(source_mv: int, command: bytes) -> None:
    assert regulator_command(source_mv) == command


def test_the_full_rate_costs_less_than_half_a_core() -> None:
    second = b"".join(word(READING, 4, n) for n in range(64)) * (100_000 // 64)
    decoder = WordDecoder(Calibration(), 3.3)
    before_ns = time.thread_time_ns()
    amperes, lost = decoder.decode(second)
    spent_s = (time.thread_time_ns() - before_ns) / 1e9
    print(f"{spent_s:.2f} s of a core for a second of words")
    assert (len(amperes), lost) == (99_968, 0)
    assert spent_s < 0.5


def test_a_window(machine, kit, measuring) -> None:
    sensor = choose("auto", raw(kit), machine.roots)
    found = measuring(sensor, 0.4)
    sensor.close()
    time.sleep(0.1)
    assert "unavailable" not in found, found
    assert found["average_w"] == pytest.approx(AMPERES * 3.3, rel=1e-3)
    assert found["samples"] == pytest.approx(found["duration_ns"] / 1e7, rel=0.2)
    assert found["interval_ns"] == pytest.approx(10_000_000, rel=0.05)
    assert found["resolution_w"] == pytest.approx(4 * GAIN / 0.05 * 3.3)
    # Stopped first, calibration, source mode, 3.3 V, power, start; at the end stop and nothing else.
    assert kit.received == b"\x07\x19\x11\x02\x0d\x0c\xe4\x0c\x01\x06\x07"


def test_a_step_in_mid_window(machine, kit, measuring) -> None:
    when = []

    def step() -> None:
        when.append(time.monotonic_ns())
        kit.reading = 3 * READING

    sensor = choose("ppk2", raw(kit, "ampere"), machine.roots)
    found = measuring(sensor, 0.6, step)
    sensor.close()
    trace = found["trace"]
    edge = next(t for t, w in zip(trace["clock_ns"], trace["watts"], strict=True) if w > 1.5 * AMPERES * 3.3)
    assert abs(edge - when[0]) < 60_000_000
    end = trace["clock_ns"][-1]
    truth = AMPERES * 3.3 * (found["duration_ns"] + 2 * (end - edge)) / 1e9
    assert found["joules"] == pytest.approx(truth, rel=0.1)


def test_lost_words_refuse_the_window(machine, kit, measuring) -> None:
    def lose() -> None:
        for _ in range(4):
            kit.skip = 50
            time.sleep(0.02)

    sensor = choose("ppk2", raw(kit), machine.roots)
    found = measuring(sensor, 0.4, lose)
    sensor.close()
    assert "the meter lost" in found["unavailable"]


def test_a_kit_that_falls_silent(machine, kit, measuring) -> None:
    sensor = choose("ppk2", raw(kit), machine.roots)
    found = measuring(sensor, 0.4, lambda: setattr(kit, "silent", True), once=True)
    sensor.close()
    assert "last sample came" in found["unavailable"]


def test_a_kit_that_is_unplugged(machine, kit, measuring) -> None:
    sensor = choose("ppk2", raw(kit), machine.roots)
    found = measuring(sensor, 0.3, kit.stop)
    sensor.close()
    assert "unavailable" in found
    assert "went away" in found["unavailable"] or "unplugged" in found["unavailable"]


def test_no_kit(machine) -> None:
    (fact,) = survey(machine.roots, {"kind": "ppk2", "port": "/dev/ttyNONE", "source_mv": 3300})
    assert fact["reason"] == "/dev/ttyNONE does not exist"


def test_a_port_without_a_kit(machine, measuring, monkeypatch) -> None:
    monkeypatch.setattr(ppk2, "_METADATA_TIMEOUT_S", 0.1)
    master, slave = os.openpty()
    given_settings = {"kind": "ppk2", "port": os.ttyname(slave), "source_mv": 3300}
    sensor = choose("auto", given_settings, machine.roots)
    assert "cannot be opened" in measuring(sensor, 0.05)["unavailable"]
    sensor.close()
    os.close(master)
    os.close(slave)
