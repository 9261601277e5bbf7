"""TI monitors by their registers: tables in place of the chips, and the kernel's end of the two ioctls."""

from __future__ import annotations

import ctypes
import errno

import pytest

from edgepack.device_agent.errors import AgentError
from edgepack.device_agent.power import i2c_bus, ina_i2c
from edgepack.device_agent.power.i2c_bus import I2cChip
from edgepack.device_agent.power.ina_i2c import find, identify, make_source, watts
from edgepack.device_agent.power.registry import choose, survey
from edgepack.device_agent.power.sensor import Meter
from edgepack.device_agent.power.settings import Settings
from edgepack.device_agent.power.source import SensorGoneError


class FakeChip:
    """Registers as numbers, as the datasheets' examples have them."""

    def __init__(self, **registers: int) -> None:
        self.registers = {int(name[1:], 16): value for name, value in registers.items()}
        self.closed = False

    def word(self, register: int) -> int:
        return self.registers[register]

    def block(self, register: int, size: int) -> int:
        assert size == 3
        return self.registers[register]

    def close(self) -> None:
        self.closed = True


def ina219() -> FakeChip:
    # SBOS448G, "Programming": bus 0x5D98 is 11.98 V, shunt 20 mV.
    return FakeChip(r00=0x399F, r01=2000, r02=0x5D98)


def ina226() -> FakeChip:
    # SBOS547B, "Design Example": bus 0x2570 is 11.98 V, shunt 0x1F40 is 20 mV (10 A in 2 mOhm).
    return FakeChip(r00=0x4127, r01=0x1F40, r02=0x2570, rFE=0x5449, rFF=0x2260)


def ina260() -> FakeChip:
    # SBOS656C, "Design Example": bus 0x2570 is 11.98 V, current 0x1F40 is 10 A.
    return FakeChip(r00=0x6127, r01=0x1F40, r02=0x2570, rFE=0x5449, rFF=0x2270)


def ina228(adc_range: int = 0) -> FakeChip:
    # 48 V and 20 mV: 48 / 195.3125 uV = 245760; 20 mV / 312.5 nV = 64000 (or x 4), in bits 23 to 4.
    shunt = 64000 * (4 if adc_range else 1)
    return FakeChip(r00=adc_range << 4, r01=0xFB68, r04=shunt << 4, r05=245760 << 4, r3E=0x5449, r3F=0x2281)


@pytest.mark.parametrize(
    ("kind", "chip", "shunt_ohm", "expected"),
    [
        ("ina219", ina219(), 0.1, 11.98 * 0.2),
        ("ina226", ina226(), 0.002, 11.98 * 10),
        ("ina228", ina228(), 0.002, 48.0 * 10),
        ("ina228", ina228(1), 0.002, 48.0 * 10),
        ("ina260", ina260(), None, 11.98 * 10),
    ],
)
def test_power_from_the_registers(kind, chip, shunt_ohm, expected) -> None:
    identify(kind, chip)
    assert watts(kind, chip, shunt_ohm) == pytest.approx(expected, rel=1e-4)


def test_a_current_that_flows_back_is_negative() -> None:
    chip = ina226()
    chip.registers[0x01] = 0x10000 - 0x1F40
    assert watts("ina226", chip, 0.002) == pytest.approx(-119.8, rel=1e-4)
    wide = ina228()
    wide.registers[0x04] = ((1 << 20) - 64000) << 4
    assert watts("ina228", wide, 0.002) == pytest.approx(-480.0)


@pytest.mark.parametrize(
    ("kind", "chip", "words"),
    [
        ("ina226", ina260(), "die id is 0x2270, not that of an ina226"),
        ("ina228", FakeChip(r3E=0xFFFF, r3F=0), "manufacturer is 0xffff"),
        ("ina226", FakeChip(r00=0x4120, rFE=0x5449, rFF=0x2260), "not measuring"),
        ("ina219", FakeChip(r00=0x399B), "not measuring"),
        ("ina228", FakeChip(r01=0x0B68, r3E=0x5449, r3F=0x2281), "not measuring"),
    ],
)
def test_another_chip_or_one_at_rest_is_refused(kind, chip, words) -> None:
    with pytest.raises(SensorGoneError, match=words):
        identify(kind, chip)


