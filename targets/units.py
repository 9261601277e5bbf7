"""Text for people <-> whole numbers in base units; the only place where units change.

Rules:
    * Inside edgepack a quantity is a number in a base unit, which stands in its name: bytes, hz, ns, uj, mw.
    * Decimal and binary prefixes are kept apart: 1 kB is 1000 bytes and 1 KiB is 1024 bytes. "KB" is refused,
      because people mean both by it.
    * `parse_*` is exact: it returns a whole number of base units or raises; it never rounds.
    * `exact_*` writes a text that `parse_*` reads back to the same number.
    * `format_*` rounds to three significant digits, for tables and messages. Files and JSON hold base units.

Source: the prefixes are those of the SI (BIPM, SI Brochure, 9th edition, section 3.1) and of IEC 80000-13 for
Ki, Mi, Gi and Ti.
"""

from __future__ import annotations

import re
from typing import TypeAlias

from edgepack.targets.errors import TargetError, nearest

_Units: TypeAlias = "dict[str, int]"  # unit -> base units in one of it, ascending

_SI_BYTES: _Units = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_IEC_BYTES: _Units = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_HZ: _Units = {"Hz": 1, "kHz": 10**3, "MHz": 10**6, "GHz": 10**9}
_NS: _Units = {
    "ns": 1,
    "µs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "min": 60 * 10**9,
    "h": 3600 * 10**9,
}
_UJ: _Units = {"µJ": 1, "mJ": 10**3, "J": 10**6, "kJ": 10**9}
_MW: _Units = {"mW": 1, "W": 10**3, "kW": 10**6}
_COUNT: _Units = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}

_BYTES = _SI_BYTES | _IEC_BYTES
_BYTES_PER_S = {f"{unit}/s": factor for unit, factor in _BYTES.items()}
_DURATIONS = {**_NS, "us": 10**3}  # "us" is what people can type; format_duration_ns writes "µs"

# Bounded: the text may come from a hostile file, and Python's whole numbers have no upper end of their own.
_MAX_TEXT = 40
_QUANTITY = re.compile(r"(?P<whole>[0-9]{1,15})(?:\.(?P<part>[0-9]{1,12}))? ?(?P<unit>[A-Za-zµμ/]{1,8})")


def parse_bytes(text: str) -> int:
    """Return the bytes in a text such as "256 KiB", "2 MB" or "512B".

    Raises:
        TargetError: The text is not a number and a unit, or is not a whole number of bytes.
    """
    return _parse(text, _BYTES, "a size", "256 KiB")


def parse_hz(text: str) -> int:
    """Return the hertz in a text such as "80 MHz" or "1.5 GHz".

    Raises:
        TargetError: The text is not a number and a unit, or is not a whole number of hertz.
    """
    return _parse(text, _HZ, "a frequency", "80 MHz")


def parse_bytes_per_s(text: str) -> int:
    """Return the bytes per second in a text such as "3.2 GB/s".

    Raises:
        TargetError: The text is not a number and a unit, or is not a whole number of bytes per second.
    """
    return _parse(text, _BYTES_PER_S, "a bandwidth", "3.2 GB/s")


def parse_duration_ns(text: str) -> int:
    """Return the nanoseconds in a text such as "250 ms", "1.5 s" or "2 min".

    Raises:
        TargetError: The text is not a number and a unit, or is not a whole number of nanoseconds.
    """
    return _parse(text, _DURATIONS, "a duration", "250 ms")


def exact_bytes(size_bytes: int) -> str:
    """Return a size with the largest binary unit that holds it exactly, such as "256 KiB" or "1000 B"."""
    return _exact(size_bytes, _IEC_BYTES)


def exact_hz(frequency_hz: int) -> str:
    """Return a frequency with the largest unit that holds it as a whole number, such as "1500 MHz"."""
    return _exact(frequency_hz, _HZ)


def format_bytes(size_bytes: float) -> str:
    """Return a size for people, in binary units: 655360 -> "640 KiB"."""
    return _rounded(size_bytes, _IEC_BYTES)


def format_bytes_per_s(bandwidth_bytes_per_s: float) -> str:
    """Return a bandwidth for people, in decimal units as data sheets give it: 3200000000 -> "3.2 GB/s"."""
    return f"{_rounded(bandwidth_bytes_per_s, _SI_BYTES)}/s"


def format_hz(frequency_hz: float) -> str:
    """Return a frequency for people: 1500000000 -> "1.5 GHz"."""
    return _rounded(frequency_hz, _HZ)


def format_duration_ns(duration_ns: float) -> str:
    """Return a duration for people: 1234567 -> "1.23 ms"."""
    return _rounded(duration_ns, _NS)


def format_energy_uj(energy_uj: float) -> str:
    """Return an energy for people: 1375.6 -> "1.38 mJ"."""
    return _rounded(energy_uj, _UJ)


def format_power_mw(power_mw: float) -> str:
    """Return a power for people: 3270 -> "3.27 W"."""
    return _rounded(power_mw, _MW)


def format_count(count: float) -> str:
    """Return a count (of MACs, parameters, samples) for people: 7491972 -> "7.49 M", 950 -> "950"."""
    return _rounded(count, _COUNT).rstrip()


def format_percent(fraction: float) -> str:
    """Return a fraction as a percentage with two decimals: 0.9052 -> "90.52 %"."""
    return f"{fraction * 100:.2f} %"


def _parse(text: str, units: _Units, what: str, example: str) -> int:
    remedy = f'Write a number and a unit, such as "{example}". Units: {", ".join(units)}.'
    if len(text) > _MAX_TEXT:
        message = f"A text of {len(text)} characters is not {what}."
        raise TargetError(message, remedy=remedy)
    match = _QUANTITY.fullmatch(text)
    if match is None:
        message = f"{text!r} is not {what}: it is not a number followed by a unit."
        raise TargetError(message, remedy=remedy)
    unit = match["unit"].replace("μ", "µ")  # Greek mu and the micro sign look the same
    if unit not in units:
        message = f"{text!r} is not {what}: the unit {unit!r} is unknown.{nearest(unit, units)}"
        raise TargetError(message, remedy=remedy)
    part = match["part"] or ""
    scale: int = 10 ** len(part)
    value, remainder = divmod(int(match["whole"] + part) * units[unit], scale)
    if remainder:
        base = next(iter(units))
        message = f"{text!r} is not a whole number of {base}."
        raise TargetError(message, remedy=remedy)
    return value


def _exact(value: int, units: _Units) -> str:
    unit = next(unit for unit, factor in reversed(units.items()) if value % factor == 0)
    return f"{value // units[unit]} {unit}" if value else f"0 {next(iter(units))}"


def _rounded(value: float, units: _Units) -> str:
    """Return `value` in the largest unit that it holds once at least, to three significant digits."""
    names = list(units)
    magnitude = abs(value)
    index = max((i for i, name in enumerate(names) if magnitude >= units[name]), default=0)
    digits = _three_digits(magnitude / units[names[index]])
    # 1023.9 KiB rounds to 1024 KiB, which is 1 MiB.
    if index + 1 < len(names) and float(digits) * units[names[index]] >= units[names[index + 1]]:
        index += 1
        digits = _three_digits(magnitude / units[names[index]])
    sign = "-" if value < 0 and float(digits) else ""
    return f"{sign}{digits} {names[index]}"


def _three_digits(value: float) -> str:
    if value < 1:
        return f"{value:.3g}"
    text = f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
