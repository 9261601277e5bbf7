"""Runs as CSV in the long form, for any data frame to pivot: a row a metric, then a row a window and figure.

Rules:
    * A figure that was not measured has an empty value and a reason; it is never 0.
    * Rows of a window have its number in `window` and, where the window does not count, why in `rejected`.
    * A text that a spreadsheet would take for a formula is quoted with an apostrophe.

Source: OWASP, "CSV Injection".
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import numpy as np

from edgepack.toolchain.measure.statistics import percentile_ns
from edgepack.toolchain.report.samples import verdict_of
from edgepack.toolchain.results.schema import Metric
from edgepack.toolchain.results.window_record import PowerReading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgepack.toolchain.results.job_record import Configuration
    from edgepack.toolchain.results.schema import RunRecord
    from edgepack.toolchain.results.window_record import Window

CSV_COLUMNS = (
    "run_id", "time", "name", "target", "precision", "device", "emulated", "quick", "tag", "package_id",
    "runtime", "metric", "aggregation", "batch", "threads", "delegate", "verdict", "value", "unit", "samples",
    "low", "high", "reason", "window", "rejected",
)  # fmt: skip
_FORMULA_STARTS = ("=", "+", "-", "@")
_Figure = tuple[str, str | None, float | None, str, int | None, str | None]


def csv_report(records: Sequence[RunRecord]) -> str:
    """Return the metrics and windows of all runs, with a header line."""
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for record in records:
        run = _run(record)
        for row in (*_metric_rows(record), *_window_rows(record)):
            writer.writerow({key: _safe(value) for key, value in {**run, **row}.items()})
    return text.getvalue()


def _run(record: RunRecord) -> dict[str, object]:
    return {
        "run_id": record.run_id,
        "time": record.time.isoformat(),
        "name": record.package.name,
        "target": record.target,
        "precision": record.model.precision,
        "device": record.device.name,
        "emulated": record.emulated,
        "quick": record.spec.quick,
        "tag": record.tag,
        "package_id": record.package.package_id,
        "runtime": f"{record.runtime.kind} {record.runtime.version}",
    }


def _place(record: RunRecord, place: Configuration | None) -> dict[str, object]:
    if place is None:
        return {}
    verdict = verdict_of(record, place)
    return {
        "batch": place.batch,
        "threads": place.threads,
        "delegate": place.delegate,
        "verdict": verdict.status if verdict else None,
    }


def _metric_rows(record: RunRecord) -> Iterator[dict[str, object]]:
    for metric in record.metrics:
        row: dict[str, object] = {
            "metric": metric.name,
            "aggregation": metric.aggregation,
            "unit": metric.unit,
            **_place(record, metric.configuration),
        }
        if isinstance(metric, Metric):
            row |= {"value": metric.value, "samples": metric.samples, "low": metric.low, "high": metric.high}
        else:
            row["reason"] = metric.reason
        yield row


def _window_rows(record: RunRecord) -> Iterator[dict[str, object]]:
    for place in record.configurations:
        for number, window in enumerate(place.windows, start=1):
            where = {**_place(record, place), "window": number, "rejected": window.rejected}
            for name, aggregation, value, unit, samples, reason in _figures(window):
                yield {
                    **where,
                    "metric": name,
                    "aggregation": aggregation,
                    "value": value,
                    "unit": unit,
                    "samples": samples,
                    "reason": reason if value is None else None,
                }


def _figures(window: Window) -> Iterator[_Figure]:
    """Return name, aggregation, value, unit, samples and the reason of a missing value of one window."""
    samples, count = np.asarray(window.samples_ns, dtype=np.float64), len(window.samples_ns)
    yield "window_latency", "p50", float(np.median(samples)), "ns", count, None
    yield "window_latency", "p90", percentile_ns(samples, 90), "ns", count, "needs 10 samples"
    yield "window_time", "single", window.window_ns, "ns", None, None
    power = window.power
    if isinstance(power, PowerReading):
        yield "window_energy", "single", power.joules, "J", power.samples, None
        yield "window_power", "mean", power.average_w, "W", power.samples, None
        yield "window_power", "max", power.peak_w, "W", power.samples, None
    else:
        yield "window_energy", "single", None, "J", None, power.unavailable
    hottest = [t.value for state in window.states for t in state.temperatures_c or ()]
    clocks = [max(now) for state in window.states if (now := [c for c in state.clocks_hz or () if c])]
    unknown = "the device does not say"
    yield "window_temperature", "max", max(hottest, default=None), "°C", None, unknown
    yield "window_clock", "min", min(clocks, default=None), "Hz", None, unknown
    yield "window_others_cpu", "single", window.others_cpu_ns, "ns", None, unknown


def _safe(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = " ".join(value.split())  # one line, and no tab before a formula
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
