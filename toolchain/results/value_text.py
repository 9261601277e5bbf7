"""A figure and its change as a person reads them, from the unit that the record gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.targets.units import (
    format_bytes,
    format_count,
    format_duration_ns,
    format_energy_uj,
    format_percent,
    format_power_mw,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_FORMS: dict[str, Callable[[float], str]] = {
    "ns": format_duration_ns,
    "bytes": format_bytes,
    "J": lambda value: format_energy_uj(value * 1e6),
    "J*s": lambda value: f"{format_energy_uj(value * 1e6)}·s",
    "W": lambda value: format_power_mw(value * 1e3),
    "ratio": format_percent,
    "inferences/s": lambda value: f"{format_count(value)}/s",
    "inferences/J": lambda value: f"{format_count(value)}/J",
}


def value_text(value: float, unit: str) -> str:
    """Return a figure with its unit: 1234567, "ns" -> "1.23 ms"."""
    if unit in _FORMS:
        return _FORMS[unit](value)
    return f"{value:.4g}" if unit == "1" else f"{value:.4g} {unit}"


def change_text(change: float, *, is_points: bool) -> str:
    """Return a change with its sign: 0.042 -> "+4.2 %", as points 0.005 -> "+0.50 pp"."""
    text = f"{change * 100:+.2f}" if is_points or abs(change) < 0.01 else f"{change * 100:+.1f}"
    if float(text) == 0:
        text = text.replace("-", "+")
    return f"{text} {'pp' if is_points else '%'}"


def interval_text(low: float, high: float, *, is_points: bool) -> str:
    """Return an interval of a change: "+3.1 to +5.2 %"."""
    unit = "pp" if is_points else "%"
    first = change_text(low, is_points=is_points).removesuffix(f" {unit}")
    return f"{first} to {change_text(high, is_points=is_points)}"
