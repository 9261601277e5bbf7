"""Throughput against batch and threads: one plot a run, a line a thread count and delegate."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edgepack.targets.units import format_count
from edgepack.toolchain.report.plots.canvas import INK, Plot, drawing, finish, series_color
from edgepack.toolchain.report.view import describe
from edgepack.toolchain.results.schema import Metric
from edgepack.toolchain.results.sweep import sweep_summary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgepack.toolchain.measure.sweep import SweepPoint
    from edgepack.toolchain.report.view import ModelGroup, RunRow
    from edgepack.toolchain.results.job_record import Configuration
    from edgepack.toolchain.results.sweep import SweepSummary


def throughput_plots(group: ModelGroup, limit: int) -> tuple[list[Plot], int]:
    """Return one plot a run in which more than one configuration ran, and how many runs were left out.

    Plots of one device have one scale.
    """
    drawn = []
    for device in group.devices:
        rows = [row for row in group.rows if row.record.device.name == device and row.configuration]
        largest = max((m.value for row in rows for m, _ in _throughputs(row)), default=0.0)
        drawn += [(row, largest) for row in rows if len(_throughputs(row)) > 1]
    return [_throughput(row, group, largest) for row, largest in drawn[:limit]], max(0, len(drawn) - limit)


def _throughput(row: RunRow, group: ModelGroup, largest: float) -> Plot:
    found = _throughputs(row)
    color = series_color(row.record.model.precision, group.precisions)
    lines = sorted({(place.threads, place.delegate) for _, place in found})
    batches = sorted({place.batch for _, place in found})
    with drawing(width=3.1, height=2.3) as (figure, (axes,)):
        for number, line in enumerate(lines, start=1):
            points = sorted((p.batch, m.value) for m, p in found if (p.threads, p.delegate) == line)
            xs, ys = [batches.index(batch) for batch, _ in points], [value for _, value in points]
            style = "o-" if line[1] == "xnnpack" else "s--"
            axes.plot(xs, ys, style, color=color, alpha=0.4 + 0.6 * number / len(lines), lw=1.6, ms=4)
        summaries = sweep_summary(row.record)
        _mark_knees(axes, [summary.knee.knee for summary in summaries], batches)
        _name_lines(axes, lines, found, batches, largest)
        _axes(axes, batches, largest)
        best, place = max(found, key=lambda pair: pair[0].value)
        text = "Inferences per second against batch, a line a thread count. "
        text += f"Best: {format_count(best.value)} at {describe(place)}."
        plot = finish(figure, f"throughput-{row.record.run_id}", row.label, text)
    return replace(plot, caption=_sentences(summaries))


def _sentences(summaries: Sequence[SweepSummary]) -> str:
    """Return what each delegate's sweep says; a delegate that is alone needs no name."""
    if len(summaries) == 1:
        return summaries[0].sentence
    names = {"xnnpack": "XNNPACK", "none": "Built-in kernels"}
    return " ".join(f"{names.get(s.delegate, s.delegate)}: {s.sentence}" for s in summaries)


def _mark_knees(axes: Any, knees: Sequence[SweepPoint], batches: Sequence[int]) -> None:  # noqa: ANN401
    for point in knees:
        x, y = batches.index(point.batch), point.throughput_per_s
        axes.plot(x, y, "o", ms=11, mfc="none", mec=INK, mew=1.1)
        axes.annotate("knee", (x, y), (0, 8), textcoords="offset points", ha="center", fontsize=8, color=INK)


def _axes(axes: Any, batches: Sequence[int], largest: float) -> None:  # noqa: ANN401
    axes.set_xticks(range(len(batches)), [str(batch) for batch in batches])
    axes.set_xlim(-0.25, len(batches) - 1 + 0.36 * max(1, len(batches) - 1))
    axes.set_ylim(0, largest * 1.18)
    axes.yaxis.set_major_formatter(lambda value, _: format_count(value) if value else "0")
    axes.locator_params(axis="y", nbins=4)
    axes.set_xlabel("batch")
    axes.set_ylabel("inferences/s")


def _name_lines(
    axes: Any,  # noqa: ANN401
    lines: Sequence[tuple[int, str]],
    found: Sequence[tuple[Metric, Configuration]],
    batches: Sequence[int],
    largest: float,
) -> None:
    """Write each line's name at its right end, pushed apart so that no two overlap."""
    ends = []
    for threads, delegate in lines:
        batch, value = max(
            (p.batch, m.value) for m, p in found if (p.threads, p.delegate) == (threads, delegate)
        )
        name = f"{threads} thr" + ("" if delegate == "xnnpack" else ", built-in")
        ends.append((value, batches.index(batch), name))
    at = float("-inf")
    for value, x, name in sorted(ends):
        at = max(value, at + 0.075 * largest)
        axes.annotate(name, (x, at), (6, 0), textcoords="offset points", va="center", fontsize=8, color=INK)


def _throughputs(row: RunRow) -> list[tuple[Metric, Configuration]]:
    return [
        (metric, metric.configuration)
        for metric in row.record.metrics
        if isinstance(metric, Metric) and metric.name == "throughput" and metric.configuration
    ]
