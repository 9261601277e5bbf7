"""What the HTML page shows of one model on one target, before the template writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgepack.targets.units import format_bytes
from edgepack.toolchain.report.cell_table import table
from edgepack.toolchain.report.cells import DASH, Cell, quality_text
from edgepack.toolchain.report.energy import ENERGY_COLUMNS, energy_cell, has_energy
from edgepack.toolchain.report.headlines import cards, verdicts
from edgepack.toolchain.report.plots.canvas import color_of
from edgepack.toolchain.report.plots.distribution import latency_plots
from edgepack.toolchain.report.plots.size_quality import quality_plot, size_plot
from edgepack.toolchain.report.plots.throughput import throughput_plots
from edgepack.toolchain.report.run_section import run_section
from edgepack.toolchain.report.view import COLUMNS, TEXT_COLUMNS
from edgepack.toolchain.results.from_job import RATIO_METRICS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgepack.converters.graph import Graph
    from edgepack.toolchain.report.summary import BuildSummary
    from edgepack.toolchain.report.view import ModelGroup, RunRow

_MAX_LATENCY_PLOTS = 12
_MAX_THROUGHPUT_PLOTS = 18
_MAX_RUNS = 12
_OPEN_RUNS = 2
_WINDOW_PLOTS = 16
"""How many configurations of a whole model have plots of their windows; at least one a run."""


def model_section(group: ModelGroup, number: int, graphs: Mapping[str, Graph]) -> dict[str, Any]:
    """Return the section of one model.

    Args:
        group: The model's runs and builds.
        number: Makes its ids differ from those of others.
        graphs: Models at hand, by their SHA-256.
    """
    anchor = f"model-{number}"
    latency, latency_left_out = latency_plots(group, _MAX_LATENCY_PLOTS)
    throughput, throughput_left_out = throughput_plots(group, _MAX_THROUGHPUT_PLOTS)
    return {
        "anchor": anchor,
        "name": group.name,
        "target": group.target,
        "cards": cards(group),
        "verdicts": verdicts(group),
        "results": _results(group, anchor),
        "energy": _energy(group, anchor),
        "legend": [{"name": p, "color": _color(p, group)} for p in group.precisions],
        "latency": latency,
        "latency_left_out": latency_left_out,
        "throughput": throughput,
        "throughput_left_out": throughput_left_out,
        "size": size_plot(group),
        "quality": quality_plot(group),
        "runs": _runs(group, anchor, graphs),
        "runs_left_out": max(0, len(group.rows) - _MAX_RUNS),
        "open_runs": len(group.rows) <= _OPEN_RUNS,
        "searches": [_search(build) for build in group.builds if build.search],
        "tensors": _tensors(group),
        "provenance": _provenance(group),
    }


def _results(group: ModelGroup, anchor: str) -> dict[str, Any]:
    cells = [row.cells for row in group.rows]
    found = table(anchor, [group.heading(column) for column in COLUMNS], cells, left=TEXT_COLUMNS)
    return {**found, "colors": [_color(row.record.model.precision, group) for row in group.rows]}


def _energy(group: ModelGroup, anchor: str) -> dict[str, Any] | None:
    """Return the energy table of the runs that measured energy; None where none did."""
    rows = [row for row in group.rows if row.configuration and has_energy(row.record)]
    if not rows:
        return None
    columns = ("precision", "device", *ENERGY_COLUMNS)
    found = table(f"{anchor}-energy", columns, map(_energy_row, rows), left=TEXT_COLUMNS)
    return {**found, "colors": [_color(row.record.model.precision, group) for row in rows]}


def _energy_row(row: RunRow) -> list[Cell]:
    figures = (energy_cell(row.record, row.configuration, heading) for heading in ENERGY_COLUMNS)
    return [row.cell("precision"), row.cell("device"), *figures]


def _runs(group: ModelGroup, anchor: str, graphs: Mapping[str, Graph]) -> list[dict[str, Any]]:
    rows = group.rows[:_MAX_RUNS]
    plots = max(1, _WINDOW_PLOTS // max(1, len(rows)))
    return [
        run_section(
            row, group, f"{anchor}-run-{number}", graph=graphs.get(row.record.model.sha256), plots=plots
        )
        for number, row in enumerate(rows, start=1)
    ]


def _color(precision: str, group: ModelGroup) -> int:
    return color_of(precision, group.precisions)


def _search(build: BuildSummary) -> dict[str, Any]:
    is_ratio = build.metric in RATIO_METRICS
    steps = [
        {
            "description": step.description,
            "size": format_bytes(step.size_bytes),
            "metric": quality_text(step.metric, is_ratio=is_ratio),
            "drop": _drop(step.drop, is_ratio=is_ratio),
            "drop_high": None if step.drop_high is None else _drop(step.drop_high, is_ratio=is_ratio),
            "accepted": step.accepted,
        }
        for step in build.search
    ]
    return {"metric": build.metric, "steps": steps}


def _drop(drop: float, *, is_ratio: bool) -> str:
    return f"{drop * 100:.2f} points" if is_ratio else f"{drop:.4g}"


def _tensors(group: ModelGroup) -> list[dict[str, Any]]:
    return [
        {
            "precision": build.precision,
            "color": _color(build.precision, group),
            "operator": tensor.operator,
            "name": tensor.name,
            "sqnr": DASH if tensor.sqnr_db is None else f"{tensor.sqnr_db:.1f} dB",
            "error": DASH if tensor.max_step_error is None else f"{tensor.max_step_error:.3g} steps",
        }
        for build in group.builds
        for tensor in build.worst_tensors[:3]
    ]


def _provenance(group: ModelGroup) -> list[dict[str, Any]]:
    return [
        {
            "precision": row.record.model.precision,
            "color": _color(row.record.model.precision, group),
            "package_id": row.record.package.package_id,
            "model_sha256": row.record.model.sha256,
            "runtime": f"{row.record.runtime.kind} {row.record.runtime.version}",
            "run_id": row.record.run_id,
            "time": f"{row.record.time:%Y-%m-%d %H:%M %Z}",
        }
        for row in group.rows
    ]
