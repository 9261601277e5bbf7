"""The clocks of two machines, laid over each other: when was here what happened there?

A meter at the host stamps its samples with the host's CLOCK_MONOTONIC, a device its windows with its own. The
two differ by an offset of any size, and drift apart by some ten microseconds a second.

Rules:
    * The offset is found NTP's way: the host asks for the other clock and assumes that the answer was given
      halfway; of several exchanges the one with the least round trip is kept. It is wrong by half that at
      most, however unlike the two ways are.
    * It is found before and after a job (or more often); in between it is interpolated, which takes the drift
      out. What is left of it grows with the distance to the nearest exchange.
    * Clocks that have moved against each other by more than oscillators do have been stopped (a machine
      slept): a reason, not an offset.

Source: RFC 5905, section 8 (offset and delay), section 10 (the sample with the least delay), section 7.2
    (PHI, frequency tolerance, 15 ppm: the rate at which the error of an old sample grows), A.1.1 (MAXFREQ,
    500 ppm: the most by which a kernel slews its clock).
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

WANDER = 15e-6
"""PHI: how fast the error of an offset grows, by distance to the nearest exchange."""
MOST_DRIFT = 2 * 500e-6
"""Two clocks, each of which may be slewed by MAXFREQ."""


@dataclass(frozen=True)
class Exchange:
    """One look at another machine's clock.

    Attributes:
        sent_ns: This machine's CLOCK_MONOTONIC before the question.
        received_ns: The same after the answer.
        there_ns: The other machine's CLOCK_MONOTONIC, at some time in between.
    """

    sent_ns: int
    received_ns: int
    there_ns: int

    @property
    def round_trip_ns(self) -> int:
        """How long it took."""
        return self.received_ns - self.sent_ns

    @property
    def here_ns(self) -> int:
        """The middle of it, on this machine's clock."""
        return self.sent_ns + self.round_trip_ns // 2

    @property
    def offset_ns(self) -> int:
        """This machine's clock less the other one's."""
        return self.here_ns - self.there_ns

    @property
    def uncertainty_ns(self) -> float:
        """The most by which the offset is wrong."""
        return self.round_trip_ns / 2 + 1


def best(exchanges: Sequence[Exchange]) -> Exchange:
    """Return the exchange with the least round trip."""
    return min(exchanges, key=lambda exchange: exchange.round_trip_ns)


@dataclass(frozen=True)
class Moment:
    """A time on the clock that was asked for, and the most by which it is wrong."""

    clock_ns: int
    uncertainty_ns: float


@dataclass(frozen=True)
class OtherClock:
    """Another machine's clock, as this machine has seen it.

    Attributes:
        seen: What is known of it, in the order of time; empty for this machine's own clock.
    """

    seen: tuple[Exchange, ...] = ()

    def here(self, there_ns: int) -> Moment:
        """Return this machine's time of a time there."""
        offset_ns, uncertainty_ns = self._offset(there_ns, [exchange.there_ns for exchange in self.seen])
        return Moment(there_ns + offset_ns, uncertainty_ns)

    def there(self, here_ns: int) -> Moment:
        """Return the other machine's time of a time here."""
        offset_ns, uncertainty_ns = self._offset(here_ns, [exchange.here_ns for exchange in self.seen])
        return Moment(here_ns - offset_ns, uncertainty_ns)

    @property
    def stopped(self) -> str | None:
        """Why the offset cannot be interpolated; None where it can."""
        for left, right in zip(self.seen, self.seen[1:], strict=False):
            moved_ns = right.offset_ns - left.offset_ns
            allowed_ns = (
                MOST_DRIFT * (right.here_ns - left.here_ns) + left.uncertainty_ns + right.uncertainty_ns
            )
            if abs(moved_ns) > allowed_ns:
                apart = f"{abs(moved_ns) / 1e9:.3g} s within {(right.here_ns - left.here_ns) / 1e9:.3g} s"
                return f"the two clocks moved apart by {apart}: a machine slept, or was restarted"
        return None

    def _offset(self, at_ns: int, times_ns: list[int]) -> tuple[int, float]:
        """Return offset and uncertainty at a time of the clock on which `times_ns` are."""
        if not self.seen:
            return 0, 0.0
        after = bisect_right(times_ns, at_ns)
        if after in (0, len(self.seen)):  # outside: nothing says how fast they drift there
            nearest = self.seen[0] if after == 0 else self.seen[-1]
            away_ns = abs(at_ns - times_ns[0 if after == 0 else -1])
            return nearest.offset_ns, nearest.uncertainty_ns + MOST_DRIFT * away_ns
        left, right = self.seen[after - 1], self.seen[after]
        since_ns, until_ns = at_ns - times_ns[after - 1], times_ns[after] - at_ns
        share = since_ns / (since_ns + until_ns)
        offset_ns = left.offset_ns + round((right.offset_ns - left.offset_ns) * share)
        bound_ns = left.uncertainty_ns * (1 - share) + right.uncertainty_ns * share
        return offset_ns, bound_ns + WANDER * min(since_ns, until_ns)
