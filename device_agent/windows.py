"""The windows of one configuration: what the job does around the inferences that a child times.

Rules:
    * While the child times, the job only reads the device's state, about once a second (`state.py`), and
      whatever the power sensor needs. While the job reads states, decides or waits, the child is blocked.
    * Idle power is measured with the model loaded and nothing running: before the warm-up, so that this
      leads into the first window, and after the last window; as long as a window.
    * A window in which the device throttled does not count. It is kept with the reason and repeated after a
      cool-down; after three of them the configuration is unavailable.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .state import StateSampler
from .throttle import cool_down, throttled

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conversation import Conversation
    from .meter import Meter
    from .state import StateReader

ATTEMPTS = 3
# Where there are no temperatures to wait for.
_BLIND_COOLING_S = 30.0
# What a child may take besides its own limits: loading, a slow first inference, an emulated CPU.
_ALLOWANCE_S = 600.0


@dataclass(frozen=True)
class Bench:
    """What every configuration is measured with.

    Attributes:
        spec: The spec, checked.
        reader: Reads the device's state.
        meter: Measures power.
        allowed_hz: The highest clock that each core was allowed at the start; None where unknown.
        cool_to_c: Temperature to cool down to after a throttled window; None where none is known.
        tell: Is told what goes on, for people.
    """

    spec: dict[str, Any]
    reader: StateReader
    meter: Meter
    allowed_hz: list[int | None] | None
    cool_to_c: float | None
    tell: Callable[[str], None]


class _UnavailableError(Exception):
    """The configuration cannot be measured; the message says why."""


def measure_configuration(talk: Conversation, where: dict[str, Any], bench: Bench) -> dict[str, Any]:
    """Measure one configuration in a child that has been started for it.

    Args:
        talk: The conversation with the child, `latency` of `child.py`.
        where: `batch`, `threads` and `delegate`.
        bench: What it is measured with.

    Returns:
        A configuration of the job's record (PROTOCOL.md).
    """
    windows: list[dict[str, Any]] = []
    try:
        loaded = _ask(talk, "load")
        before = _idle(bench)
        warm = _ask(talk, "warm_up", bench.spec["warmup_max_seconds"])
        for inputs in range(bench.spec["windows"]):
            _accepted_window(talk, inputs, bench, windows)
        after = _idle(bench)
    except _UnavailableError as err:
        return {**where, "unavailable": str(err), "windows": windows}
    return {**where, **loaded, **warm, "windows": windows, "idle": _both(before, after)}


def _accepted_window(talk: Conversation, inputs: int, bench: Bench, windows: list[dict[str, Any]]) -> None:
    """Add windows on the given inputs until one counts.

    Raises:
        _UnavailableError: The device throttled in each of three attempts, or its outputs are wrong.
    """
    for attempt in range(1, ATTEMPTS + 1):
        window = {"inputs": inputs, "attempt": attempt, **_window(talk, inputs, bench)}
        windows.append(window)
        if window["rejected"] is None:
            return
        if attempt < ATTEMPTS:
            cool_down(
                bench.reader,
                bench.cool_to_c,
                timeout_s=bench.spec["cool_timeout_seconds"],
                blind_s=_BLIND_COOLING_S,
                tell=bench.tell,
            )
    message = f"{windows[-1]['rejected']}; so in each of {ATTEMPTS} attempts"
    raise _UnavailableError(message)


def _window(talk: Conversation, inputs: int, bench: Bench) -> dict[str, Any]:
    states = [bench.reader.read()]
    _ask(talk, "prepare", inputs=inputs)
    with StateSampler(bench.reader) as during:
        bench.meter.begin()
        timed = _ask(talk, "window", bench.spec["max_seconds"])
        power = bench.meter.end()
    states += [*during.states, bench.reader.read()]
    samples = _ask(talk, "samples")
    return {
        "rejected": throttled(states, bench.allowed_hz),
        **timed,
        **samples,
        "states": states,
        "power": power,
    }


def _idle(bench: Bench) -> tuple[dict[str, Any], dict[str, int]] | None:
    """Return the power of a time in which nothing runs, and when that was; None where nobody measures it."""
    if not bench.meter.measures:
        return None
    start_ns = time.monotonic_ns()
    power = bench.meter.over(bench.spec["min_seconds"])
    return power, {"start_clock_ns": start_ns, "duration_ns": time.monotonic_ns() - start_ns}


def _both(
    before: tuple[dict[str, Any], dict[str, int]] | None, after: tuple[dict[str, Any], dict[str, int]] | None
) -> dict[str, Any] | None:
    if before is None or after is None:
        return None
    return {"before": before[0], "after": after[0], "before_span": before[1], "after_span": after[1]}


def _ask(talk: Conversation, operation: str, seconds: float = 0.0, **fields: Any) -> dict[str, Any]:
    answer = talk.ask(operation, timeout_s=2 * seconds + _ALLOWANCE_S, **fields)
    if "unavailable" in answer:
        raise _UnavailableError(answer["unavailable"])
    return answer
