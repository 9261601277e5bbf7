from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from edgepack.device_agent.power.clock_map import ClockMap

MS = 1_000_000


@settings(max_examples=10)
@given(st.integers(0, 2**31), st.integers(-100, 100))
def test_the_least_delay_is_found_and_drift_followed(seed: int, ppm: int) -> None:
    """A meter whose crystal is off by up to 100 ppm, behind a bus that delays by 1 to 20 ms."""
    random = Random(seed)
    clock = ClockMap()
    worst = 0
    for tick in range(0, 60_000, 20):
        true_ns = 5_000_000_000 + tick * MS
        device_ns = int(tick * MS * (1 + ppm * 1e-6))
        clock.observe(device_ns, true_ns + random.randint(1 * MS, 20 * MS))
        if tick > 5_000:
            worst = max(worst, abs(clock.peek_ns(device_ns) - true_ns))
    assert worst < 5 * MS


def test_times_never_go_backwards() -> None:
    clock = ClockMap()
    clock.observe(0, 100)
    first = clock.monotonic_ns(50)
    clock.observe(60, 65)
    assert clock.monotonic_ns(55) > first
