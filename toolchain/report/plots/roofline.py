"""The roofline of a device with a model's operators under it.

Rules:
    * Both axes are logarithmic: MACs per byte moved, and MACs per second.
    * The roof is drawn twice for each type that the model computes in: with the bandwidth of the largest
      working set (memory) and of the smallest (the nearest cache); an operator's own lies between the two.
    * A dot is an operator, its area its share of the time, its number its rank in the table beside.

Source: Williams, Waterman, Patterson, "Roofline", CACM 52 (2009), 65-76.
"""

from __future__ import annotations

from dataclasses import replace
from math import atan2, degrees, hypot, sqrt
from typing import TYPE_CHECKING, Any

from edgepack.targets.units import format_bytes, format_bytes_per_s
from edgepack.toolchain.report.operators import format_rate
from edgepack.toolchain.report.plots.canvas import CARD, INK, MUTED, Plot, drawing, finish, series_color
from edgepack.toolchain.report.plots.labels import Mark, place_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgepack.toolchain.analyze.roof import Roof
    from edgepack.toolchain.analyze.roofline import Point, ProfileAnalysis
    from edgepack.toolchain.report.operators import OperatorTable
    from edgepack.toolchain.report.view import ModelGroup, RunRow

_CAPTION = (
    "A dot is an operator, numbered as in the table; its area is its share of the time. The diamond is the "
    "whole model. Solid: the roof when data comes from memory; dashed: from the nearest cache."
)
_LABEL_POINTS = 9.0
_MARGIN = 3.0
_DECADES = 300.0
_ROOM = 4.0  # how far a slope must reach for its name to fit beside it


def roofline_plot(row: RunRow, group: ModelGroup, table: OperatorTable) -> Plot | None:
    """Return the plot; None where roof or model are not known."""
    analysis = table.analysis
    if analysis is None or analysis.roof is None:
        return None
    placed = [(n, p) for n, p in enumerate(table.points, start=1) if p.intensity and p.macs_per_s]
    types = sorted({p.dtype for _, p in placed if p.dtype in analysis.roof.peaks and p.dtype})
    if not types:
        return None
    color = series_color(row.record.model.precision, group.precisions)
    title = f"{row.label}: roofline, {analysis.threads} thread{'s' if analysis.threads > 1 else ''}"
    with drawing(height=3.6) as (figure, (axes,)):
        _axes(axes, analysis, [point for _, point in placed], types)
        figure.draw_without_rendering()  # only now it is known where a value lies on the page
        for dtype in types:
            _roof(axes, analysis.roof, dtype, [point for _, point in placed])
        _points(figure, axes, placed, analysis.model, color)
        plot = finish(figure, f"roofline-{row.record.run_id}", title, _said(analysis))
    return replace(plot, caption=_CAPTION)


def _roof(axes: Any, roof: Roof, dtype: str, points: Sequence[Point]) -> None:  # noqa: ANN401
    (left, right), (bottom, _) = axes.get_xlim(), axes.get_ylim()
    peak = roof.peaks[dtype]
    smallest, largest = roof.bandwidths[0], roof.bandwidths[-1]
    for (size, bandwidth), style, name in ((smallest, (0, (4, 3)), "cache"), (largest, "-", "memory")):
        axes.plot(*zip(*roof.line(dtype, size, right), strict=True), color=MUTED, lw=1.3, ls=style)
        start, end = max(left, bottom / bandwidth), peak / bandwidth
        if end > start * _ROOM:
            at = _clear(axes, points, start, end, bandwidth)
            axes.annotate(
                f"{name} {format_bytes_per_s(bandwidth)}", at, (-4, 4), textcoords="offset points",
                fontsize=8.5, color=MUTED, ha="center", va="bottom", rotation=_steepness(axes),
                rotation_mode="anchor",
            )  # fmt: skip
    axes.annotate(
        f"{dtype} peak {format_rate(peak)}", (right, peak), (0, 3),
        textcoords="offset points", ha="right", va="bottom", fontsize=8.5, color=MUTED,
    )  # fmt: skip


