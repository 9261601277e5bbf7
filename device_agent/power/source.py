"""Where samples come from: what a source promises, and how it says that it cannot.

Two kinds exist: readings taken on a cadence (`sampler.py`) and streams that arrive by themselves
(`stream.py`). Both deliver into `Samples`; neither integrates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .samples import Samples

WATTS = "watts"
JOULES = "joules"


@dataclass(frozen=True)
class Traits:
    """What the arithmetic has to know of a source.

    Attributes:
        unit: `WATTS` for readings of power, `JOULES` for an energy counter (unwrapped, from any start).
        resolution_w: The step of one reading of power; None where it is not known.
        resolution_j: The step of an energy counter; None for readings of power.
        lag_ns: How old a reading can be: the sensor's own averaging or update interval.
        late_ns: How long after its time a sample may still arrive.
        min_window_ns: The shortest window for which the rate suffices.
        max_dropped_share: The share of lost samples above which a stream is not trusted; None where lost
            readings show in the coverage only.
            Source: EnergyRunner's emon-drop-thresh-pct = 0.1 (MLPerf Tiny).
        accuracy: Limit of the relative error of the sensor's gain, where the settings state it.
    """

    unit: str = WATTS
    resolution_w: float | None = None
    resolution_j: float | None = None
    lag_ns: int = 0
    late_ns: int = 0
    min_window_ns: int = 0
    max_dropped_share: float | None = None
    accuracy: float = 0.0


class SensorGoneError(Exception):
    """The sensor cannot give another sample; the message says why. Ends the source."""


class NoReadingError(Exception):
    """This one reading failed, the next may not. Counts as a dropped sample."""


class Source(Protocol):
    """Delivers samples into a store, from a thread of its own."""

    @property
    def traits(self) -> Traits:
        """What the arithmetic has to know; may get better while the source runs."""

    def start(self, samples: Samples) -> None:
        """Begin to deliver; return once the first sample is in, or cannot be had. May be called again."""

    def rest(self) -> None:
        """Pause where pausing saves something, after one more sample. `start` goes on."""

    def objection(self, from_ns: int, to_ns: int, joules: float) -> str | None:
        """Return why an energy should not be believed although its samples look whole, or None."""

    def close(self) -> None:
        """Stop for good and let go of the device."""
