"""A comparison as Markdown, for a comment on a pull request."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
from edgepack.toolchain.report.markdown_report import escape

if TYPE_CHECKING:
    from edgepack.toolchain.report.compare_view import ChangeRow
    from edgepack.toolchain.results.change import Comparison, Comparisons

MARKER = "<!-- edgepack compare -->"
"""First line, by which a bot finds its own comment and replaces it."""

_LEFT = ("metric", "finding", "gate")


def comparison_markdown(result: Comparisons, *, everything: bool = False) -> str:
    """Return one section a pair of runs; the outcome stands first."""
    lines = [MARKER, f"**{escape(verdict_text(result))}**", ""]
    for comparison in result.comparisons:
        lines += _section(comparison, everything=everything)
    for side, names in (("BASE", result.only_base), ("NEW", result.only_new)):
        lines += [f"- Only in {side}, not compared: {escape(name)}" for name in names]
    return "\n".join(lines).rstrip() + "\n"


def _section(comparison: Comparison, *, everything: bool) -> list[str]:
    rows = change_rows(comparison, everything=everything)
    columns = COLUMNS if any(row.change.gates for row in rows) else COLUMNS[:-1]
    notes: dict[str, int] = {}
    table = []
    for row in rows:
        number = notes.setdefault(row.note, len(notes) + 1) if row.note else None
        table.append(_line(_cells(row, number)[: len(columns)]))
    below = [headline_text(comparison), None if everything else others_text(comparison), tests_text(rows)]
    return [
        f"#### {escape(heading(comparison))}",
        "",
        *(f"> **Careful:** {escape(warning)}  " for warning in comparison.warnings),
        *([""] if comparison.warnings else []),
        _line([escape(column) for column in columns]),
        _line(["---" if column in _LEFT else "---:" for column in columns]),
        *table,
        "",
        *(f"- [{number}] {escape(note)}" for note, number in notes.items()),
        *(f"- {escape(line)}" for line in below if line),
        f"- base: {escape(run_text(comparison.base))}; new: {escape(run_text(comparison.new))}",
        "",
    ]


def _cells(row: ChangeRow, number: int | None) -> list[str]:
    cells = [escape(cell) for cell in row.cells]
    if row.change.finding in ("worse", "better"):
        cells[3], cells[5] = f"**{cells[3]}**", f"**{cells[5]}**"
    if row.change.gate is not None and row.change.gate.status != "passed":
        cells[6] = f"**{cells[6]}**"
    if number is not None:
        cells[5] += f" [{number}]"
    return cells


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
