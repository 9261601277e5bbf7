"""Joules of a window from timestamped samples, with what is not known of them.

Readings of power. Between two samples power is taken as linear (trapezoid rule) on the sensor's own
timestamps. The window's edges lie between samples: where a neighbour outside the window exists within the gap
limit, power at the edge is interpolated, else the nearest sample is held.

Energy counters. The counter is taken as linear between two samples, and read off at both edges; where there
is no neighbour outside, it goes on at the nearest slope. Only the difference counts.

Coverage. The share of the window that lies between samples no further apart than the gap limit: five times
the median interval, or a fiftieth of the window if that is more. Held edges and gaps are not covered.

Uncertainty. Half the width of a 95 % interval (k = 2): twice the root of the sum of squares of these
standard uncertainties. For readings of power:
    resolution  q T / sqrt(12). A reading is uniform within its step q; a constant power gives the same error
                in every sample, so the error does not average out over the window's length T. Left out where
                the step is not known (`resolution_w` is null then).
    rate        sqrt(1/2 sum (dp_i dt_i)^2), dp_i the change between two samples dt_i apart: the standard
                error of the mean by von Neumann's mean square successive difference. Noise of deviation s
                costs s T / sqrt(n); a steady slope costs little; a step anywhere between two samples errs
                by at most |dp| dt / 2, which this term exceeds.
    edges       s g for every held edge and every gap of length g, s the standard deviation of the samples:
                what power did there is known only as well as it is steady.
    lag         |p_last - p_first| L: a sensor that averages over L reports the window shifted by up to L.
for counters:
    resolution  q sqrt(2 / 12): the step q at two edges.
    edges       s g, g the distance from an edge to the nearest reading of the counter.
    lag         p L sqrt(2 / 12), L the counter's update interval, p the average power.
and for both:
    gain        a E / sqrt(3), where the settings state that shunt and reference are within +-a.

Sources: JCGM 100:2008 (GUM) 4.3.7 (uniform distribution), 5.1.2 (sum of squares) and 6.2 (k = 2);
J. von Neumann et al., "The mean square successive difference", Ann. Math. Statist. 12 (1941) 153-162.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from .source import JOULES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .source import Traits

GAP_INTERVALS = 5
COVERAGE_FACTOR = 2
_UNIFORM = 1 / math.sqrt(12)


@dataclass(frozen=True)
class Integral:
    """What a window of samples comes to.

    Attributes:
        joules: The energy of the window.
        uncertainty_j: Half the width of its 95 % interval.
        peak_w: The greatest power of any sample; of a counter, the greatest average between two readings.
        coverage: Share of the window that samples cover, 0 to 1.
        interval_ns: Median time between samples.
        clock_ns: Times of the trace: the samples; of a counter, the middle between two readings.
        watts: Power at these times.
    """

    joules: float
    uncertainty_j: float
    peak_w: float
    coverage: float
    interval_ns: int
    clock_ns: Sequence[int]
    watts: Sequence[float]


def integrate(
    clock_ns: Sequence[int], values: Sequence[float], window_ns: tuple[int, int], traits: Traits
) -> Integral:
    """Integrate the samples of a window.

    Args:
        clock_ns: Strictly increasing times; at most one lies before and one after the window.
        values: Watts, or joules of a counter (unwrapped), one a time.
        window_ns: Start and end.
        traits: What is known of the sensor.

    Raises:
        ValueError: Fewer than two samples, or a window of no length.
    """
    if len(clock_ns) < 2 or window_ns[1] <= window_ns[0]:
        message = f"{len(clock_ns)} samples in {window_ns[1] - window_ns[0]} ns cannot be integrated"
        raise ValueError(message)
    rule = _integrate_counter if traits.unit == JOULES else _integrate_power
    return rule(clock_ns, values, window_ns, traits)


def unwrap(previous: int, current: int, total: int, wraps_at: int) -> int:
    """Return the running total of a counter that starts again at 0 after `wraps_at`.

    Args:
        previous: The last raw reading.
        current: This raw reading.
        total: The running total at the last reading.
        wraps_at: The counter's range, such as RAPL's `max_energy_range_uj`.
    """
    step = current - previous
    return total + (step if step >= 0 else step + wraps_at)


def _integrate_power(
    clock_ns: Sequence[int], watts: Sequence[float], window_ns: tuple[int, int], traits: Traits
) -> Integral:
    interval_ns = _median_interval(clock_ns)
    limit_ns = _gap_limit_ns(interval_ns, window_ns)
    clock_ns, watts = _without_far_neighbours(clock_ns, watts, window_ns, limit_ns)
    joules = covered_s = rate = 0.0
    gaps_s = [max(clock_ns[0] - window_ns[0], 0) / 1e9, max(window_ns[1] - clock_ns[-1], 0) / 1e9]
    joules += gaps_s[0] * watts[0] + gaps_s[1] * watts[-1]
    for left, right, left_w, right_w in zip(clock_ns, clock_ns[1:], watts, watts[1:]):
        length_s, mean_w = _clipped(left, right, left_w, right_w, window_ns)
        joules += length_s * mean_w
        if right - left > limit_ns:
            gaps_s.append(length_s)
        else:
            covered_s += length_s
            rate += ((right_w - left_w) * length_s) ** 2 / 2
    total_s = (window_ns[1] - window_ns[0]) / 1e9
    spread_w = _spread(watts)
    inside = _inside(clock_ns, window_ns)
    terms = [
        (traits.resolution_w or 0.0) * total_s * _UNIFORM,
        math.sqrt(rate),
        *(spread_w * gap_s for gap_s in gaps_s),
        (watts[-1] - watts[0]) * traits.lag_ns / 1e9,
        traits.accuracy * joules / math.sqrt(3),
    ]
    return Integral(
        joules,
        _expanded(terms),
        max(watts[inside], default=max(watts)),
        min(covered_s / total_s, 1.0),
        interval_ns,
        clock_ns[inside],
        watts[inside],
    )


def _integrate_counter(
    clock_ns: Sequence[int], counted_j: Sequence[float], window_ns: tuple[int, int], traits: Traits
) -> Integral:
    interval_ns = _median_interval(clock_ns)
    limit_ns = _gap_limit_ns(interval_ns, window_ns)
    clock_ns, counted_j = _without_far_neighbours(clock_ns, counted_j, window_ns, limit_ns)
    powers_w = [
        (after - before) / (right - left) * 1e9
        for left, right, before, after in zip(clock_ns, clock_ns[1:], counted_j, counted_j[1:])
    ]
    joules = _read_off(window_ns[1], clock_ns, counted_j) - _read_off(window_ns[0], clock_ns, counted_j)
    total_s = (window_ns[1] - window_ns[0]) / 1e9
    covered_s = sum(
        _clipped(left, right, 0.0, 0.0, window_ns)[0]
        for left, right in zip(clock_ns, clock_ns[1:])
        if right - left <= limit_ns
    )
    spread_w = _spread(powers_w)
    terms = [
        (traits.resolution_j or 0.0) * math.sqrt(2) * _UNIFORM,
        *(spread_w * min(abs(edge - at) for at in clock_ns) / 1e9 for edge in window_ns),
        joules / total_s * traits.lag_ns / 1e9 * math.sqrt(2) * _UNIFORM,
        traits.accuracy * joules / math.sqrt(3),
    ]
    middles = [(left + right) // 2 for left, right in zip(clock_ns, clock_ns[1:])]
    return Integral(
        joules,
        _expanded(terms),
        max(powers_w),
        min(covered_s / total_s, 1.0),
        interval_ns,
        middles,
        powers_w,
    )


def _median_interval(clock_ns: Sequence[int]) -> int:
    return int(median(right - left for left, right in zip(clock_ns, clock_ns[1:])))


def _gap_limit_ns(interval_ns: int, window_ns: tuple[int, int]) -> int:
    return max(GAP_INTERVALS * interval_ns, (window_ns[1] - window_ns[0]) // 50)


def _without_far_neighbours(
    clock_ns: Sequence[int], values: Sequence[float], window_ns: tuple[int, int], limit_ns: int
) -> tuple[Sequence[int], Sequence[float]]:
    """Leave out a neighbour outside the window that is too far from the first or last sample inside.

    It would say nothing of the edge; the sample inside is held instead. Two samples are always left.
    """
    first, last = 0, len(clock_ns)
    if last - first > 2 and clock_ns[1] - clock_ns[0] > limit_ns and clock_ns[0] < window_ns[0]:
        first += 1
    if last - first > 2 and clock_ns[-1] - clock_ns[-2] > limit_ns and clock_ns[-1] > window_ns[1]:
        last -= 1
    return clock_ns[first:last], values[first:last]


def _clipped(
    left: int, right: int, left_w: float, right_w: float, window_ns: tuple[int, int]
) -> tuple[float, float]:
    """Return how much of a segment lies within the window, in s, and the mean power of that part."""
    start, end = max(left, window_ns[0]), min(right, window_ns[1])
    if end <= start:
        return 0.0, 0.0
    middle = ((start - left) + (end - left)) / 2 / (right - left)
    return (end - start) / 1e9, left_w + (right_w - left_w) * middle


def _read_off(at_ns: int, clock_ns: Sequence[int], counted_j: Sequence[float]) -> float:
    """Return a counter's value at a time, on the line through the two readings nearest to it."""
    index = min(max(bisect_right(clock_ns, at_ns), 1), len(clock_ns) - 1)
    left, right = clock_ns[index - 1], clock_ns[index]
    slope = (counted_j[index] - counted_j[index - 1]) / (right - left)
    return counted_j[index - 1] + slope * (at_ns - left)


def _inside(clock_ns: Sequence[int], window_ns: tuple[int, int]) -> slice:
    first = 1 if clock_ns[0] < window_ns[0] else 0
    last = len(clock_ns) - (1 if clock_ns[-1] > window_ns[1] else 0)
    return slice(first, last) if last > first else slice(0, len(clock_ns))


def _spread(watts: Sequence[float]) -> float:
    """Return the standard deviation of the samples."""
    mean = math.fsum(watts) / len(watts)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in watts) / len(watts))


def _expanded(standard: Iterable[float]) -> float:
    """Return the expanded uncertainty of independent standard uncertainties."""
    return COVERAGE_FACTOR * math.sqrt(sum(term * term for term in standard))
