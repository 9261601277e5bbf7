"""Which configuration a run is named by: the smallest batch that ran, and there the lowest median latency."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.toolchain.results.schema import Metric

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgepack.toolchain.results.job_record import Configuration
    from edgepack.toolchain.results.schema import RunRecord, UnavailableMetric


def headline_configuration(record: RunRecord) -> Configuration | None:
    """Return the smallest batch that ran, with the threads and delegate of the lowest median there."""
    return headline_of(record.metrics)


def headline_of(metrics: Iterable[Metric | UnavailableMetric]) -> Configuration | None:
    """Return the headline configuration of the figures of a run; None where nothing ran."""
    medians = [
        ((place.batch, metric.value, place.threads, place.delegate), place)
        for metric in metrics
        if isinstance(metric, Metric) and (place := metric.configuration) is not None
        if (metric.name, metric.aggregation) == ("latency", "p50")
    ]
    return min(medians, key=lambda entry: entry[0])[1] if medians else None
