"""Runs as a person reads them in the terminal.

A median carries its verdict as a sign and its 95 % interval under it; why a run is unstable stands below.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Group
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from edgepack.toolchain.report.build_tables import build_table
from edgepack.toolchain.report.details import QUICK_EXPLAINED
from edgepack.toolchain.report.trust import MARKS_EXPLAINED, mark, why_unstable
from edgepack.toolchain.report.view import (
    TEXT_COLUMNS,
    describe,
    footnotes,
    group_models,
    unavailable_configurations,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from edgepack.toolchain.report.summary import BuildSummary
    from edgepack.toolchain.report.view import ModelGroup, RunRow
    from edgepack.toolchain.results.schema import RunRecord

_GIVE_WAY = ("load", "first", "size", "peak memory", "p99", "quality")
_ANY_WIDTH = 10_000
_MARK_STYLES = {"✓": "green", "!": "bold red"}


def results_table(records: Sequence[RunRecord], builds: Sequence[BuildSummary] = ()) -> RenderableType:
    """Return one table a model and target: precision x device, with the reason of every dash below it."""
    parts: list[RenderableType] = []
    for group in group_models(records, builds):
        if parts:
            parts.append(Text())
        parts.append(_Runs(group) if group.rows else build_table(group.builds))
    return Group(*parts)


class _Runs:
    """The table of one model with its notes; columns give way, the least asked for first, until it fits."""

    def __init__(self, group: ModelGroup) -> None:
        self._group = group

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield title, table and notes for the width at hand."""
        columns = [column for column in self._group.measured_columns if column != "verdict"]
        dropped: list[str] = []
        table = _table(self._group, columns)
        for column in _GIVE_WAY:
            if (
                Measurement.get(console, options.update(max_width=_ANY_WIDTH), table).maximum
                <= options.max_width
            ):
                break
            columns.remove(column)
            dropped.append(column)
            table = _table(self._group, columns)
        yield Text.assemble((self._group.name, "bold cyan"), f" for {self._group.target}")
        yield table
        yield from _below(self._group, columns)
        if dropped:
            yield Text(f"not shown for want of room: {', '.join(dropped)}", style="dim")


def _table(group: ModelGroup, columns: Sequence[str]) -> Table:
    numbers = footnotes(group.rows, columns)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        left = column in TEXT_COLUMNS
        table.add_column(group.heading(column), justify="left" if left else "right", overflow="fold")
    for row in group.rows:
        table.add_row(*(_cell(row, column, numbers) for column in columns))
    return table


def _below(group: ModelGroup, columns: Sequence[str]) -> list[Text]:
    """Return what a reader must know beside the table: configuration, verdicts, what did not run."""
    numbers = footnotes(group.rows, columns)
    notes = [Text(f"[{number}] {reason}", style="dim") for reason, number in numbers.items()]
    notes.append(Text(_configurations(group), style="dim"))
    for row in group.rows:
        if reason := why_unstable(row.record, row.configuration):
            notes.append(Text(f"! {row.label}: {reason}", style="red"))
        for reason, places in unavailable_configurations(row.record).items():
            where = "; ".join(map(describe, places))
            notes.append(Text(f"{row.label}: {where}: did not run: {reason}", style="dim"))
    if any(row.record.spec.quick for row in group.rows):
        notes.append(Text(QUICK_EXPLAINED, style="yellow"))
    if any(row.record.emulated for row in group.rows):
        notes.append(Text("emulated: the figures say nothing about real hardware", style="yellow"))
    if "energy" not in group.measured_columns:
        reasons = dict.fromkeys(row.cell("energy").reason for row in group.rows)
        notes.append(Text(f"energy: unavailable: {'; '.join(map(str, reasons))}", style="dim"))
    return notes


def _configurations(group: ModelGroup) -> str:
    """Say which configuration the latency columns show, and what the signs mean."""
    places = [(row, row.cell("device").detail) for row in group.rows]
    shown = Counter(place for _, place in places if place)
    if not shown:
        return ""
    usual = shown.most_common(1)[0][0]
    others = "".join(f"; {row.label} at {place}" for row, place in places if place not in (None, usual))
    return f"latency at {usual}{others}; under p50 and p90: 95 % interval; {MARKS_EXPLAINED}"


def _cell(row: RunRow, column: str, numbers: dict[str, int]) -> Text:
    cell = row.cell(column)
    if cell.reason is not None:
        return Text.assemble(cell.text, (f" [{numbers[cell.reason]}]", "dim"))
    text = Text(cell.text)
    sign = mark(row.record, row.configuration) if column == "p50" else ""
    if sign:
        text.append(f" {sign}", style=_MARK_STYLES[sign])
    if column in ("p50", "p90", "energy") and cell.detail:
        text.append(f"\n{cell.detail}", style="dim")
    if column == "precision":
        text.append(f"\n{cell.detail}" if cell.detail else "", style="dim")
        text.append("\nquick" if row.record.spec.quick else "", style="yellow")
    return text
