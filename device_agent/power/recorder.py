"""Record a sensor for a whole job, and answer for any window of it afterwards.

This is what a meter process on the host runs while the device works through its windows: the windows' edges
arrive later, mapped to this machine's clock. `Meter` (`sensor.py`) uses the same recorder for windows that
begin and end in this process.

Memory is bounded: `capacity` samples of 16 bytes each. A window whose samples had to make room is
`unavailable`, not shortened.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .samples import DEFAULT_CAPACITY, Samples
from .value import power_value

if TYPE_CHECKING:
    from .source import Source


class Recorder:
    """Samples one source continuously.

    Args:
        name: The sensor's name.
        driver: Which reader it is.
        covers: What the rail covers and what it does not see.
        source: Delivers the samples.
        capacity: The number of samples kept; 2**20 are 17 minutes at 1 kHz.
        accuracy: Limit of the relative error of the sensor's gain, where the user states it.
    """

    def __init__(
        self,
        name: str,
        driver: str,
        covers: str,
        source: Source,
        *,
        capacity: int = DEFAULT_CAPACITY,
        accuracy: float = 0.0,
    ) -> None:
        self._accuracy = accuracy
        self.identity = {"sensor": name, "driver": driver, "covers": covers}
        self._source = source
        self._samples = Samples(capacity)

    def __enter__(self) -> Recorder:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def fault(self) -> str | None:
        """Why no more samples will come; None while they may."""
        return self._samples.fault

    def start(self) -> None:
        """Begin, or go on, to record; returns once the first sample is in or cannot be had."""
        self._source.start(self._samples)

    def energy(self, from_ns: int, to_ns: int) -> dict[str, Any]:
        """Return the POWER value (`value.py`) of a window.

        Args:
            from_ns: The window's start, CLOCK_MONOTONIC of this machine.
            to_ns: Its end. Where it lies at the present, samples that are still on their way are awaited.
        """
        traits = replace(self._source.traits, accuracy=self._accuracy)
        self._samples.wait_for(to_ns, (traits.late_ns + 20_000_000) / 1e9)
        cut = self._samples.cut(from_ns, to_ns)
        return power_value(self.identity, traits, cut, (from_ns, to_ns), self._source.objection)

    def forget(self, before_ns: int) -> None:
        """Let go of samples that nobody will ask for any more."""
        self._samples.forget(before_ns)

    def close(self) -> None:
        """Stop recording and let go of the device."""
        self._source.close()
