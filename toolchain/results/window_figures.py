"""The figure of a metric, window by window: what a comparison takes as its independent measurements.

Rules:
    * Only windows that count take part. A window without the reading that a figure needs has no figure.
    * Each figure is computed as the record's own figure of the median window is (`latency_metrics.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgepack.toolchain.measure.energy import LEAST_COVERAGE
from edgepack.toolchain.measure.statistics import samples_needed
from edgepack.toolchain.results.window_record import PowerReading

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from edgepack.toolchain.results.job_record import ConfigurationSamples
    from edgepack.toolchain.results.window_record import Window


@dataclass(frozen=True)
class SampleFigure:
    """A figure of the samples of a window.

    Attributes:
        figure: From samples in ns, float64 [n], to the figure.
        least: Samples that it needs.
    """

    figure: Callable[[NDArray[np.float64]], float]
    least: int = 1


def _percentile(percent: int) -> SampleFigure:
    least = samples_needed(percent) if percent > 50 else 1
    return SampleFigure(lambda samples: float(np.percentile(samples, percent)), least)


def _throughput(samples: NDArray[np.float64]) -> float:
    """Return invocations per ns, which throughput is in proportion to; 0 where the clock saw no time pass."""
    p50_ns = float(np.percentile(samples, 50))
    return 1 / p50_ns if p50_ns > 0 else 0.0


SAMPLE_FIGURES: dict[tuple[str, str], SampleFigure] = {
    ("latency", "min"): SampleFigure(lambda samples: float(samples.min())),
    ("latency", "mean"): SampleFigure(lambda samples: float(samples.mean())),
    ("latency", "p50"): _percentile(50),
    ("latency", "p90"): _percentile(90),
    ("latency", "p99"): _percentile(99),
    ("latency", "max"): SampleFigure(lambda samples: float(samples.max())),
    ("throughput", "p50"): SampleFigure(_throughput),
}


def windows_of(found: ConfigurationSamples) -> list[list[int]]:
    """Return the samples of each window that counts, in ns."""
    return [window.samples_ns for window in found.accepted]


def power_figures(found: ConfigurationSamples, name: str) -> list[float] | None:
    """Return an energy or power metric of each window whose power was read; None for any other metric."""
    if name not in _POWER_FIGURES:
        return None
    idle_w = _idle_w(found)
    figures = [
        _POWER_FIGURES[name](window, power, found.batch, idle_w)
        for window in found.accepted
        if (power := _reading(window)) is not None
    ]
    return [figure for figure in figures if figure is not None]


def power_uncertainty(found: ConfigurationSamples) -> float:
    """Return the median relative uncertainty of the windows' joules, half a 95 % interval; 0 without any."""
    shares = [
        power.uncertainty_j / power.joules
        for window in found.accepted
        if (power := _reading(window)) is not None and power.joules > 0
    ]
    return float(np.median(shares)) if shares else 0.0


def _reading(window: Window) -> PowerReading | None:
    """Return the power of a window, where the sensor saw enough of it to be believed."""
    power = window.power
    return power if isinstance(power, PowerReading) and power.coverage >= LEAST_COVERAGE else None


def _idle_w(found: ConfigurationSamples) -> float | None:
    sides = (found.idle.before, found.idle.after) if found.idle else ()
    readings = [side.average_w for side in sides if isinstance(side, PowerReading)]
    return sum(readings) / len(readings) if readings else None


def _gross_j(window: Window, power: PowerReading, batch: int, _idle_w: float | None) -> float | None:
    return power.joules / (window.runs * batch)


def _over_idle_j(window: Window, power: PowerReading, batch: int, idle_w: float | None) -> float | None:
    if idle_w is None:
        return None
    return (power.joules - idle_w * power.duration_ns / 1e9) / (window.runs * batch)


def _delay_product(window: Window, power: PowerReading, batch: int, _idle_w: float | None) -> float | None:
    return power.joules / (window.runs * batch) * float(np.median(window.samples_ns)) / 1e9


def _inferences_per_j(window: Window, power: PowerReading, batch: int, _idle_w: float | None) -> float | None:
    return window.runs * batch / power.joules if power.joules > 0 else None


_POWER_FIGURES: dict[str, Callable[[Window, PowerReading, int, float | None], float | None]] = {
    "energy_per_inference": _gross_j,
    "energy_over_idle_per_inference": _over_idle_j,
    "energy_delay_product": _delay_product,
    "inferences_per_joule": _inferences_per_j,
    "average_power": lambda _window, power, _batch, _idle: power.average_w,
    "peak_power": lambda _window, power, _batch, _idle: power.peak_w,
}
