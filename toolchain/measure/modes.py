"""Do the latencies form two groups? Hartigan's dip, and where the groups lie.

The dip is the largest difference between the samples' distribution function and the nearest one with a single
mode. A long tail on the right, which every device has, does not raise it; two groups with little between
them do: it then comes to a third to a half of the share of the smaller group.

Source: J. A. Hartigan, P. M. Hartigan, "The Dip Test of Unimodality", Annals of Statistics 13 (1985), 70-84.
    The split: N. Otsu, "A Threshold Selection Method from Gray-Level Histograms", IEEE Transactions on
    Systems, Man, and Cybernetics 9 (1979), 62-66.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

LEAST_DIP = 0.04
"""Caused by about an eighth of the inferences in a group of their own; fewer are outliers, judged apart."""
_CRITICAL = 0.65
"""Of samples of a uniform distribution, the worst one with a single mode, dip * sqrt(n) exceeds this less
than once in 500 times (simulated, n from 50 to 500)."""
_POINTS = 500
_TRIMMED = 2.5  # per cent at either end: outliers are judged apart


@dataclass(frozen=True)
class Modes:
    """Two groups of latencies.

    Attributes:
        dip: Hartigan's dip.
        low_ns: Median of the faster group.
        high_ns: Median of the slower group.
        high_share: Share of inferences in the slower group.
    """

    dip: float
    low_ns: float
    high_ns: float
    high_share: float


def find_two_modes(windows: Sequence[NDArray[np.float64]]) -> Modes | None:
    """Return the two groups that the samples of all windows form, or None where there is one.

    Each window is represented by as many evenly spaced quantiles as any other.

    Args:
        windows: The samples of each window: float64 [n], positive.
    """
    each = min(_POINTS // len(windows), *(window.size for window in windows)) or 1
    levels = (np.arange(each) + 0.5) / each
    drawn = [np.quantile(window, levels, method="inverted_cdf") for window in windows]
    points = _unrounded(np.sort(np.concatenate(drawn)))
    found = dip(points)
    if found < max(LEAST_DIP, _CRITICAL / points.size**0.5):
        return None
    low, high = np.percentile(points, [_TRIMMED, 100 - _TRIMMED])
    cut = _split(points[(points >= low) & (points <= high)])
    fast, slow = points[points <= cut], points[points > cut]
    if fast.size == 0 or slow.size == 0:
        return None
    return Modes(found, float(np.median(fast)), float(np.median(slow)), slow.size / points.size)


def dip(samples: NDArray[np.float64]) -> float:
    """Return Hartigan's dip of sorted samples: 1 / (2 n) for evenly spaced ones, up to 0.25.

    The modal interval shrinks until the largest distance between the greatest convex minorant and the least
    concave majorant inside it is no larger than what is needed outside of it.

    Args:
        samples: float64 [n], strictly ascending, at least one.
    """
    after = np.arange(1, samples.size + 1) / samples.size
    before = after - 1 / samples.size
    first, last = 0, samples.size - 1
    needed = 1 / samples.size
    while last > first:
        inside = slice(first, last + 1)
        x = samples[inside]
        lower_at = _convex_hull(x, before[inside])
        upper_at = x.size - 1 - _convex_hull(-x[::-1], -after[inside][::-1])[::-1]
        lower = np.interp(x, x[lower_at], before[inside][lower_at])
        upper = np.interp(x, x[upper_at], after[inside][upper_at])
        gaps = upper - lower
        gap_lower, gap_upper = gaps[lower_at].max(), gaps[upper_at].max()
        if gap_lower >= gap_upper:
            left = int(lower_at[gaps[lower_at].argmax()])
            right = int(upper_at[upper_at >= left][0])
        else:
            right = int(upper_at[gaps[upper_at].argmax()])
            left = int(lower_at[lower_at <= right][-1])
        gap = max(gap_lower, gap_upper)
        if gap <= needed:
            break
        outside_left = (after[inside] - lower)[: left + 1].max()
        outside_right = (upper - before[inside])[right:].max()
        needed = max(needed, float(outside_left), float(outside_right))
        if (left, right) == (0, x.size - 1):
            break
        first, last = first + left, first + right
    return float(needed / 2)


def _unrounded(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spread equal values evenly over the clock's tick: a coarse clock is no reason to see groups."""
    values, counts = np.unique(points, return_counts=True)
    tick = float(np.diff(values).min()) if values.size > 1 else 1.0
    place = np.arange(points.size) - np.repeat(np.cumsum(counts) - counts, counts)
    return points + tick * ((place + 0.5) / np.repeat(counts, counts) - 0.5)


def _convex_hull(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the indices of the points of the greatest convex minorant; `x` ascends strictly."""
    xs, ys = x.tolist(), y.tolist()  # plain numbers: several times faster than NumPy's, one by one
    hull: list[int] = []
    for index in range(len(xs)):
        while len(hull) > 1:
            a, b = hull[-2], hull[-1]
            if (ys[b] - ys[a]) * (xs[index] - xs[a]) < (ys[index] - ys[a]) * (xs[b] - xs[a]):
                break
            hull.pop()
        hull.append(index)
    return np.asarray(hull)


def _split(points: NDArray[np.float64]) -> float:
    """Return the value that best parts sorted points into two groups: largest variance between them."""
    sums = np.cumsum(points)
    counts = np.arange(1, points.size)
    below, above = sums[:-1] / counts, (sums[-1] - sums[:-1]) / (points.size - counts)
    between = counts * (points.size - counts) * (above - below) ** 2
    return float(points[:-1][between.argmax()])
