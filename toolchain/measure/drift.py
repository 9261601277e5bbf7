"""Does the latency drift: from window to window, or in the same way inside each of them?

From window to window: a straight line through the windows' medians over time, and Student's t test of its
slope with n - 2 degrees of freedom. The window is the unit of replication, not the inference: samples of
one window share clock, inputs and temperature, so a regression over all samples would find a
"significant" slope in the ordinary differences between windows. A rank test (Mann-Kendall) would need no
normal distribution, but of five windows only a perfect order reaches p < 0.05 (2 of 120 orders), which
misses most real drifts.

Inside the windows: the median of each window's last quarter over that of its first. It shows what the line
cannot: windows that all begin cool and end hot. It counts where all windows agree in direction, at least five
of them (a sign test: 2 of 32 by chance).

Source: D. C. Montgomery, E. A. Peck, G. G. Vining, "Introduction to Linear Regression Analysis", section 2.3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgepack.toolchain.measure.student import two_sided_p

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_LEAST_WINDOWS = 3
_LEAST_FOR_SIGNS = 5
_LEAST_SAMPLES = 20  # four quarters of five


@dataclass(frozen=True)
class Drift:
    """How the latency moved.

    Attributes:
        p_value: Of the slope over the windows.
        change: Latency of the last window over that of the first, by the fitted line, minus 1.
        inside: Last quarter over first quarter of the windows, minus 1: the median over windows; None where
            windows are too few or too short, or do not agree in direction.
    """

    p_value: float
    change: float
    inside: float | None


def drift_of(
    medians: Sequence[float], middles_ns: Sequence[int], inside: float | None = None
) -> Drift | None:
    """Fit a line through the windows' medians; None with fewer than three windows or nothing to fit.

    Args:
        medians: The median latency of each window, ns.
        middles_ns: The middle of each window by the device's monotonic clock; where all are equal, windows
            count as equally spaced.
        inside: What `drift_inside` found.
    """
    if len(medians) < _LEAST_WINDOWS or min(medians) <= 0:
        return None
    times = np.asarray(middles_ns, dtype=np.float64)
    if np.ptp(times) == 0:
        times = np.arange(len(medians), dtype=np.float64)
    times = (times - times.mean()) / np.ptp(times)
    values = np.asarray(medians, dtype=np.float64)
    slope = float(times @ values / (times @ times))
    line = values.mean() + slope * times
    degrees = values.size - 2
    error = math.sqrt(float(((values - line) ** 2).sum()) / degrees / float(times @ times))
    if slope == 0:
        return Drift(1.0, 0.0, inside)
    p_value = two_sided_p(slope / error if error else math.inf, degrees)
    return Drift(p_value, float(line[-1] / line[0] - 1), inside)


def drift_inside(windows: Sequence[NDArray[np.float64]]) -> float | None:
    """Return how the latency moves inside the windows, where all of them agree in direction.

    Args:
        windows: The samples of each window in the order they were taken: float64 [n].
    """
    if len(windows) < _LEAST_FOR_SIGNS or min(window.size for window in windows) < _LEAST_SAMPLES:
        return None
    changes = []
    for window in windows:
        quarter = window.size // 4
        first, last = np.median(window[:quarter]), np.median(window[-quarter:])
        if first <= 0:
            return None
        changes.append(float(last / first - 1))
    agree = all(change > 0 for change in changes) or all(change < 0 for change in changes)
    return float(np.median(changes)) if agree else None
