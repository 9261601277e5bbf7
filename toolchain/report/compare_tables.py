"""A comparison as a person reads it in the terminal; colour only where a change is beyond the noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from edgepack.toolchain.report.compare_view import (
    COLUMNS,
    change_rows,
    heading,
    headline_text,
    others_text,
    run_text,
    tests_text,
    verdict_text,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

    from edgepack.toolchain.report.compare_view import ChangeRow
    from edgepack.toolchain.results.change import Comparison, Comparisons

_STYLES = {"worse": "red", "better": "green"}
_LEFT = ("metric", "finding", "gate")


def comparison_table(result: Comparisons, *, everything: bool = False) -> RenderableType:
    """Return one table a pair of runs, what to doubt about it, and how the gates ended."""
    parts: list[RenderableType] = []
    for comparison in result.comparisons:
        parts += [*_comparison(comparison, everything=everything), Text()]
    for side, names in (("BASE", result.only_base), ("NEW", result.only_new)):
        parts += [Text(f"only in {side}, not compared: {name}", style="yellow") for name in names]
    parts.append(Text(verdict_text(result), style="bold" if result.passed else "bold red"))
    return Group(*parts)


def _comparison(comparison: Comparison, *, everything: bool) -> list[RenderableType]:
    rows = change_rows(comparison, everything=everything)
    gated = any(row.change.gates for row in rows)
    columns = COLUMNS if gated else COLUMNS[:-1]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="left" if column in _LEFT else "right", overflow="fold")
    notes: dict[str, int] = {}
    for row in rows:
        number = notes.setdefault(row.note, len(notes) + 1) if row.note else None
        table.add_row(*_cells(row, number)[: len(columns)])
    runs = f"base {run_text(comparison.base)}\nnew  {run_text(comparison.new)}"
    below = [headline_text(comparison), None if everything else others_text(comparison), tests_text(rows)]
    return [
        Text(heading(comparison), style="bold cyan"),
        Text(runs, style="dim"),
        *(Text(f"careful: {warning}", style="yellow") for warning in comparison.warnings),
        table,
        *(Text(f"[{number}] {note}", style="dim") for note, number in notes.items()),
        *(Text(line, style="dim") for line in below if line),
    ]


def _cells(row: ChangeRow, number: int | None) -> list[Text]:
    style = _STYLES.get(row.change.finding, "")
    *figures, change, interval, finding, gate = row.cells
    found = Text(finding, style=style)
    if number is not None:
        found.append(f" [{number}]", style="dim")
    bad = row.change.gate is not None and row.change.gate.status != "passed"
    return [
        *(Text(figure) for figure in figures),
        Text(change, style=style),
        Text(interval),
        found,
        Text(gate, style="bold red" if bad else ""),
    ]
