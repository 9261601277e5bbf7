"""Latency, throughput and CPU use of a configuration, from its median window.

Rules:
    * The figures are those of one window that ran, never an average over windows.
    * A percentile that its samples cannot support is unavailable, with the number that it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.toolchain.measure.bootstrap import Interval
from edgepack.toolchain.measure.statistics import samples_needed, throughput_per_s
from edgepack.toolchain.results.figures import missing, single
from edgepack.toolchain.results.reported import place_of
from edgepack.toolchain.results.schema import Metric

if TYPE_CHECKING:
    from edgepack.toolchain.results.figures import AnyMetric
    from edgepack.toolchain.results.job_record import ConfigurationUnavailable
    from edgepack.toolchain.results.reported import Reported

_UNITS = {"latency": "ns", "throughput": "inferences/s", "load_time": "ns", "first_inference": "ns"}
_PERCENTILES = {"p50": 50, "p90": 90, "p99": 99}


def unavailable_metrics(found: ConfigurationUnavailable) -> list[AnyMetric]:
    """Return the figures of a configuration that could not run: reasons."""
    place = place_of(found)
    return [missing(name, unit, found.unavailable, configuration=place) for name, unit in _UNITS.items()]


def latency_metrics(reported: Reported) -> list[AnyMetric]:
    """Return the figures of a configuration that need no power sensor."""
    found, place = reported.found, reported.place
    return [
        single("load_time", found.load_ns, "ns", configuration=place),
        single("first_inference", found.first_inference_ns, "ns", configuration=place),
        single("warmup_runs", found.warmup_runs, "1", configuration=place),
        *_latencies(reported),
        _throughput(reported),
        _cpu_use(reported),
    ]


def _latencies(reported: Reported) -> list[AnyMetric]:
    summary = reported.summary
    values = {
        "min": summary.min_ns, "mean": summary.mean_ns, "p50": summary.p50_ns, "p90": summary.p90_ns,
        "p99": summary.p99_ns, "max": summary.max_ns, "std": summary.std_ns,
    }  # fmt: skip
    needed = {"p90": samples_needed(90), "p99": samples_needed(99), "std": 2}
    return [
        _sampled(
            reported,
            ("latency", "ns", how),
            value,
            f"needs {needed.get(how, 1)} samples; there are {summary.count}",
            interval=reported.intervals.get(_PERCENTILES.get(how, 0)),
        )
        for how, value in values.items()
    ]


def _throughput(reported: Reported) -> AnyMetric:
    """Return inferences per second; the interval is that of the median latency, turned over."""
    batch = reported.found.batch
    latency = reported.intervals.get(50)
    ends = [throughput_per_s(batch, end) for end in (latency.high, latency.low)] if latency else [None, None]
    interval = Interval(ends[0], ends[1]) if ends[0] is not None and ends[1] is not None else None
    reason = "the device's clock reads 0 ns an inference"
    value = throughput_per_s(batch, reported.summary.p50_ns)
    return _sampled(reported, ("throughput", "inferences/s", "p50"), value, reason, interval=interval)


def _cpu_use(reported: Reported) -> AnyMetric:
    window = reported.window
    cores = window.cpu_ns / window.window_ns if window.cpu_ns is not None and window.window_ns else None
    reason = "the device gives no CPU time of the process"
    return _sampled(reported, ("cpu_use", "cores", "mean"), cores, reason)


def _sampled(
    reported: Reported,
    what: tuple[str, str, str],
    value: float | None,
    reason: str,
    *,
    interval: Interval | None = None,
) -> AnyMetric:
    name, unit, aggregation = what
    if value is None:
        return missing(name, unit, reason, aggregation=aggregation, configuration=reported.place)
    return Metric(
        name=name,
        value=value,
        unit=unit,
        aggregation=aggregation,
        samples=reported.summary.count,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        configuration=reported.place,
    )
