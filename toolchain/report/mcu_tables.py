"""What a build for a microcontroller takes: flash and RAM by part, instructions by operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_UNKNOWN = "—"
_MAX_ROWS = 12
_MAX_NAME = 40


def mcu_table(report: Mapping[str, Any]) -> RenderableType:
    """Return the tables of one build; `report` is the package's build.json."""
    compiler = report["compiler"]
    title = f"{report['prefix']} for {report['target']}, built by {compiler['name']} {compiler['version']}"
    parts: list[RenderableType] = ["", Text(title, style="bold"), _memory(report)]
    if report["peak"]:
        tensors = ", ".join(f"'{_short(t['name'])}' {t['bytes']:,}" for t in report["peak"]["tensors"][:3])
        parts.append(Text(f"The arena's peak is at {report['peak']['operator']}: {tensors} bytes."))
    if report["emulated"]:
        parts += ["", *_instructions(report["emulated"])]
    else:
        parts.append(Text(f"Instructions were not counted: {report['not_emulated_reason']}."))
    return Group(*parts)


def _memory(report: Mapping[str, Any]) -> Table:
    table = _table(("flash", "bytes", "RAM", "bytes"))
    flash = report["flash_bytes"] or {"not built into an image": None}
    left = sorted(flash.items(), key=lambda item: (item[0] == "total", -(item[1] or 0)))
    ram = report["ram_bytes"]
    right = [
        ("arena", ram["arena"]),
        ("  no plan could be below", ram["arena_lower_bound"]),
        ("static variables", ram["static"]),
        ("stack (painted, emulated)", ram["stack"]),
    ]
    for row in range(max(len(left), len(right))):
        table.add_row(*_cell(left, row), *_cell(right, row))
    return table


def _instructions(emulated: Mapping[str, Any]) -> Iterable[RenderableType]:
    head = f"{emulated['instructions']:,} instructions an inference, emulated on {emulated['board']}"
    yield Text(f"{head} (instructions, not cycles)", style="bold")
    table = _table(("operator", "kernel", "instructions", "a MAC"))
    rows = sorted(emulated["operators"], key=lambda row: -row["instructions"])
    for row in rows[:_MAX_ROWS]:
        each = f"{row['instructions'] / row['macs']:.2f}" if row["macs"] else _UNKNOWN
        table.add_row(row["operator"], row["kernel"], f"{row['instructions']:,}", each)
    yield table
    if len(rows) > _MAX_ROWS:
        rest = sum(row["instructions"] for row in rows[_MAX_ROWS:])
        yield Text(f"and {rest:,} in {len(rows) - _MAX_ROWS} more operators")


def _table(columns: tuple[str, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in columns:
        numeric = heading in ("bytes", "instructions", "a MAC")
        table.add_column(heading, justify="right" if numeric else "left", overflow="fold")
    return table


def _short(name: str) -> str:
    """Return the end of a long name: what tells a fused operator's output from others."""
    return name if len(name) <= _MAX_NAME else f"…{name[-_MAX_NAME:]}"


def _cell(items: list[tuple[str, int | None]], row: int) -> tuple[str, str]:
    if row >= len(items):
        return "", ""
    name, value = items[row]
    return name, _UNKNOWN if value is None else f"{value:,}"
