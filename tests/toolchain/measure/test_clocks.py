"""Two clocks laid over each other: offset, drift, and how far off the answer can be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.toolchain.measure.clocks import MOST_DRIFT, Exchange, OtherClock, best

SECOND = 1_000_000_000


def look(true_here_ns: int, there_ns: int, to_ns: int, back_ns: int) -> Exchange:
    """An exchange in which the other clock was read at `true_here_ns`."""
    return Exchange(true_here_ns - to_ns, true_here_ns + back_ns, there_ns)


def test_one_machine_has_one_clock() -> None:
    own = OtherClock()
    assert (own.here(5).clock_ns, own.there(7).clock_ns, own.here(5).uncertainty_ns) == (5, 7, 0.0)
    assert own.stopped is None


def test_the_least_round_trip_is_kept() -> None:
    exchanges = [look(10 * SECOND, 0, 900, 30_000), look(11 * SECOND, SECOND, 400, 600), look(0, 0, 999, 999)]
    assert best(exchanges) is exchanges[1]
    assert best(exchanges).round_trip_ns == 1000


@given(
    start_there=st.integers(0, 10**18),
    ahead=st.integers(0, 10**18),
    length=st.integers(SECOND, 3600 * SECOND),
    ppm=st.floats(-500, 500),
    share=st.floats(0, 1),
    ways=st.tuples(*[st.integers(0, 5_000_000)] * 4),
)
def test_a_constant_drift_is_found_within_the_stated_bound(
    start_there: int, ahead: int, length: int, ppm: float, share: float, ways: tuple[int, int, int, int]
) -> None:
    """However large the offset and unlike the ways there and back: the truth lies within the bound."""

    def true_here(since_there: int) -> int:
        return ahead + SECOND * 10 + since_there + round(since_there * ppm * 1e-6)

    clock = OtherClock(
        (
            look(true_here(0), start_there, ways[0], ways[1]),
            look(true_here(length), start_there + length, ways[2], ways[3]),
        )
    )
    assert clock.stopped is None
    since = round(length * share)
    found = clock.here(start_there + since)
    assert abs(found.clock_ns - true_here(since)) <= found.uncertainty_ns + 2
    back = clock.there(true_here(since))
    assert abs(back.clock_ns - (start_there + since)) <= back.uncertainty_ns + 2


@given(middle=st.floats(0.05, 0.95), wander_ppm=st.floats(-14, 14))
def test_a_rate_that_changes_on_the_way_stays_within_the_bound(middle: float, wander_ppm: float) -> None:
    """A board warms up: it runs at one rate, then at another, 14 ppm away from the mean at most."""
    length = 600 * SECOND
    bend = round(length * middle)
    rates = (wander_ppm * (1 - middle), -wander_ppm * middle)  # the same mean over all

    def true_here(there: int) -> int:
        first = min(there, bend)
        return SECOND + there + round((first * rates[0] + (there - first) * rates[1]) * 1e-6)

    clock = OtherClock(tuple(look(true_here(at), at, 100_000, 100_000) for at in (0, length)))
    for share in (0.0, 0.1, middle, 0.5, 0.9, 1.0):
        found = clock.here(round(length * share))
        assert abs(found.clock_ns - true_here(round(length * share))) <= found.uncertainty_ns
    assert clock.here(0).uncertainty_ns == pytest.approx(100_000, abs=2), "half the round trip"
    assert clock.here(length // 2).uncertainty_ns == pytest.approx(100_000 + 15e-6 * length / 2, rel=1e-6)


def test_outside_of_the_exchanges_the_bound_grows_with_the_greatest_drift() -> None:
    clock = OtherClock((look(SECOND, 0, 1000, 1000), look(2 * SECOND, SECOND, 1000, 1000)))
    found = clock.here(11 * SECOND)
    assert found.clock_ns == 12 * SECOND
    assert found.uncertainty_ns == pytest.approx(1001 + MOST_DRIFT * 10 * SECOND)
    single = OtherClock((look(SECOND, 0, 1000, 1000),))
    assert single.here(SECOND).uncertainty_ns == pytest.approx(1001 + MOST_DRIFT * SECOND)


def test_a_clock_that_stood_still_is_told() -> None:
    slept = OtherClock((look(SECOND, 0, 1000, 1000), look(61 * SECOND, 50 * SECOND, 1000, 1000)))
    assert slept.stopped is not None
    assert "moved apart by 10 s within 60 s" in slept.stopped
