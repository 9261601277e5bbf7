"""Plots as inline SVG: small, deterministic, and in the colours of the page around them.

Rules:
    * The same runs give the same bytes: fixed ids, no date, no random state.
    * Colours are placeholders here and CSS variables in the page, so that one SVG serves light and dark.
    * Text stays text (for screen readers and searches); every plot has a title and a description.
    * Every figure shown was measured; what is cut off is said in the description.
"""

from __future__ import annotations

import re
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.targets.units import format_bytes, format_count, format_duration_ns
from edgepack.toolchain.report.view import describe, precision_rank, quality_text
from edgepack.toolchain.results.from_job import RATIO_METRICS
from edgepack.toolchain.results.job_record import ConfigurationSamples
from edgepack.toolchain.results.schema import Metric

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgepack.toolchain.report.view import ModelGroup, RunRow

_INK, _MUTED, _LINE = "#010101", "#020202", "#030303"
_SERIES = tuple(f"#0401{number:02d}" for number in range(1, 9))
_VARIABLES = {
    _INK: "var(--ink)",
    _MUTED: "var(--muted)",
    _LINE: "var(--line)",
    **{color: f"var(--series-{number})" for number, color in enumerate(_SERIES, start=1)},
}
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none", "text.parse_math": False, "font.size": 9.5, "axes.edgecolor": _LINE,
    "axes.labelcolor": _MUTED, "xtick.color": _MUTED, "ytick.color": _MUTED, "text.color": _INK,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": _LINE,
    "grid.linewidth": 0.7, "axes.axisbelow": True, "xtick.major.size": 0, "ytick.major.size": 0,
    "axes.linewidth": 0.8, "figure.facecolor": "none", "axes.facecolor": "none", "savefig.facecolor": "none",
    "legend.frameon": False, "axes.formatter.useoffset": False,
}  # fmt: skip
_MAX_POINTS = 400


@dataclass(frozen=True)
class Plot:
    """A finished plot.

    Attributes:
        title: What it shows, as a heading.
        description: The same for those who cannot see it.
        svg: The SVG element.
    """

    title: str
    description: str
    svg: str


def color_of(precision: str, precisions: Sequence[str]) -> int:
    """Return the number of the series colour of a precision, 1 to 8; the same in every plot and table."""
    return list(precisions).index(precision) % len(_SERIES) + 1


def latency_plots(group: ModelGroup, limit: int) -> tuple[list[Plot], int]:
    """Return one plot a device, and how many devices were left out.

    A plot shows the share of inferences that took at most so long, a line a precision.
    """
    by_device = [(device, _rows_of(group, device)) for device in group.devices]
    drawn = [(device, rows) for device, rows in by_device if rows]
    return [_latency(group, device, rows) for device, rows in drawn[:limit]], max(0, len(drawn) - limit)


def throughput_plots(group: ModelGroup, limit: int) -> tuple[list[Plot], int]:
    """Return one plot a run, and how many runs were left out.

    A plot shows throughput against batch, a line a thread count; plots of one device have one scale.
    """
    drawn = []
    for device in group.devices:
        rows = _rows_of(group, device)
        largest = max((m.value for row in rows for m in _throughputs(row)), default=0.0)
        drawn += [(row, largest) for row in rows if len(_throughputs(row)) > 1]
    return [_throughput(row, group, largest) for row, largest in drawn[:limit]], max(0, len(drawn) - limit)


def size_plot(group: ModelGroup) -> Plot | None:
    """Return the model's size at each precision."""
    sizes: dict[str, float] = {build.precision: build.model_bytes for build in group.builds}
    sizes |= {row.record.model.precision: row.record.model.size_bytes for row in group.rows}
    if not sizes:
        return None
    names = sorted(sizes, key=precision_rank)
    with _figure(height=0.62 + 0.34 * len(names)) as (figure, axes):
        colors = [_SERIES[color_of(name, group.precisions) - 1] for name in names]
        axes.barh(range(len(names)), [sizes[name] for name in names], height=0.56, color=colors)
        for y, name in enumerate(names):
            axes.annotate(
                format_bytes(sizes[name]), (sizes[name], y), (5, 0), textcoords="offset points", va="center"
            )
        axes.set_yticks(range(len(names)), names, color=_INK)
        axes.set_xlim(0, max(sizes.values()) * 1.28)
        axes.xaxis.set_visible(False)
        axes.spines[:].set_visible(False)
        axes.grid(visible=False)
        axes.invert_yaxis()
        text = ", ".join(f"{name} {format_bytes(sizes[name])}" for name in names)
        return _plot(figure, f"size-{group.name}-{group.target}", "Model size", f"Size of the model: {text}.")


