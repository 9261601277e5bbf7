"""Runs as a person reads them in the terminal."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from edgepack.toolchain.report.build_tables import build_table
from edgepack.toolchain.report.view import (
    COLUMNS,
    Cell,
    describe,
    footnotes,
    group_models,
    unavailable_configurations,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from edgepack.toolchain.report.summary import BuildSummary
    from edgepack.toolchain.report.view import ModelGroup
    from edgepack.toolchain.results.schema import RunRecord


def results_table(records: Sequence[RunRecord], builds: Sequence[BuildSummary] = ()) -> RenderableType:
    """Return one table a model and target: precision x device, with the reason of every dash below it."""
    parts: list[RenderableType] = []
    for group in group_models(records, builds):
        if parts:
            parts.append(Text())
        parts += _runs(group) if group.rows else [build_table(group.builds)]
    return Group(*parts)


def _runs(group: ModelGroup) -> list[RenderableType]:
    numbers = footnotes(group.rows)
    title = Text.assemble((group.name, "bold cyan"), f" for {group.target}")
    table = _table()
    for column in COLUMNS:
        heading = f"{group.metric} host → device" if column == "quality" and group.metric else column
        left = column in ("precision", "device")
        table.add_column(heading, justify="left" if left else "right", overflow="fold")
    for row in group.rows:
        table.add_row(*(_cell(cell, numbers) for cell in row.cells))
    notes = [Text(f"[{number}] {reason}", style="dim") for reason, number in numbers.items()]
    notes.append(Text(_configurations(group), style="dim"))
    for row in group.rows:
        for reason, places in unavailable_configurations(row.record).items():
            where = "; ".join(map(describe, places))
            notes.append(Text(f"{row.label}: {where}: did not run: {reason}", style="dim"))
    if any(row.record.emulated for row in group.rows):
        notes.append(Text("emulated: the figures say nothing about real hardware", style="yellow"))
    return [title, table, *notes]


def _configurations(group: ModelGroup) -> str:
    """Say which configuration the latency columns show."""
    shown = Counter(row.cells[1].detail for row in group.rows if row.cells[1].detail)
    if not shown:
        return ""
    usual = shown.most_common(1)[0][0]
    others = [
        f"{row.label} at {row.cells[1].detail}"
        for row in group.rows
        if row.cells[1].detail not in (None, "", usual)
    ]
    return f"latency at {usual}" + (f"; {', '.join(others)}" if others else "")


def _cell(cell: Cell, numbers: dict[str, int]) -> Text:
    if cell.reason is None:
        return Text(cell.text)
    return Text.assemble(cell.text, (f" [{numbers[cell.reason]}]", "dim"))


def _table() -> Table:
    return Table(box=None, pad_edge=False, header_style="bold")
