from __future__ import annotations

import threading
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from edgepack.device_agent.power.samples import Samples


def test_a_cut_has_one_neighbour_on_either_side() -> None:
    samples = Samples()
    for n in range(10):
        samples.add(n * 10, float(n))
    cut = samples.cut(25, 55)
    assert list(cut.clock_ns) == [20, 30, 40, 50, 60]
    assert list(cut.values) == [2, 3, 4, 5, 6]
    assert not cut.forgotten


def test_a_sample_that_is_not_newer_is_dropped() -> None:
    samples = Samples()
    for clock_ns in (10, 20, 20, 15, 30):
        samples.add(clock_ns, 1.0)
    cut = samples.cut(0, 40)
    assert list(cut.clock_ns) == [10, 20, 30]
    assert cut.dropped == 2


def test_drops_are_counted_within_the_window_only() -> None:
    samples = Samples()
    for clock_ns, count in ((5, 1), (15, 2), (25, 4)):
        samples.drop(clock_ns, count)
    assert samples.cut(10, 20).dropped == 2
    assert samples.cut(10, 30).dropped == 6


@settings(max_examples=30)
@given(st.integers(8, 50), st.integers(0, 300))
def test_memory_is_bounded_and_what_is_gone_is_said(capacity: int, count: int) -> None:
    samples = Samples(capacity)
    for n in range(count):
        samples.add(n + 1, 1.0)
    everything = samples.cut(0, count + 1)
    assert len(everything.clock_ns) <= capacity
    assert everything.forgotten == (count > capacity)
    if count:
        newest = samples.cut(count - 2, count)
        assert not newest.forgotten
        assert newest.clock_ns[-1] == count


def test_a_fault_after_the_window_does_not_matter_to_it() -> None:
    samples = Samples()
    samples.add(time.monotonic_ns(), 1.0)
    before_ns = time.monotonic_ns()
    samples.fail("gone")
    samples.fail("later")
    assert samples.cut(0, before_ns).fault is None
    assert samples.cut(0, time.monotonic_ns()).fault == "gone"


def test_waiting_ends_with_the_sample_or_with_a_fault() -> None:
    samples = Samples()
    threading.Timer(0.02, samples.add, (50, 1.0)).start()
    assert samples.wait_for(50, 2.0)
    threading.Timer(0.02, samples.fail, ("gone",)).start()
    started = time.monotonic()
    assert not samples.wait_for(60, 2.0)
    assert time.monotonic() - started < 1.5
