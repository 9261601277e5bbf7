"""Targets as a person reads them in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from edgepack.targets.units import format_bytes, format_bytes_per_s, format_hz

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgepack.targets.model import Core, MemoryRegion, Target

_UNKNOWN = "—"


def target_table(targets: Sequence[Target]) -> Table:
    """Return one row a target: name, what it is, cores, memory, default precision."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("target", "what it is", "cores", "memory", "default", "build"):
        table.add_column(heading, overflow="fold")
    for target in targets:
        table.add_row(
            Text(target.name, style="cyan"),
            target.title,
            ", ".join(_core(core) for core in target.cores),
            ", ".join(_memory(region) for region in target.memory) or _UNKNOWN,
            target.default_precision,
            "yes" if target.buildable else "inspect only",
        )
    return table


def target_card(target: Target) -> Table:
    """Return all that is known of one target, with the source of every hard number."""
    card = Table(box=None, pad_edge=False, show_header=False)
    card.add_column(style="bold", no_wrap=True)
    card.add_column(overflow="fold")
    card.add_row("target", Text(target.name, style="cyan"))
    card.add_row("what it is", target.title)
    card.add_row("architecture", f"{target.arch} ({target.family})")
    for core in target.cores:
        features = f", {' '.join(core.features)}" if core.features else ""
        card.add_row("cores", f"{_core(core)}, {core.isa}{features}")
        card.add_row("", Text(core.source, style="dim"))
    for region in target.memory:
        bandwidth = region.bandwidth_bytes_per_s
        extra = f", {format_bytes_per_s(bandwidth)}" if bandwidth is not None else ""
        card.add_row(region.name, f"{_memory(region)}{extra}")
        card.add_row("", Text(region.source, style="dim"))
    for sensor in target.power_sensors:
        card.add_row("power sensor", f"{sensor.driver}: {sensor.covers}")
        card.add_row("", Text(sensor.source, style="dim"))
    card.add_row("runtime", target.runtime.kind)
    card.add_row("reached by", target.link.kind)
    card.add_row("precisions", f"{', '.join(target.precisions)} (default {target.default_precision})")
    card.add_row("build", "yes" if target.buildable else f"no: {target.not_buildable_reason}")
    for note in target.notes:
        card.add_row("note", note)
    return card


def _core(core: Core) -> str:
    count = f"{core.count}x " if core.count is not None else ""
    clock = f" {format_hz(core.clock_hz)}" if core.clock_hz is not None else ""
    return f"{count}{core.name}{clock}"


def _memory(region: MemoryRegion) -> str:
    size = format_bytes(region.size_bytes) if region.size_bytes is not None else "depends on the model"
    return f"{region.name} {size}"
