"""What a run's sweep over batches and threads says about batching, in a sentence for each delegate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.targets.units import format_count, format_duration_ns
from edgepack.toolchain.measure.sweep import Knee, SweepPoint, find_knee
from edgepack.toolchain.results.schema import Metric

if TYPE_CHECKING:
    from edgepack.toolchain.results.schema import RunRecord


@dataclass(frozen=True)
class SweepSummary:
    """What batching brings with one delegate.

    Attributes:
        delegate: The delegate.
        knee: The knee of its throughput curve.
    """

    delegate: str
    knee: Knee

    @property
    def sentence(self) -> str:
        """The knee and the latency cost of batching for people."""
        knee, single, best = self.knee.knee, self.knee.single, self.knee.best
        if best.batch == single.batch:
            return f"Batching does not pay: batch {single.batch} has the highest throughput, {_rate(single)}."
        if knee.batch == single.batch:
            more = f"{100 * (best.throughput_per_s / single.throughput_per_s - 1):.0f} %"
            over = f"batch {single.batch}, {_rate(single)}"
            return f"Batching hardly pays: batch {best.batch} brings {more} more than {over}."
        waits, instead = format_duration_ns(knee.latency_ns), format_duration_ns(single.latency_ns)
        reach = f"{100 * knee.throughput_per_s / best.throughput_per_s:.0f} % of the best throughput"
        at_best = "" if knee.batch == best.batch else f", {reach} ({_rate(best)} at batch {best.batch})"
        return (
            f"Batch {knee.batch} is the knee: {_rate(knee)}{at_best}. Against batch {single.batch} it brings "
            f"{self.knee.gain:.1f} times the throughput and costs {self.knee.cost:.1f} times the latency: an "
            f"answer takes {waits} instead of {instead}."
        )


def sweep_summary(record: RunRecord) -> list[SweepSummary]:
    """Return one summary a delegate that was measured with at least two batch sizes, by name."""
    points: dict[str, list[SweepPoint]] = {}
    for metric in record.metrics:
        place = metric.configuration
        if not isinstance(metric, Metric) or place is None or metric.name != "throughput":
            continue
        latency = record.value("latency", "p50", place)
        if latency is not None:
            point = SweepPoint(place.batch, place.threads, latency, metric.value)
            points.setdefault(place.delegate, []).append(point)
    knees = {delegate: find_knee(each) for delegate, each in sorted(points.items())}
    return [SweepSummary(delegate, knee) for delegate, knee in knees.items() if knee is not None]


def _rate(point: SweepPoint) -> str:
    plural = "" if point.threads == 1 else "s"
    return f"{format_count(point.throughput_per_s)}/s with {point.threads} thread{plural}"
