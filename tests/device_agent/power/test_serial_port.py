"""Serial devices, on a real terminal pair."""

from __future__ import annotations

import os
import struct
import termios

import pytest

from edgepack.device_agent.power import serial_port
from edgepack.device_agent.power.serial_port import SerialPort


@pytest.fixture
def line():
    master, slave = os.openpty()
    yield master, os.ttyname(slave)
    os.close(master)
    os.close(slave)


def test_any_baud_rate_and_raw_bytes(line) -> None:
    import fcntl

    master, path = line
    port = SerialPort(path, 3_686_400)
    buffer = bytearray(44)
    fcntl.ioctl(port.descriptor, 0x802C542A, buffer, True)
    assert struct.unpack("=4IB19s2I", buffer)[6:] == (3_686_400, 3_686_400)
    assert not termios.tcgetattr(port.descriptor)[3] & (termios.ECHO | termios.ICANON)
    port.write(b"\x00\x0a\x0d\xff")
    assert os.read(master, 10) == b"\x00\x0a\x0d\xff"
    os.write(master, b"\x03\x11END tail")
    assert port.read_until(b"END", 1.0).startswith(b"\x03\x11END")
    port.close()


def test_silence_ends_after_the_timeout(line) -> None:
    port = SerialPort(line[1], 115_200)
    with pytest.raises(TimeoutError, match=r"no b'END' within 0\.05 s"):
        port.read_until(b"END", 0.05)
    port.close()


def test_a_port_is_opened_once(line) -> None:
    port = SerialPort(line[1], 115_200)
    with pytest.raises(OSError, match="another program reads it"):
        SerialPort(line[1], 115_200)
    port.close()


def test_what_is_no_serial_device(tmp_path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="no serial device"):
        SerialPort(str(tmp_path / "file"), serial_port.termios.B9600)
