"""Windows of a device on the clock of the meter's machine, and the energy that a wrong edge can cost."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.toolchain.measure.clocks import Exchange, OtherClock
from edgepack.toolchain.measure.host_power import Span, meter_span, with_clock_uncertainty

SECOND = 1_000_000_000


def clock(offset_ns: int, half_ns: int, drift_ns: int = 0) -> OtherClock:
    """A clock that is `offset_ns` behind this machine's, looked at twice, 100 s apart."""
    seen = [
        Exchange(at + offset_ns + moved - half_ns, at + offset_ns + moved + half_ns, at)
        for at, moved in ((1000 * SECOND, 0), (1100 * SECOND, drift_ns))
    ]
    return OtherClock(tuple(seen))


def test_over_two_offsets_to_a_gateway() -> None:
    device, gateway = clock(7_000 * SECOND, 1_000), clock(500 * SECOND, 3_000)
    span = meter_span(Span(1010 * SECOND, 10 * SECOND), device, gateway)
    assert (span.from_ns, span.to_ns) == (7510 * SECOND, 7520 * SECOND)
    assert span.uncertainty_ns >= 4_000, "both exchanges can be wrong"


def test_at_the_host_only_the_devices_clock_is_uncertain() -> None:
    span = meter_span(Span(1000 * SECOND, 1), clock(SECOND, 2_000), OtherClock())
    assert (span.from_ns, span.uncertainty_ns) == (1001 * SECOND, pytest.approx(2_001, abs=1))


@given(drift_ns=st.integers(-50_000_000, 50_000_000), share=st.floats(0, 1))
def test_there_and_back(drift_ns: int, share: float) -> None:
    device = clock(-400 * SECOND, 50_000, drift_ns)
    span = meter_span(Span(1020 * SECOND, 10 * SECOND), device, OtherClock())
    at = span.from_ns + round((span.to_ns - span.from_ns) * share)
    assert span.device_ns(span.from_ns) == 1020 * SECOND
    assert span.device_ns(span.to_ns) == 1030 * SECOND
    assert abs(span.device_ns(at) - (1020 * SECOND + round(10 * SECOND * share))) < 10


def test_uncertainty_of_the_edges_adds_in_squares() -> None:
    assert with_clock_uncertainty(0.5, (3.0, 4.0), 0.0) == 0.5
    one_ms = with_clock_uncertainty(0.0, (3.0, 4.0), 1e6)
    assert one_ms == pytest.approx(2 * 5.0 * 1e-3 / math.sqrt(3))
    assert with_clock_uncertainty(0.01, (3.0, 4.0), 1e6) == pytest.approx(math.hypot(0.01, one_ms))


@given(
    idle_w=st.floats(0, 10),
    busy_w=st.floats(0, 10),
    shift=st.floats(-1, 1),
    uncertainty_ns=st.floats(1e3, 1e7),
)
def test_the_stated_bound_holds_the_error_of_a_shifted_window(
    idle_w: float, busy_w: float, shift: float, uncertainty_ns: float
) -> None:
    """A window of constant power, shifted into the idle time beside it by up to what the clock may be off."""
    error_j = abs(busy_w - idle_w) * abs(shift) * uncertainty_ns / 1e9
    edges_w = (max(busy_w, idle_w),) * 2
    assert error_j <= with_clock_uncertainty(0.0, edges_w, uncertainty_ns) * (1 + 1e-9)
