"""Runs as CSV: one row a metric, so that any spreadsheet or data frame can pivot it.

Rules:
    * A figure that was not measured has an empty value and a reason; it is never 0.
    * A text that a spreadsheet would take for a formula is quoted with an apostrophe.

Source: OWASP, "CSV Injection".
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from edgepack.toolchain.results.schema import Metric

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgepack.toolchain.results.schema import RunRecord

CSV_COLUMNS = (
    "run_id", "time", "name", "target", "precision", "device", "emulated", "tag", "package_id", "runtime",
    "metric", "aggregation", "batch", "threads", "value", "unit", "samples", "low", "high", "reason",
)  # fmt: skip
_FORMULA_STARTS = ("=", "+", "-", "@")


def csv_report(records: Sequence[RunRecord]) -> str:
    """Return the metrics of all runs, with a header line."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for record in records:
        run = (
            record.run_id,
            record.time.isoformat(),
            record.package.name,
            record.target,
            record.model.precision,
            record.device.name,
            record.emulated,
            record.tag,
            record.package.package_id,
            f"{record.runtime.kind} {record.runtime.version}",
        )
        for metric in record.metrics:
            place = metric.configuration
            found = (
                (metric.value, metric.unit, metric.samples, metric.low, metric.high, None)
                if isinstance(metric, Metric)
                else (None, metric.unit, None, None, None, metric.reason)
            )
            where = (place.batch, place.threads) if place else (None, None)
            row = (*run, metric.name, metric.aggregation, *where, *found)
            writer.writerow([_safe(value) for value in row])
    return text.getvalue()


def _safe(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = " ".join(value.split())  # one line, and no tab before a formula
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