def quality_plot(group: ModelGroup) -> Plot | None:
    """Return the quality at each precision: the host as a ring, each device as a dot with its interval."""
    host = {b.precision: b.deployed_value for b in group.builds if b.deployed_value is not None}
    for row in group.rows:
        if (value := row.record.value("quality_host")) is not None:
            host.setdefault(row.record.model.precision, value)
    device = [(row, m) for row in group.rows if isinstance(m := row.record.find("quality_device"), Metric)]
    names = sorted({*host, *(row.record.model.precision for row, _ in device)}, key=precision_rank)
    if not names:
        return None
    is_ratio = group.metric in RATIO_METRICS
    with _figure(height=0.95 + 0.34 * len(names)) as (figure, axes):
        for row, metric in device:
            _dot(axes, names.index(row.record.model.precision), metric, group)
        for name, value in host.items():
            axes.plot(value, names.index(name), "o", ms=9, mfc="none", mec=_INK, mew=1.1)
        if (reference := _float_value(group)) is not None:
            axes.axvline(reference, color=_MUTED, lw=1, ls=(0, (4, 3)))
        axes.set_yticks(range(len(names)), names, color=_INK)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.xaxis.set_major_formatter(lambda value, _: quality_text(value, is_ratio=is_ratio))
        axes.locator_params(axis="x", nbins=4)
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        values = [f"{name} {quality_text(host[name], is_ratio=is_ratio)}" for name in names if name in host]
        text = f"{group.metric} by precision; on the host: {', '.join(values) or 'not measured'}."
        return _plot(figure, f"quality-{group.name}-{group.target}", f"Quality ({group.metric})", text)


def _latency(group: ModelGroup, device: str, rows: Sequence[RunRow]) -> Plot:
    slowest, said = 0.0, []
    with _figure(height=2.9) as (figure, axes):
        for row in rows:
            samples = np.sort(np.asarray(_headline_samples(row), dtype=np.float64))
            slowest = max(slowest, float(np.percentile(samples, 99.5)))
            shares = np.arange(1, samples.size + 1) / samples.size
            keep = np.unique(np.linspace(0, samples.size - 1, min(samples.size, _MAX_POINTS)).astype(int))
            color = _SERIES[color_of(row.record.model.precision, group.precisions) - 1]
            axes.step(samples[keep], shares[keep], where="post", color=color, lw=1.8)
            said.append(f"{row.record.model.precision} {format_duration_ns(float(np.median(samples)))}")
        fastest = min(min(_headline_samples(row)) for row in rows)
        axes.set_xlim(
            max(0.0, fastest - 0.06 * (slowest - fastest)), slowest + 0.04 * (slowest - fastest) or 1
        )
        _nanoseconds(axes.xaxis)
        axes.set_yticks([0.5, 0.9, 0.99], ["p50", "p90", "p99"])
        axes.set_ylim(0, 1.03)
        text = f"Share of inferences that took at most so long, on {device}. Medians: {', '.join(said)}. "
        text += "The slowest 0.5 % lie beyond the right edge."
        return _plot(figure, f"latency-{group.name}-{group.target}-{device}", device, text)


