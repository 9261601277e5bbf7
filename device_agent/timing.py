"""The loops in which inferences are timed, and the warm-up before them.

Rules:
    * A sample is one `invoke()` between two readings of the monotonic clock; inputs are set before, outputs
      neither copied nor looked at inside.
    * Garbage collection is off, the array of samples exists before the first of them.
    * A window stops when the smallest number of runs and the smallest time are both reached, or at the
      largest time. Source: LiteRT's benchmark_model (`min_secs`, `num_runs`, `max_secs`).
    * A limited number of samples is kept. When they are full, every second is dropped and from then on half
      as many are kept: they stay evenly spread over the window, whatever the model's speed.
    * The warm-up ends when the latency has settled: an inference is slow while caches, branch predictors and
      clocks are still on their way.
"""

from __future__ import annotations

import gc
import os
import resource
import statistics
import time
from array import array
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

_clock = time.monotonic_ns
# A block of the warm-up: long enough for a median, short beside `warmup_max_seconds`.
_BLOCK_RUNS = 5
_BLOCK_NS = 50_000_000
_SLOW_BLOCK_NS = 1_000_000_000
_SETTLED_BLOCKS = 3
_SETTLED = 0.02
# Standard error of a median over that of a mean, times the ratio of standard deviation and median absolute
# deviation, of a normal distribution. Source: Kendall, Stuart, "The Advanced Theory of Statistics", 1, 10.
_MEDIAN_ERROR = 1.2533 * 1.4826


def warm_up(invoke: Callable[[], None], spec: dict[str, Any]) -> dict[str, Any]:
    """Run until the latency has settled and both minima are reached, at most `warmup_max_seconds`.

    It has settled when the medians of three successive blocks of runs lie within 2 % of each other, or within
    what the scatter of the runs explains.

    Returns:
        `warmup_runs`, `warmup_ns` and `settled`.
    """
    runs, start = 0, _clock()
    end = start + int(spec["warmup_max_seconds"] * 1e9)
    least_ns = int(spec["warmup_min_seconds"] * 1e9)
    blocks: list[tuple[float, float]] = []
    settled = False
    while _clock() < end:
        samples = _block(invoke, end)
        runs += len(samples)
        blocks = [*blocks[1 - _SETTLED_BLOCKS :], _median_and_error(samples)]
        settled = _has_settled(blocks)
        if settled and runs >= spec["warmup_min_runs"] and _clock() - start >= least_ns:
            break
    return {"warmup_runs": runs, "warmup_ns": _clock() - start, "settled": settled}


def time_window(
    invoke: Callable[[], None], spec: dict[str, Any], max_samples: int
) -> tuple[dict[str, Any], array[int]]:
    """Take the samples of one window.

    Args:
        invoke: Runs the model once.
        spec: `min_runs`, `min_seconds` and `max_seconds`.
        max_samples: How many samples are kept at most; even.

    Returns:
        A window of the job's record without inputs, states and power; and its samples in ns.
    """
    samples = array("q", bytes(8 * max_samples))
    gc.disable()
    before = _Usage()
    loop = _run(invoke, spec, samples)
    used = before.until_now(loop.elapsed_ns)
    gc.enable()
    complete = loop.runs >= spec["min_runs"] and loop.elapsed_ns >= int(spec["min_seconds"] * 1e9)
    window = {
        "start_clock_ns": loop.start_ns,
        "window_ns": loop.elapsed_ns,
        "runs": loop.runs,
        "sample_stride": loop.stride,
        **used,
        "stopped_by": "min_runs" if complete else "max_seconds",
    }
    return window, samples[: loop.kept]


class _Loop(NamedTuple):
    """How the loop went: when it began, how long it took, its runs, and which of them were kept."""

    start_ns: int
    elapsed_ns: int
    runs: int
    stride: int
    kept: int


