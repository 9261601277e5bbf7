"""What the measurement core sees of a power sensor: `begin` a window, `end` it, `close`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

from .recorder import Recorder
from .samples import DEFAULT_CAPACITY

if TYPE_CHECKING:
    from .source import Source


class PowerSensor(Protocol):
    """A sensor whose windows give joules.

    Attributes:
        name: As listed by `survey`, such as "hwmon:ina226".
        driver: Which reader it is, such as "hwmon".
        covers: What its rail covers and what it does not see, one plain sentence.
    """

    name: str
    driver: str
    covers: str

    @property
    def recorder(self) -> Recorder:
        """What records it from the first call of `start` on, and answers for any window."""

    def begin(self) -> None:
        """Start a window; sampling runs in a thread or a process of its own."""

    def end(self) -> dict[str, Any]:
        """End the window and return its POWER value (`value.py`)."""

    def close(self) -> None:
        """Stop sampling and let go of the device."""


class Meter:
    """A `PowerSensor` made of any source of samples.

    Args:
        name: As listed by `survey`.
        driver: Which reader it is.
        covers: What the rail covers and what it does not see.
        source: Delivers the samples. It rests between windows where resting saves something.
        accuracy: Limit of the relative error of the sensor's gain, where the user states it.
        capacity: The number of samples kept.
    """

    def __init__(
        self,
        name: str,
        driver: str,
        covers: str,
        source: Source,
        *,
        accuracy: float = 0.0,
        capacity: int = DEFAULT_CAPACITY,
    ) -> None:
        self.name = name
        self.driver = driver
        self.covers = covers
        self._recorder = Recorder(name, driver, covers, source, capacity=capacity, accuracy=accuracy)
        self._source = source
        self._from_ns: int | None = None

    @property
    def recorder(self) -> Recorder:
        """The recorder behind the windows, for a meter process that records a whole job."""
        return self._recorder

    def begin(self) -> None:
        """Start a window. The first sample lies before it, so that its first edge is interpolated."""
        self._recorder.forget(time.monotonic_ns() - 2_000_000_000)
        self._recorder.start()
        self._from_ns = time.monotonic_ns()

    def end(self) -> dict[str, Any]:
        """End the window and return its POWER value.

        Raises:
            RuntimeError: `begin` was not called.
        """
        to_ns = time.monotonic_ns()
        if self._from_ns is None:
            message = "end() without begin()"
            raise RuntimeError(message)
        from_ns, self._from_ns = self._from_ns, None
        self._source.rest()
        return self._recorder.energy(from_ns, to_ns)

    def close(self) -> None:
        """Stop sampling and let go of the device."""
        self._recorder.close()
