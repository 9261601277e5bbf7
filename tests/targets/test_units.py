from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.targets import units
from edgepack.targets.errors import TargetError

PARSED = {
    "binary prefix": (units.parse_bytes, "256 KiB", 262_144),
    "decimal prefix": (units.parse_bytes, "256 kB", 256_000),
    "gigabyte is not gibibyte": (units.parse_bytes, "4 GB", 4_000_000_000),
    "gibibyte": (units.parse_bytes, "4 GiB", 4_294_967_296),
    "no space": (units.parse_bytes, "512B", 512),
    "fraction of a binary unit": (units.parse_bytes, "1.5 KiB", 1_536),
    "megahertz": (units.parse_hz, "80 MHz", 80_000_000),
    "fraction without rounding": (units.parse_hz, "1.1 GHz", 1_100_000_000),
    "bandwidth": (units.parse_bytes_per_s, "3.2 GB/s", 3_200_000_000),
    "microseconds, as typed": (units.parse_duration_ns, "2.5 us", 2_500),
    "microseconds, micro sign": (units.parse_duration_ns, "2.5 µs", 2_500),
    "microseconds, Greek mu": (units.parse_duration_ns, "2.5 μs", 2_500),
    "minutes": (units.parse_duration_ns, "2 min", 120_000_000_000),
}


@pytest.mark.parametrize(("parse", "text", "expected"), PARSED.values(), ids=PARSED.keys())
def test_text_becomes_base_units(parse, text, expected):
    assert parse(text) == expected


REFUSED = {
    "ambiguous KB": (units.parse_bytes, "64 KB", "the unit 'KB' is unknown. Did you mean 'KiB'?"),
    "case matters": (units.parse_hz, "80 MHZ", "Did you mean 'MHz'?"),
    "no unit": (units.parse_bytes, "1024", "not a number followed by a unit"),
    "no number": (units.parse_bytes, "KiB", "not a number followed by a unit"),
    "negative": (units.parse_hz, "-1 MHz", "not a number followed by a unit"),
    "not a whole byte": (units.parse_bytes, "0.3 B", "not a whole number of B"),
    "not a whole hertz": (units.parse_hz, "0.0001 kHz", "not a whole number of Hz"),
    "other quantity": (units.parse_bytes, "80 MHz", "not a size"),
    "trailing text": (units.parse_bytes, "1 KiB; rm", "not a number followed by a unit"),
    "other digits": (units.parse_bytes, "\u0661 KiB", "not a number followed by a unit"),
    "huge": (units.parse_bytes, "9" * 5000 + " B", "5002 characters"),
    "empty": (units.parse_bytes, "", "not a number followed by a unit"),
}


@pytest.mark.parametrize(("parse", "text", "part"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_text_is_refused_with_the_units(parse, text, part):
    with pytest.raises(TargetError, match=re.escape(part)) as caught:
        parse(text)
    assert "Units: " in caught.value.remedy


@given(st.integers(min_value=0, max_value=10**15))
def test_exact_bytes_round_trip(size):
    assert units.parse_bytes(units.exact_bytes(size)) == size


@given(st.integers(min_value=0, max_value=10**15))
def test_exact_hz_round_trip(frequency):
    assert units.parse_hz(units.exact_hz(frequency)) == frequency


FACTORS = {"B": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


@given(st.integers(min_value=0, max_value=10**9), st.sampled_from(sorted(FACTORS)))
def test_a_whole_number_of_a_unit_is_exact(number, unit):
    assert units.parse_bytes(f"{number} {unit}") == number * FACTORS[unit]


FORMATTERS = {
    "bytes": (units.format_bytes, units.parse_bytes),
    "hz": (units.format_hz, units.parse_hz),
    "bytes_per_s": (units.format_bytes_per_s, units.parse_bytes_per_s),
    "duration": (units.format_duration_ns, units.parse_duration_ns),
}


@pytest.mark.parametrize(("formatter", "parse"), FORMATTERS.values(), ids=FORMATTERS.keys())
@given(value=st.integers(min_value=1, max_value=10**14))
def test_formatted_value_is_within_half_a_percent(formatter, parse, value):
    # "1.11 KiB" is no whole number of bytes, so the number and its unit are read apart.
    number, unit = formatter(value).split(" ")
    assert abs(float(number) * parse(f"1 {unit}") - value) <= 0.005 * value


@given(value=st.integers(min_value=1, max_value=1024**4 - 1))
def test_bytes_never_show_1024_of_a_unit(value):
    assert 1 <= float(units.format_bytes(value).split(" ")[0]) < 1024


@given(value=st.integers(min_value=1, max_value=10**12 - 1))
def test_hertz_never_show_1000_of_a_unit(value):
    number, unit = units.format_hz(value).split(" ")
    assert 1 <= float(number) < 1000 or (unit, float(number)) == ("GHz", 1000)


FORMATTED = {
    "exact KiB": (units.format_bytes(655_360), "640 KiB"),
    "rounds up into the next unit": (units.format_bytes(1_048_575), "1 MiB"),
    "four digits below 1024": (units.format_bytes(1023 * 1024), "1023 KiB"),
    "zero": (units.format_bytes(0), "0 B"),
    "negative": (units.format_bytes(-2048), "-2 KiB"),
    "hertz": (units.format_hz(1_500_000_000), "1.5 GHz"),
    "duration": (units.format_duration_ns(1_234_567), "1.23 ms"),
    "duration rounds up": (units.format_duration_ns(999_999), "1 ms"),
    "duration below a unit": (units.format_duration_ns(0.47), "0.47 ns"),
    "minutes": (units.format_duration_ns(90 * 10**9), "1.5 min"),
    "bandwidth": (units.format_bytes_per_s(3_200_000_000), "3.2 GB/s"),
    "energy": (units.format_energy_uj(1375.6), "1.38 mJ"),
    "power": (units.format_power_mw(3270), "3.27 W"),
    "count": (units.format_count(7_491_972), "7.49 M"),
    "small count": (units.format_count(950), "950"),
    "percent": (units.format_percent(0.9052), "90.52 %"),
}


@pytest.mark.parametrize(("shown", "expected"), FORMATTED.values(), ids=FORMATTED.keys())
def test_format_for_people(shown, expected):
    assert shown == expected
