"""TI power monitors INA219, INA226, INA228, INA260 read directly over I2C where no kernel driver is bound.

Rules:
    * Only the bus and address that the settings name are touched; nothing is searched for.
    * Nothing is written. Power is bus voltage times shunt voltage over the shunt's resistance, from the two
      measured registers: the calibration register, which somebody may have set for another shunt, plays no
      part. A chip that is not measuring continuously is refused.
    * The chip says who it is where it can (manufacturer 0x5449, "TI"); an INA219 has no such register.

Sources, "Register Maps": INA219 (SBOS448G), INA226 (SBOS547B), INA228 (SLYS021A), INA260 (SBOS656C).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable

from .found import Found
from .i2c_bus import I2cChip
from .sampler import SampledSource
from .settings import INA_KINDS
from .source import SensorGoneError, Traits

if TYPE_CHECKING:
    from .i2c_bus import Registers
    from .roots import Roots
    from .settings import Settings

_TI = 0x5449
# Two registers at 400 kHz take 0.2 ms; the chips convert once a millisecond and average over some of that.
_INTERVAL_NS = 10_000_000


@dataclass(frozen=True)
class Chip:
    """One kind of monitor.

    Attributes:
        manufacturer: Register of the manufacturer id, or None.
        die: Register and value of the die id, masked, or None.
        mode: Register, mask and the least masked value of the continuous modes.
        read: Returns volts and the voltage over the shunt; for the INA260 volts and amperes.
        current_step: Step of the shunt voltage in V, or of the current in A.
        voltage_step: Step of the bus voltage in V.
    """

    manufacturer: int | None
    die: tuple[int, int, int] | None
    mode: tuple[int, int, int]
    read: Callable[[Registers], tuple[float, float]]
    current_step: float
    voltage_step: float


def _read_ina219(chip: Registers) -> tuple[float, float]:
    return (chip.word(0x02) >> 3) * 4e-3, _signed(chip.word(0x01), 16) * 10e-6


def _read_ina226(chip: Registers) -> tuple[float, float]:
    return chip.word(0x02) * 1.25e-3, _signed(chip.word(0x01), 16) * 2.5e-6


def _read_ina260(chip: Registers) -> tuple[float, float]:
    return chip.word(0x02) * 1.25e-3, _signed(chip.word(0x01), 16) * 1.25e-3


def _read_ina228(chip: Registers) -> tuple[float, float]:
    """Return volts and shunt volts; bit 4 of CONFIG (ADCRANGE) makes the shunt's step four times smaller."""
    step = 78.125e-9 if chip.word(0x00) & 0x10 else 312.5e-9
    return (chip.block(0x05, 3) >> 4) * 195.3125e-6, _signed(chip.block(0x04, 3) >> 4, 20) * step


CHIPS = {
    "ina219": Chip(None, None, (0x00, 0x7, 0x7), _read_ina219, 10e-6, 4e-3),
    "ina226": Chip(0xFE, (0xFF, 0xFFF0, 0x2260), (0x00, 0x7, 0x7), _read_ina226, 2.5e-6, 1.25e-3),
    "ina228": Chip(0x3E, (0x3F, 0xFFF0, 0x2280), (0x01, 0xF000, 0xB000), _read_ina228, 312.5e-9, 195.3125e-6),
    "ina260": Chip(0xFE, (0xFF, 0xFFF0, 0x2270), (0x00, 0x7, 0x7), _read_ina260, 1.25e-3, 1.25e-3),
}


def identify(kind: str, chip: Registers) -> None:
    """Check that a chip is what the settings say, and that it measures voltage and current continuously.

    Raises:
        SensorGoneError: It is another one, or it does not.
        OSError: It does not answer.
    """
    what = CHIPS[kind]
    if what.manufacturer is not None and chip.word(what.manufacturer) != _TI:
        message = f"the chip's manufacturer is {chip.word(what.manufacturer):#06x}, TI's {_TI:#06x} expected"
        raise SensorGoneError(message)
    if what.die is not None:
        register, mask, wanted = what.die
        die = chip.word(register)
        if die & mask != wanted:
            message = f"the chip's die id is {die:#06x}, not that of an {kind} ({wanted:#06x})"
            raise SensorGoneError(message)
    register, mask, least = what.mode
    if chip.word(register) & mask < least:
        message = f"the {kind} is not measuring voltage and current continuously (register {register:#04x})"
        raise SensorGoneError(message)


def watts(kind: str, chip: Registers, shunt_ohm: float | None) -> float:
    """Return the power of one reading."""
    volts, second = CHIPS[kind].read(chip)
    return volts * (second if shunt_ohm is None else second / shunt_ohm)


def find(roots: Roots, settings: Settings) -> list[Found]:
    """Return the monitor that the settings name."""
    if settings.kind not in INA_KINDS:
        return []
    path = roots.dev / f"i2c-{settings.bus}"
    reason = remedy = None
    try:
        _close_after(settings, I2cChip(path, settings.address))
    except (OSError, SensorGoneError) as err:
        reason = f"{err.filename}: {err.strerror}" if isinstance(err, OSError) else str(err)
        if isinstance(err, FileNotFoundError):
            remedy = "Enable I2C: `sudo modprobe i2c-dev`; Raspberry Pi: `sudo raspi-config nonint do_i2c 0`."
        elif isinstance(err, PermissionError):
            remedy = "Let the user use I2C: `sudo usermod -aG i2c $USER`, then log in again."
    name = f"ina:i2c-{settings.bus}:{settings.address:#04x}"
    covers = f"the rail behind the {settings.kind}'s shunt; not what is fed past it"
    return [Found(name, "ina", str(path), covers, lambda: _source(roots, settings), reason, remedy)]


def _close_after(settings: Settings, chip: Registers) -> None:
    try:
        identify(settings.kind, chip)
        CHIPS[settings.kind].read(chip)
    finally:
        chip.close()


def _source(roots: Roots, settings: Settings) -> SampledSource:
    chip = I2cChip(roots.dev / f"i2c-{settings.bus}", settings.address)
    return make_source(settings, chip)


def make_source(settings: Settings, chip: Registers) -> SampledSource:
    """Return a source of a chip's readings."""
    identify(settings.kind, chip)
    volts, second = CHIPS[settings.kind].read(chip)
    amperes = second / (settings.shunt_ohm or 1.0)
    what = CHIPS[settings.kind]
    step_a = what.current_step / (settings.shunt_ohm or 1.0)
    traits = Traits(
        resolution_w=volts * step_a + abs(amperes) * what.voltage_step,
        lag_ns=_INTERVAL_NS,
    )
    return SampledSource(
        lambda: watts(settings.kind, chip, settings.shunt_ohm),
        traits,
        interval_ns=_INTERVAL_NS,
        close=chip.close,
    )


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value
