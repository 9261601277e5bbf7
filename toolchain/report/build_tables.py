"""What was built, as a person reads it in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgepack.targets.units import format_bytes
from edgepack.toolchain.report.mcu_tables import mcu_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgepack.toolchain.report.summary import BuildSummary

_UNKNOWN = "—"


def build_table(builds: Sequence[BuildSummary]) -> RenderableType:
    """Return one row a package, the path of each search, and the tensors that lose the most."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    columns = (
        "package",
        "precision",
        "model",
        "package size",
        "metric",
        "float",
        "deployed",
        "95 %",
        "agreement",
    )
    for index, heading in enumerate(columns):
        table.add_column(heading, justify="left" if index < 2 or index == 4 else "right", overflow="fold")
    for build in builds:
        interval = (
            _UNKNOWN if build.low is None or build.high is None else f"{build.low:.4f} to {build.high:.4f}"
        )
        table.add_row(
            Text(f"{build.name} for {build.target}", style="cyan"),
            build.precision,
            format_bytes(build.model_bytes),
            format_bytes(build.package_bytes),
            f"{build.metric} of {build.samples}" if build.metric else _UNKNOWN,
            _number(build.float_value),
            _number(build.deployed_value),
            interval,
            _UNKNOWN if build.top1_agreement is None else f"{build.top1_agreement:.1%}",
        )
    return Group(
        table,
        *(search_table(build) for build in builds if build.search),
        *(mcu_table(build.mcu) for build in builds if build.mcu),
    )


def search_table(build: BuildSummary) -> RenderableType:
    """Return the path that `auto` took."""
    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    table.title = f"The path of auto, {build.name} for {build.target}"
    for index, heading in enumerate(
        ("tried", "model", build.metric or "metric", "drop", "at most (95 %)", "")
    ):
        table.add_column(heading, justify="right" if 0 < index < 5 else "left", overflow="fold")
    for step in build.search:
        verdict = Text("kept", style="green") if step.accepted else Text("may lose too much", style="red")
        size = format_bytes(step.size_bytes)
        surely = "" if step.drop_high is None else f"{step.drop_high:+.4f}"
        table.add_row(step.description, size, _number(step.metric), f"{step.drop:+.4f}", surely, verdict)
    return Group("", table)


def _number(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{value:.4f}"
