"""Power over time for one configuration, with the edges of the windows and the idle level.

Rules:
    * The trace is the sensor's, thinned by averaging; energy is never computed from it.
    * Idle is drawn where it was measured: before the first window and after the last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.targets.units import format_power_mw
from edgepack.toolchain.report.plots.canvas import (
    GOOD,
    MAX_POINTS,
    Plot,
    drawing,
    finish,
    series_color,
    thinned,
)
from edgepack.toolchain.report.plots.windows import NS_PER_S, edges
from edgepack.toolchain.report.samples import reported_window
from edgepack.toolchain.report.view import describe
from edgepack.toolchain.results.window_record import PowerReading

if TYPE_CHECKING:
    from edgepack.toolchain.report.view import ModelGroup, RunRow
    from edgepack.toolchain.results.job_record import ConfigurationSamples


def power_plot(row: RunRow, group: ModelGroup, found: ConfigurationSamples) -> Plot | None:
    """Return the plot of one configuration; None where no window has a trace of power."""
    busy = [w.power for w in found.windows if isinstance(w.power, PowerReading) and w.power.trace]
    if not busy:
        return None
    idle = _idle(found)
    origin_ns = min(window.start_clock_ns for window in found.windows)
    color = series_color(row.record.model.precision, group.precisions)
    limit = MAX_POINTS // (len(busy) + len(idle))
    with drawing(height=4.1) as (figure, (axes,)):
        edges([axes], found.windows, origin_ns, reported_window(row.record, found))
        for readings, shade in ((busy, color), (idle, GOOD)):
            for reading in readings:
                if reading.trace and reading.trace.clock_ns:
                    keep = thinned(len(reading.trace.clock_ns), limit)
                    xs = [(reading.trace.clock_ns[i] - origin_ns) / NS_PER_S for i in keep]
                    axes.plot(xs, [reading.trace.watts[i] for i in keep], color=shade, lw=1.3)
        level = _level(idle)
        if level is not None:
            axes.axhline(level, color=GOOD, lw=1.1, ls=(0, (4, 3)))
            axes.annotate(
                f"idle {format_power_mw(level * 1000)}", (1, level), (0, -3),
                xycoords=("axes fraction", "data"), textcoords="offset points", ha="right", va="top",
                fontsize=8.5, color=GOOD,
            )  # fmt: skip
        axes.set_ylim(0, max(r.peak_w for r in (*busy, *idle)) * 1.18)
        axes.yaxis.set_major_formatter(lambda value, _: format_power_mw(value * 1000) if value else "0")
        axes.set_ylabel("power")
        axes.set_xlabel("seconds since the first window")
        where = describe(found)
        average = sum(r.joules for r in busy) / (sum(r.duration_ns for r in busy) / NS_PER_S)
        text = f"Power over time for {where}: {format_power_mw(average * 1000)} on average while inferring"
        text += "." if level is None else f", {format_power_mw(level * 1000)} idle."
        name = f"power-{row.record.run_id}-{found.batch}-{found.threads}-{found.delegate}"
        return finish(figure, name, f"{row.label}, {where}: power over time", text)


def _idle(found: ConfigurationSamples) -> list[PowerReading]:
    if found.idle is None:
        return []
    return [reading for reading in (found.idle.before, found.idle.after) if isinstance(reading, PowerReading)]


def _level(idle: list[PowerReading]) -> float | None:
    seconds = sum(reading.duration_ns for reading in idle) / NS_PER_S
    return sum(reading.joules for reading in idle) / seconds if seconds else None
