"""The test that suits a metric: which one, on what of the two runs.

Rules:
    * Latency, throughput and energy: windows against windows.
    * Quality that counts right answers: sample by sample where both runs answered the same questions and kept
      the answers, else two shares; any other quality: its two intervals.
    * Sizes have no noise. What was read once a run, or came without samples, cannot be tested.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.toolchain.results.change import same_place
from edgepack.toolchain.results.foreign import ForeignRun
from edgepack.toolchain.results.job_record import ConfigurationSamples
from edgepack.toolchain.results.significance import (
    Difference,
    Units,
    interval_test,
    paired_shares,
    rank_test,
    sampled_units,
    separate_shares,
)
from edgepack.toolchain.results.window_figures import (
    SAMPLE_FIGURES,
    power_figures,
    power_uncertainty,
    windows_of,
)

if TYPE_CHECKING:
    from edgepack.toolchain.results.change import AnyRun
    from edgepack.toolchain.results.job_record import Configuration
    from edgepack.toolchain.results.schema import Metric, RunRecord

_SHARES = ("agreement", "top1")
_READ_ONCE = "read once a run: no test"
_NO_INTERVAL = "no interval is known of this metric: no test"


def difference(
    base: AnyRun, new: AnyRun, before: Metric, after: Metric, place: Configuration | None
) -> Difference | str:
    """Test one metric of two runs.

    Args:
        base: The run that is compared with.
        new: The run that is judged.
        before: The metric in BASE.
        after: The same metric in NEW.
        place: The configuration that both belong to; None for the whole run.

    Returns:
        What the test says, or why there is none.
    """
    if isinstance(base, ForeignRun) or isinstance(new, ForeignRun):
        return "no samples on one side: no test"
    if before.name == "model_size":
        return "exact: no test"
    if before.name.startswith("quality_"):
        return _paired(base, new, before, after) or _quality(before, after)
    first, second = _samples_at(base, place), _samples_at(new, place)
    if first is None or second is None:
        return _READ_ONCE
    if (before.name, before.aggregation) in SAMPLE_FIGURES:
        return _sampled(before, first, second)
    return _power(before.name, first, second)


def _sampled(metric: Metric, base: ConfigurationSamples, new: ConfigurationSamples) -> Difference | str:
    figure = SAMPLE_FIGURES[metric.name, metric.aggregation]
    units = sampled_units(windows_of(base), windows_of(new), figure.figure, least=figure.least)
    return (rank_test(units) if units else None) or "too few samples: no test"


def _power(name: str, base: ConfigurationSamples, new: ConfigurationSamples) -> Difference | str:
    first, second = power_figures(base, name), power_figures(new, name)
    if first is None or second is None:
        return _READ_ONCE
    found = rank_test(Units(tuple(first), tuple(second), "windows"))
    if found is None:
        return "too few windows with a power reading: no test"
    # What the sensors themselves are unsure of no number of windows shows.
    unsure = (power_uncertainty(base) ** 2 + power_uncertainty(new) ** 2) ** 0.5
    return Difference(found.test, found.p_value, found.low - unsure, found.high + unsure)


def _paired(base: RunRecord, new: RunRecord, before: Metric, after: Metric) -> Difference | None:
    """Test the answers to the same questions; None where the runs do not hold them."""
    first, second = base.answers, new.answers
    if before.name != "quality_device" or before.aggregation != after.aggregation:
        return None
    if first is None or second is None or first.count != second.count:
        return None
    if first.labels_sha256 != second.labels_sha256:
        return None
    was, now = first.array(), second.array()
    return paired_shares(int((was & ~now).sum()), int((now & ~was).sum()), first.count)


def _quality(before: Metric, after: Metric) -> Difference | str:
    if before.aggregation in _SHARES and before.samples and after.samples:
        return separate_shares(
            (round(before.value * before.samples), before.samples),
            (round(after.value * after.samples), after.samples),
        )
    if before.low is None or before.high is None or after.low is None or after.high is None:
        return _NO_INTERVAL
    base, new = (before.value, before.low, before.high), (after.value, after.low, after.high)
    return interval_test(base, new, relative=before.unit != "ratio") or _NO_INTERVAL


def _samples_at(run: RunRecord, place: Configuration | None) -> ConfigurationSamples | None:
    for found in run.configurations:
        if isinstance(found, ConfigurationSamples) and same_place(found, place):
            return found
    return None
