"""A job's record with the readings of a meter at the host in the places that the device left free.

Rules:
    * A window is cut exactly at its first inference's start and its last one's end.
    * Times on the record stay the device's: the trace is mapped back.
    * What the meter cannot say is unavailable with its reason, window by window.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from edgepack.targets.errors import EdgepackError
from edgepack.toolchain.measure.host_power import Span, with_clock_uncertainty
from edgepack.toolchain.results.job_record import ConfigurationSamples, PowerSensorInfo
from edgepack.toolchain.results.window_record import Power, PowerTrace, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgepack.toolchain.measure.host_meter import HostMeter
    from edgepack.toolchain.measure.host_power import MeterSpan
    from edgepack.toolchain.results.job_record import ConfigurationUnavailable, JobRecord
    from edgepack.toolchain.results.window_record import IdlePower

    AnyConfiguration = ConfigurationSamples | ConfigurationUnavailable

_POWER: TypeAdapter[Power] = TypeAdapter(Power)


def metered(job: JobRecord, meter: HostMeter) -> JobRecord:
    """Return a job's record with what the meter recorded meanwhile, or why it did not."""
    spans = spans_of(job)
    info = PowerSensorInfo(
        name=meter.about.name, driver=meter.about.driver, covers=meter.about.covers, at=meter.at
    )
    try:
        powers = [power_on_device(*each) for each in meter.values(spans)]
    except EdgepackError as err:
        return with_powers(job, [Unavailable(unavailable=err.message)] * len(spans), info)
    return with_powers(job, powers, info)


def spans_of(job: JobRecord) -> list[Span]:
    """Return the times for which a job's record has a place for power, in the order of `with_powers`."""
    spans = []
    for found in job.configurations:
        spans += [Span(window.start_clock_ns, window.window_ns) for window in found.windows]
        spans += [Span(span.start_clock_ns, span.duration_ns) for span in _idle_spans(found)]
    return spans


def with_powers(job: JobRecord, powers: Sequence[Power], sensor: PowerSensorInfo) -> JobRecord:
    """Return a job's record with a power in every place that `spans_of` lists."""
    rest = iter(powers)
    configurations = [_configuration(found, rest) for found in job.configurations]
    return job.model_copy(update={"configurations": configurations, "power_sensor": sensor})


def power_on_device(span: MeterSpan, value: dict[str, Any]) -> Power:
    """Return what a meter said of a span as the record keeps it.

    Args:
        span: The span on the meter's clock, and how well it is known.
        value: The POWER value of the meter's agent, not checked yet.
    """
    try:
        power = _POWER.validate_python(value)
    except ValidationError as err:
        first = err.errors(include_url=False, include_input=False)[0]
        return Unavailable(unavailable=f"the meter's agent answered badly: {first['msg']}")
    if isinstance(power, Unavailable):
        return power
    trace = power.trace
    edges_w = (trace.watts[0], trace.watts[-1]) if trace and trace.watts else (power.average_w,) * 2
    update: dict[str, Any] = {
        "clock_uncertainty_ns": math.ceil(span.uncertainty_ns),
        "uncertainty_j": with_clock_uncertainty(power.uncertainty_j, edges_w, span.uncertainty_ns),
    }
    if trace:
        update["trace"] = PowerTrace(
            clock_ns=[span.device_ns(at) for at in trace.clock_ns], watts=trace.watts
        )
    return power.model_copy(update=update)


def _configuration(found: AnyConfiguration, powers: Iterator[Power]) -> AnyConfiguration:
    windows = [window.model_copy(update={"power": next(powers)}) for window in found.windows]
    update: dict[str, Any] = {"windows": windows}
    if isinstance(found, ConfigurationSamples) and _idle_spans(found):
        assert found.idle
        update["idle"] = found.idle.model_copy(update={"before": next(powers), "after": next(powers)})
    return found.model_copy(update=update)


def _idle_spans(found: AnyConfiguration) -> tuple[Any, ...]:
    idle: IdlePower | None = found.idle if isinstance(found, ConfigurationSamples) else None
    if idle is None or idle.before_span is None or idle.after_span is None:
        return ()
    return (idle.before_span, idle.after_span)
