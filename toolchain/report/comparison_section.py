"""What the HTML page shows of a comparison with a baseline.

Rules:
    * The headline configuration comes first; the other configurations are folded away, never left out.
    * A finding is in words: "inside the noise", "worse"; its colour only repeats it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgepack.toolchain.report.cell_table import table
from edgepack.toolchain.report.cells import DASH, Cell
from edgepack.toolchain.report.plots.changes import changes_plot
from edgepack.toolchain.report.view import describe, device_label
from edgepack.toolchain.results.change import same_place
from edgepack.toolchain.results.schema import RunRecord
from edgepack.toolchain.results.value_text import change_text, interval_text, value_text

if TYPE_CHECKING:
    from edgepack.toolchain.report.cells import Tone
    from edgepack.toolchain.results.change import AnyRun, Comparison, MetricChange

_COLUMNS = ("metric", "base", "new", "change", "finding", "gate")
_LEFT = ("metric", "finding", "gate", "configuration")
_TONES: dict[str, Tone] = {
    "better": "good",
    "worse": "bad",
    "passed": "good",
    "failed": "bad",
    "error": "bad",
}


def comparison_section(found: Comparison, number: int) -> dict[str, Any]:
    """Return the section of one comparison; `number` makes its ids differ from those of others."""
    anchor = f"comparison-{number}"
    first = [
        c for c in found.changes if c.configuration is None or same_place(c.configuration, found.headline)
    ]
    rest = [change for change in found.changes if change not in first]
    return {
        "anchor": anchor,
        "base": run_label(found.base),
        "new": run_label(found.new),
        "headline": describe(found.headline) if found.headline else None,
        "gates": len(found.gates),
        "passed": found.passed,
        "warnings": found.warnings,
        "table": table(anchor, _COLUMNS, map(_row, first), left=_LEFT),
        "plot": changes_plot(first, f"changes-{number}"),
        "rest": table(f"{anchor}-rest", ("configuration", *_COLUMNS), map(_placed, rest), left=_LEFT)
        if rest
        else None,
    }


def run_label(run: AnyRun) -> str:
    """Return a run by what a reader knows it by: precision, device, tag; another tool's by its file."""
    if not isinstance(run, RunRecord):
        return f"{run.tool}, {run.run_id}"
    tag = f" · {run.tag}" if run.tag else ""
    quick = " (quick)" if run.spec.quick else ""
    return f"{run.model.precision} · {device_label(run)}{tag}, {run.time:%d %B %Y, %H:%M}{quick}"


def _row(change: MetricChange) -> tuple[Cell, ...]:
    return (
        Cell(change.key.replace("_", " ")),
        _figure(change, change.base),
        _figure(change, change.new),
        _by(change),
        _finding(change),
        _gate(change),
    )


def _placed(change: MetricChange) -> tuple[Cell, ...]:
    place = change.configuration
    return (Cell(describe(place) if place else "the whole run"), *_row(change))


def _figure(change: MetricChange, value: float | None) -> Cell:
    if value is None:
        return Cell(DASH, reason=change.reason or "not measured")
    return Cell(value_text(value, change.unit))


def _by(change: MetricChange) -> Cell:
    if change.change is None:
        return Cell(DASH, reason=change.reason or "not measured on both sides")
    interval = None
    if change.low is not None and change.high is not None:
        interval = interval_text(change.low, change.high, is_points=change.is_points)
    return Cell(change_text(change.change, is_points=change.is_points), detail=interval)


def _finding(change: MetricChange) -> Cell:
    tested = None if change.p_value is None else f"p = {change.p_value:.2g}, {change.test}"
    tone = _TONES.get(change.finding)
    return Cell(change.finding, detail=tested or change.reason, tone=tone)


def _gate(change: MetricChange) -> Cell:
    gate = change.gate
    if gate is None:
        return Cell("")
    return Cell(gate.status, detail=gate.gate.text, tone=_TONES[gate.status])
