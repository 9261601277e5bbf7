"""The timing loop and the memory figure, on functions whose cost is known."""

from __future__ import annotations

import gc
import subprocess
import sys
import time

import pytest

from edgepack.device_agent import measure

SPEC = {
    "min_runs": 10,
    "min_seconds": 0.0,
    "max_seconds": 5.0,
    "warmup_min_runs": 1,
    "warmup_min_seconds": 0.0,
}


def test_samples_are_single_runs_inside_the_window() -> None:
    found = measure._time(lambda: time.sleep(0.002), SPEC, 2_000_000)
    assert len(found["samples_ns"]) == 10
    assert all(2_000_000 <= sample < 200_000_000 for sample in found["samples_ns"])
    assert sum(found["samples_ns"]) <= found["window_ns"] < 1.5 * sum(found["samples_ns"])
    assert found["cpu_ns"] < found["window_ns"], "sleeping costs no CPU time"
    assert found["stopped_by"] == "min_runs"


def test_both_minima_must_be_reached() -> None:
    by_time = measure._time(lambda: None, {**SPEC, "min_seconds": 0.02}, 1000)
    assert len(by_time["samples_ns"]) > 10
    assert by_time["window_ns"] >= 20_000_000
    by_runs = measure._time(lambda: time.sleep(0.001), {**SPEC, "min_runs": 30, "min_seconds": 0.001}, 1000)
    assert len(by_runs["samples_ns"]) == 30


def test_the_array_grows_where_the_warm_up_was_slow() -> None:
    found = measure._time(lambda: None, {**SPEC, "min_seconds": 0.01}, estimate_ns=10**9)
    samples = found["samples_ns"]
    assert len(samples) > 100
    assert all(sample > 0 for sample in samples), "every place was written"


def test_max_seconds_and_max_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = {**SPEC, "min_runs": 1000, "max_seconds": 0.05}
    found = measure._time(lambda: time.sleep(0.005), slow, 5_000_000)
    assert found["stopped_by"] == "max_seconds"
    assert len(found["samples_ns"]) <= 11
    monkeypatch.setattr(measure, "MAX_SAMPLES", 100)
    found = measure._time(lambda: None, {**SPEC, "min_seconds": 5.0}, 100)
    assert (found["stopped_by"], len(found["samples_ns"])) == ("max_samples", 100)


def test_garbage_collection_is_off_inside_and_on_after() -> None:
    states: list[bool] = []
    measure._time(lambda: states.append(gc.isenabled()), SPEC, 1000)
    assert states == [False] * 10
    assert gc.isenabled()


def test_warm_up_reaches_both_minima_and_ends() -> None:
    runs, fastest = measure._warm_up(lambda: time.sleep(0.001), {**SPEC, "warmup_min_runs": 5})
    assert runs == 5
    assert fastest >= 1_000_000
    runs, _ = measure._warm_up(lambda: None, {**SPEC, "warmup_min_seconds": 0.01})
    assert runs > 5
    runs, _ = measure._warm_up(
        lambda: time.sleep(0.01), {**SPEC, "warmup_min_runs": 10**6, "max_seconds": 0.05}
    )
    assert runs <= 6


def test_the_timer_overhead_is_small_and_positive() -> None:
    assert 0 < measure._timer_overhead_ns() < 100_000


def test_peak_memory_is_this_process_s_own_not_its_parent_s() -> None:
    """The parent's 200 MB must not show in the child's peak, as `ru_maxrss` would let them."""
    ballast = bytearray(200 << 20)
    ballast[::4096] = b"x" * len(ballast[::4096])
    code = (
        "from edgepack.device_agent.measure import peak_rss_bytes as peak; before = peak();"
        "x = bytearray(64 << 20); x[::4096] = b'x' * len(x[::4096]); print(before, peak())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert before < 100 << 20
    assert 60 << 20 <= after - before < 80 << 20
    del ballast
