"""The most expensive operators of a run: share of the time, and what they achieve against the device's roof.

Rules:
    * Times are the profile's; how they were taken is said, and their error is shown.
    * Work (MACs, bytes) comes from the model; where that is not at hand, times and shares stand alone.
    * A share of the roof above 100 % is shown as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.targets.units import format_count, format_duration_ns, format_percent
from edgepack.toolchain.analyze.roofline import ProfileAnalysis, analyze_profile, top_operators
from edgepack.toolchain.report.cells import DASH, NOT_IN_RECORD, Cell
from edgepack.toolchain.results.profile_record import Profile, Roofline

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgepack.converters.graph import Graph
    from edgepack.toolchain.analyze.roofline import Point
    from edgepack.toolchain.results.profile_record import OperatorTime
    from edgepack.toolchain.results.schema import RunRecord

MOST_EXPENSIVE = 10
_TIMES = ("operator", "share", "time")
_WORK = ("MACs", "achieved", "bound by", "of the roof")
_MAX_NAME = 36
_WITHIN_ERROR = "its time is within its error"
_METHODS = {
    "runtime": "timed by the runtime itself",
    "truncated": "derived from models cut off after each operator",
}


@dataclass(frozen=True)
class OperatorTable:
    """The most expensive operators as cells.

    Attributes:
        columns: Headings.
        rows: One row an operator, the most expensive first.
        note: How times were taken, and what more a reader must know.
        points: The same operators under the roof, in the order of the rows; empty without the model.
        analysis: The whole profile under the roof; None without the model.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str
    points: tuple[Point, ...] = ()
    analysis: ProfileAnalysis | None = None


def operator_table(record: RunRecord, graph: Graph | None) -> OperatorTable | None:
    """Return the table of a run's profile; None where there is no profile.

    Args:
        record: The run.
        graph: Its model, for what each operator computes; None where it is not at hand.
    """
    profile = record.profile
    if not isinstance(profile, Profile):
        return None
    if graph is None:
        return _times_alone(profile)
    roof = record.roofline if isinstance(record.roofline, Roofline) else None
    analysis = analyze_profile(graph, profile, roof)
    points = top_operators(analysis, MOST_EXPENSIVE)
    no_roof = None if roof else getattr(record.roofline, "unavailable", NOT_IN_RECORD)
    rows = tuple(_row(rank, point, no_roof) for rank, point in enumerate(points, start=1))
    note = _note(profile, len(rows), len(analysis.operators))
    if analysis.apart_ns > 0:
        note += f" {format_duration_ns(analysis.apart_ns)} went to kernels that belong to no operator."
    return OperatorTable((*_TIMES, *_WORK), rows, note, points, analysis)


def format_rate(macs_per_s: float) -> str:
    """Return a rate of multiply-accumulates for people: 24e9 -> "24 GMAC/s"."""
    return f"{format_count(macs_per_s)}MAC/s"


def _times_alone(profile: Profile) -> OperatorTable:
    whole_ns = sum(operator.time_ns for operator in profile.operators)
    ranked = sorted(profile.operators, key=lambda operator: -operator.time_ns)[:MOST_EXPENSIVE]
    rows = tuple(_time_row(rank, operator, whole_ns) for rank, operator in enumerate(ranked, start=1))
    note = _note(profile, len(rows), len(profile.operators))
    return OperatorTable(_TIMES, rows, f"{note} What each computes is not known: its package is not at hand.")


def _time_row(rank: int, operator: OperatorTime, whole_ns: float) -> tuple[Cell, ...]:
    where = "kernel of the delegate" if operator.index is None else f"operator {operator.index}"
    share = operator.time_ns / whole_ns if whole_ns > 0 else 0.0
    return (
        Cell(f"{rank} {operator.name}", detail=where),
        Cell(format_percent(share)),
        _time(operator.time_ns, operator.error_ns),
    )


def _row(rank: int, point: Point, no_roof: str | None) -> tuple[Cell, ...]:
    name = point.name if len(point.name) <= _MAX_NAME else f"…{point.name[1 - _MAX_NAME :]}"
    slow = _WITHIN_ERROR if point.macs else "it has no MACs"
    unknown = no_roof or f"no roof was measured for {point.dtype or 'its type'}"
    return (
        Cell(f"{rank} {point.op}", detail=name or None),
        _known(point.share, format_percent, "no time"),
        _time(point.time_ns or 0.0, point.error_ns or 0.0),
        _known(point.macs, format_count, "not counted for this operator"),
        _known(point.macs_per_s, format_rate, slow),
        Cell(point.bound) if point.bound else Cell(DASH, reason=unknown),
        _known(point.roof_share, format_percent, unknown if point.bound is None else _WITHIN_ERROR),
    )


def _known(value: float | None, form: Callable[[float], str], reason: str) -> Cell:
    return Cell(DASH, reason=reason) if value is None else Cell(form(value))


def _time(time_ns: float, error_ns: float) -> Cell:
    return Cell(format_duration_ns(time_ns), detail=f"± {format_duration_ns(error_ns)}")


def _note(profile: Profile, shown: int, count: int) -> str:
    plural = "" if profile.threads == 1 else "s"
    text = f"{shown} of {count} operators, {_METHODS[profile.method]}, {profile.threads} thread{plural}."
    text += f" Together they take {format_duration_ns(profile.total_ns)}"
    if profile.plain_ns:
        text += f"; the whole model takes {format_duration_ns(profile.plain_ns)} when nothing is profiled"
    return f"{text}. {profile.note}" if profile.note else f"{text}."
