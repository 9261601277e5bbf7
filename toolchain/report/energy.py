"""Energy and power as a person reads them: a table row a run, each figure named for what it is.

Rules:
    * Gross energy and energy over idle are never mixed: they have columns of their own.
    * A figure that was not measured is a dash with its reason; an estimate never stands here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.targets.units import format_count, format_energy_uj, format_power_mw
from edgepack.toolchain.report.cells import metric_cell
from edgepack.toolchain.results.schema import Metric

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgepack.toolchain.report.cells import Cell
    from edgepack.toolchain.results.job_record import Configuration
    from edgepack.toolchain.results.schema import RunRecord


def format_energy(joules: float) -> str:
    """Return an energy for people: 0.00138 -> "1.38 mJ"."""
    return format_energy_uj(joules * 1e6)


def format_power(watts: float) -> str:
    """Return a power for people: 3.27 -> "3.27 W"."""
    return format_power_mw(watts * 1e3)


ENERGY_COLUMNS: dict[str, tuple[str, Callable[[float], str]]] = {
    "energy per inference": ("energy_per_inference", format_energy),
    "over idle": ("energy_over_idle_per_inference", format_energy),
    "average power": ("average_power", format_power),
    "peak power": ("peak_power", format_power),
    "idle power": ("idle_power", format_power),
    "energy-delay product": ("energy_delay_product", lambda value: f"{format_energy(value)}·s"),
    "inferences per joule": ("inferences_per_joule", lambda value: f"{format_count(value)}/J"),
}
"""Heading to the metric's name and how its value is written."""


def energy_cell(record: RunRecord, place: Configuration | None, heading: str) -> Cell:
    """Return one of `ENERGY_COLUMNS` of one configuration, or the reason why the whole run has none."""
    name, form = ENERGY_COLUMNS[heading]
    metric = record.find(name, configuration=place) if place else None
    whole_run = record.find(name)
    if metric is None and whole_run is not None and whole_run.configuration is None:
        metric = whole_run
    return metric_cell(metric, form)


def has_energy(record: RunRecord) -> bool:
    """Return whether any energy of the run was measured."""
    return any(isinstance(m, Metric) and m.name == "energy_per_inference" for m in record.metrics)
