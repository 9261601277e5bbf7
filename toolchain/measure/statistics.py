"""Statistics of latency samples.

Rules:
    * Samples in, values out: no I/O, no clock. Nothing is discarded: an outlier is part of what happened.
    * Percentiles interpolate linearly between the order statistics (type 7).
    * A percentile that the samples cannot support is None, never a guess.

Source: R. J. Hyndman, Y. Fan, "Sample Quantiles in Statistical Packages", The American Statistician 50
    (1996), 361-365, definition 7; NumPy's default.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

PERCENTILES = (50, 90, 99)
NS_PER_S = 1_000_000_000


@dataclass(frozen=True)
class LatencySummary:
    """What a set of latency samples says; nanoseconds throughout.

    Attributes:
        count: Number of samples.
        min_ns: Smallest sample.
        mean_ns: Arithmetic mean.
        p50_ns: Median.
        p90_ns: 90th percentile; None with fewer than 10 samples.
        p99_ns: 99th percentile; None with fewer than 100 samples.
        max_ns: Largest sample.
        std_ns: Standard deviation of the sample (n - 1); None with one sample.
    """

    count: int
    min_ns: float
    mean_ns: float
    p50_ns: float
    p90_ns: float | None
    p99_ns: float | None
    max_ns: float
    std_ns: float | None


def summarize(samples_ns: Sequence[int]) -> LatencySummary:
    """Summarize latency samples.

    Args:
        samples_ns: One duration an inference, at least one.

    Raises:
        ValueError: There is no sample.
    """
    if len(samples_ns) == 0:
        message = "no samples"
        raise ValueError(message)
    samples = np.asarray(samples_ns, dtype=np.float64)
    return LatencySummary(
        count=samples.size,
        min_ns=float(samples.min()),
        mean_ns=float(samples.mean()),
        p50_ns=float(np.percentile(samples, 50)),
        p90_ns=percentile_ns(samples, 90),
        p99_ns=percentile_ns(samples, 99),
        max_ns=float(samples.max()),
        std_ns=float(samples.std(ddof=1)) if samples.size > 1 else None,
    )


def samples_needed(percentile: int) -> int:
    """Return how many samples a percentile above the median needs: at least one must lie beyond it."""
    return -(-100 // (100 - percentile))


def percentile_ns(samples_ns: Sequence[int] | np.ndarray, percentile: int) -> float | None:
    """Return a percentile (type 7), or None where there are fewer samples than it needs."""
    if len(samples_ns) < samples_needed(percentile):
        return None
    return float(np.percentile(np.asarray(samples_ns, dtype=np.float64), percentile))


def middle(values: Sequence[float]) -> int:
    """Return the index of the value in the middle: the lower of two, the first of equals."""
    order = sorted(range(len(values)), key=values.__getitem__)
    return order[(len(order) - 1) // 2]


def throughput_per_s(batch: int, p50_ns: float) -> float | None:
    """Return inferences per second: batch size over median latency.

    One invocation computes `batch` inferences. The median is used because a few interruptions by the
    scheduler move a mean. None where the clock could not resolve one invocation (a median of 0).
    """
    return batch * NS_PER_S / p50_ns if p50_ns > 0 else None
