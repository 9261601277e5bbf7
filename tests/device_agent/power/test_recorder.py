from __future__ import annotations

import time
from itertools import pairwise

import pytest

from edgepack.device_agent.power.recorder import Recorder
from edgepack.device_agent.power.sampler import SampledSource
from edgepack.device_agent.power.source import Traits


def test_many_windows_of_one_recording() -> None:
    """The windows' edges become known afterwards; a step lies in the second."""
    watts = [1.0]
    source = SampledSource(lambda: watts[0], Traits())
    with Recorder("test", "test", "a test", source) as recorder:
        edges = [time.monotonic_ns()]
        for power in (1.0, 2.0, 4.0):
            watts[0] = power
            time.sleep(0.15)
            edges.append(time.monotonic_ns())
        found = [recorder.energy(*window) for window in pairwise(edges)]
        whole = recorder.energy(edges[0], edges[-1])
    assert [one["average_w"] for one in found] == [
        pytest.approx(power, rel=0.25) for power in (1.0, 2.0, 4.0)
    ]
    assert sum(one["joules"] for one in found) == pytest.approx(whole["joules"], rel=1e-6)


def test_a_window_whose_samples_had_to_make_room_is_unavailable() -> None:
    source = SampledSource(lambda: 1.0, Traits())
    with Recorder("test", "test", "a test", source, capacity=16) as recorder:
        start = time.monotonic_ns()
        time.sleep(0.4)
        now = time.monotonic_ns()
        assert "older than the samples" in recorder.energy(start, now)["unavailable"]
        recent = recorder.energy(now - 60_000_000, now)
        assert "older than" not in recent.get("unavailable", "")


def test_a_window_before_the_recording_is_unavailable() -> None:
    source = SampledSource(lambda: 1.0, Traits())
    with Recorder("test", "test", "a test", source) as recorder:
        start = time.monotonic_ns()
        assert "samples" in recorder.energy(start - 2_000_000_000, start - 1_000_000_000)["unavailable"]
    assert recorder.fault is None
