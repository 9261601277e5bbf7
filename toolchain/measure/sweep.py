"""What batching brings and what it costs: the knee of the throughput curve.

The knee is the smallest batch that reaches 90 % of the best throughput. A rule that a reader can check on the
table beats a curvature (Kneedle: Satopää et al. 2011, "Finding a Kneedle in a Haystack"), which needs more
than the three to five batch sizes that a sweep has, and answers differently when one of them is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

KNEE_SHARE = 0.9


@dataclass(frozen=True)
class SweepPoint:
    """One configuration of a sweep.

    Attributes:
        batch: Inferences an invocation.
        threads: Threads.
        latency_ns: Median latency of an invocation.
        throughput_per_s: Inferences per second.
    """

    batch: int
    threads: int
    latency_ns: float
    throughput_per_s: float


@dataclass(frozen=True)
class Knee:
    """Where batching stops paying.

    Attributes:
        single: The smallest batch with its best threads.
        knee: The smallest batch that reaches 90 % of the best throughput, with its best threads.
        best: The highest throughput of all.
    """

    single: SweepPoint
    knee: SweepPoint
    best: SweepPoint

    @property
    def gain(self) -> float:
        """Throughput at the knee over that of the smallest batch."""
        return self.knee.throughput_per_s / self.single.throughput_per_s

    @property
    def cost(self) -> float:
        """Latency of an invocation at the knee over that of the smallest batch."""
        return self.knee.latency_ns / self.single.latency_ns


def find_knee(points: Sequence[SweepPoint]) -> Knee | None:
    """Return the knee of a sweep over batches and threads; None with fewer than two batch sizes."""
    best_of: dict[int, SweepPoint] = {}
    for point in sorted(points, key=lambda p: (p.batch, p.threads)):
        known = best_of.get(point.batch)
        if known is None or point.throughput_per_s > known.throughput_per_s:
            best_of[point.batch] = point
    if len(best_of) < 2:
        return None
    best = max(best_of.values(), key=lambda p: p.throughput_per_s)
    enough = KNEE_SHARE * best.throughput_per_s
    knee = next(point for point in best_of.values() if point.throughput_per_s >= enough)
    return Knee(single=next(iter(best_of.values())), knee=knee, best=best)
