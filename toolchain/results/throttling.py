"""What the states of a window say about throttling.

The agent rejects a window in which the device throttled; this is the host's own look at those that it let
pass, and at records of agents that knew less.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgepack.toolchain.results.window_record import State


def throttling_signs(states: Sequence[State]) -> tuple[str, ...]:
    """Return the signs of throttling in words; none where there is none, or nothing is known.

    Args:
        states: The device before, during and after a window, in this order.
    """
    if not states:
        return ()
    signs = [sign for state in states if state.throttling for sign in state.throttling.now]
    words = [state.throttling for state in states if state.throttling]
    if words:  # a bit that appeared meanwhile: it happened between two looks
        signs += [sign for sign in words[-1].since_boot if sign not in words[0].since_boot]
    counts = [state.throttle_events for state in states if state.throttle_events is not None]
    if counts and counts[-1] > counts[0]:
        signs.append(f"{counts[-1] - counts[0]} throttle events")
    highest = [max(known) for state in states if (known := [hz for hz in state.max_clocks_hz or [] if hz])]
    if highest and min(highest) < highest[0]:
        signs.append(f"highest clock allowed from {highest[0] / 1e6:.0f} to {min(highest) / 1e6:.0f} MHz")
    return tuple(dict.fromkeys(signs))
