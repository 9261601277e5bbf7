"""Energy and power as a person reads them: a table row a run, each figure named for what it is.

Rules:
    * Gross energy and energy over idle are never mixed: they have columns of their own.
    * A figure that was not measured is a dash with its reason; an estimate never stands here.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from edgepack.toolchain.report.cells import metric_cell
from edgepack.toolchain.results.schema import Metric
from edgepack.toolchain.results.value_text import value_text

if TYPE_CHECKING:
    from edgepack.toolchain.report.cells import Cell
    from edgepack.toolchain.results.job_record import Configuration
    from edgepack.toolchain.results.schema import RunRecord


ENERGY_COLUMNS = {
    "energy per inference": "energy_per_inference",
    "over idle": "energy_over_idle_per_inference",
    "average power": "average_power",
    "peak power": "peak_power",
    "idle power": "idle_power",
    "energy-delay product": "energy_delay_product",
    "inferences per joule": "inferences_per_joule",
}
"""Heading to the metric's name."""


def energy_cell(record: RunRecord, place: Configuration | None, heading: str) -> Cell:
    """Return one of `ENERGY_COLUMNS` of one configuration, or the reason why the whole run has none."""
    name = ENERGY_COLUMNS[heading]
    metric = record.find(name, configuration=place) if place else None
    whole_run = record.find(name)
    if metric is None and whole_run is not None and whole_run.configuration is None:
        metric = whole_run
    return metric_cell(metric, partial(value_text, unit=metric.unit if metric else ""))


def has_energy(record: RunRecord) -> bool:
    """Return whether any energy of the run was measured."""
    return any(isinstance(m, Metric) and m.name == "energy_per_inference" for m in record.metrics)
