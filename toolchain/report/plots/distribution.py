"""The distribution of latency: one plot a device, a line a precision, with the intervals of p50 and p90.

Rules:
    * The strong line is the reported window, which p50 and p90 are of; the others that count are faint.
    * A bar at p50 and p90 is the 95 % interval that the record holds; nothing is computed here.
    * What is cut off at the right is said in the description.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.targets.units import format_duration_ns
from edgepack.toolchain.report.cells import format_range
from edgepack.toolchain.report.plots.canvas import (
    CARD,
    MAX_POINTS,
    Plot,
    drawing,
    duration_axis,
    finish,
    series_color,
    thinned,
)
from edgepack.toolchain.report.samples import reported_window, samples_of
from edgepack.toolchain.results.schema import Metric

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edgepack.toolchain.report.view import ModelGroup, RunRow

_SHARES = {"p50": 0.5, "p90": 0.9}
_FAINT_SHARE = 0.4
_CUT_PERCENTILE = 99.5
_TAIL = 4


def latency_plots(group: ModelGroup, limit: int) -> tuple[list[Plot], int]:
    """Return one plot a device, and how many devices were left out.

    A plot shows the share of inferences that took at most so long.
    """
    by_device = [
        (device, [row for row in group.rows if row.record.device.name == device and row.configuration])
        for device in group.devices
    ]
    drawn = [(device, rows) for device, rows in by_device if rows]
    return [_latency(group, device, rows) for device, rows in drawn[:limit]], max(0, len(drawn) - limit)


def _latency(group: ModelGroup, device: str, rows: Sequence[RunRow]) -> Plot:
    fastest, slowest, said, shown = float("inf"), 0.0, [], []
    faint_points, strong_points = _budget(rows)
    emulated = " (emulated)" if any(row.record.emulated for row in rows) else ""
    with drawing(height=2.9) as (figure, (axes,)):
        for row in rows:
            color = series_color(row.record.model.precision, group.precisions)
            reported, others = _windows(row)
            for window in others:
                _curve(axes, window, faint_points, color=color, lw=0.8, alpha=0.35)
            _curve(axes, reported, strong_points, color=color, lw=1.9)
            _intervals(axes, row, color)
            slowest = max(slowest, _edge(reported))
            shown.append(reported)
            fastest = min(fastest, float(reported[0]))
            said.append(_said(row))
        margin = slowest - fastest or slowest * 0.05 or 1.0
        axes.set_xlim(max(0.0, fastest - 0.06 * margin), slowest + 0.04 * margin)
        duration_axis(axes.xaxis)
        axes.set_xlabel("latency of one invocation")
        axes.set_yticks([0.5, 0.9, 0.99], ["p50", "p90", "p99"])
        axes.set_ylim(0, 1.03)
        text = f"Share of inferences that took at most so long, on {device}{emulated}. {' '.join(said)} "
        text += "The slowest 0.5 % lie beyond the right edge."
        name = f"latency-{group.name}-{group.target}-{device}"
        return finish(
            figure, name, f"{device}{emulated}: share of inferences done in at most this time", text
        )


def _budget(rows: Sequence[RunRow]) -> tuple[int, int]:
    """Return how many points a faint and a strong line may have; a step takes two to draw one."""
    faint = sum(len(_windows(row)[1]) for row in rows)
    each = MAX_POINTS // 2
    return max(12, int(each * _FAINT_SHARE / max(1, faint))), int(each * (1 - _FAINT_SHARE) / len(rows))


def _windows(row: RunRow) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
    """Return the sorted samples of the reported window, and those of the other windows that count."""
    assert row.configuration is not None
    found = samples_of(row.record, row.configuration)
    assert found is not None
    reported = reported_window(row.record, found)
    others = [window for window in found.accepted if window is not reported]
    ordered = [np.sort(np.asarray(w.samples_ns, dtype=np.float64)) for w in (reported, *others)]
    return ordered[0], ordered[1:]


def _edge(ordered: NDArray[np.float64]) -> float:
    """Return how far the axis goes for a line: most of its tail, but not so far that nothing else is seen."""
    p90, most = np.percentile(ordered, [90, _CUT_PERCENTILE])
    return float(min(most, p90 + _TAIL * (p90 - ordered[0])))


def _curve(axes: Any, ordered: NDArray[np.float64], points: int, **style: Any) -> None:  # noqa: ANN401
    keep = thinned(ordered.size, points)
    axes.step(ordered[keep], (keep + 1) / ordered.size, where="post", **style)


def _intervals(axes: Any, row: RunRow, color: str) -> None:  # noqa: ANN401
    for how, share in _SHARES.items():
        metric = row.record.find("latency", how, row.configuration)
        if not isinstance(metric, Metric):
            continue
        if metric.low is not None and metric.high is not None:
            ends = [metric.low, metric.high]
            axes.plot(ends, [share, share], color=color, lw=5, alpha=0.4, solid_capstyle="butt", zorder=3)
        axes.plot(metric.value, share, "o", ms=5, color=color, mec=CARD, mew=1, zorder=4)


def _said(row: RunRow) -> str:
    texts = []
    for how in _SHARES:
        metric = row.record.find("latency", how, row.configuration)
        if isinstance(metric, Metric):
            interval = format_range(metric.low, metric.high, format_duration_ns)
            texts.append(f"{how} {format_duration_ns(metric.value)}" + (f" ({interval})" if interval else ""))
    return f"{row.record.model.precision}: {', '.join(texts)}."
