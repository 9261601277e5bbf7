"""Map the clock of a meter that streams to CLOCK_MONOTONIC of this machine.

A meter counts its samples by its own crystal. When a chunk arrives, the time on the way (buffers, USB) is
unknown but never negative, so the least difference between arrival and device time seen lately is nearest to
the truth. The least over a sliding window also follows the drift between two crystals (some 50 ppm: half a
millisecond within ten seconds).

Source: the minimum filter of NTP's clock filter, RFC 5905 section 10.
"""

from __future__ import annotations

from collections import deque

_WINDOW_NS = 10_000_000_000


class ClockMap:
    """The least offset of the last ten seconds."""

    def __init__(self) -> None:
        self._offsets: deque[tuple[int, int]] = deque()
        self._last_ns = -1

    def observe(self, device_ns: int, arrived_ns: int) -> None:
        """Note that a sample of `device_ns` was here at `arrived_ns`."""
        offset = arrived_ns - device_ns
        while self._offsets and self._offsets[-1][1] >= offset:
            self._offsets.pop()
        self._offsets.append((arrived_ns, offset))
        while self._offsets[0][0] < arrived_ns - _WINDOW_NS:
            self._offsets.popleft()

    def monotonic_ns(self, device_ns: int) -> int:
        """Return this machine's time of a device time; times never go backwards."""
        self._last_ns = max(device_ns + self._offsets[0][1], self._last_ns + 1)
        return self._last_ns

    def peek_ns(self, device_ns: int) -> int:
        """Return this machine's time of a device time without taking note of it."""
        return device_ns + self._offsets[0][1]
