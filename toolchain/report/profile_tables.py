"""The most expensive operators of a run as a person reads them in the terminal, under the device's roof."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from edgepack.targets.units import format_bytes_per_s, format_count, format_duration_ns
from edgepack.toolchain.analyze.roofline import analyze_profile, top_operators
from edgepack.toolchain.report.graphs import graphs_at_hand
from edgepack.toolchain.results.profile_record import Profile, Roofline

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from rich.console import RenderableType

    from edgepack.converters.graph import Graph
    from edgepack.toolchain.analyze.roofline import Point, ProfileAnalysis
    from edgepack.toolchain.results.schema import RunRecord

TOP = 10
_UNKNOWN = "—"
_METHODS = {
    "runtime": "timed by the runtime itself",
    "truncated": "derived from models cut off after each operator",
}
_COLUMNS = (
    ("#", True), ("operator", False), ("kernel", False), ("time", True), ("share", True), ("MACs", True),
    ("rate", True), ("limited by", False), ("of the roof", True),
)  # fmt: skip


def profile_tables(records: Sequence[RunRecord], packages: Iterable[Path]) -> list[RenderableType]:
    """Return the table of each run that was profiled and whose package is at hand."""
    graphs = graphs_at_hand(records, packages)
    return [
        Group(
            Text(f"{record.model.precision} · {record.device.name}", style="bold"),
            profile_table(record, graph),
        )
        for record in records
        if record.profile is not None and (graph := graphs.get(record.model.sha256)) is not None
    ]


def profile_table(record: RunRecord, graph: Graph) -> RenderableType:
    """Return the ten most expensive operators of a run, the whole model below them.

    Args:
        record: The run; one without a profile says why.
        graph: The model that it ran.
    """
    profile, roofline = record.profile, record.roofline
    if not isinstance(profile, Profile):
        reason = profile.unavailable if profile else "not asked for: `edgepack bench --profile`"
        return Text(f"profile: unavailable: {reason}", style="dim")
    measured = roofline if isinstance(roofline, Roofline) else None
    analysis = analyze_profile(graph, profile, measured)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading, right in _COLUMNS:
        table.add_column(heading, justify="right" if right else "left", overflow="fold")
    for point in top_operators(analysis, TOP):
        table.add_row(*_cells(point))
    table.add_section()
    table.add_row(*_cells(analysis.model), style="bold")
    lines = [*_about(profile, analysis), *_roof(analysis, record)]
    return Group(table, *(Text(line, style="dim") for line in lines))


def _cells(point: Point) -> list[str]:
    time = _UNKNOWN if point.time_ns is None else format_duration_ns(point.time_ns)
    if point.error_ns is not None:
        time += f" ± {format_duration_ns(point.error_ns)}"
    return [
        "" if point.index is None else str(point.index),
        point.op,
        " + ".join(kernel.replace(" (", "\u00a0(") for kernel in point.kernels if kernel != point.op),
        time,
        _percent(point.share),
        _UNKNOWN if point.macs is None else format_count(point.macs) if point.macs else "",
        _rate(point.macs_per_s) if point.macs != 0 else "",
        point.bound or _UNKNOWN,
        _percent(point.roof_share),
    ]


def _about(profile: Profile, analysis: ProfileAnalysis) -> list[str]:
    """Say how the times were taken, and what is missing from the rows."""
    timed = sum(point.time_ns is not None for point in analysis.operators)
    plural = "" if profile.threads == 1 else "s"
    sum_of_all = f"sum of all {timed} {format_duration_ns(profile.total_ns)}"
    lines = [
        f"{_METHODS[profile.method]}, {profile.threads} thread{plural}; ± with 95 % confidence; {sum_of_all}"
    ]
    if profile.plain_ns:
        off = profile.total_ns / profile.plain_ns - 1
        lines[0] += f", {off:+.1%} to the latency without profiling"
    without = [f"{point.index} {point.op}" for point in analysis.operators if point.time_ns is None]
    if without:
        lines.append(f"fused into a neighbour, or removed by the runtime: {', '.join(without)}")
    if analysis.apart:
        time = format_duration_ns(analysis.apart_ns)
        lines.append(f"{time} in kernels that belong to no one operator: {', '.join(analysis.apart)}")
    return [*lines, *([profile.note] if profile.note else [])]


def _roof(analysis: ProfileAnalysis, record: RunRecord) -> list[str]:
    """Say what the roof is, or why there is none."""
    roof = analysis.roof
    if roof is None:
        found = record.roofline
        reason = (
            found.unavailable if found is not None and not isinstance(found, Roofline) else "not measured"
        )
        return [f"roof: unavailable: {reason}"]
    peaks = ", ".join(f"{dtype} {_rate(rate)}" for dtype, rate in sorted(roof.peaks.items()))
    nearest, farthest = roof.bandwidths[0][1], roof.bandwidths[-1][1]
    memory = (
        f"{format_bytes_per_s(nearest)} from the nearest cache, {format_bytes_per_s(farthest)} from memory"
    )
    note = getattr(record.roofline, "note", None)
    return [f"roof of this device, measured: {peaks}; {memory}", *([note] if note else [])]


def _rate(macs_per_s: float | None) -> str:
    return _UNKNOWN if macs_per_s is None else f"{format_count(macs_per_s)}MAC/s"


def _percent(fraction: float | None) -> str:
    return _UNKNOWN if fraction is None else f"{fraction:.1%}"
