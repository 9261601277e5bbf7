"""What the HTML page shows of a comparison with a baseline.

Rules:
    * The headline configuration comes first; the other configurations are folded away, never left out.
    * A finding is in words: "inside the noise", "worse"; its colour only repeats it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgepack.toolchain.report.cell_table import table
from edgepack.toolchain.report.cells import DASH, Cell, Tone
from edgepack.toolchain.report.compare_view import (
    change_rows,
    finding_text,
    gate_text,
    heading,
    headline_text,
    metric_label,
    run_text,
)
from edgepack.toolchain.report.plots.changes import changes_plot
from edgepack.toolchain.report.view import describe
from edgepack.toolchain.results.value_text import change_text, interval_text, value_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgepack.toolchain.results.change import Comparison, MetricChange

_COLUMNS = ("metric", "base", "new", "change", "finding", "gate")
_LEFT = ("metric", "finding", "gate", "configuration")
_FINDINGS: dict[str, Tone] = {"better": "good", "worse": "bad"}
_GATES: dict[str, Tone] = {"passed": "good", "failed": "bad", "error": "bad"}


def comparison_section(found: Comparison, number: int) -> dict[str, Any]:
    """Return the section of one comparison; `number` makes its ids differ from those of others."""
    anchor = f"comparison-{number}"
    shown = [row.change for row in change_rows(found)]
    rest = [row.change for row in change_rows(found, everything=True) if row.change not in shown]
    return {
        "anchor": anchor,
        "heading": heading(found),
        "base": run_text(found.base),
        "new": run_text(found.new),
        "headline": headline_text(found),
        "gates": len(found.gates),
        "passed": found.passed,
        "warnings": found.warnings,
        "table": _table(anchor, shown, with_gates=bool(found.gates)),
        "plot": changes_plot(shown, f"changes-{number}"),
        "rest": _rest(rest, anchor) if rest else None,
    }


def _table(anchor: str, changes: Sequence[MetricChange], *, with_gates: bool) -> dict[str, Any]:
    columns = len(_COLUMNS) if with_gates else len(_COLUMNS) - 1
    return table(anchor, _COLUMNS[:columns], [_row(change)[:columns] for change in changes], left=_LEFT)


def _rest(changes: Sequence[MetricChange], anchor: str) -> dict[str, Any]:
    """Return the changes that are folded away; no gate stands on them."""
    rows = [(_place(change), *_row(change)[:-1]) for change in changes]
    return table(f"{anchor}-rest", ("configuration", *_COLUMNS[:-1]), rows, left=_LEFT)


def _place(change: MetricChange) -> Cell:
    return Cell(describe(change.configuration) if change.configuration else "the whole run")


def _row(change: MetricChange) -> tuple[Cell, ...]:
    gate = change.gate
    return (
        Cell(metric_label(change)),
        _figure(change, change.base),
        _figure(change, change.new),
        _by(change),
        Cell(finding_text(change), detail=change.test or change.reason, tone=_FINDINGS.get(change.finding)),
        Cell(gate_text(change), tone=_GATES[gate.status]) if gate else Cell(""),
    )


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
