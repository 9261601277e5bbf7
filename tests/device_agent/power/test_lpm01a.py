"""ST's power shield: its stream, byte by byte, and a shield that speaks the protocol on a pty."""

from __future__ import annotations

import os
import select
import threading
import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgepack.device_agent.power.lpm01a_stream import AsciiDecoder, BinaryDecoder, Decoded
from edgepack.device_agent.power.registry import choose

FF = b"\xff\xff"


def test_the_manual_s_example_in_both_formats() -> None:
    assert AsciiDecoder().decode(b"6409-07\r\n").values == [pytest.approx(640.9e-6)]
    assert BinaryDecoder().decode(b"\x52\xa0").values == [pytest.approx(640.9e-6, rel=1e-3)]


def test_the_text_stream() -> None:
    decoded = AsciiDecoder().decode(
        b"PowerShield > ack start\r\n\r\nTimeStamp: 0000s 000ms, buff 00%\r\n1234-06\r\n0000+00\r\n"
        b"12\x004-06\r\n12-06\r\nTimeStamp: 0012s 300ms, buff 02%\r\n9999-05\r\nend\r\n"
    )
    assert decoded.values == [pytest.approx(1234e-6), 0.0, pytest.approx(9999e-5)]
    assert decoded.times_ms == [(0, 0), (2, 12_300)]
    assert decoded.damaged == 2
    assert decoded.over


def test_the_binary_stream() -> None:
    stream = (
        b"\xf0\xf3" + (1500).to_bytes(4, "big") + b"\x05" + FF
        + b"\x52\xa0\x00\x07"
        + b"\xf0\xf2hello" + FF
        + b"\xf0\xf7" + (3300).to_bytes(2, "big") + FF
        + b"\x6f\xff"
        + b"\xf0\xf4" + FF
    )  # fmt: skip
    decoded = BinaryDecoder().decode(stream)
    assert decoded.values == [pytest.approx(0x2A0 / 16**5), 7.0, pytest.approx(0xFFF / 16**6)]
    assert decoded.times_ms == [(0, 1500)]
    assert decoded.over
    assert decoded.error is None


def test_errors_of_the_shield() -> None:
    assert BinaryDecoder().decode(b"\xf0\xf1overrun \x00" + FF).error == "overrun"
    assert BinaryDecoder().decode(b"\xf0\xf5" + FF).error == "overcurrent"
    assert AsciiDecoder().decode(b"error: buffer full\r\n").error == "error: buffer full"


def joined(parts: list[Decoded]) -> tuple:
    values = [value for part in parts for value in part.values]
    return values, sum(part.damaged for part in parts), any(part.over for part in parts)


samples = st.lists(st.tuples(st.integers(0, 14), st.integers(0, 4095)), max_size=60)


@settings(max_examples=30)
@given(samples, st.lists(st.integers(0, 200), max_size=10))
def test_binary_bytes_may_be_cut_anywhere(values, cuts) -> None:
    stream = b"".join(
        (power << 12 | value).to_bytes(2, "big")
        + (b"\xf0\xf3\x00\x00\xff\xff\x00" + FF if n % 7 == 3 else b"")
        for n, (power, value) in enumerate(values)
    )
    decoder = BinaryDecoder()
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    parts = [decoder.decode(stream[a:b]) for a, b in pairwise(edges)]
    assert joined(parts) == ([value * 16.0**-power for power, value in values], 0, False)


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.integers(0, 9999), st.integers(-12, 3)), max_size=60), st.lists(st.integers(0, 500))
)
def test_text_may_be_cut_anywhere(values, cuts) -> None:
    stream = b"".join(b"%04d%s%02d\r\n" % (v, b"+" if p >= 0 else b"-", abs(p)) for v, p in values)
    decoder = AsciiDecoder()
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    parts = [decoder.decode(stream[a:b]) for a, b in pairwise(edges)]
    assert joined(parts)[0] == [v * 10.0**p for v, p in values]
    assert joined(parts)[1] == 0


@settings(max_examples=30)
@given(st.binary(max_size=300))
def test_noise_never_raises_and_never_grows(noise: bytes) -> None:
    for decoder in (AsciiDecoder(), BinaryDecoder()):
        for _ in range(3):
            decoder.decode(noise)
        assert len(decoder._rest) <= 4096


