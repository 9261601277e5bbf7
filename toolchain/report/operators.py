"""The most expensive operators of a run: share of the time, and what they achieve against the device's roof.

Rules:
    * Times are the profile's; how they were taken is said, and an error is shown where it is known.
    * Work (MACs, bytes) comes from the build; where that is not at hand, times and shares stand alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.targets.units import format_duration_ns, format_percent
from edgepack.toolchain.report.cells import Cell
from edgepack.toolchain.results.profile_record import Profile

if TYPE_CHECKING:
    from edgepack.toolchain.report.summary import BuildSummary
    from edgepack.toolchain.results.profile_record import OperatorTime
    from edgepack.toolchain.results.schema import RunRecord

MOST_EXPENSIVE = 10
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
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str


def operator_table(record: RunRecord, build: BuildSummary | None) -> OperatorTable | None:
    """Return the table of a run's profile; None where there is no profile."""
    profile = record.profile
    if not isinstance(profile, Profile):
        return None
    whole_ns = sum(operator.time_ns for operator in profile.operators)
    ranked = sorted(profile.operators, key=lambda operator: -operator.time_ns)[:MOST_EXPENSIVE]
    rows = tuple(_row(operator, whole_ns) for operator in ranked)
    return OperatorTable(("operator", "share", "time"), rows, _note(profile, len(ranked)))


def _row(operator: OperatorTime, whole_ns: float) -> tuple[Cell, ...]:
    share = operator.time_ns / whole_ns if whole_ns else 0.0
    return (
        Cell(operator.name, detail=f"operator {operator.index}"),
        Cell(format_percent(share)),
        Cell(format_duration_ns(operator.time_ns), detail=f"± {format_duration_ns(operator.error_ns)}"),
    )


def _note(profile: Profile, shown: int) -> str:
    plural = "" if profile.threads == 1 else "s"
    text = f"{shown} of {len(profile.operators)} operators, {_METHODS[profile.method]}"
    text += f", {profile.threads} thread{plural}"
    if profile.plain_ns:
        text += f"; profiling costs {format_percent(profile.total_ns / profile.plain_ns - 1)}"
    return f"{text}. {profile.note}" if profile.note else f"{text}."
