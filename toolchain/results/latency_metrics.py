"""Latency, throughput and CPU use of a configuration, from its median window.

Rules:
    * The figures are those of one window that ran, never an average over windows.
    * A percentile that its samples cannot support is unavailable, with the number that it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.toolchain.measure.statistics import samples_needed, summarize, throughput_per_s
from edgepack.toolchain.results.figures import missing, single
from edgepack.toolchain.results.job_record import Configuration, ConfigurationUnavailable
from edgepack.toolchain.results.median_window import median_window
from edgepack.toolchain.results.schema import Metric

if TYPE_CHECKING:
    from edgepack.toolchain.results.figures import AnyMetric
    from edgepack.toolchain.results.job_record import ConfigurationSamples

_UNITS = {"latency": "ns", "throughput": "inferences/s", "load_time": "ns", "first_inference": "ns"}


def place_of(found: Configuration) -> Configuration:
    """Return what names a configuration, without its samples."""
    return Configuration(batch=found.batch, threads=found.threads, delegate=found.delegate)


def configuration_metrics(found: ConfigurationSamples | ConfigurationUnavailable) -> list[AnyMetric]:
    """Return the figures of one configuration that need no power sensor."""
    place = place_of(found)
    if isinstance(found, ConfigurationUnavailable):
        return [missing(name, unit, found.unavailable, configuration=place) for name, unit in _UNITS.items()]
    return [
        single("load_time", found.load_ns, "ns", configuration=place),
        single("first_inference", found.first_inference_ns, "ns", configuration=place),
        single("warmup_runs", found.warmup_runs, "1", configuration=place),
        *_latency_metrics(found, place),
    ]


def _latency_metrics(found: ConfigurationSamples, place: Configuration) -> list[AnyMetric]:
    window = median_window(found)
    summary = summarize(window.samples_ns)
    count = summary.count

    def sampled(name: str, value: float | None, unit: str, aggregation: str, reason: str) -> AnyMetric:
        if value is None:
            return missing(name, unit, reason, aggregation=aggregation, configuration=place)
        return Metric(
            name=name, value=value, unit=unit, aggregation=aggregation, samples=count, configuration=place
        )

    latencies = {
        "min": summary.min_ns, "mean": summary.mean_ns, "p50": summary.p50_ns, "p90": summary.p90_ns,
        "p99": summary.p99_ns, "max": summary.max_ns, "std": summary.std_ns,
    }  # fmt: skip
    needed = {"p90": samples_needed(90), "p99": samples_needed(99), "std": 2}
    metrics = [
        sampled("latency", value, "ns", how, f"needs {needed.get(how, 1)} samples; there are {count}")
        for how, value in latencies.items()
    ]
    throughput = throughput_per_s(found.batch, summary.p50_ns)
    metrics.append(
        sampled("throughput", throughput, "inferences/s", "p50", "the device's clock reads 0 ns an inference")
    )
    cores = window.cpu_ns / window.window_ns if window.cpu_ns is not None and window.window_ns else None
    metrics.append(sampled("cpu_use", cores, "cores", "mean", "the device gives no CPU time of the process"))
    return metrics
