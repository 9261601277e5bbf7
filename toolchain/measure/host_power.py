"""The arithmetic of a meter that is not cabled to the device: from the device's time to the meter's and back.

    device's clock ── OtherClock ──> this machine's clock ── OtherClock ──> the clock of the meter's machine

Pure functions; who talks to whom is in `host_meter.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgepack.toolchain.measure.clocks import OtherClock

_COVERAGE_FACTOR = 2


@dataclass(frozen=True)
class Span:
    """A window, or a time in which nothing ran, on the device's CLOCK_MONOTONIC."""

    start_clock_ns: int
    duration_ns: int

    @property
    def end_clock_ns(self) -> int:
        """Its end."""
        return self.start_clock_ns + self.duration_ns


@dataclass(frozen=True)
class MeterSpan:
    """A span on the clock of the meter's machine.

    Attributes:
        device: The span on the device's clock.
        from_ns: Where it begins.
        to_ns: Where it ends.
        uncertainty_ns: The most by which either edge is wrong.
    """

    device: Span
    from_ns: int
    to_ns: int
    uncertainty_ns: float

    def device_ns(self, meter_ns: int) -> int:
        """Return the device's time of a time of the meter within the span."""
        since_ns, length_ns = meter_ns - self.from_ns, self.to_ns - self.from_ns
        stretched_by_ns = round((self.device.duration_ns - length_ns) * since_ns / length_ns)
        return max(self.device.start_clock_ns + since_ns + stretched_by_ns, 0)


def meter_span(span: Span, device: OtherClock, meter: OtherClock) -> MeterSpan:
    """Return a span of the device on the clock of the meter's machine.

    Args:
        span: The span.
        device: The device's clock, seen from this machine.
        meter: The clock of the meter's machine, seen from this one; this machine's own where it is the same.
    """
    edges = []
    for edge_ns in (span.start_clock_ns, span.end_clock_ns):
        here = device.here(edge_ns)
        there = meter.there(here.clock_ns)
        edges.append((there.clock_ns, here.uncertainty_ns + there.uncertainty_ns))
    (from_ns, first), (to_ns, last) = edges
    return MeterSpan(span, from_ns, to_ns, max(first, last))


def with_clock_uncertainty(
    uncertainty_j: float, edges_w: Sequence[float], clock_uncertainty_ns: float
) -> float:
    """Return half the width of the 95 % interval of an energy whose edges are known only so well.

    U = sqrt(U_sensor^2 + sum (k p u / sqrt(3))^2), with p the power at an edge, u the most by which it is
    wrong, and k = 2.

    Args:
        uncertainty_j: The same without, U_sensor.
        edges_w: Power at either edge.
        clock_uncertainty_ns: The most by which an edge is wrong.

    Source: JCGM 100:2008 (GUM) 4.3.7 (a bound as a uniform distribution), 5.1.2 (sum of squares).
    """
    factor_s = _COVERAGE_FACTOR * clock_uncertainty_ns / 1e9 / math.sqrt(3)
    return math.hypot(uncertainty_j, *(factor_s * watts for watts in edges_w))
