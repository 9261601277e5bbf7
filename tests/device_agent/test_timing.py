"""The timing loop and the warm-up, on functions whose cost is known."""

from __future__ import annotations

import gc
import itertools
import statistics
import threading
import time
from typing import Any

import pytest

from edgepack.device_agent import timing

SPEC = {
    "min_runs": 10,
    "min_seconds": 0.0,
    "max_seconds": 5.0,
    "warmup_min_runs": 1,
    "warmup_min_seconds": 0.0,
    "warmup_max_seconds": 2.0,
}


def window(invoke: Any, most: int = 1000, **changes: Any) -> dict[str, Any]:
    found, samples = timing.time_window(invoke, {**SPEC, **changes}, most)
    return {**found, "samples_ns": samples.tolist()}


def test_samples_are_single_runs_inside_the_window() -> None:
    found = window(lambda: time.sleep(0.002))
    assert len(found["samples_ns"]) == found["runs"] == 10
    assert all(2_000_000 <= sample < 200_000_000 for sample in found["samples_ns"])
    assert sum(found["samples_ns"]) <= found["window_ns"] < 1.5 * sum(found["samples_ns"])
    assert found["cpu_ns"] < found["window_ns"], "sleeping costs no CPU time"
    assert (found["stopped_by"], found["sample_stride"]) == ("min_runs", 1)
    assert 0 <= time.monotonic_ns() - found["start_clock_ns"] - found["window_ns"] < 1_000_000_000


def test_both_minima_must_be_reached() -> None:
    by_time = window(lambda: None, min_seconds=0.02)
    assert by_time["runs"] > 10
    assert by_time["window_ns"] >= 20_000_000
    by_runs = window(lambda: time.sleep(0.001), min_runs=30, min_seconds=0.001)
    assert by_runs["runs"] == 30


def test_max_seconds_ends_a_window() -> None:
    found = window(lambda: time.sleep(0.005), min_runs=1000, max_seconds=0.05)
    assert found["stopped_by"] == "max_seconds"
    assert found["runs"] <= 11


@pytest.mark.parametrize(
    ("runs", "stride", "kept"), [(99, 1, 99), (100, 1, 100), (101, 2, 51), (1000, 16, 63)]
)
def test_samples_stay_evenly_spread_where_not_all_fit(runs: int, stride: int, kept: int) -> None:
    """The durations are the runs' own numbers, so that it shows which of them were kept."""
    clock = itertools.count()
    numbers = itertools.count()
    now = [0]

    def invoke() -> None:
        now[0] += next(numbers)

    def fake_clock() -> int:
        next(clock)
        return now[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timing, "_clock", fake_clock)
        found = window(invoke, 100, min_runs=runs, max_seconds=3600)
    assert found["runs"] == runs
    assert found["sample_stride"] == stride
    assert found["samples_ns"] == list(range(0, runs, stride))
    assert len(found["samples_ns"]) == kept


def test_garbage_collection_is_off_inside_and_on_after() -> None:
    states: list[bool] = []
    window(lambda: states.append(gc.isenabled()))
    assert states == [False] * 10
    assert gc.isenabled()


def test_the_time_of_others_is_not_this_process_s() -> None:
    alone = window(lambda: sum(range(20_000)), min_seconds=0.2)
    assert alone["cpu_ns"] > 0
    assert alone["preemptions"] >= 0
    assert alone["others_cpu_ns"] is None or alone["others_cpu_ns"] >= 0


def test_counters_that_stand_still_are_no_counters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "_all_cpus_ns", lambda: 1_000_000)
    assert window(burn)["others_cpu_ns"] is None
    monkeypatch.setattr(timing, "_all_cpus_ns", lambda: None)
    assert window(lambda: None)["others_cpu_ns"] is None


def burn() -> None:
    """Use the CPU for 20 ms, however long that takes."""
    end = time.thread_time() + 0.02
    while time.thread_time() < end:
        pass


