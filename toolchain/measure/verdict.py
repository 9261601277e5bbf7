"""Can the latency of a configuration be trusted? `stable`, or `unstable` with each reason and its figures.

Rules:
    * A reason needs an effect that matters beside the evidence for it: with thousands of samples
      everything is significant, and a drift of 0.1 % is no reason to doubt a figure.
    * What is unknown (no clocks, no CPU time of others) gives no reason; the record says that it is unknown.
    * Values in, values out: a record can be judged again at any time by the rules of the day.

The limits below are tuned and tested by simulation (tests) and on real machines, idle and with a CPU hog
beside the model (`benchmarks/`). Each is about the size from which a reader would draw a wrong
conclusion.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from edgepack.targets.units import format_duration_ns, format_percent
from edgepack.toolchain.measure.bootstrap import samples_for_interval
from edgepack.toolchain.measure.drift import drift_inside, drift_of
from edgepack.toolchain.measure.modes import find_two_modes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from edgepack.toolchain.measure.bootstrap import Interval
    from edgepack.toolchain.measure.drift import Drift

LEAST_WINDOWS = 3
"""Of two windows nobody can say which is the odd one, and a line through two points always fits."""
DRIFT_LIMIT = 0.02
"""The agent calls a warm-up settled within 2 %: what moves further afterwards has not settled."""
DRIFT_P_VALUE = 0.05
OUTLIER_LIMIT = 0.05
"""Half of what moves a 90th percentile. Even a log-normal distribution with sigma 1 has only 3 % out
there."""
MODE_GAP_LIMIT = 0.05
"""Two groups of latencies nearer than 5 % are described well enough by their median."""
CLOCK_LIMIT = 0.1
"""Boards step their clocks by 5 to 15 % at a time; a turbo clock wanders by a few per cent."""
OTHERS_LIMIT_CPUS = 0.2
OTHERS_LIMIT_SHARE = 0.05
"""Others may use a fifth of a CPU, or 5 % of all where that is more: an idle Linux uses 0 to 5 % of one."""
CPU_SHARE_LIMIT = 0.95
"""A model on one thread computes all the time: what is missing of its CPU time, somebody else had."""
LONGEST_PREEMPTION_NS = 100_000_000
"""A turn of another process: 1 to 24 ms under Linux's fair scheduler, 100 ms under its round robin."""
WIDE_LIMIT = 0.02
"""Half the width of the interval of p50. Changes of 5 %, a usual gate, are told apart up to there."""
_OUTER_FENCE = 3.0


@dataclass(frozen=True)
class Observed:
    """What is known of one window that counts.

    Attributes:
        samples_ns: Durations in the order they were taken: float64 [n].
        start_ns: When it began, by the device's monotonic clock.
        window_ns: How long it lasted.
        cpu_ns: CPU time of the process; None where unknown.
        others_cpu_ns: CPU time of everything else; None where unknown.
        preemptions: Involuntary context switches; None where unknown.
        busy_clocks_hz: The clock of the fastest core at each look during the window.
        throttling: What the device said about throttling, in words.
    """

    samples_ns: NDArray[np.float64]
    start_ns: int
    window_ns: int
    cpu_ns: int | None = None
    others_cpu_ns: int | None = None
    preemptions: int | None = None
    busy_clocks_hz: tuple[float, ...] = ()
    throttling: tuple[str, ...] = ()


@dataclass(frozen=True)
class Doubt:
    """One reason not to trust a latency: a code for programs, and the same in words with figures."""

    code: str
    message: str


@dataclass(frozen=True)
class Judgement:
    """What was found about one configuration.

    Attributes:
        doubts: Why its latency is unstable; empty where it is stable.
        drift: How the latency moved; None with fewer than three windows.
        outlier_share: Share of samples beyond the outer fences of Tukey's box plot, window by window.
        others_cpus: CPUs that everything else used on average; None where unknown.
    """

    doubts: tuple[Doubt, ...]
    drift: Drift | None
    outlier_share: float
    others_cpus: float | None


@dataclass(frozen=True)
class _Case:
    windows: Sequence[Observed]
    p50_ns: float
    interval: Interval | None
    threads: int
    cpus: int | None
    settled: bool
    drift: Drift | None = field(default=None)
    outlier_share: float = 0.0
    others_cpus: float | None = None


