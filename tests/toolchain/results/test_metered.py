"""Readings of a meter at the host in the places that the device left free."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from edgepack.toolchain.errors import NetworkError
from edgepack.toolchain.measure.host_power import MeterSpan, Span
from edgepack.toolchain.measure.messages import MeterStarted
from edgepack.toolchain.results.job_record import ConfigurationSamples, JobRecord, parse_job_record
from edgepack.toolchain.results.metered import metered, power_on_device, spans_of
from edgepack.toolchain.results.window_record import PowerReading, Unavailable
from tests.toolchain.records import make_configuration, make_job, make_manifest, make_power, make_window

if TYPE_CHECKING:
    from collections.abc import Sequence

SECOND = 1_000_000_000
NOBODY = {"unavailable": "nobody recorded"}
AHEAD_NS = 5_000 * SECOND


class Meter:
    """What `metered` sees of a `HostMeter`: each span costs as many joules as its start has seconds."""

    about = MeterStarted(name="ppk2", driver="ppk2", covers="what it supplies")
    at = "desk"
    uncertainty_ns = 1e6

    def values(self, spans: Sequence[Span]) -> list[tuple[MeterSpan, dict[str, Any]]]:
        return [self.value(span) for span in spans]

    def value(self, span: Span) -> tuple[MeterSpan, dict[str, Any]]:
        from_ns, to_ns = span.start_clock_ns + AHEAD_NS, span.end_clock_ns + AHEAD_NS
        power = make_power(3.0, SECOND) | {
            "joules": span.start_clock_ns / SECOND,
            "uncertainty_j": 0.0,
            "trace": {"clock_ns": [from_ns, to_ns], "watts": [3.0, 4.0]},
        }
        return MeterSpan(span, from_ns, to_ns, self.uncertainty_ns), power


def job_of(*configurations: dict[str, Any]) -> JobRecord:
    return parse_job_record(
        json.dumps(
            make_job(make_manifest(), configurations=list(configurations), power_sensor=NOBODY)
        ).encode()
    )


def windows_at(*starts_s: int, rejected: str | None = None) -> list[dict[str, Any]]:
    return [
        make_window([1_000_000] * 10, start_ns=at * SECOND, power=NOBODY, rejected=rejected)
        for at in starts_s
    ]


def measured(batch: int, *starts_s: int) -> dict[str, Any]:
    before, after = min(starts_s) - 1, max(starts_s) + 1
    spans = {
        name: {"start_clock_ns": at * SECOND, "duration_ns": SECOND // 2}
        for name, at in (("before_span", before), ("after_span", after))
    }
    idle = {"before": NOBODY, "after": NOBODY, **spans}
    return make_configuration(batch, 1) | {"windows": windows_at(*starts_s), "idle": idle}


def test_every_place_gets_its_own_reading() -> None:
    throttled = {
        "batch": 4, "threads": 1, "delegate": "xnnpack", "unavailable": "throttled: hot",
        "windows": windows_at(60, rejected="throttled: hot"),
    }  # fmt: skip
    job = job_of(measured(1, 10, 12), throttled, measured(2, 100, 110))
    assert len(spans_of(job)) == 2 + 2 + 1 + 2 + 2
    done = metered(job, Meter())  # type: ignore[arg-type]
    assert done.power_sensor.model_dump() == {
        "name": "ppk2", "driver": "ppk2", "covers": "what it supplies", "at": "desk",
    }  # fmt: skip
    for found, starts_s in zip(done.configurations, ([10, 12], [60], [100, 110]), strict=True):
        assert [window.power.joules for window in found.windows] == starts_s
        if isinstance(found, ConfigurationSamples):
            assert (found.idle.before.joules, found.idle.after.joules) == (starts_s[0] - 1, starts_s[-1] + 1)
    assert parse_job_record(done.model_dump_json().encode()) == done
    assert job.configurations[0].windows[0].power == Unavailable(unavailable="nobody recorded"), "not changed"


def test_a_reading_keeps_the_devices_time_and_knows_its_edges() -> None:
    power = power_on_device(*Meter().value(Span(10 * SECOND, SECOND)))
    assert isinstance(power, PowerReading)
    assert power.trace.clock_ns == [10 * SECOND, 11 * SECOND]
    assert power.clock_uncertainty_ns == 1_000_000
    assert power.uncertainty_j == pytest.approx(2 * 5e-3 / 3**0.5), "3 W and 4 W at the edges, 1 ms each"


def test_without_a_trace_the_average_stands_for_the_edges() -> None:
    span, value = Meter().value(Span(10 * SECOND, SECOND))
    power = power_on_device(span, value | {"trace": None})
    assert power.uncertainty_j == pytest.approx(2 * 3e-3 * (2 / 3) ** 0.5)


def test_what_the_meter_cannot_say_is_a_reason() -> None:
    span, value = Meter().value(Span(10 * SECOND, SECOND))
    stalled = power_on_device(span, {"sensor": "ppk2", "unavailable": "it stalled"})
    assert stalled == Unavailable(unavailable="it stalled")
    wrong = power_on_device(span, value | {"joules": "many"})
    assert isinstance(wrong, Unavailable)
    assert wrong.unavailable.startswith("the meter's agent answered badly")


def test_a_gateway_that_is_gone_costs_the_energy_of_all_windows_and_nothing_else() -> None:
    class Gone(Meter):
        def values(self, spans: Sequence[Span]) -> list[tuple[MeterSpan, dict[str, Any]]]:
            message = "desk does not answer."
            raise NetworkError(message, remedy="Look.")

    done = metered(job_of(measured(1, 10, 12)), Gone())  # type: ignore[arg-type]
    (found,) = done.configurations
    powers = [*(window.power for window in found.windows), found.idle.before, found.idle.after]
    assert powers == [Unavailable(unavailable="desk does not answer.")] * 4


def test_a_record_without_idle_times_has_places_for_its_windows_only() -> None:
    job = job_of(
        make_configuration(1, 1) | {"windows": windows_at(10), "idle": {"before": NOBODY, "after": NOBODY}}
    )
    assert len(spans_of(job)) == 1
    (found,) = metered(job, Meter()).configurations  # type: ignore[arg-type]
    assert found.idle.before == Unavailable(unavailable="nobody recorded")
