"""A figure as a person reads it: text, interval, or a dash with the reason why there is none.

Rules:
    * Nothing is ever filled in: a figure that the record does not hold is a dash with its reason.
    * An interval is the 95 % interval that the record holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from edgepack.targets.units import format_percent
from edgepack.toolchain.results.schema import Metric, UnavailableMetric

if TYPE_CHECKING:
    from collections.abc import Callable

DASH = "—"
NOT_IN_RECORD = "the record does not hold it"


Tone = Literal["good", "bad"]


@dataclass(frozen=True)
class Cell:
    """A figure as a person reads it.

    Attributes:
        text: The figure with its unit, or a dash.
        reason: Why there is no figure; None where there is one.
        detail: What more there is to know: a configuration, or a 95 % interval.
        tone: "good" or "bad" for a judgement, which the text says in words too; None for a figure.
    """

    text: str
    reason: str | None = None
    detail: str | None = None
    tone: Tone | None = None


def metric_cell(metric: Metric | UnavailableMetric | None, form: Callable[[float], str]) -> Cell:
    """Return a metric as a cell; `form` turns its value into text."""
    if isinstance(metric, Metric):
        return Cell(form(metric.value), detail=format_range(metric.low, metric.high, form))
    return Cell(DASH, reason=metric.reason if metric else NOT_IN_RECORD)


def format_range(low: float | None, high: float | None, form: Callable[[float], str]) -> str | None:
    """Return an interval with its unit said once: "533 to 537 µs"; None where an end is missing."""
    if low is None or high is None:
        return None
    first, second = form(low), form(high)
    number, _, unit = first.rpartition(" ")
    same_unit = number and unit == second.rpartition(" ")[2]
    return f"{number if same_unit else first} to {second}"


def format_quality(metric: Metric) -> str:
    """Return a quality figure: a ratio as a percentage, anything else with four digits."""
    return quality_text(metric.value, is_ratio=metric.unit == "ratio")


def quality_text(value: float, *, is_ratio: bool) -> str:
    """Return a quality figure: a ratio as a percentage, anything else with four digits."""
    return format_percent(value) if is_ratio else f"{value:.4g}"
