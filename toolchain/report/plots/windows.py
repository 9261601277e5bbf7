"""The windows of one configuration over time: latency, temperature and clock on one time axis.

Rules:
    * Every window is drawn, those that do not count too, hatched and marked with a cross.
    * Latency inside a window is the median and the span from p10 to p90 of consecutive pieces of it; a window
      of few samples shows each sample.
    * The temperature is that of the one sensor that got hottest; the clock that of the fastest core, and
      dashed the highest clock that the device allowed at that moment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.targets.units import format_hz
from edgepack.toolchain.report.plots.canvas import (
    BAD,
    INK,
    LINE,
    MAX_POINTS,
    MUTED,
    SERIES,
    WARN,
    Plot,
    drawing,
    duration_axis,
    finish,
    series_color,
    thinned,
)
from edgepack.toolchain.report.samples import reported_window
from edgepack.toolchain.report.view import describe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgepack.toolchain.report.view import ModelGroup, RunRow
    from edgepack.toolchain.results.job_record import ConfigurationSamples
    from edgepack.toolchain.results.window_record import State, Window

NS_PER_S = 1e9
_PIECES = 40
_FEW_SAMPLES = 40
_LABEL_ROOM = 0.035
_SPIKE = 2


def windows_plot(row: RunRow, group: ModelGroup, found: ConfigurationSamples) -> Plot:
    """Return the plot of one configuration of a run."""
    origin_ns = min(window.start_clock_ns for window in found.windows)
    states = _states(found.windows)
    temperatures, hot = _temperatures(states)
    clocks = [(s.clock_ns, *pair) for s in states if (pair := _fastest(s))]
    panels = [2.4] + [1.0] * (bool(temperatures) + bool(clocks))
    color = series_color(row.record.model.precision, group.precisions)
    where = describe(found)
    with drawing(height=1.1 + 0.68 * sum(panels), panels=panels) as (figure, axes):
        edges(axes, found.windows, origin_ns, reported_window(row.record, found))
        _latency(axes[0], found.windows, origin_ns, color)
        rest = iter(axes[1:])
        if temperatures:
            _line(next(rest), temperatures, origin_ns, f"°C\n{hot}", color=SERIES[4])
        if clocks:
            _clocks(next(rest), clocks, origin_ns)
        axes[-1].set_xlabel("seconds since the first window")
        figure.align_ylabels(axes)
        name = f"windows-{row.record.run_id}-{found.batch}-{found.threads}-{found.delegate}"
        return finish(figure, name, f"{row.label}, {where}: windows over time", _said(found, where))


def edges(axes: Sequence[Any], windows: Sequence[Window], origin_ns: int, reported: Window | None) -> None:
    """Mark the windows in all panels, and number them above the first one.

    A window that does not count is hatched and has a cross instead of a number; the reported one is bold.
    """
    spans = [
        ((w.start_clock_ns - origin_ns) / NS_PER_S, (w.start_clock_ns - origin_ns + w.window_ns) / NS_PER_S)
        for w in windows
    ]
    total = max(end for _, end in spans) - min(start for start, _ in spans) or 1.0
    last_label, number = float("-inf"), 0
    for window, (start, end) in zip(windows, spans, strict=True):
        number += window.rejected is None
        for panel in axes:
            if window.rejected is None:
                panel.axvspan(start, end, facecolor=LINE, alpha=0.45, lw=0)
            else:
                panel.axvspan(start, end, facecolor="none", edgecolor=WARN, alpha=0.7, hatch="////", lw=0)
        middle = (start + end) / 2
        if middle - last_label < _LABEL_ROOM * total:
            continue
        last_label = middle
        text, color = (str(number), INK) if window.rejected is None else ("x", BAD)
        axes[0].annotate(
            text, (middle, 1), (0, 2), xycoords=("data", "axes fraction"), textcoords="offset points",
            ha="center", va="bottom", fontsize=9, color=color,
            fontweight="bold" if window is reported else "normal",
        )  # fmt: skip
    for panel in axes:
        panel.grid(visible=False, axis="x")


def _latency(axes: Any, windows: Sequence[Window], origin_ns: int, color: str) -> None:  # noqa: ANN401
    for window in windows:
        shade = color if window.rejected is None else BAD
        samples = np.asarray(window.samples_ns, dtype=np.float64)
        start, length = (window.start_clock_ns - origin_ns) / NS_PER_S, window.window_ns / NS_PER_S
        if samples.size < _FEW_SAMPLES:
            keep = thinned(samples.size, MAX_POINTS // len(windows))
            axes.plot(start + (keep + 0.5) / samples.size * length, samples[keep], ".", ms=4, color=shade)
            continue
        pieces = np.array_split(samples, min(_PIECES, samples.size // 10))
        at = start + (np.arange(len(pieces)) + 0.5) / len(pieces) * length
        low, middle, high = np.array([np.percentile(piece, (10, 50, 90)) for piece in pieces]).T
        axes.fill_between(at, low, high, color=shade, alpha=0.25, lw=0)
        axes.plot(at, middle, color=shade, lw=1.4)
    _limit(axes, windows)
    duration_axis(axes.yaxis, ticks=4)
    axes.set_ylabel("latency")


def _limit(axes: Any, windows: Sequence[Window]) -> None:  # noqa: ANN401
    """Let no spike of a moment press the medians flat: the axis ends at twice the highest p90 of a window."""
    low, high = axes.dataLim.intervaly
    high = min(high, _SPIKE * max(float(np.percentile(window.samples_ns, 90)) for window in windows))
    margin = 0.12 * (high - low) or 0.1 * high
    axes.set_ylim(max(0.0, low - margin), high + margin)


def _line(
    axes: Any,  # noqa: ANN401
    points: Sequence[tuple[int, float]],
    origin_ns: int,
    label: str,
    *,
    color: str,
) -> None:
    keep = thinned(len(points), MAX_POINTS // 4)
    xs = [(points[i][0] - origin_ns) / NS_PER_S for i in keep]
    axes.plot(xs, [points[i][1] for i in keep], "o-", color=color, lw=1.3, ms=2.5)
    axes.locator_params(axis="y", nbins=3)
    axes.margins(y=0.25)
    axes.set_ylabel(label, fontsize=8.5)


def _clocks(axes: Any, points: Sequence[tuple[int, int, int | None]], origin_ns: int) -> None:  # noqa: ANN401
    keep = thinned(len(points), MAX_POINTS // 4)
    xs = [(points[i][0] - origin_ns) / NS_PER_S for i in keep]
    allowed = [(x, points[i][2]) for x, i in zip(xs, keep, strict=True) if points[i][2]]
    if allowed:
        axes.step(*zip(*allowed, strict=True), where="post", color=MUTED, lw=1, ls=(0, (4, 3)))
    axes.plot(xs, [points[i][1] for i in keep], "o-", color=SERIES[6], lw=1.3, ms=2.5)
    axes.set_ylim(0, max(max(now, most or 0) for _, now, most in points) * 1.2)
    axes.locator_params(axis="y", nbins=4)
    axes.yaxis.set_major_formatter(lambda value, _: format_hz(value) if value else "0")
    axes.set_ylabel("clock", fontsize=8.5)


def _states(windows: Sequence[Window]) -> list[State]:
    return sorted((state for window in windows for state in window.states), key=lambda state: state.clock_ns)


def _temperatures(states: Sequence[State]) -> tuple[list[tuple[int, float]], str]:
    """Return time and temperature of the sensor that got hottest, and its name."""
    seen = [(t.value, t.name) for state in states for t in state.temperatures_c or ()]
    if not seen:
        return [], ""
    hot = max(seen)[1]
    return [
        (state.clock_ns, t.value) for state in states for t in state.temperatures_c or () if t.name == hot
    ], hot


def _fastest(state: State) -> tuple[int, int | None] | None:
    now = [clock for clock in state.clocks_hz or () if clock]
    most = [clock for clock in state.max_clocks_hz or () if clock]
    return (max(now), max(most, default=None)) if now else None


def _said(found: ConfigurationSamples, where: str) -> str:
    lost = len(found.windows) - len(found.accepted)
    text = f"Latency, temperature and clock over time for {where}: {len(found.accepted)} windows count"
    return f"{text}; {lost} do not." if lost else f"{text}."
