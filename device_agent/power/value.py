"""The POWER value of a window: its energy, or `unavailable` with the reason why it cannot be trusted.

    {"sensor", "driver", "covers", "joules", "uncertainty_j", "average_w", "peak_w", "duration_ns", "samples",
     "dropped", "coverage", "resolution_w", "interval_ns", "trace": {"clock_ns": [...], "watts": [...]}}
    {"sensor", "unavailable": "reason"}

What is refused, in this order: a source that ended; samples that had to make room; a window shorter than the
sensor's rate allows; fewer than three samples; less than nine tenths of the window covered; a stream that
lost more than its limit; an energy that is not positive; what the source itself objects to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from .integrate import integrate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .integrate import Integral
    from .samples import Cut
    from .source import Traits

MIN_SAMPLES = 3
MIN_COVERAGE = 0.9
TRACE_POINTS = 500


def power_value(
    identity: dict[str, str],
    traits: Traits,
    cut: Cut,
    window_ns: tuple[int, int],
    objection: Callable[[int, int, float], str | None],
) -> dict[str, Any]:
    """Return the POWER value of a window.

    Args:
        identity: `sensor`, `driver` and `covers`.
        traits: What is known of the sensor.
        cut: The window's samples.
        window_ns: Start and end, CLOCK_MONOTONIC.
        objection: What the source says against an energy; None where it has nothing to say.
    """
    from_ns, to_ns = window_ns
    inside = sum(1 for at in cut.clock_ns if from_ns <= at <= to_ns)
    reason = _refusal_of_samples(traits, cut, window_ns, inside)
    if reason:
        return _unavailable(identity, reason)
    result = integrate(cut.clock_ns, cut.values, window_ns, traits)
    reason = _refusal_of_result(traits, cut, window_ns, result, inside)
    reason = reason or objection(from_ns, to_ns, result.joules)
    if reason:
        return _unavailable(identity, reason)
    clock_ns, watts = thin(result.clock_ns, result.watts, TRACE_POINTS)
    return {
        **identity,
        "joules": result.joules,
        "uncertainty_j": result.uncertainty_j,
        "average_w": result.joules / ((to_ns - from_ns) / 1e9),
        "peak_w": result.peak_w,
        "duration_ns": to_ns - from_ns,
        "samples": inside,
        "dropped": cut.dropped,
        "coverage": result.coverage,
        "resolution_w": traits.resolution_w,
        "interval_ns": result.interval_ns,
        "trace": {"clock_ns": clock_ns, "watts": watts},
    }


def thin(clock_ns: Sequence[int], watts: Sequence[float], most: int) -> tuple[list[int], list[float]]:
    """Return at most `most` points, each the average of an equal number of neighbours."""
    size = -(-len(clock_ns) // most)
    if size <= 1:
        return list(clock_ns), [float(value) for value in watts]
    starts = range(0, len(clock_ns), size)
    return (
        [sum(clock_ns[start : start + size]) // len(clock_ns[start : start + size]) for start in starts],
        [sum(watts[start : start + size]) / len(watts[start : start + size]) for start in starts],
    )


def _refusal_of_samples(traits: Traits, cut: Cut, window_ns: tuple[int, int], inside: int) -> str | None:
    length_ns = window_ns[1] - window_ns[0]
    if cut.fault:
        return cut.fault
    if cut.forgotten:
        return "the window is older than the samples that are kept"
    if length_ns < traits.min_window_ns:
        return (
            f"a window of {length_ns / 1e9:.1f} s is too short for this sensor's rate; "
            f"it needs {traits.min_window_ns / 1e9:.0f} s"
        )
    if inside < MIN_SAMPLES:
        return (
            f"{inside} samples in a window of {length_ns / 1e9:.3g} s, {MIN_SAMPLES} are needed"
            f"{_loss(cut.dropped)}: {_age(cut, window_ns[1])}"
        )
    return None


def _refusal_of_result(
    traits: Traits, cut: Cut, window_ns: tuple[int, int], result: Integral, inside: int
) -> str | None:
    if result.coverage < MIN_COVERAGE:
        return (
            f"samples cover {result.coverage:.0%} of the window, {MIN_COVERAGE:.0%} are needed"
            f"{_loss(cut.dropped)}: {_age(cut, window_ns[1])}"
        )
    share = cut.dropped / (cut.dropped + inside)
    if traits.max_dropped_share is not None and share > traits.max_dropped_share:
        limit = traits.max_dropped_share
        return f"the meter lost {share:.2%} of its samples; more than {limit:.1%} is not trusted"
    if result.joules <= 0:
        average_w = result.joules / ((window_ns[1] - window_ns[0]) / 1e9)
        return (
            f"the sensor reads {average_w:.3g} W on average: it is not in the supply's path, or its shunt is "
            "connected the other way round"
        )
    return None


def _age(cut: Cut, to_ns: int) -> str:
    """Return what went wrong, or how a stalled sensor differs from a slow one, in words."""
    if cut.trouble:
        return cut.trouble
    if not cut.clock_ns:
        return "the sensor gave no sample"
    silent_s = (to_ns - cut.clock_ns[-1]) / 1e9
    if silent_s <= 0:
        return "it has gaps, or is too slow for so short a window"
    return f"the last sample came {silent_s:.2g} s before the window's end"


def _loss(dropped: int) -> str:
    return f" ({dropped} lost)" if dropped else ""


def _unavailable(identity: dict[str, str], reason: str) -> dict[str, Any]:
    return {"sensor": identity["sensor"], "unavailable": reason}
