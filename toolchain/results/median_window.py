"""Which window of a configuration is reported: the one in the middle, by its median latency.

Latency, throughput, CPU use and energy all come from this one window, so that power and performance belong
to the same run. The other windows stay in the record and carry the intervals and the verdict.

Source: EEMBC EnergyRunner, README, "Median Performance"; MLCommons inference_policies,
    `power_measurement.adoc` (power and performance from the same run).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgepack.toolchain.measure.statistics import middle

if TYPE_CHECKING:
    from edgepack.toolchain.results.job_record import ConfigurationSamples
    from edgepack.toolchain.results.window_record import Window


def median_window_index(found: ConfigurationSamples) -> int:
    """Return the index of the reported window among those that count."""
    return middle([float(np.median(window.samples_ns)) for window in found.accepted])


def median_window(found: ConfigurationSamples) -> Window:
    """Return the reported window."""
    return found.accepted[median_window_index(found)]
