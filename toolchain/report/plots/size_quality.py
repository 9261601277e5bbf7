"""What each precision costs: size of the model, and quality on host and device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgepack.targets.units import format_bytes
from edgepack.toolchain.report.cells import quality_text
from edgepack.toolchain.report.plots.canvas import INK, MUTED, Plot, drawing, finish, series_color
from edgepack.toolchain.report.view import precision_rank
from edgepack.toolchain.results.from_job import RATIO_METRICS
from edgepack.toolchain.results.schema import Metric

if TYPE_CHECKING:
    from edgepack.toolchain.report.view import ModelGroup


def size_plot(group: ModelGroup) -> Plot | None:
    """Return the model's size at each precision."""
    sizes: dict[str, float] = {build.precision: build.model_bytes for build in group.builds}
    sizes |= {row.record.model.precision: row.record.model.size_bytes for row in group.rows}
    if not sizes:
        return None
    names = sorted(sizes, key=precision_rank)
    with drawing(height=0.62 + 0.34 * len(names)) as (figure, (axes,)):
        colors = [series_color(name, group.precisions) for name in names]
        axes.barh(range(len(names)), [sizes[name] for name in names], height=0.56, color=colors)
        for y, name in enumerate(names):
            axes.annotate(
                format_bytes(sizes[name]), (sizes[name], y), (5, 0), textcoords="offset points", va="center"
            )
        axes.set_yticks(range(len(names)), names, color=INK)
        axes.set_xlim(0, max(sizes.values()) * 1.28)
        axes.xaxis.set_visible(False)
        axes.spines[:].set_visible(False)
        axes.grid(visible=False)
        axes.invert_yaxis()
        text = ", ".join(f"{name} {format_bytes(sizes[name])}" for name in names)
        return finish(
            figure, f"size-{group.name}-{group.target}", "Model size", f"Size of the model: {text}."
        )


def quality_plot(group: ModelGroup) -> Plot | None:
    """Return the quality at each precision: the host as a ring, each device as a dot with its interval."""
    host = _host_values(group)
    device = [(row, m) for row in group.rows if isinstance(m := row.record.find("quality_device"), Metric)]
    names = sorted({*host, *(row.record.model.precision for row, _ in device)}, key=precision_rank)
    if not names:
        return None
    is_ratio = group.metric in RATIO_METRICS
    with drawing(height=0.95 + 0.34 * len(names)) as (figure, (axes,)):
        for row, metric in device:
            _dot(axes, names.index(row.record.model.precision), metric, group)
        for name, value in host.items():
            axes.plot(value, names.index(name), "o", ms=9, mfc="none", mec=INK, mew=1.1)
        if (reference := _float_value(group)) is not None:
            axes.axvline(reference, color=MUTED, lw=1, ls=(0, (4, 3)))
        axes.set_yticks(range(len(names)), names, color=INK)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.xaxis.set_major_formatter(lambda value, _: quality_text(value, is_ratio=is_ratio))
        axes.locator_params(axis="x", nbins=4)
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        values = [f"{name} {quality_text(host[name], is_ratio=is_ratio)}" for name in names if name in host]
        text = f"{group.metric} by precision; on the host: {', '.join(values) or 'not measured'}."
        return finish(figure, f"quality-{group.name}-{group.target}", f"Quality ({group.metric})", text)


def _host_values(group: ModelGroup) -> dict[str, float]:
    host = {b.precision: b.deployed_value for b in group.builds if b.deployed_value is not None}
    for row in group.rows:
        if (value := row.record.value("quality_host")) is not None:
            host.setdefault(row.record.model.precision, value)
    return host


def _float_value(group: ModelGroup) -> float | None:
    values = [build.float_value for build in group.builds if build.float_value is not None]
    values += [v for row in group.rows if (v := row.record.value("quality_float")) is not None]
    return values[0] if values else None


def _dot(axes: Any, y: int, metric: Metric, group: ModelGroup) -> None:  # noqa: ANN401 - matplotlib is untyped
    color = series_color(group.precisions[0], group.precisions)
    if metric.low is not None and metric.high is not None:
        axes.plot([metric.low, metric.high], [y, y], color=color, lw=2, alpha=0.35, solid_capstyle="round")
    axes.plot(metric.value, y, "o", ms=5, color=color)
