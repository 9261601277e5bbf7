"""Energy and power of a configuration with their uncertainty, from what a sensor measured over its windows.

Rules:
    * The figures are those of the median window, the one whose latency is reported: power and latency
      come from the same run. The other windows say how far such a figure scatters.
    * Gross energy and energy over idle are two figures with two names, never mixed. Idle was measured
      before the first window and after the last.
    * A figure that cannot be told from zero, or hangs on an idle power that moved, is a reason, not a number.

Uncertainty, 95 %, as half the width of an interval: U = sqrt(U_sensor^2 + (k s)^2). U_sensor is what the
agent states for the window (resolution, rate, length; type B). s is the standard deviation of the same
figure over the windows, k Student's factor for n - 1 degrees of freedom (type A). s is not divided by
sqrt(n): one window is reported, not the mean of n. With one window there is no s, and U is the sensor's
alone.

Source: JCGM 100:2008, "Guide to the expression of uncertainty in measurement" (GUM): 4.2 (type A), 4.3
    (type B), 5.1.2 (combination), 5.2.2 note 1 (readings of one sensor add linearly), G.3 (Student's
    factor). MLCommons inference_policies, `power_measurement.adoc` (power and performance from the same
    run).
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.toolchain.measure.student import t_quantile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LEAST_COVERAGE = 0.9
"""Of a window, as seen by the sensor: what happened in more than a tenth of it nobody knows."""
IDLE_DRIFT_LIMIT = 0.1
"""Idle power before and after may differ by a tenth of what lies over it, beyond the sensor's own
uncertainty; the difference counts as uncertainty up to there."""


@dataclass(frozen=True)
class Reading:
    """What a sensor measured over one window, or over a time in which nothing ran.

    Attributes:
        joules: Energy.
        uncertainty_j: Half the width of its 95 % interval.
        duration_s: Length of the window, above 0.
        inferences: Inferences in it (runs times batch); 0 for idle.
    """

    joules: float
    uncertainty_j: float
    duration_s: float
    inferences: int = 0

    @property
    def watts(self) -> float:
        """Average power."""
        return self.joules / self.duration_s

    @property
    def uncertainty_w(self) -> float:
        """Half the width of the 95 % interval of the average power."""
        return self.uncertainty_j / self.duration_s


@dataclass(frozen=True)
class Figure:
    """A figure and half the width of its 95 % interval, in its unit."""

    value: float
    uncertainty: float

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self.value - self.uncertainty

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.value + self.uncertainty


@dataclass(frozen=True)
class Unknown:
    """Why there is no figure."""

    reason: str


def energy_per_inference(reported: Reading, windows: Sequence[Reading]) -> Figure:
    """Return the gross energy of an inference in J: E / (runs * batch).

    Args:
        reported: The reading of the median window.
        windows: The readings of all windows that count and have one.
    """
    return _figure(
        reported, windows, lambda r: r.joules / r.inferences, reported.uncertainty_j / reported.inferences
    )


def average_power(reported: Reading, windows: Sequence[Reading]) -> Figure:
    """Return the average power in W: E / t."""
    return _figure(reported, windows, lambda r: r.watts, reported.uncertainty_w)


def idle_power(before: Reading, after: Reading) -> Figure:
    """Return the power in W while nothing ran: the mean of before and after.

    One sensor took both, so its errors do not cancel; half the difference of the two is the limit of what
    idle was in between.
    """
    sensor = (before.uncertainty_w + after.uncertainty_w) / 2
    return Figure((before.watts + after.watts) / 2, math.hypot(sensor, (before.watts - after.watts) / 2))


def energy_over_idle(
    reported: Reading, windows: Sequence[Reading], before: Reading, after: Reading
) -> Figure | Unknown:
    """Return the energy of an inference over idle in J, or why there is none.

    It is (E - P_idle * t) / (runs * batch).
    """
    idle = idle_power(before, after)
    over_w = reported.watts - idle.value
    moved_w = abs(before.watts - after.watts)
    if moved_w > before.uncertainty_w + after.uncertainty_w + IDLE_DRIFT_LIMIT * max(over_w, 0.0):
        both = f"{before.watts:.4g} W before and {after.watts:.4g} W after the windows"
        return Unknown(f"idle power was {both}: the difference is too large against what lies over it")
    sensor = math.hypot(reported.uncertainty_j, idle.uncertainty * reported.duration_s) / reported.inferences
    figure = _figure(
        reported, windows, lambda r: (r.joules - idle.value * r.duration_s) / r.inferences, sensor
    )
    if figure.low <= 0:
        found = f"{figure.value:.3g} J ± {figure.uncertainty:.3g} J an inference"
        return Unknown(f"below the noise: {found} over idle cannot be told from nothing")
    return figure


def energy_delay_product(energy: Figure, latency_ns: float, latency_half_width_ns: float) -> Figure:
    """Return energy an inference times median latency in J*s; relative uncertainties add in quadrature.

    Source: M. Horowitz, T. Indermaur, R. Gonzalez, "Low-Power Digital Design", Symposium on Low Power
        Electronics (1994), 8-11.
    """
    value = energy.value * latency_ns / 1e9
    if energy.value == 0 or latency_ns == 0:
        return Figure(value, 0.0)
    relative = math.hypot(energy.uncertainty / energy.value, latency_half_width_ns / latency_ns)
    return Figure(value, abs(value) * relative)


def _figure(
    reported: Reading, windows: Sequence[Reading], of: Callable[[Reading], float], sensor: float
) -> Figure:
    return Figure(of(reported), math.hypot(sensor, _spread([of(window) for window in windows])))


def _spread(values: Sequence[float]) -> float:
    """Return k s: Student's factor times the standard deviation; 0 where one value cannot scatter."""
    if len(values) < 2:
        return 0.0
    return t_quantile(len(values) - 1) * statistics.stdev(values)