def test_others_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    totals = iter((10**9, 4 * 10**9))
    monkeypatch.setattr(timing, "_all_cpus_ns", lambda: next(totals))
    found = window(lambda: None)
    assert found["others_cpu_ns"] == 3 * 10**9 - found["cpu_ns"]


class Model:
    """A model whose latency changes from run to run, on a clock that only it moves."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, latency_ns: float, factor: float, floor_ns: float
    ) -> None:
        self.now = 0
        self._next = latency_ns
        self._factor = factor
        self._floor = floor_ns
        monkeypatch.setattr(timing, "_clock", lambda: self.now)

    def __call__(self) -> None:
        self.now += int(self._next)
        self._next = max(self._floor, self._factor * self._next)


def test_the_warm_up_ends_when_the_latency_has_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """It falls from 12 ms to 6 ms by 1 % a run, in 70 runs; three blocks of 50 ms follow."""
    found = timing.warm_up(Model(monkeypatch, 12e6, 0.99, 6e6), SPEC)
    assert found["settled"] is True
    assert 75 <= found["warmup_runs"] <= 110
    assert found["warmup_ns"] < 1_900_000_000


def test_a_latency_that_keeps_falling_has_not_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    found = timing.warm_up(Model(monkeypatch, 12e6, 0.99, 0), {**SPEC, "warmup_max_seconds": 0.4})
    assert found["settled"] is False
    assert 400_000_000 <= found["warmup_ns"] < 420_000_000


def test_a_slow_model_settles_in_three_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    found = timing.warm_up(Model(monkeypatch, 3e9, 1.0, 0), {**SPEC, "warmup_max_seconds": 30.0})
    assert (found["settled"], found["warmup_runs"]) == (True, 3)


def test_the_warm_up_reaches_its_minima_and_ends_at_its_maximum() -> None:
    assert timing.warm_up(lambda: None, {**SPEC, "warmup_min_seconds": 0.3})["warmup_ns"] >= 300_000_000
    assert timing.warm_up(lambda: time.sleep(0.004), {**SPEC, "warmup_min_runs": 50})["warmup_runs"] >= 50
    late = {**SPEC, "warmup_min_runs": 10**6, "warmup_max_seconds": 0.05}
    assert timing.warm_up(lambda: time.sleep(0.01), late)["warmup_runs"] <= 6
    assert timing.warm_up(lambda: None, {**SPEC, "warmup_max_seconds": 0})["warmup_runs"] == 0


def test_blocks_agree_within_two_percent_or_within_what_chance_explains() -> None:
    quiet = [(1000.0, 0.0), (1010.0, 0.0), (1019.0, 0.0)]
    assert timing._has_settled(quiet)
    assert not timing._has_settled([(1000.0, 0.0), (1010.0, 0.0), (1021.0, 0.0)])
    assert not timing._has_settled(quiet[:2])
    noisy = [(1000.0, 20.0), (1050.0, 20.0), (1010.0, 20.0)]
    assert timing._has_settled(noisy)


def test_the_error_of_a_median_is_that_of_repeated_medians() -> None:
    import numpy as np

    rng = np.random.default_rng(5)
    blocks = rng.normal(1e6, 1e4, size=(400, 101)).astype(int)
    medians = [timing._median_and_error(block.tolist()) for block in blocks]
    spread = statistics.stdev(median for median, _ in medians)
    assert 0.85 < statistics.mean(error for _, error in medians) / spread < 1.15


def test_the_timer_overhead_is_small_and_positive() -> None:
    assert 0 < timing.timer_overhead_ns() < 100_000


def test_preemptions_are_those_of_all_threads() -> None:
    """A window beside threads that fight for the interpreter is interrupted; the count is never negative."""
    stop = threading.Event()
    thread = threading.Thread(target=lambda: [None for _ in iter(stop.is_set, True)])
    thread.start()
    found = window(lambda: sum(range(1000)), min_seconds=0.05)
    stop.set()
    thread.join()
    assert found["preemptions"] >= 0
