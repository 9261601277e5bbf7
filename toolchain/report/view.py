"""What every report shows, before it is a table, a page or a text: rows of cells from records and builds.

Rules:
    * The latency figures of a row are those of its headline configuration: the smallest batch, and there the
      thread count with the lowest median. The row says which one that is.
    * Figures of an emulated device are marked wherever its name stands: they say nothing about real hardware.
    * Beside every latency stands whether it can be believed.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from edgepack.targets.model import PRECISIONS
from edgepack.targets.units import format_bytes, format_count, format_duration_ns
from edgepack.toolchain.report.cells import (
    DASH,
    NOT_IN_RECORD,
    Cell,
    format_quality,
    format_range,
    metric_cell,
    quality_text,
)
from edgepack.toolchain.report.energy import energy_cell
from edgepack.toolchain.report.trust import verdict_cell
from edgepack.toolchain.results.headline import headline_configuration
from edgepack.toolchain.results.schema import Metric, UnavailableMetric

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edgepack.toolchain.report.summary import BuildSummary
    from edgepack.toolchain.results.job_record import Configuration
    from edgepack.toolchain.results.schema import RunRecord

COLUMNS = (
    "precision", "device", "size", "quality", "load", "first", "p50", "p90", "p99", "verdict", "throughput",
    "energy", "peak memory",
)  # fmt: skip
TEXT_COLUMNS = ("precision", "device", "verdict")
"""Columns of words, which stand to the left."""


@dataclass(frozen=True)
class RunRow:
    """One run as a row of the main table.

    Attributes:
        record: The run.
        configuration: The headline configuration; None where no configuration ran.
        cells: One cell a column of `COLUMNS`.
    """

    record: RunRecord
    configuration: Configuration | None
    cells: tuple[Cell, ...]

    @property
    def label(self) -> str:
        """Precision and device, for legends; an emulated device is marked."""
        return f"{self.record.model.precision} · {device_label(self.record)}"

    def cell(self, column: str) -> Cell:
        """Return the cell of one of `COLUMNS`."""
        return self.cells[COLUMNS.index(column)]


@dataclass(frozen=True)
class ModelGroup:
    """All that a report says about one model on one target.

    Attributes:
        name: The package's name.
        target: The target.
        metric: Name of the quality metric; None where nobody evaluated.
        rows: Its runs, by device, then precision, then time.
        builds: Its builds, by precision.
    """

    name: str
    target: str
    metric: str | None
    rows: tuple[RunRow, ...]
    builds: tuple[BuildSummary, ...]

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices, in the order of the rows."""
        return tuple(dict.fromkeys(row.record.device.name for row in self.rows))

    @property
    def precisions(self) -> tuple[str, ...]:
        """All precisions that were built or measured, from high to low."""
        found = {row.record.model.precision for row in self.rows} | {b.precision for b in self.builds}
        return tuple(sorted(found, key=precision_rank))

    @property
    def measured_columns(self) -> tuple[str, ...]:
        """The columns without energy where no run has measured it: what a narrow table shows."""
        measured = any(row.cell("energy").reason is None for row in self.rows)
        return COLUMNS if measured else tuple(column for column in COLUMNS if column != "energy")

    def heading(self, column: str) -> str:
        """Return the heading of a column; that of the quality names the metric."""
        return f"{self.metric} host → device" if column == "quality" and self.metric else column


def group_models(records: Sequence[RunRecord], builds: Sequence[BuildSummary] = ()) -> list[ModelGroup]:
    """Sort runs and builds into one group a model and target."""
    keys = sorted({(r.package.name, r.target) for r in records} | {(b.name, b.target) for b in builds})
    groups = []
    for name, target in keys:
        runs = [r for r in records if (r.package.name, r.target) == (name, target)]
        made = [b for b in builds if (b.name, b.target) == (name, target)]
        rows = tuple(run_row(record) for record in sorted(runs, key=_run_key))
        groups.append(
            ModelGroup(
                name=name,
                target=target,
                metric=_metric_name(runs, made),
                rows=rows,
                builds=tuple(sorted(made, key=lambda b: precision_rank(b.precision))),
            )
        )
    return groups


def precision_rank(precision: str) -> tuple[int, str]:
    """Return where a precision stands: from float32 down, then auto, then unknown ones by name."""
    known: tuple[str, ...] = PRECISIONS
    return (known.index(precision) if precision in known else len(known), precision)


