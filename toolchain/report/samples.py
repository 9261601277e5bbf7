"""Where a record keeps the samples, the verdict and the reported window of a configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgepack.toolchain.measure.statistics import middle
from edgepack.toolchain.results.job_record import ConfigurationSamples

if TYPE_CHECKING:
    from edgepack.toolchain.results.job_record import Configuration
    from edgepack.toolchain.results.schema import ConfigurationVerdict, RunRecord
    from edgepack.toolchain.results.window_record import Window


def same_configuration(one: Configuration, other: Configuration) -> bool:
    """Return whether two configurations are the same one, whatever else they carry."""
    return (one.batch, one.threads, one.delegate) == (other.batch, other.threads, other.delegate)


def samples_of(record: RunRecord, place: Configuration) -> ConfigurationSamples | None:
    """Return the samples of a configuration; None where it did not run."""
    for found in record.configurations:
        if isinstance(found, ConfigurationSamples) and same_configuration(found, place):
            return found
    return None


def verdict_of(record: RunRecord, place: Configuration) -> ConfigurationVerdict | None:
    """Return what was judged of a configuration; None where nobody judged."""
    return next((v for v in record.verdicts if same_configuration(v.configuration, place)), None)


def reported_window(record: RunRecord, found: ConfigurationSamples) -> Window:
    """Return the window that the figures are of; where no verdict names it, the middle one by its median."""
    windows = found.accepted
    verdict = verdict_of(record, found)
    if verdict is not None and verdict.median_window < len(windows):
        return windows[verdict.median_window]
    return windows[middle([float(np.median(window.samples_ns)) for window in windows])]
