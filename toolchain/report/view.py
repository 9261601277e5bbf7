"""What every report shows, before it is a table, a page or a text: rows of cells from records and builds.

Rules:
    * A cell is a text, or a dash with the reason why there is no figure. Nothing is ever filled in.
    * The latency figures of a row are those of its headline configuration: the smallest batch, and there the
      thread count with the lowest median. The row says which one that is.
    * Figures of an emulated device are marked: they say nothing about real hardware.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from edgepack.targets.model import PRECISIONS
from edgepack.targets.units import format_bytes, format_count, format_duration_ns, format_percent
from edgepack.toolchain.results.job_record import Configuration
from edgepack.toolchain.results.schema import Metric, UnavailableMetric

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from edgepack.toolchain.report.summary import BuildSummary
    from edgepack.toolchain.results.schema import RunRecord

DASH = "—"
_NOT_IN_RECORD = "the record does not hold it"
COLUMNS = (
    "precision", "device", "size", "quality", "load", "first", "p50", "p90", "p99", "throughput",
    "peak memory",
)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """A figure as a person reads it.

    Attributes:
        text: The figure with its unit, or a dash.
        reason: Why there is no figure; None where there is one.
        detail: What more there is to know: a configuration, or a 95 % interval.
    """

    text: str
    reason: str | None = None
    detail: str | None = None


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
        """Precision and device, for legends."""
        return f"{self.record.model.precision} · {self.record.device.name}"


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


def headline_configuration(record: RunRecord) -> Configuration | None:
    """Return the smallest batch that ran, with the thread count of the lowest median there."""
    medians = [
        (metric.configuration.batch, metric.value, metric.configuration.threads)
        for metric in record.metrics
        if isinstance(metric, Metric) and metric.configuration
        if (metric.name, metric.aggregation) == ("latency", "p50")
    ]
    if not medians:
        return None
    batch, _, threads = min(medians)
    return Configuration(batch=batch, threads=threads)


def run_row(record: RunRecord) -> RunRow:
    """Return a run as a row."""
    place = headline_configuration(record)
    emulated = " (emulated)" if record.emulated else ""
    cells = (
        Cell(f"{record.model.precision} · {record.tag}" if record.tag else record.model.precision),
        Cell(f"{record.device.name}{emulated}", detail=describe(place) if place else None),
        _cell(record.find("model_size"), format_bytes),
        quality_cell(record),
        _cell(record.find("load_time", configuration=place), format_duration_ns),
        _cell(record.find("first_inference", configuration=place), format_duration_ns),
        *(_cell(_latency(record, how, place), format_duration_ns) for how in ("p50", "p90", "p99")),
        best_throughput(record),
        _cell(record.find("peak_memory"), format_bytes),
    )
    return RunRow(record=record, configuration=place, cells=cells)


def describe(configuration: Configuration) -> str:
    """Return a configuration in words: "batch 1, 4 threads"."""
    plural = "" if configuration.threads == 1 else "s"
    return f"batch {configuration.batch}, {configuration.threads} thread{plural}"


def best_throughput(record: RunRecord) -> Cell:
    """Return the highest throughput of all configurations, and which one it was."""
    measured = [m for m in record.metrics if isinstance(m, Metric) and m.name == "throughput"]
    if not measured:
        return _cell(record.find("throughput"), str)
    best = max(measured, key=lambda metric: metric.value)
    where = describe(best.configuration) if best.configuration else None
    return Cell(f"{format_count(best.value)}/s", detail=where)


def quality_cell(record: RunRecord) -> Cell:
    """Return the quality on host and device: "90.00 % → 89.75 %"."""
    host, device = record.find("quality_host"), record.find("quality_device")
    measured = [m for m in (host, device) if isinstance(m, Metric)]
    if not measured:
        return _cell(device or host, str)
    if len(measured) == 2:
        return Cell(
            f"{format_quality(measured[0])} → {format_quality(measured[1])}", detail=_interval(measured[1])
        )
    missing = device if measured[0] is host else host
    reason = missing.reason if isinstance(missing, UnavailableMetric) else _NOT_IN_RECORD
    texts = [format_quality(m) if isinstance(m, Metric) else DASH for m in (host, device)]
    return Cell(" → ".join(texts), reason=reason, detail=_interval(measured[0]))


def format_quality(metric: Metric) -> str:
    """Return a quality figure: a ratio as a percentage, anything else with four digits."""
    return quality_text(metric.value, is_ratio=metric.unit == "ratio")


def quality_text(value: float, *, is_ratio: bool) -> str:
    """Return a quality figure: a ratio as a percentage, anything else with four digits."""
    return format_percent(value) if is_ratio else f"{value:.4g}"


def footnotes(rows: Iterable[RunRow]) -> dict[str, int]:
    """Number the reasons of all dashes, in reading order."""
    reasons = dict.fromkeys(cell.reason for row in rows for cell in row.cells if cell.reason)
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


def _cell(metric: Metric | UnavailableMetric | None, form: Callable[[float], str]) -> Cell:
    if isinstance(metric, Metric):
        return Cell(form(metric.value), detail=_interval(metric))
    return Cell(DASH, reason=metric.reason if metric else _NOT_IN_RECORD)


def _interval(metric: Metric) -> str | None:
    if metric.low is None or metric.high is None:
        return None
    ends = [quality_text(end, is_ratio=metric.unit == "ratio") for end in (metric.low, metric.high)]
    return f"{ends[0].removesuffix(' %')} to {ends[1]}"


def _run_key(record: RunRecord) -> tuple[object, ...]:
    return (record.device.name, precision_rank(record.model.precision), record.time)


def _metric_name(records: Iterable[RunRecord], builds: Iterable[BuildSummary]) -> str | None:
    for record in records:
        for name in ("quality_device", "quality_host"):
            metric = record.find(name)
            if isinstance(metric, Metric):
                return metric.aggregation
    return next((build.metric for build in builds if build.metric), None)
