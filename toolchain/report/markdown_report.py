"""Runs as Markdown tables, for a pull request or a wiki."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edgepack.targets.units import format_bytes
from edgepack.toolchain.report.view import (
    COLUMNS,
    describe,
    footnotes,
    group_models,
    unavailable_configurations,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edgepack.toolchain.report.summary import BuildSummary
    from edgepack.toolchain.report.view import Cell, ModelGroup
    from edgepack.toolchain.results.schema import RunRecord

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~!])")


def markdown_report(records: Sequence[RunRecord], builds: Sequence[BuildSummary] = ()) -> str:
    """Return one section a model and target."""
    sections = [_section(group) for group in group_models(records, builds)]
    return "\n".join(sections)


def escape(text: str) -> str:
    """Return a text that Markdown shows as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _section(group: ModelGroup) -> str:
    lines = [f"## {escape(group.name)} for {escape(group.target)}", ""]
    if group.rows:
        lines += _runs(group)
    else:
        rows = [
            (b.precision, format_bytes(b.model_bytes), format_bytes(b.package_bytes)) for b in group.builds
        ]
        lines += _table(("precision", "model", "package"), rows)
    return "\n".join([*lines, ""])


def _runs(group: ModelGroup) -> list[str]:
    numbers = footnotes(group.rows)
    headings = [
        f"{group.metric} host → device" if column == "quality" and group.metric else column
        for column in COLUMNS
    ]
    lines = _table(headings, [[_cell(cell, numbers) for cell in row.cells] for row in group.rows], raw=True)
    lines += ["", "Latency at the smallest batch with the best thread count:", ""]
    lines += [
        f"- {escape(f'{row.label}: {row.cells[1].detail}')}" for row in group.rows if row.cells[1].detail
    ]
    notes = [f"- [{number}] {escape(reason)}" for reason, number in numbers.items()]
    for row in group.rows:
        for reason, places in unavailable_configurations(row.record).items():
            where = "; ".join(map(describe, places))
            notes.append(f"- {escape(f'{row.label}: {where}: did not run: {reason}')}")
    if any(row.record.emulated for row in group.rows):
        notes.append("- **Emulated devices: their figures say nothing about real hardware.**")
    return [*lines, "", *notes] if notes else lines


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, raw: bool = False) -> list[str]:
    form = str if raw else escape
    lines = [
        " | ".join(map(escape, headings)),
        " | ".join("---" if i < 2 else "---:" for i in range(len(headings))),
    ]
    lines += [" | ".join(form(text) for text in row) for row in rows]
    return [f"| {line} |" for line in lines]


def _cell(cell: Cell, numbers: dict[str, int]) -> str:
    return escape(cell.text) + (f" [{numbers[cell.reason]}]" if cell.reason else "")
