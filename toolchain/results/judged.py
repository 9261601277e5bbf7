"""Figures and verdicts of a run from its raw samples; also of a run that was recorded long ago.

Everything that is computed from samples is computed here, in one place, so that `rejudge` gives an old
record what a new one gets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgepack.toolchain.measure.verdict import Observed, judge
from edgepack.toolchain.results.energy_metrics import GROSS, energy_metrics, no_energy
from edgepack.toolchain.results.headline import headline_of
from edgepack.toolchain.results.job_record import ConfigurationSamples
from edgepack.toolchain.results.latency_metrics import latency_metrics, unavailable_metrics
from edgepack.toolchain.results.reported import report_configuration
from edgepack.toolchain.results.scenario_metrics import NAMES, scenario_metrics
from edgepack.toolchain.results.schema import ConfigurationVerdict, Reasoned, Verdict
from edgepack.toolchain.results.throttling import throttling_signs
from edgepack.toolchain.results.window_record import Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgepack.toolchain.results.figures import AnyMetric
    from edgepack.toolchain.results.job_record import Configuration, ConfigurationUnavailable, PowerSensorInfo
    from edgepack.toolchain.results.reported import Reported
    from edgepack.toolchain.results.schema import RunRecord
    from edgepack.toolchain.results.window_record import Window

_OF_THE_RUN = (*NAMES, GROSS)


@dataclass(frozen=True)
class Judged:
    """What the samples of a run say.

    Attributes:
        metrics: The figures of every configuration, the scenarios, and why there is no energy.
        verdicts: One a configuration that ran.
        verdict: That of the headline configuration; None where nothing ran.
    """

    metrics: list[AnyMetric]
    verdicts: list[ConfigurationVerdict]
    verdict: Verdict | None


def judge_samples(
    configurations: Sequence[ConfigurationSamples | ConfigurationUnavailable],
    power_sensor: PowerSensorInfo | Unavailable | None,
    cpus: int | None,
) -> Judged:
    """Compute figures and verdicts.

    Args:
        configurations: The raw samples.
        power_sensor: Which sensor was read, or why none was; None where nobody knows.
        cpus: CPUs of the device; None where unknown.
    """
    metrics: list[AnyMetric] = []
    verdicts = []
    for found in configurations:
        if not isinstance(found, ConfigurationSamples):
            metrics += unavailable_metrics(found)
            continue
        reported = report_configuration(found)
        metrics += latency_metrics(reported)
        if not isinstance(power_sensor, Unavailable):
            metrics += energy_metrics(reported)
        verdicts.append(_verdict(reported, cpus))
    metrics += [*scenario_metrics(metrics), *no_energy(power_sensor)]
    return Judged(metrics, verdicts, _of_headline(verdicts, headline_of(metrics)))


def rejudge(record: RunRecord) -> RunRecord:
    """Return a record with figures and verdicts computed anew from its raw samples.

    What was not computed from samples of latency and power (memory, quality, size) stays as it was.
    """
    cpu = record.device.facts_before.cpu
    judged = judge_samples(record.configurations, record.power_sensor, cpu.count if cpu else None)
    kept = [m for m in record.metrics if m.configuration is None and m.name not in _OF_THE_RUN]
    return record.model_copy(
        update={
            "metrics": [*judged.metrics, *kept],
            "verdicts": judged.verdicts,
            "verdict": judged.verdict,
        }
    )


def _verdict(reported: Reported, cpus: int | None) -> ConfigurationVerdict:
    judgement = judge(
        [_observed(window) for window in reported.windows],
        p50_ns=reported.summary.p50_ns,
        interval=reported.intervals.get(50),
        threads=reported.found.threads,
        cpus=cpus,
        settled=reported.found.settled,
    )
    drift = judgement.drift
    return ConfigurationVerdict(
        configuration=reported.place,
        status="unstable" if judgement.doubts else "stable",
        reasons=[Reasoned(code=doubt.code, message=doubt.message) for doubt in judgement.doubts],
        drift_p_value=drift.p_value if drift else None,
        drift=drift.change if drift else None,
        outlier_share=judgement.outlier_share,
        others_cpus=judgement.others_cpus,
        median_window=reported.index,
    )


def _observed(window: Window) -> Observed:
    """Turn a window of a record into what a verdict reads.

    The first and last state were read beside the window, when the device was idle and its clock low.
    """
    clocks = [[hz for hz in state.clocks_hz or [] if hz] for state in window.states[1:-1]]
    return Observed(
        samples_ns=np.asarray(window.samples_ns, dtype=np.float64),
        start_ns=window.start_clock_ns,
        window_ns=window.window_ns,
        cpu_ns=window.cpu_ns,
        others_cpu_ns=window.others_cpu_ns,
        preemptions=window.preemptions,
        busy_clocks_hz=tuple(float(max(known)) for known in clocks if known),
        throttling=throttling_signs(window.states),
    )


def _of_headline(verdicts: Sequence[ConfigurationVerdict], place: Configuration | None) -> Verdict | None:
    found = next((verdict for verdict in verdicts if verdict.configuration == place), None)
    if found is None:
        return None
    return Verdict(status=found.status, reasons=[reason.message for reason in found.reasons])
