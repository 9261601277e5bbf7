"""Intervals of latency percentiles, where neighbouring inferences resemble each other and windows differ.

Inferences that follow each other share clock, caches and temperature: ten thousand of them are not ten
thousand independent measurements. Nor are windows alike. A replicate therefore

1. draws as many windows as there are, with replacement;
2. inside each, draws blocks of consecutive samples, and counts how many of them lie at or below the window's
   percentile: that share is the level at which the percentile of the replicate is read off the sorted window
   (Woodruff), which costs a sum a block instead of a sorted copy of the window;
3. reports, as the record does, the percentile of the window in the middle by p50.

The interval lies between the 2.5 % and 97.5 % quantiles of the replicates. It is deterministic.

Limits, as its test simulates them: with five windows it covers the true value 93 to 99 times in 100, more
often than it has to where windows do not differ. Fewer windows cannot show how windows differ: where they
do much, it is too narrow (three windows: 77 of 100; one: 10 of 100). There is no interval where even the
largest of all samples may well lie below the true percentile.

Sources: H. R. Kuensch, "The Jackknife and the Bootstrap for General Stationary Observations", Annals of
    Statistics 17 (1989), 1217-1241 (moving blocks); D. N. Politis, J. P. Romano, "A Circular
    Block-Resampling Procedure for Stationary Data" (1992) (blocks wrap around, so that every sample is
    drawn equally often); B. Efron, R. J. Tibshirani, "An Introduction to the Bootstrap" (1993), chapters
    8 and 13 (levels, percentile interval); R. S. Woodruff, "Confidence Intervals for Medians and Other
    Position Measures", JASA 47 (1952), 635-646.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

CONFIDENCE = 0.95
_REPLICATES = 1000  # Efron and Tibshirani, section 13.3
_SEED = 20_140_331  # any fixed number: the same samples always give the same interval


@dataclass(frozen=True)
class Interval:
    """A 95 % confidence interval."""

    low: float
    high: float


def percentile_intervals(
    windows: Sequence[NDArray[np.float64]], values: Mapping[int, float]
) -> dict[int, Interval]:
    """Return the interval of each percentile of the median window, where there are enough samples.

    Args:
        windows: The samples of each window that counts, in the order they were taken: float64 [n], ns.
        values: The percentiles, such as 50 and 90, and what is reported for each; an interval holds that.
    """
    count = sum(window.size for window in windows)
    percentiles = [percentile for percentile in values if count >= samples_for_interval(percentile)]
    generator = np.random.default_rng(_SEED)
    drawn = generator.integers(len(windows), size=(_REPLICATES, len(windows)))
    wanted = [50, *percentiles]
    figures = np.empty((len(wanted), *drawn.shape))
    for index, window in enumerate(windows):
        slots = drawn == index
        figures[:, slots] = _replicates(window, wanted, int(slots.sum()), generator)
    order = np.argsort(figures[0], axis=1, kind="stable")
    median = order[:, (len(windows) - 1) // 2][:, None]
    tail = 100 * (1 - CONFIDENCE) / 2
    intervals = {}
    for percentile, each in zip(percentiles, figures[1:], strict=True):
        low, high = np.percentile(np.take_along_axis(each, median, axis=1), [tail, 100 - tail])
        value = values[percentile]
        intervals[percentile] = Interval(min(float(low), value), max(float(high), value))
    return intervals


def samples_for_interval(percentile: int) -> int:
    """Return how many samples an interval of a percentile needs: the largest lies beyond it, 97.5 % sure.

    6 for the median, 36 for the 90th percentile, 368 for the 99th. All samples lie below the percentile p
    with probability p^n.
    """
    return math.ceil(math.log((1 - CONFIDENCE) / 2) / math.log(percentile / 100))


def block_length(samples: int) -> int:
    """Return how many consecutive samples a block holds: the square root of their number.

    Longer than the n^(1/3) that is best for weak dependence: clocks and neighbours change over many
    inferences, and blocks that are too short make an interval too narrow, those too long only restless.
    """
    return max(1, math.isqrt(samples))


def _replicates(
    window: NDArray[np.float64], percentiles: Sequence[int], count: int, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Return `count` replicates of each percentile of a window: float64 [percentiles, count]."""
    size = window.size
    length = block_length(size)
    blocks = -(-size // length)
    starts = generator.integers(size, size=(count, blocks))
    ordered = np.sort(window)
    found = np.empty((len(percentiles), count))
    for row, percentile in enumerate(percentiles):
        below = window <= np.percentile(window, percentile)
        sums = np.concatenate([[0], np.cumsum(np.concatenate([below, below[: length - 1]]))])
        shares = (sums[length:] - sums[:-length])[starts].mean(axis=1) / length
        levels = np.clip(percentile / 100 + shares - below.mean(), 0, 1)
        found[row] = np.interp(levels * (size - 1), np.arange(size), ordered)
    return found
