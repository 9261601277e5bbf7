"""A record as rows of the store's tables: an index of it, for look-ups and for anyone's SQL."""

from __future__ import annotations

import zlib
from datetime import timezone
from typing import TYPE_CHECKING, Any

from edgepack.toolchain.results.schema import Metric

if TYPE_CHECKING:
    from edgepack.toolchain.results.schema import RunRecord


def run_row(record: RunRecord) -> dict[str, Any]:
    """Return the row of the table `runs`."""
    return {
        "run_id": record.run_id,
        "time": record.time.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "name": record.package.name,
        "target": record.target,
        "precision": record.model.precision,
        "device": record.device.name,
        "tag": record.tag,
        "emulated": int(record.emulated),
        "package_id": record.package.package_id,
        "record": zlib.compress(record.to_json().encode()),
        "verdict": record.verdict.status if record.verdict else None,
    }


def metric_rows(record: RunRecord) -> list[dict[str, Any]]:
    """Return the rows of the table `metrics`."""
    return [
        {
            "run_id": record.run_id,
            "name": metric.name,
            "aggregation": metric.aggregation,
            "batch": metric.configuration.batch if metric.configuration else None,
            "threads": metric.configuration.threads if metric.configuration else None,
            "unit": metric.unit,
            "value": metric.value if isinstance(metric, Metric) else None,
            "reason": None if isinstance(metric, Metric) else metric.reason,
            "delegate": metric.configuration.delegate if metric.configuration else None,
            "low": metric.low if isinstance(metric, Metric) else None,
            "high": metric.high if isinstance(metric, Metric) else None,
        }
        for metric in record.metrics
    ]


def measurements(record: RunRecord) -> tuple[object, ...]:
    """Return what makes two records the same run, whenever and under whatever tag each was recorded."""
    return (record.package.package_id, record.device.name, record.configurations)