class FakeShield(threading.Thread):
    """The shield's end: answers commands; after `start` sends samples, and each 100 ms a time stamp."""

    def __init__(self, refuse: str = "") -> None:
        super().__init__(daemon=True)
        self.master, self.slave = os.openpty()
        self.path = os.ttyname(self.slave)
        self.refuse = refuse
        self.commands: list[str] = []
        self.watts = 0.020
        self.rate_hz = 1000
        self.binary = False
        self.lose = 0
        self.fail = False
        self.over = threading.Event()
        self.start()

    def run(self) -> None:
        started, sent, pending = None, 0, b""
        while not self.over.is_set():
            if select.select([self.master], [], [], 0.002)[0]:
                *lines, pending = (pending + os.read(self.master, 200)).split(b"\n")
                for line in lines:
                    running = self.answer(line.decode())
                    if running is not None:
                        started, sent = (time.monotonic() if running else None), 0
            if started is not None:
                sent += self.stream(int((time.monotonic() - started) * self.rate_hz) - sent, sent)

    def answer(self, command: str) -> bool | None:
        self.commands.append(command)
        if command.startswith("freq "):
            self.rate_hz = int(command[5:].replace("k", "000"))
        self.binary |= command == "format bin_hexa"
        if command == "stop":
            return False
        word = "error" if self.refuse and command.startswith(self.refuse) else "ack"
        os.write(self.master, f"PowerShield > {word} {command}\r\n\r\n".encode())
        return True if command == "start" else None

    def stream(self, due: int, sent: int) -> int:
        if self.fail:
            os.write(self.master, b"error: overcurrent\r\n")
            return 0
        data = b""
        for n in range(sent, sent + max(min(due, 200), 0)):
            if n % (self.rate_hz // 10) == 0:
                data += self.stamp(n * 1000 // self.rate_hz)
            if self.lose:
                self.lose -= 1
            else:
                data += self.sample()
        os.write(self.master, data)
        return max(min(due, 200), 0)

    def stamp(self, time_ms: int) -> bytes:
        if self.binary:
            return b"\xf0\xf3" + time_ms.to_bytes(4, "big") + b"\x00" + FF
        return f"TimeStamp: {time_ms // 1000:04d}s {time_ms % 1000:03d}ms, buff 00%\r\n".encode()

    def sample(self) -> bytes:
        joules = self.watts / self.rate_hz
        if not self.binary:
            return f"{round(joules * 1e8):04d}-08\r\n".encode()
        power = next(power for power in range(14, -1, -1) if joules * 16**power < 4096)
        return (power << 12 | round(joules * 16**power)).to_bytes(2, "big")

    def stop(self) -> None:
        self.over.set()
        self.join()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def shield():
    made = []

    def make(**options) -> FakeShield:
        made.append(FakeShield(**options))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def raw(fake: FakeShield, **more: object) -> dict:
    return {"kind": "lpm01a", "port": fake.path, "source_mv": 3300, **more}


@pytest.mark.parametrize("rate_hz", [1000, 5000])
def test_a_window_as_text_and_in_binary(machine, shield, measuring, rate_hz) -> None:
    fake = shield()
    sensor = choose("auto", raw(fake, rate_hz=rate_hz), machine.roots)
    found = measuring(sensor, 0.5)
    sensor.close()
    time.sleep(0.05)
    assert found["average_w"] == pytest.approx(0.020, rel=2e-3)
    assert found["interval_ns"] == pytest.approx(1e9 / rate_hz, rel=0.05)
    assert found["dropped"] == 0
    assert fake.binary == (rate_hz > 1000)
    assert fake.commands[:4] == [
        "stop",
        "htc",
        "output energy",
        f"format {'bin_hexa' if fake.binary else 'ascii_dec'}",
    ]
    assert "volt 3300m" in fake.commands
    assert fake.commands[-2:] == ["stop", "hrc"]
    assert "pwr off" not in fake.commands


def test_samples_that_are_missing_between_time_stamps(machine, shield, measuring) -> None:
    fake = shield()
    sensor = choose("lpm01a", raw(fake), machine.roots)
    found = measuring(sensor, 0.6, lambda: setattr(fake, "lose", 20))
    sensor.close()
    assert "the meter lost" in found["unavailable"]


def test_an_overcurrent_ends_the_window(machine, shield, measuring) -> None:
    fake = shield()
    sensor = choose("lpm01a", raw(fake), machine.roots)
    found = measuring(sensor, 0.3, lambda: setattr(fake, "fail", True))
    sensor.close()
    assert "overcurrent" in found["unavailable"]


def test_a_command_that_is_refused(machine, shield, measuring) -> None:
    sensor = choose("lpm01a", raw(shield(refuse="volt")), machine.roots)
    assert "refuses 'volt 3300m'" in measuring(sensor, 0.05)["unavailable"]
    sensor.close()
