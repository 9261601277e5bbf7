"""Runs as Markdown tables, for a pull request or a wiki."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edgepack.targets.units import format_bytes
from edgepack.toolchain.report.details import QUICK_EXPLAINED
from edgepack.toolchain.report.trust import why_unstable
from edgepack.toolchain.report.view import (
    TEXT_COLUMNS,
    describe,
    footnotes,
    group_models,
    unavailable_configurations,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edgepack.toolchain.report.cells import Cell
    from edgepack.toolchain.report.summary import BuildSummary
    from edgepack.toolchain.report.view import ModelGroup
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
    columns = group.measured_columns
    numbers = footnotes(group.rows, columns)
    lines = _table(
        [group.heading(column) for column in columns],
        [[_cell(row.cell(column), numbers, column) for column in columns] for row in group.rows],
        left=[column in TEXT_COLUMNS for column in columns],
        raw=True,
    )
    lines += ["", "Latency at the smallest batch with the best thread count, with its 95 % interval:", ""]
    lines += [
        f"- {escape(f'{row.label}: {place}')}" for row in group.rows if (place := row.cell("device").detail)
    ]
    notes = [f"- [{number}] {escape(reason)}" for reason, number in numbers.items()]
    return [*lines, "", *notes, *_below(group)]


def _below(group: ModelGroup) -> list[str]:
    notes = []
    for row in group.rows:
        if reason := why_unstable(row.record, row.configuration):
            notes.append(f"- **{escape(row.label)}**: {escape(reason)}")
        for reason, places in unavailable_configurations(row.record).items():
            where = "; ".join(map(describe, places))
            notes.append(f"- {escape(f'{row.label}: {where}: did not run: {reason}')}")
    if any(row.record.spec.quick for row in group.rows):
        notes.append(f"- {escape(QUICK_EXPLAINED)}")
    if any(row.record.emulated for row in group.rows):
        notes.append("- **Emulated devices: their figures say nothing about real hardware.**")
    if "energy" not in group.measured_columns:
        reasons = dict.fromkeys(str(row.cell("energy").reason) for row in group.rows)
        notes.append(f"- {escape('Energy is unavailable: ' + '; '.join(reasons))}")
    return notes


def _table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    left: Sequence[bool] = (True, False, False),
    raw: bool = False,
) -> list[str]:
    form = str if raw else escape
    lines = [" | ".join(map(escape, headings)), " | ".join("---" if words else "---:" for words in left)]
    lines += [" | ".join(form(text) for text in row) for row in rows]
    return [f"| {line} |" for line in lines]


def _cell(cell: Cell, numbers: dict[str, int], column: str) -> str:
    text = escape(cell.text) + (f" [{numbers[cell.reason]}]" if cell.reason else "")
    shows_detail = column in ("precision", "p50", "p90", "verdict", "energy") and cell.detail
    return f"{text} ({escape(cell.detail)})" if shows_detail and cell.detail else text
