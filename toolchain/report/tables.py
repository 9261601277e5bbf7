"""Runs as a person reads them in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from edgepack.targets.units import format_bytes
from edgepack.toolchain.report.view import (
    COLUMNS,
    DASH,
    Cell,
    describe,
    footnotes,
    group_models,
    quality_text,
    unavailable_configurations,
)
from edgepack.toolchain.results.from_job import RATIO_METRICS

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


def build_table(builds: Sequence[BuildSummary]) -> Table:
    """Return one row a build: precision, sizes, quality against float."""
    table = _table()
    for heading in ("package", "target", "precision"):
        table.add_column(heading, overflow="fold")
    for heading in ("model", "package", "quality", "float", "agreement"):
        table.add_column(heading, justify="right")
    for build in builds:
        values = [_quality(build, value) for value in (build.deployed_value, build.float_value)]
        agreement = build.top1_agreement
        table.add_row(
            Text(build.name, style="cyan"),
            Text(build.target),
            Text(build.precision),
            format_bytes(build.model_bytes),
            format_bytes(build.package_bytes),
            *values,
            DASH if agreement is None else quality_text(agreement, is_ratio=True),
        )
    return table


def search_table(build: BuildSummary) -> Table:
    """Return the path that `auto` took, one row a step."""
    table = _table()
    for heading, right in (("step", False), ("size", True), ("quality", True), ("drop", True), ("", False)):
        table.add_column(heading, justify="right" if right else "left", overflow="fold")
    for step in build.search:
        verdict = Text("accepted", style="green") if step.accepted else Text("too much", style="red")
        sign = "+" if step.drop < 0 else "-"
        table.add_row(
            Text(step.description),
            format_bytes(step.size_bytes),
            _quality(build, step.metric),
            f"{sign}{_quality(build, abs(step.drop))}" if step.drop else _quality(build, 0.0),
            verdict,
        )
    return table


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
    found = {row.cells[1].detail: row.record.device.name for row in group.rows if row.cells[1].detail}
    if len(found) == 1:
        return f"latency at {next(iter(found))}"
    return "latency at the smallest batch with the best thread count: " + ", ".join(
        f"{row.label} {row.cells[1].detail}" for row in group.rows if row.cells[1].detail
    )


def _cell(cell: Cell, numbers: dict[str, int]) -> Text:
    if cell.reason is None:
        return Text(cell.text)
    return Text.assemble(cell.text, (f" [{numbers[cell.reason]}]", "dim"))


def _quality(build: BuildSummary, value: float | None) -> str:
    return DASH if value is None else quality_text(value, is_ratio=build.metric in RATIO_METRICS)


def _table() -> Table:
    return Table(box=None, pad_edge=False, header_style="bold")
