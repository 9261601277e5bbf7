"""The changes against a baseline: one line a metric, with its interval, zero in the middle.

Rules:
    * Drawn is what a test has judged, and what a gate stands on: a figure read once would only set the scale.
    * Drawn are relative changes of the headline configuration and of the whole run; points of a ratio are
      none, and stand in the table.
    * Better is a filled dot, worse a filled square, anything else a ring: no finding hangs on its colour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.toolchain.report.compare_view import metric_label
from edgepack.toolchain.report.plots.canvas import BAD, GOOD, INK, MUTED, WARN, Plot, drawing, finish
from edgepack.toolchain.results.value_text import change_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgepack.toolchain.results.change import MetricChange

_MARKS = {"better": ("o", GOOD), "worse": ("s", BAD)}
_LEAST_SPAN = 0.01


def changes_plot(changes: Sequence[MetricChange], name: str) -> Plot | None:
    """Return the plot of these changes; None where none of them is to be drawn."""
    drawn = [
        change
        for change in changes
        if change.change is not None and not change.is_points and (change.p_value is not None or change.gates)
    ]
    if not drawn:
        return None
    with drawing(height=1.0 + 0.27 * len(drawn)) as (figure, (axes,)):
        reach = _LEAST_SPAN
        for y, found in enumerate(drawn):
            by = found.change or 0.0
            marker, color = _MARKS.get(found.finding, ("o", MUTED))
            if found.low is not None and found.high is not None:
                axes.plot(
                    [found.low, found.high], [y, y], color=color, lw=3, alpha=0.4, solid_capstyle="round"
                )
                reach = max(reach, abs(found.low), abs(found.high))
            filled = color if found.finding in _MARKS else "none"
            axes.plot(by, y, marker, ms=5.5, mfc=filled, mec=color, mew=1.2)
            reach = max(reach, abs(by))
            for limit in _limits(found):
                axes.plot([limit, limit], [y - 0.36, y + 0.36], color=WARN, lw=2)
                reach = max(reach, abs(limit))
        axes.axvline(0, color=INK, lw=0.9)
        axes.set_yticks(range(len(drawn)), [metric_label(found) for found in drawn], color=INK)
        axes.set_ylim(len(drawn) - 0.4, -0.6)
        axes.set_xlim(-reach * 1.12, reach * 1.12)
        axes.locator_params(axis="x", nbins=5)
        axes.xaxis.set_major_formatter(lambda value, _: _percent(value))
        axes.set_xlabel("change against the baseline")
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        said = ", ".join(f"{c.key} {change_text(c.change or 0.0, is_points=False)}" for c in drawn)
        return finish(figure, name, "Change of each metric", f"Change against the baseline: {said}.")


def _limits(found: MetricChange) -> list[float]:
    return [result.gate.limit.amount for result in found.gates if result.gate.limit.kind == "relative"]


def _percent(value: float) -> str:
    return f"{value * 100:+,.4g} %" if value else "0"
