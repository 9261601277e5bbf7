"""The ground of every plot: inline SVG, small, deterministic, and in the colours of the page around it.

Rules:
    * The same runs give the same bytes: fixed ids, no date, no random state.
    * Colours are placeholders here and CSS variables in the page, so that one SVG serves light and dark.
    * Text stays text (for screen readers and searches); every plot has a title and a description.
    * A plot never holds more than about `MAX_POINTS` points: a page stays small whatever a run holds.
"""

from __future__ import annotations

import re
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.targets.units import format_duration_ns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

MAX_POINTS = 2000
INK, MUTED, LINE, CARD = "#010101", "#020202", "#030303", "#040404"
GOOD, BAD, WARN, WARN_PAPER = "#050501", "#050502", "#050503", "#050504"
SERIES = tuple(f"#0601{number:02d}" for number in range(1, 9))
_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    LINE: "var(--line)",
    CARD: "var(--card)",
    GOOD: "var(--good)",
    BAD: "var(--bad)",
    WARN: "var(--warn)",
    WARN_PAPER: "var(--warn-paper)",
    **{color: f"var(--series-{number})" for number, color in enumerate(SERIES, start=1)},
}
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none", "text.parse_math": False, "font.size": 9.5, "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED, "xtick.color": MUTED, "ytick.color": MUTED, "text.color": INK,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": LINE,
    "grid.linewidth": 0.7, "axes.axisbelow": True, "xtick.major.size": 0, "ytick.major.size": 0,
    "xtick.minor.size": 0, "ytick.minor.size": 0, "hatch.linewidth": 0.7,
    "axes.linewidth": 0.8, "figure.facecolor": "none", "axes.facecolor": "none", "savefig.facecolor": "none",
    "legend.frameon": False, "axes.formatter.useoffset": False,
}  # fmt: skip


@dataclass(frozen=True)
class Plot:
    """A finished plot.

    Attributes:
        title: What it shows, as a heading.
        description: The same for those who cannot see it.
        svg: The SVG element.
        caption: What a reader should take from it; empty where the section says it.
    """

    title: str
    description: str
    svg: str
    caption: str = ""


def color_of(precision: str, precisions: Sequence[str]) -> int:
    """Return the number of the series colour of a precision, 1 to 8; the same in every plot and table."""
    return list(precisions).index(precision) % len(SERIES) + 1


def series_color(precision: str, precisions: Sequence[str]) -> str:
    """Return the colour itself, as the placeholder that becomes a CSS variable."""
    return SERIES[color_of(precision, precisions) - 1]


def thinned(count: int, limit: int) -> NDArray[np.intp]:
    """Return at most `limit` of the indices 0 to `count` - 1, evenly spread, first and last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, max(2, limit))).astype(np.intp))


@contextmanager
def drawing(
    *, width: float = 4.6, height: float, panels: Sequence[float] = (1,)
) -> Iterator[tuple[Any, list[Any]]]:
    """Give a figure in edgepack's style, without touching pyplot's global state.

    Args:
        width: In inches; the page scales it.
        height: In inches.
        panels: Relative heights of the panels, from the top; they share the x axis.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # glyphs that the font lacks: the page's own font has them
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=list(panels))
        yield figure, list(axes[:, 0])


def finish(figure: Any, name: str, title: str, description: str) -> Plot:  # noqa: ANN401 - matplotlib is untyped
    """Return a figure as a plot; `name` must be another one for every plot of a page."""
    import matplotlib as mpl

    text = StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(
            text, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
    return Plot(title, description, _inline(text.getvalue(), name, title, description))


def duration_axis(axis: Any, *, ticks: int = 5) -> None:  # noqa: ANN401
    """Write the nanoseconds of an axis as durations: "1.2 ms"."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: format_duration_ns(value) if value > 0 else "0"))


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