def _run(invoke: Callable[[], None], spec: dict[str, Any], samples: array[int]) -> _Loop:
    """Run and fill the samples. Everything that the loop touches is a local variable: look-ups take time."""
    min_runs, min_ns = spec["min_runs"], int(spec["min_seconds"] * 1e9)
    max_ns, capacity, clock = int(spec["max_seconds"] * 1e9), len(samples), _clock
    runs, stride, kept = 0, 1, 0
    start = clock()
    while True:
        begin = clock()
        invoke()
        end = clock()
        if runs % stride == 0:
            samples[kept] = end - begin
            kept += 1
        runs += 1
        elapsed = end - start
        if (runs >= min_runs and elapsed >= min_ns) or elapsed >= max_ns:
            return _Loop(start, elapsed, runs, stride, kept)
        if kept == capacity:  # between two samples, so none is touched
            kept, stride = capacity // 2, 2 * stride
            samples[:kept] = samples[::2]


def timer_overhead_ns() -> int:
    """Return the median of what the clock itself adds to a sample: worth knowing below some 10 us."""
    clock = _clock
    gaps = sorted(-(clock() - clock()) for _ in range(1001))
    return gaps[500]


class _Usage:
    """What this process and the others have used of the CPUs so far."""

    def __init__(self) -> None:
        self._all_ns = _all_cpus_ns()
        self._preemptions = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
        self._cpu_ns = time.process_time_ns()

    def until_now(self, window_ns: int) -> dict[str, int | None]:
        """Return `cpu_ns`, `others_cpu_ns` and `preemptions` of a window of the given length."""
        cpu_ns = time.process_time_ns() - self._cpu_ns
        preemptions = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw - self._preemptions
        now_ns = _all_cpus_ns()
        others_ns = None
        if now_ns is not None and self._all_ns is not None:
            others_ns = max(0, now_ns - self._all_ns - cpu_ns)
            if now_ns == self._all_ns and min(cpu_ns, window_ns) > 10 * _TICK_NS:
                others_ns = None  # a sandbox whose counters stand still
        return {"cpu_ns": cpu_ns, "others_cpu_ns": others_ns, "preemptions": preemptions}


_TICK_NS = 10**9 // os.sysconf("SC_CLK_TCK")


def _all_cpus_ns() -> int | None:
    """Return the time that all CPUs together have worked since boot, in ticks of some 10 ms.

    Source: proc(5), /proc/stat: user, nice, system, irq, softirq and steal; guests are part of user.
    Steal is what the hypervisor gave to other machines.
    """
    try:
        with open("/proc/stat", "rb") as file:
            name, *ticks = file.readline().split()
        user, nice, system, _idle, _iowait, irq, softirq, *more = map(int, ticks)
    except (OSError, ValueError):
        return None
    if name != b"cpu":
        return None
    return (user + nice + system + irq + softirq + sum(more[:1])) * _TICK_NS


def _block(invoke: Callable[[], None], end: int) -> list[int]:
    samples: list[int] = []
    start = now = _clock()
    while now < end or not samples:
        begin = _clock()
        invoke()
        now = _clock()
        samples.append(now - begin)
        elapsed = now - start
        if elapsed >= _SLOW_BLOCK_NS or (elapsed >= _BLOCK_NS and len(samples) >= _BLOCK_RUNS):
            break
    return samples


def _median_and_error(samples: list[int]) -> tuple[float, float]:
    """Return a block's median and its standard error, both in ns."""
    median = statistics.median(samples)
    deviation = statistics.median(abs(sample - median) for sample in samples)
    return median, _MEDIAN_ERROR * deviation / len(samples) ** 0.5


def _has_settled(blocks: list[tuple[float, float]]) -> bool:
    """Return whether the medians of the blocks differ by no more than 2 %, or than chance lets them."""
    if len(blocks) < _SETTLED_BLOCKS:
        return False
    medians = [median for median, _ in blocks]
    # Twice the standard error of a difference of two medians.
    chance = 2 * 2**0.5 * max(error for _, error in blocks)
    return max(medians) - min(medians) <= max(_SETTLED * min(medians), chance)
