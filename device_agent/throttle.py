"""Did the device throttle during a window? And waiting until it is cool again.

A device that throttles runs slower than it can, for a reason that has nothing to do with the model: such a
window says how good the case's cooling or the power supply is.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .state import hottest_c

if TYPE_CHECKING:
    from collections.abc import Callable

    from .state import StateReader

# A core that runs far below the clock that it may have, on a hot device whose governor would let it run:
# most boards have no word or counter that says so. Source of the temperature: passive trip points of the
# kernel's device trees lie at 70 to 95 degrees C (`arch/arm64/boot/dts`, thermal-zones).
_HOT_C = 70.0
_SLOW = 0.8
_SLOW_GOVERNORS = {"powersave", "userspace", "conservative"}
_POLL_S = 1.0


def throttled(states: list[dict[str, Any]], allowed_hz: list[int | None] | None = None) -> str | None:
    """Return why a window does not count, with the figures; None where the device did not throttle.

    Args:
        states: The device before, during and after the window, at least two.
        allowed_hz: The highest clock that each core was allowed when the benchmark began; None where unknown.
    """
    found = (
        _firmware(states)
        or _counters(states)
        or _cooling(states)
        or _allowed_clocks(states, allowed_hz)
        or _clocks(states)
    )
    return f"throttled: {found}{_temperatures(states)}" if found else None


def is_throttling(state: dict[str, Any]) -> bool:
    """Return whether the firmware or the kernel holds the device back at this moment."""
    steps = any(device["step"] > 0 for device in state.get("cooling") or [])
    return steps or bool((state.get("throttling") or {}).get("now"))


def cool_down(
    reader: StateReader,
    target_c: float | None,
    *,
    timeout_s: float,
    blind_s: float,
    tell: Callable[[str], None],
    poll_s: float = _POLL_S,
) -> None:
    """Wait until the device is cool and nothing holds it back, or the time is over.

    Args:
        reader: Reads temperatures.
        target_c: Highest temperature to go on with, in degrees Celsius.
        timeout_s: How long to wait at most.
        blind_s: How long to wait where there are no temperatures.
        tell: Is told the temperature.
        poll_s: Time between two looks.
    """
    start = time.monotonic()
    while (waited_s := time.monotonic() - start) < timeout_s:
        state = reader.read()
        now_c = hottest_c(state["temperatures_c"])
        blind = now_c is None or target_c is None
        cool = waited_s >= blind_s if now_c is None or target_c is None else now_c <= target_c
        if cool and not is_throttling(state):
            return
        tell("cooling down" if blind else f"cooling down from {now_c:.0f} °C to {target_c:.0f} °C")
        time.sleep(min(poll_s, timeout_s - waited_s))


def _firmware(states: list[dict[str, Any]]) -> str | None:
    words = [state["throttling"] for state in states if state.get("throttling")]
    for word in words:
        if word["now"]:
            return f"the firmware says {', '.join(word['now'])} (bits {word['bits']:#x})"
    if words:
        new = [meaning for meaning in words[-1]["since_boot"] if meaning not in words[0]["since_boot"]]
        if new:
            return (
                f"the firmware says that meanwhile there was {', '.join(new)} (bits {words[-1]['bits']:#x})"
            )
    return None


def _counters(states: list[dict[str, Any]]) -> str | None:
    counts = [state["throttle_events"] for state in states if state.get("throttle_events") is not None]
    if counts and counts[-1] > counts[0]:
        return f"the CPU's throttle counters rose from {counts[0]} to {counts[-1]}"
    return None


def _cooling(states: list[dict[str, Any]]) -> str | None:
    for state in states:
        for device in state.get("cooling") or []:
            if device["step"] > 0:
                return f"the kernel cools the CPU by {device['name']}, step {device['step']}"
    return None


def _allowed_clocks(states: list[dict[str, Any]], allowed_hz: list[int | None] | None) -> str | None:
    first = allowed_hz or states[0].get("max_clocks_hz") or []
    for state in states:
        for core, (before, now) in enumerate(zip(first, state.get("max_clocks_hz") or [])):
            if before and now and now < before:
                return f"the highest clock that core {core} may have fell from {_mhz(before)} to {_mhz(now)}"
    return None


def _clocks(states: list[dict[str, Any]]) -> str | None:
    """Return how far the fastest core fell, where the device is hot and the governor is not the reason."""
    if states[0].get("throttle_events") is not None:
        return None  # an x86 counts; its clocks depend on how many cores work
    for state in states[1:-1]:
        pairs = zip(state.get("clocks_hz") or [], state.get("max_clocks_hz") or [])
        known = [(now / highest, now, highest) for now, highest in pairs if now and highest]
        hottest = hottest_c(state.get("temperatures_c"))
        if not known or hottest is None or hottest < _HOT_C:
            continue
        if _SLOW_GOVERNORS.intersection(state.get("governors") or []):
            continue
        ratio, now, highest = max(known)
        if ratio < _SLOW:
            return f"the fastest core ran at {_mhz(now)} of {_mhz(highest)} at {hottest:.1f} °C"
    return None


def _temperatures(states: list[dict[str, Any]]) -> str:
    known = [
        value for value in (hottest_c(state.get("temperatures_c")) for state in states) if value is not None
    ]
    return f"; temperatures {known[0]:.1f} to {max(known):.1f} °C" if known else "; no temperature is known"


def _mhz(hertz: int) -> str:
    return f"{hertz / 1e6:.0f} MHz"