def _throughput(row: RunRow, group: ModelGroup, largest: float) -> Plot:
    metrics = _throughputs(row)
    color = _SERIES[color_of(row.record.model.precision, group.precisions) - 1]
    threads = sorted({m.configuration.threads for m in metrics if m.configuration})
    batches = sorted({m.configuration.batch for m in metrics if m.configuration})
    with _figure(width=3.1, height=2.3) as (figure, axes):
        for number, count in enumerate(threads):
            points = sorted(
                (m.configuration.batch, m.value)
                for m in metrics
                if m.configuration and m.configuration.threads == count
            )
            alpha = 0.4 + 0.6 * (number + 1) / len(threads)
            xs, ys = [batches.index(batch) for batch, _ in points], [value for _, value in points]
            axes.plot(xs, ys, "o-", color=color, alpha=alpha, lw=1.6, ms=4)
            axes.annotate(
                f"{count} thr", (xs[-1], ys[-1]), (6, 0), textcoords="offset points", va="center", fontsize=8
            )
        axes.set_xticks(range(len(batches)), [str(batch) for batch in batches])
        axes.set_xlim(-0.25, len(batches) - 1 + 0.32 * max(1, len(batches) - 1))
        axes.set_ylim(0, largest * 1.1)
        axes.yaxis.set_major_formatter(lambda value, _: format_count(value) if value else "0")
        axes.locator_params(axis="y", nbins=4)
        axes.set_xlabel("batch")
        best = max(metrics, key=lambda m: m.value)
        where = f" at {describe(best.configuration)}" if best.configuration else ""
        text = "Inferences per second against batch, a line a thread count. "
        text += f"Best: {format_count(best.value)}{where}."
        return _plot(figure, f"throughput-{row.record.run_id}", row.label, text)


def _rows_of(group: ModelGroup, device: str) -> list[RunRow]:
    """Return the runs on a device in which something ran."""
    return [row for row in group.rows if row.record.device.name == device and row.configuration]


def _headline_samples(row: RunRow) -> list[int]:
    place = row.configuration
    for found in row.record.configurations:
        fits = place is not None and (found.batch, found.threads) == (place.batch, place.threads)
        if fits and isinstance(found, ConfigurationSamples):
            return found.samples_ns
    return []


def _throughputs(row: RunRow) -> list[Metric]:
    return [m for m in row.record.metrics if isinstance(m, Metric) and m.name == "throughput"]


def _float_value(group: ModelGroup) -> float | None:
    values = [build.float_value for build in group.builds if build.float_value is not None]
    values += [v for row in group.rows if (v := row.record.value("quality_float")) is not None]
    return values[0] if values else None


def _dot(axes: Any, y: int, metric: Metric, group: ModelGroup) -> None:  # noqa: ANN401 - matplotlib is untyped
    color = _SERIES[color_of(group.precisions[0], group.precisions) - 1]
    if metric.low is not None and metric.high is not None:
        axes.plot([metric.low, metric.high], [y, y], color=color, lw=2, alpha=0.35, solid_capstyle="round")
    axes.plot(metric.value, y, "o", ms=5, color=color)


def _nanoseconds(axis: Any) -> None:  # noqa: ANN401
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: format_duration_ns(value) if value > 0 else "0"))


@contextmanager
def _figure(*, width: float = 4.6, height: float) -> Iterator[tuple[Any, Any]]:
    """Give a figure and its axes in edgepack's style, without touching pyplot's global state."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # glyphs that the font lacks: the page's own font has them
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        yield figure, figure.subplots()


def _plot(figure: Any, name: str, title: str, description: str) -> Plot:  # noqa: ANN401
    import matplotlib as mpl

    text = StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(
            text, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
    return Plot(title, description, _inline(text.getvalue(), name, title, description))


def _inline(document: str, name: str, title: str, description: str) -> str:
    """Make a stand-alone SVG document fit into a page beside others."""
    import hashlib

    from markupsafe import escape

    prefix = f"s{hashlib.sha256(name.encode()).hexdigest()[:8]}-"
    body = re.search(r"<svg([^>]*)>(.*)</svg>", document, re.DOTALL)
    assert body is not None
    box = re.search(r'viewBox="([^"]*)"', body[1])
    assert box is not None
    content = re.sub(r"<metadata>.*?</metadata>", "", body[2], flags=re.DOTALL)
    content = re.sub(r'\bid="', f'id="{prefix}', content)
    content = content.replace('href="#', f'href="#{prefix}').replace("url(#", f"url(#{prefix}")
    content = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", content, count=1, flags=re.DOTALL)
    content = re.sub(r"font-family: [^;\"]*;", "", content)  # the page's own font
    for color, variable in _VARIABLES.items():
        content = content.replace(color, variable)
    return (
        f'<svg viewBox="{box[1]}" role="img" aria-labelledby="{prefix}t {prefix}d">'
        f'<title id="{prefix}t">{escape(title)}</title><desc id="{prefix}d">{escape(description)}</desc>'
        f"{content}</svg>"
    )