def test_a_window(measuring) -> None:
    chip = ina226()
    settings = Settings("ina226", bus=1, shunt_ohm=0.01)
    sensor = Meter("ina:i2c-1:0x40", "ina", "a rail", make_source(settings, chip))
    found = measuring(sensor, 0.3)
    sensor.close()
    assert found["average_w"] == pytest.approx(11.98 * 2, rel=1e-4)
    # 11.98 V x 250 uA + 2 A x 1.25 mV
    assert found["resolution_w"] == pytest.approx(11.98 * 250e-6 + 2 * 1.25e-3, rel=1e-3)
    assert chip.closed


class FakeBus:
    """The kernel's end of the two ioctls, with the layouts of <linux/i2c-dev.h> on this machine."""

    def __init__(self, registers: dict[int, int], *, held: bool = False) -> None:
        self.registers = registers
        self.held = held
        self.addresses: list[int] = []

    def ioctl(self, _descriptor: int, number: int, argument):
        if number == 0x0703:
            if self.held:
                raise OSError(errno.EBUSY, "Device or resource busy")
            self.addresses.append(argument)
            return 0
        assert number == 0x0720
        raw = bytes(argument)
        assert raw[0] == 1  # I2C_SMBUS_READ
        register, size = raw[1], int.from_bytes(raw[4:8], "little")
        address = int.from_bytes(raw[8 : 8 + ctypes.sizeof(ctypes.c_void_p)], "little")
        data = (ctypes.c_uint8 * 34).from_address(address)
        value = self.registers[register]
        if size == 3:  # I2C_SMBUS_WORD_DATA: the wire's first byte is the low one
            data[0], data[1] = value >> 8, value & 0xFF
        else:
            assert size == 8  # I2C_SMBUS_I2C_BLOCK_DATA
            data[1 : 1 + data[0]] = list(value.to_bytes(data[0], "big"))
        return 0


@pytest.fixture
def bus(machine, monkeypatch):
    def plug_in(registers: dict[int, int], **options) -> FakeBus:
        (machine.root / "dev/i2c-1").touch()
        fake = FakeBus(registers, **options)
        monkeypatch.setattr(i2c_bus.fcntl, "ioctl", fake.ioctl)
        return fake

    return plug_in


def test_words_and_blocks_through_the_ioctl(machine, bus) -> None:
    fake = bus({0xFE: 0x5449, 0x04: 0x0FA000})
    chip = I2cChip(machine.root / "dev/i2c-1", 0x41)
    assert chip.word(0xFE) == 0x5449
    assert chip.block(0x04, 3) == 0x0FA000
    chip.close()
    assert fake.addresses == [0x41]


RAW = {"kind": "ina226", "bus": 1, "address": "0x45", "shunt_ohm": 0.01}


def test_the_whole_way_from_the_settings(machine, bus, measuring) -> None:
    fake = bus(ina226().registers)
    (fact,) = survey(machine.roots, RAW)
    assert (fact["name"], fact["usable"]) == ("ina:i2c-1:0x45", True)
    sensor = choose("auto", RAW, machine.roots)
    assert measuring(sensor, 0.3)["average_w"] == pytest.approx(23.96, rel=1e-4)
    sensor.close()
    assert set(fake.addresses) == {0x45}  # nothing else was touched


def test_an_address_that_the_kernel_holds(machine, bus) -> None:
    bus({}, held=True)
    (fact,) = survey(machine.roots, RAW)
    assert "a kernel driver holds the address: use its hwmon sensor" in fact["reason"]


def test_no_bus_names_what_enables_it(machine) -> None:
    with pytest.raises(AgentError) as caught:
        choose("auto", RAW, machine.roots)
    assert "modprobe i2c-dev" in caught.value.remedy


def test_without_settings_no_bus_is_touched(machine, monkeypatch) -> None:
    monkeypatch.setattr(ina_i2c, "I2cChip", lambda *_: pytest.fail("a bus was opened"))
    assert find(machine.roots, Settings()) == []
    assert find(machine.roots, Settings("ppk2")) == []