def _clear(
    axes: Any,  # noqa: ANN401
    points: Sequence[Point],
    start: float,
    end: float,
    bandwidth: float,
) -> tuple[float, float]:
    """Return the place on a slope, between two intensities, that is farthest from any point."""
    places = [start * (end / start) ** share for share in (0.3, 0.4, 0.5)]
    drawn = axes.transData.transform([(p.intensity, p.macs_per_s) for p in points])

    def room(intensity: float) -> float:
        x, y = axes.transData.transform((intensity, intensity * bandwidth))
        return min(hypot(x - u, y - v) for u, v in drawn)

    best = max(places, key=room)
    return best, best * bandwidth


def _steepness(axes: Any) -> float:  # noqa: ANN401
    """Return the angle on the page, in degrees, of a line on which rate grows as intensity does."""
    (left, _), (bottom, _) = axes.get_xlim(), axes.get_ylim()
    start, end = axes.transData.transform([(left, bottom), (left * 10, bottom * 10)])
    return degrees(atan2(end[1] - start[1], end[0] - start[0]))


def _points(
    figure: Any,  # noqa: ANN401
    axes: Any,  # noqa: ANN401
    placed: Sequence[tuple[int, Point]],
    model: Point,
    color: str,
) -> None:
    """Draw operators and model, each with a label that lies on no other."""
    labels = [("model", model, 36.0)] if model.intensity and model.macs_per_s else []
    labels += [(str(rank), point, 25 + 320 * max(0.0, point.share or 0.0)) for rank, point in placed]
    marks = []
    for text, point, area in labels:
        x, y = axes.transData.transform((point.intensity, point.macs_per_s)) * 72 / figure.dpi
        marks.append(Mark(x, y, sqrt(area) / 2, 5.4 * len(text), _LABEL_POINTS))
    for (text, point, area), offset in zip(labels, place_labels(marks), strict=True):
        at = (point.intensity, point.macs_per_s)
        if point is model:
            axes.plot(*at, "D", ms=7, mfc="none", mec=INK, mew=1.5, zorder=4)
        else:
            axes.scatter(*at, s=area, color=color, alpha=0.75, lw=0.8, edgecolors=CARD, zorder=3)
        axes.annotate(
            text, at, (offset.dx, offset.dy), textcoords="offset points", ha="center", va="center",
            fontsize=8.5, fontweight="bold" if point is model else "normal", color=INK, zorder=5,
            arrowprops={"arrowstyle": "-", "lw": 0.6, "color": MUTED} if offset.leads else None,
        )  # fmt: skip


def _axes(axes: Any, analysis: ProfileAnalysis, points: Sequence[Point], types: Sequence[str]) -> None:  # noqa: ANN401
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    roof = analysis.roof
    assert roof is not None
    drawn = [*points, analysis.model]
    intensities = [point.intensity for point in drawn if point.intensity]
    rates = [point.macs_per_s for point in drawn if point.macs_per_s]
    peaks = [roof.peaks[dtype] for dtype in types]
    ridges = [peak / roof.bandwidths[-1][1] for peak in peaks]
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(min(*intensities, *ridges) / _MARGIN, max(*intensities, *ridges) * _MARGIN)
    axes.set_ylim(min(*rates, *peaks) / _MARGIN, max(*rates, *peaks) * 2)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_rate(value)))
    for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        axis.set_major_locator(LogLocator(subs=(1.0,) if high / low > _DECADES else (1.0, 2.0, 5.0)))
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("multiply-accumulates per byte moved")
    axes.set_ylabel("achieved")


def _said(analysis: ProfileAnalysis) -> str:
    model = analysis.model
    if model.macs_per_s is None or model.bound is None or model.roof_share is None:
        return "Operators of the model under the device's roof."
    working_set = format_bytes(model.working_set_bytes)
    return (
        f"The model reaches {format_rate(model.macs_per_s)}, {model.roof_share:.0%} of its roof, bound by "
        f"{model.bound}; its working set is {working_set}."
    )