def run_row(record: RunRecord) -> RunRow:
    """Return a run as a row."""
    place = headline_configuration(record)
    cells = (
        Cell(record.model.precision, detail=record.tag),
        Cell(device_label(record), detail=describe(place) if place else None),
        metric_cell(record.find("model_size"), format_bytes),
        quality_cell(record),
        metric_cell(record.find("load_time", configuration=place), format_duration_ns),
        metric_cell(record.find("first_inference", configuration=place), format_duration_ns),
        *(metric_cell(_latency(record, how, place), format_duration_ns) for how in ("p50", "p90", "p99")),
        verdict_cell(record, place),
        best_throughput(record),
        energy_cell(record, place, "energy per inference"),
        metric_cell(record.find("peak_memory"), format_bytes),
    )
    return RunRow(record=record, configuration=place, cells=cells)


def device_label(record: RunRecord) -> str:
    """Return the device's name, marked where it is emulated."""
    return f"{record.device.name} (emulated)" if record.emulated else record.device.name


def describe(configuration: Configuration) -> str:
    """Return a configuration in words: "batch 1, 4 threads"; the default delegate is not said."""
    plural = "" if configuration.threads == 1 else "s"
    kernels = ", built-in kernels" if configuration.delegate == "none" else ""
    return f"batch {configuration.batch}, {configuration.threads} thread{plural}{kernels}"


def best_throughput(record: RunRecord) -> Cell:
    """Return the highest throughput of all configurations, and which one it was."""
    measured = [m for m in record.metrics if isinstance(m, Metric) and m.name == "throughput"]
    if not measured:
        return metric_cell(record.find("throughput"), str)
    best = max(measured, key=lambda metric: metric.value)
    where = describe(best.configuration) if best.configuration else None
    return Cell(f"{format_count(best.value)}/s", detail=where)


def quality_cell(record: RunRecord) -> Cell:
    """Return the quality on host and device: "90.00 % → 89.75 %"."""
    host, device = record.find("quality_host"), record.find("quality_device")
    measured = [m for m in (host, device) if isinstance(m, Metric)]
    if not measured:
        return metric_cell(device or host, str)
    if len(measured) == 2:
        return Cell(
            f"{format_quality(measured[0])} → {format_quality(measured[1])}", detail=_interval(measured[1])
        )
    missing = device if measured[0] is host else host
    reason = missing.reason if isinstance(missing, UnavailableMetric) else NOT_IN_RECORD
    texts = [format_quality(m) if isinstance(m, Metric) else DASH for m in (host, device)]
    return Cell(" → ".join(texts), reason=reason, detail=_interval(measured[0]))


def footnotes(rows: Iterable[RunRow], columns: Sequence[str] = COLUMNS) -> dict[str, int]:
    """Number the reasons of all dashes in these columns, in reading order."""
    cells = (row.cell(column) for row in rows for column in columns)
    reasons = dict.fromkeys(cell.reason for cell in cells if cell.reason)
    return {reason: number for number, reason in enumerate(reasons, start=1)}


def unavailable_configurations(record: RunRecord) -> dict[str, list[Configuration]]:
    """Return the configurations that could not run, by reason."""
    found: dict[str, list[Configuration]] = {}
    for metric in record.metrics:
        if isinstance(metric, UnavailableMetric) and metric.name == "latency" and metric.configuration:
            places = found.setdefault(metric.reason, [])
            if metric.aggregation is None:  # else a single percentile is missing, which the table shows
                places.append(metric.configuration)
    return {reason: places for reason, places in found.items() if places}


def device_rows(rows: Iterable[RunRow]) -> list[RunRecord]:
    """Return one run a device: its latest."""
    by_device = sorted((row.record for row in rows), key=lambda r: (r.device.name, r.time))
    return [list(runs)[-1] for _, runs in groupby(by_device, key=lambda r: r.device.name)]


def _latency(record: RunRecord, how: str, place: Configuration | None) -> Metric | UnavailableMetric | None:
    return record.find("latency", how, place) if place else record.find("latency")


def _interval(metric: Metric) -> str | None:
    return format_range(
        metric.low, metric.high, lambda end: quality_text(end, is_ratio=metric.unit == "ratio")
    )


def _run_key(record: RunRecord) -> tuple[object, ...]:
    return (record.device.name, precision_rank(record.model.precision), record.time)


def _metric_name(records: Iterable[RunRecord], builds: Iterable[BuildSummary]) -> str | None:
    for record in records:
        for name in ("quality_device", "quality_host"):
            metric = record.find(name)
            if isinstance(metric, Metric):
                return metric.aggregation
    return next((build.metric for build in builds if build.metric), None)