def judge(
    windows: Sequence[Observed],
    *,
    p50_ns: float,
    interval: Interval | None,
    threads: int,
    cpus: int | None,
    settled: bool,
) -> Judgement:
    """Judge a configuration.

    Args:
        windows: The windows that count, at least one, in the order they were taken.
        p50_ns: The reported median.
        interval: Its 95 % interval; None where there are too few samples.
        threads: Threads that the model used.
        cpus: CPUs of the device; None where unknown.
        settled: Whether the latency had settled when the warm-up ended.
    """
    samples = [window.samples_ns for window in windows]
    middles = [window.start_ns + window.window_ns // 2 for window in windows]
    case = _Case(
        windows=windows,
        p50_ns=p50_ns,
        interval=interval,
        threads=threads,
        cpus=cpus,
        settled=settled,
        drift=drift_of([float(np.median(each)) for each in samples], middles, drift_inside(samples)),
        outlier_share=outlier_share(samples),
        others_cpus=_others_cpus(windows),
    )
    checks = (_throttled, _clock, _neighbour, _settled, _drifting, _bimodal, _outliers, _few, _wide)
    doubts = tuple(doubt for check in checks for doubt in check(case))
    return Judgement(doubts, case.drift, case.outlier_share, case.others_cpus)


def outlier_share(windows: Sequence[NDArray[np.float64]]) -> float:
    """Return the share of samples beyond the outer fences: 3 interquartile ranges off the quartiles.

    Each window has fences of its own, so that a shift between windows is not mistaken for outliers.

    Source: J. W. Tukey, "Exploratory Data Analysis" (1977), section 2D.
    """
    outside = 0
    for window in windows:
        first, third = np.percentile(window, [25, 75])
        reach = _OUTER_FENCE * (third - first)
        outside += int(((window < first - reach) | (window > third + reach)).sum())
    return outside / sum(window.size for window in windows)


def _others_cpus(windows: Sequence[Observed]) -> float | None:
    known = [
        (window.others_cpu_ns, window.window_ns)
        for window in windows
        if window.others_cpu_ns is not None and window.window_ns > 0
    ]
    return sum(used for used, _ in known) / sum(length for _, length in known) if known else None


def _throttled(case: _Case) -> Iterator[Doubt]:
    signs = list(dict.fromkeys(sign for window in case.windows for sign in window.throttling))
    if signs:
        yield Doubt("throttled", f"the device was throttled: {', '.join(signs)}")


def _clock(case: _Case) -> Iterator[Doubt]:
    clocks = [clock for window in case.windows for clock in window.busy_clocks_hz]
    if clocks and max(clocks) - min(clocks) > CLOCK_LIMIT * max(clocks):
        low, high = min(clocks) / 1e6, max(clocks) / 1e6
        yield Doubt(
            "clock-changed", f"the clock moved between {low:.0f} and {high:.0f} MHz during the windows"
        )


def _neighbour(case: _Case) -> Iterator[Doubt]:
    limit = max(OTHERS_LIMIT_CPUS, OTHERS_LIMIT_SHARE * (case.cpus or 0))
    said = []
    if case.others_cpus is not None and case.others_cpus > limit:
        said.append(f"other programs used {case.others_cpus:.2f} CPUs meanwhile")
    if case.threads == 1 and (share := _cpu_share(case.windows)) is not None and share < CPU_SHARE_LIMIT:
        said.append(f"the model had its CPU for only {format_percent(share)} of the time")
    if said:
        yield Doubt("noisy-neighbour", " and ".join([*said, *_preempted(case.windows)]))


def _cpu_share(windows: Sequence[Observed]) -> float | None:
    """Return CPU time over wall time where preemptions explain the difference; None where they do not.

    A process that waits of its own accord (for an accelerator, for a child) is hardly ever preempted.
    """
    known = [
        (window.cpu_ns, window.window_ns, window.preemptions)
        for window in windows
        if window.cpu_ns is not None and window.window_ns > 0 and window.preemptions is not None
    ]
    used, length, preemptions = (sum(each) for each in zip(*known, strict=True)) if known else (0, 0, 0)
    if not length or length - used > preemptions * LONGEST_PREEMPTION_NS:
        return None
    return used / length


def _preempted(windows: Sequence[Observed]) -> list[str]:
    known = [(window.preemptions, window.window_ns) for window in windows if window.preemptions is not None]
    seconds = sum(length for _, length in known) / 1e9
    rate = sum(count for count, _ in known) / seconds if seconds else 0
    return [f"the kernel interrupted the model {rate:.0f} times a second"] if rate >= 1 else []


def _settled(case: _Case) -> Iterator[Doubt]:
    if not case.settled:
        yield Doubt("not-settled", "the latency had not settled when the warm-up ended")


def _drifting(case: _Case) -> Iterator[Doubt]:
    if case.drift is None:
        return
    if abs(case.drift.change) > DRIFT_LIMIT and case.drift.p_value < DRIFT_P_VALUE:
        change = f"{100 * case.drift.change:+.1f} %"
        yield Doubt(
            "drifting", f"the latency moved by {change} from window to window (p = {case.drift.p_value:.2g})"
        )
    elif case.drift.inside is not None and abs(case.drift.inside) > DRIFT_LIMIT:
        yield Doubt("drifting", f"the latency moves by {100 * case.drift.inside:+.1f} % inside every window")


def _bimodal(case: _Case) -> Iterator[Doubt]:
    modes = find_two_modes([window.samples_ns for window in case.windows])
    if modes and modes.high_ns - modes.low_ns > MODE_GAP_LIMIT * case.p50_ns:
        low, high = format_duration_ns(modes.low_ns), format_duration_ns(modes.high_ns)
        slow = format_percent(modes.high_share)
        yield Doubt(
            "bimodal", f"there are two latencies: about {low}, and about {high} in {slow} of the runs"
        )


def _outliers(case: _Case) -> Iterator[Doubt]:
    if case.outlier_share > OUTLIER_LIMIT:
        share = format_percent(case.outlier_share)
        yield Doubt(
            "outliers", f"{share} of the runs lie far outside the others (beyond Tukey's outer fences)"
        )


def _few(case: _Case) -> Iterator[Doubt]:
    count = sum(window.samples_ns.size for window in case.windows)
    if len(case.windows) < LEAST_WINDOWS:
        plural = "" if len(case.windows) == 1 else "s"
        needed = f"{LEAST_WINDOWS} are needed to see whether it drifts"
        yield Doubt("few-samples", f"there are {len(case.windows)} window{plural}; {needed}")
    elif count < samples_for_interval(50):
        yield Doubt("few-samples", f"there are {count} runs; {samples_for_interval(50)} give an interval")


def _wide(case: _Case) -> Iterator[Doubt]:
    if case.interval is None or case.p50_ns <= 0:
        return
    half = (case.interval.high - case.interval.low) / 2 / case.p50_ns
    if half > WIDE_LIMIT:
        low, high = format_duration_ns(case.interval.low), format_duration_ns(case.interval.high)
        yield Doubt("wide-interval", f"the median is known only to ±{100 * half:.1f} %: {low} to {high}")
