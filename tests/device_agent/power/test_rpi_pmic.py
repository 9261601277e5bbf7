from __future__ import annotations

import struct

import pytest

from edgepack.device_agent.power import vcio
from edgepack.device_agent.power.registry import choose, survey
from edgepack.device_agent.power.rpi_pmic import parse_rails

# All 26 lines of a Raspberry Pi 5, in the firmware's order and spacing.
RAILS = {
    "3V7_WL_SW": (0, 0.00195186, 8, 3.7072),
    "3V3_SYS": (1, 0.1268709, 9, 3.325809),
    "1V8_SYS": (2, 0.1883545, 10, 1.80415),
    "DDR_VDD2": (3, 0.02147046, 11, 1.111354),
    "DDR_VDDQ": (4, 0.0, 12, 0.6032961),
    "1V1_SYS": (5, 0.1795711, 13, 1.11282),
    "0V8_SW": (6, 0.2595974, 14, 0.8051274),
    "VDD_CORE": (7, 0.56259, 15, 0.7679846),
    "3V3_DAC": (17, 0.0, 20, 3.321425),
    "3V3_ADC": (18, 0.0, 21, 3.329667),
    "0V8_AON": (16, 0.0029304, 19, 0.8017574),
    "HDMI": (22, 0.0255189, 23, 5.14056),
}
ANSWER = (
    "\n".join(f"{name + '_A':>12} current({n})={a:.8f}A" for name, (n, a, _, _) in RAILS.items())
    + "\n"
    + "\n".join(f"{name + '_V':>12} volt({n})={v:.8f}V" for name, (_, _, n, v) in RAILS.items())
    + "\n     EXT5V_V volt(24)=5.15100000V\n      BATT_V volt(25)=0.00000000V\n"
)
TOTAL_W = sum(a * v for _, a, _, v in RAILS.values())


def test_all_rails_with_both_values() -> None:
    rails = parse_rails(ANSWER)
    assert set(rails) == set(RAILS)
    assert sum(v * a for v, a in rails.values()) == pytest.approx(TOTAL_W)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        'error=1 error_msg="Command not registered"',
        "EXT5V_V volt(24)=5.151V",
        "VDD_CORE_A current(7)=0.5A",
        "VDD_CORE_A current(7)=nanA\nVDD_CORE_V volt(15)=0.7V",
        "VDD_CORE_A volt(7)=0.5V\nVDD_CORE_V current(15)=0.7A",
    ],
)
def test_an_answer_without_a_rail(answer: str) -> None:
    with pytest.raises(ValueError, match="no rail"):
        parse_rails(answer)


def test_a_window_through_the_tool(machine, measuring) -> None:
    (machine.root / "answer").write_text(ANSWER)
    machine.vcgencmd(f'[ "$1" = pmic_read_adc ] && [ $# = 1 ] && cat {machine.root}/answer\n')
    sensor = choose("auto", roots=machine.roots)
    found = measuring(sensor, 0.6)
    sensor.close()
    assert found["sensor"] == "rpi-pmic"
    assert found["average_w"] == pytest.approx(TOTAL_W)
    assert "not the 5 V of USB ports" in found["covers"]


def test_a_board_without_current_sensing(machine) -> None:
    machine.vcgencmd("echo 'error=1 error_msg=\"Command not registered\"'\n")
    (fact,) = survey(machine.roots)
    assert fact["usable"] is False
    assert "Raspberry Pi 5 and later" in fact["reason"]


def test_no_permission_for_the_firmware(machine) -> None:
    from edgepack.device_agent.errors import AgentError

    machine.vcgencmd('echo "Can\'t open device file: /dev/vcio" >&2; exit 255\n')
    with pytest.raises(AgentError, match="/dev/vcio") as caught:
        choose("rpi-pmic", roots=machine.roots)
    assert "usermod -aG video" in caught.value.remedy


def test_no_tool_no_sensor(machine) -> None:
    assert survey(machine.roots) == []


class FakeFirmware:
    """The firmware's end of the property message: one tag, answered in place."""

    def __init__(self, answer: str, error: int = 0) -> None:
        self.answer = answer.encode()
        self.error = error
        self.asked: list[bytes] = []

    def ioctl(self, _descriptor: int, number: int, message: bytearray, mutate: bool) -> int:
        assert number == (0xC0086400 if struct.calcsize("P") == 8 else 0xC0046400)
        assert mutate
        size, code, tag, room, _, _ = struct.unpack_from("<6I", message)
        assert (size, code, tag, room) == (len(message), 0, 0x00030080, 1024)
        assert message[-4:] == bytes(4)
        self.asked.append(bytes(message[24:]).split(b"\0")[0])
        struct.pack_into("<6I", message, 0, size, 0x80000000, tag, room, 0x80000000, self.error)
        text = self.answer[:1023] + b"\0"
        message[24 : 24 + len(text)] = text
        return 0


def test_the_firmware_is_asked_directly_where_it_answers(machine, measuring, monkeypatch) -> None:
    short = "VDD_CORE_A current(7)=2.0A\nVDD_CORE_V volt(15)=0.75V\n"
    machine.vcgencmd(f"printf '{short}'\n")
    (machine.root / "dev/vcio").touch()
    firmware = FakeFirmware(short)
    monkeypatch.setattr(vcio.fcntl, "ioctl", firmware.ioctl)
    sensor = choose("auto", roots=machine.roots)
    found = measuring(sensor, 0.4)
    sensor.close()
    assert found["average_w"] == pytest.approx(1.5)
    assert set(firmware.asked) == {b"pmic_read_adc"}
    assert found["interval_ns"] < 100_000_000


def test_the_firmware_s_refusal_is_an_error(tmp_path, monkeypatch) -> None:
    (tmp_path / "vcio").touch()
    monkeypatch.setattr(vcio.fcntl, "ioctl", FakeFirmware("", error=1).ioctl)
    firmware = vcio.Firmware(tmp_path / "vcio")
    with pytest.raises(OSError, match="refuses 'pmic_read_adc'"):
        firmware.ask("pmic_read_adc")
    firmware.close()
