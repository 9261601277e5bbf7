"""What is reported of a configuration: its median window, the summary of its samples, and the intervals.

Everything that is said of a configuration begins here, so that its figures, energy and verdict agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgepack.toolchain.measure.bootstrap import percentile_intervals
from edgepack.toolchain.measure.statistics import summarize
from edgepack.toolchain.results.job_record import Configuration
from edgepack.toolchain.results.median_window import median_window_index

if TYPE_CHECKING:
    from edgepack.toolchain.measure.bootstrap import Interval
    from edgepack.toolchain.measure.statistics import LatencySummary
    from edgepack.toolchain.results.job_record import ConfigurationSamples
    from edgepack.toolchain.results.window_record import Window


@dataclass(frozen=True)
class Reported:
    """A configuration with what its samples say.

    Attributes:
        found: Its raw samples.
        place: Its name: batch, threads, delegate.
        windows: The windows that count.
        index: Which of them is reported.
        summary: The summary of that one's samples.
        intervals: 95 % intervals by percentile, where there are enough samples for one.
    """

    found: ConfigurationSamples
    place: Configuration
    windows: list[Window]
    index: int
    summary: LatencySummary
    intervals: dict[int, Interval]

    @property
    def window(self) -> Window:
        """The reported window."""
        return self.windows[self.index]


def report_configuration(found: ConfigurationSamples) -> Reported:
    """Find the median window of a configuration and compute what its samples say."""
    windows = found.accepted
    samples = [np.asarray(window.samples_ns, dtype=np.float64) for window in windows]
    index = median_window_index(found)
    summary = summarize(windows[index].samples_ns)
    values = {50: summary.p50_ns, 90: summary.p90_ns, 99: summary.p99_ns}
    known = {percentile: value for percentile, value in values.items() if value is not None}
    return Reported(
        found=found,
        place=place_of(found),
        windows=windows,
        index=index,
        summary=summary,
        intervals=percentile_intervals(samples, known),
    )


def place_of(found: Configuration) -> Configuration:
    """Return what names a configuration, without its samples."""
    return Configuration(batch=found.batch, threads=found.threads, delegate=found.delegate)
