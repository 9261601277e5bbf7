"""Power over time, known exactly: what the emulated power sensor is told, and the energy of any window of it.

curve = [hold(2.0, watts=3.0), ramp(1.0, start_watts=3.0, end_watts=9.0)]
machine.play_power(curve)
machine.power_log().energy_j(start_ns, end_ns)
"""

from __future__ import annotations

import bisect
import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.toolchain.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class Segment:
    """A part of a curve.

    Attributes:
        duration_s: How long it lasts.
        start_watts: The power at its start.
        end_watts: The power at its end; in between it changes evenly.
    """

    duration_s: float
    start_watts: float
    end_watts: float

    @property
    def energy_j(self) -> float:
        """The energy of the whole part."""
        return self.duration_s * (self.start_watts + self.end_watts) / 2


def hold(duration_s: float, *, watts: float) -> Segment:
    """Return a part with one power."""
    return Segment(duration_s, watts, watts)


def ramp(duration_s: float, *, start_watts: float, end_watts: float) -> Segment:
    """Return a part in which the power changes evenly."""
    return Segment(duration_s, start_watts, end_watts)


def as_json(curve: Iterable[Segment]) -> str:
    """Return a curve as the device's `lab-power` reads it."""
    return json.dumps([[part.duration_s, part.start_watts, part.end_watts] for part in curve])


@dataclass(frozen=True)
class PowerLog:
    """What the sensor was told.

    Attributes:
        changes: Nanoseconds of the device's monotonic clock, and the watts from then on; in order.
    """

    changes: tuple[tuple[int, float], ...]

    def energy_j(self, start_ns: int, end_ns: int) -> float:
        """Return the energy of a window of the device's monotonic clock.

        Raises:
            LabError: The window begins before the first change: its power is not known.
        """
        times = [at for at, _ in self.changes]
        first = bisect.bisect_right(times, start_ns) - 1
        if first < 0:
            message = "The window begins before the power was set."
            raise LabError(message, remedy="Call set_power first.")
        inside = [change for change in self.changes[first + 1 :] if change[0] < end_ns]
        edges = [(start_ns, self.changes[first][1]), *inside, (end_ns, 0.0)]
        return sum((later - at) * watts for (at, watts), (later, _) in itertools.pairwise(edges)) / 1e9


def parse_log(text: str) -> PowerLog:
    """Return the log of the device's `lab-power`.

    Raises:
        LabError: It is not one.
    """
    try:
        rows = [line.split() for line in text.splitlines()]
        return PowerLog(tuple((int(at), float(watts)) for at, watts in rows))
    except ValueError as err:
        message = f"The device's log of its power is damaged: {err}."
        raise LabError(message, remedy="Cut the power of the device: its log begins anew.") from err
