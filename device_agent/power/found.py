"""A sensor that exists on this machine, usable or not, before it is opened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable

from .samples import DEFAULT_CAPACITY
from .sensor import Meter

if TYPE_CHECKING:
    from .source import Source


@dataclass(frozen=True)
class Found:
    """A sensor that exists here.

    Attributes:
        name: What `--power` takes.
        driver: Which reader it is.
        path: Where it was found.
        covers: What its rail covers and what it does not see.
        open: Makes its source; touches nothing yet.
        reason: Why it cannot be used; None where it can.
        remedy: The exact command or purchase that would change this; None where there is none.
        automatic: Whether "auto" may choose it: it covers the whole board, or what comes nearest to it.
    """

    name: str
    driver: str
    path: str
    covers: str
    open: Callable[[], Source]
    reason: str | None = None
    remedy: str | None = None
    automatic: bool = True

    def fact(self) -> dict[str, Any]:
        """Return what `survey` says of it."""
        return {
            "name": self.name,
            "driver": self.driver,
            "path": self.path,
            "covers": self.covers,
            "usable": self.reason is None,
            "reason": self.reason,
        }

    def sensor(self, accuracy: float = 0.0, capacity: int = DEFAULT_CAPACITY) -> Meter:
        """Return the sensor, ready for its first window."""
        source = self.open()
        return Meter(self.name, self.driver, self.covers, source, accuracy=accuracy, capacity=capacity)
