"""A bounded store of timestamped samples: one thread writes, another cuts windows out of it."""

from __future__ import annotations

import threading
import time
from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass

# 2**20 samples are 16 MiB: 17 minutes at 1 kHz, 3 hours at 100 Hz.
DEFAULT_CAPACITY = 1 << 20


@dataclass(frozen=True)
class Cut:
    """The samples of one window, with one neighbour on either side where there is one.

    Attributes:
        clock_ns: Strictly increasing times, CLOCK_MONOTONIC of this machine.
        values: Watts, or joules counted so far, as the source's traits say.
        dropped: Samples that the sensor or the sampler is known to have lost within the window.
        fault: Why the source ended, if it did before the window's end.
        forgotten: Whether samples of the window had to make room for newer ones.
        trouble: What the last reading that failed since the window began failed for, if that was said.
    """

    clock_ns: array[int]
    values: array[float]
    dropped: int
    fault: str | None
    forgotten: bool
    trouble: str | None = None


class Samples:
    """Samples of one source in order of time; the oldest make room when `capacity` is reached."""

    def __init__(self, capacity: int = DEFAULT_CAPACITY) -> None:
        self._capacity = max(capacity, 8)
        self._clock_ns = array("q")
        self._values = array("d")
        self._drop_clock_ns = array("q")
        self._drop_total = array("q")
        self._fault: tuple[int, str] | None = None
        self._trouble: tuple[int, str] | None = None
        self._forgotten_until_ns: int | None = None
        self._changed = threading.Condition()

    def add(self, clock_ns: int, value: float) -> None:
        """Store a sample; one that is not newer than the last is counted as dropped."""
        with self._changed:
            if self._clock_ns and clock_ns <= self._clock_ns[-1]:
                self._drop(self._clock_ns[-1], 1)
                return
            if len(self._clock_ns) >= self._capacity:
                self._forget(self._capacity // 4)
            self._clock_ns.append(clock_ns)
            self._values.append(value)
            self._changed.notify_all()

    def drop(self, clock_ns: int, count: int = 1, why: str = "") -> None:
        """Count samples that were lost at about `clock_ns`."""
        with self._changed:
            if why:
                self._trouble = (clock_ns, why)
            self._drop(clock_ns, count)

    def fail(self, reason: str) -> None:
        """Say why no more samples will come. The first reason stays."""
        with self._changed:
            if self._fault is None:
                self._fault = (time.monotonic_ns(), reason)
            self._changed.notify_all()

    def forget(self, before_ns: int) -> None:
        """Let go of the samples of times that nobody will ask for any more."""
        with self._changed:
            self._forget(bisect_left(self._clock_ns, before_ns))

    @property
    def fault(self) -> str | None:
        """Why no more samples will come; None while they may."""
        return self._fault[1] if self._fault else None

    @property
    def last_ns(self) -> int | None:
        """The time of the newest sample."""
        with self._changed:
            return self._clock_ns[-1] if self._clock_ns else None

    def wait_for(self, clock_ns: int, timeout_s: float) -> bool:
        """Wait until a sample at or after `clock_ns` is in; return whether one is."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._fault) or self._reaches(clock_ns), timeout_s)
            return self._reaches(clock_ns)

    def cut(self, from_ns: int, to_ns: int) -> Cut:
        """Return the samples of a window, with one neighbour on either side where there is one."""
        with self._changed:
            first = max(bisect_left(self._clock_ns, from_ns) - 1, 0)
            last = bisect_right(self._clock_ns, to_ns) + 1
            gone = self._forgotten_until_ns is not None and from_ns <= self._forgotten_until_ns
            return Cut(
                self._clock_ns[first:last],
                self._values[first:last],
                self._dropped(to_ns) - self._dropped(from_ns),
                self._fault[1] if self._fault and self._fault[0] < to_ns else None,
                gone,
                self._trouble[1] if self._trouble and self._trouble[0] >= from_ns else None,
            )

    def _reaches(self, clock_ns: int) -> bool:
        return bool(self._clock_ns) and self._clock_ns[-1] >= clock_ns

    def _drop(self, clock_ns: int, count: int) -> None:
        total = self._drop_total[-1] if self._drop_total else 0
        self._drop_clock_ns.append(
            max(clock_ns, self._drop_clock_ns[-1] if self._drop_clock_ns else clock_ns)
        )
        self._drop_total.append(total + count)
        if len(self._drop_total) > self._capacity:
            half = self._capacity // 2
            del self._drop_clock_ns[:half], self._drop_total[:half]

    def _dropped(self, until_ns: int) -> int:
        index = bisect_right(self._drop_clock_ns, until_ns)
        return self._drop_total[index - 1] if index else 0

    def _forget(self, count: int) -> None:
        if count > 0:
            self._forgotten_until_ns = self._clock_ns[count - 1]
            del self._clock_ns[:count], self._values[:count]
