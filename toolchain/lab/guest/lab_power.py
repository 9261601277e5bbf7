#!/usr/bin/env -S python3 -I -S
"""The power supply of an emulated device: sets what its power sensor reads. Runs on the device.

    lab-power set 5.5                       watts from now on
    lab-power play '[[2, 3, 3], …]'         a curve, to its end
    lab-power log                           every change: nanoseconds of the monotonic clock, watts

A curve is a JSON list of [seconds, watts at the start, watts at the end], one after the other.

Rules:
    * The registers of the emulated INA226 are written over SMBus: the kernel's own driver reports them.
    * What was written is logged with the time of writing: the energy of any window is known exactly.

Source: INA226 datasheet, register maps 02h to 04h; the kernel's Documentation/i2c/dev-interface.rst.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import sys
import time
from pathlib import Path
from typing import TextIO

BUS, ADDRESS = "/dev/i2c-0", 0x40
LOG = Path("/run/lab/power.log")
BUS_VOLTS, VOLTS_A_BIT = 5.0, 1.25e-3
# The kernel's driver calibrates for a shunt of 10 milliohms: 0.25 mA a bit, and 25 times that in watts.
AMPERES_A_BIT, WATTS_A_BIT = 250e-6, 6.25e-3
MAX_WATTS = 40.0  # the current register is full at 8.19 A
STEP_S = 0.005
_I2C_SLAVE_FORCE, _I2C_SMBUS, _WRITE, _WORD = 0x0706, 0x0720, 0, 3


class _Request(ctypes.Structure):
    _fields_ = (
        ("read_write", ctypes.c_uint8),
        ("command", ctypes.c_uint8),
        ("size", ctypes.c_uint32),
        ("data", ctypes.c_void_p),
    )


def open_bus() -> int:
    """Return the bus; forced, because the kernel's driver holds the address."""
    bus = os.open(BUS, os.O_RDWR)
    fcntl.ioctl(bus, _I2C_SLAVE_FORCE, ADDRESS)
    return bus


def write_register(bus: int, register: int, value: int) -> None:
    """Write 16 bits, the higher byte first, as the chip has them."""
    word = ctypes.create_string_buffer(value.to_bytes(2, "big"), 34)
    fcntl.ioctl(bus, _I2C_SMBUS, _Request(_WRITE, register, _WORD, ctypes.addressof(word)))


def set_power(bus: int, log: TextIO, watts: float) -> None:
    """Let the sensor read a power, and log what it reads now: a multiple of its resolution."""
    steps = round(watts / WATTS_A_BIT)
    write_register(bus, 0x04, round(steps * WATTS_A_BIT / BUS_VOLTS / AMPERES_A_BIT))
    write_register(bus, 0x03, steps)
    log.write(f"{time.monotonic_ns()} {steps * WATTS_A_BIT:.5f}\n")
    log.flush()


def play(bus: int, log: TextIO, curve: list[tuple[float, float, float]]) -> None:
    """Follow a curve; the time of each part counts from the start, so that delays do not add up."""
    start = time.monotonic()
    for seconds, first, last in curve:
        end = start + seconds
        set_power(bus, log, first)
        while time.monotonic() < end:
            if first == last:
                time.sleep(max(0.0, end - time.monotonic()))
                continue
            time.sleep(min(STEP_S, max(0.0, end - time.monotonic())))
            share = min(1.0, (time.monotonic() - start) / seconds)
            set_power(bus, log, first + (last - first) * share)
        start = end


def checked(watts: float | str) -> float:
    """Return a power that the sensor can read."""
    watts = float(watts)
    if not 0 <= watts <= MAX_WATTS:
        message = f"lab-power: {watts} W is not within 0 and {MAX_WATTS} W"
        raise SystemExit(message)
    return watts


def main(arguments: list[str]) -> None:
    """Do what the command line says."""
    verb, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if verb == "log":
        sys.stdout.write(LOG.read_text())
        return
    with LOG.open("a") as log:
        if verb == "set":
            set_power(open_bus(), log, checked(rest[0]))
        elif verb == "play":
            curve = [(float(s), checked(a), checked(b)) for s, a, b in json.loads(rest[0])]
            play(open_bus(), log, curve)
        else:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
