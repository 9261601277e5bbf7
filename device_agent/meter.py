"""Power over a window, from whatever sensor there is; a value with the reason where there is none."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .errors import AgentError

if TYPE_CHECKING:
    from types import TracebackType

ELSEWHERE = "host"
"""What a spec asks for where another machine reads the meter: the host lays its readings over the record."""
_NOBODY_RECORDED = (
    "the meter is not cabled to the device (`at` in lab.toml), and what recorded it had ended before the "
    "record came home"
)


class Meter:
    """The power sensor of a benchmark, or the lack of one.

    Args:
        sensor: A sensor of `power.registry.choose`; None where there is none.
        reason: Why there is none.
        is_elsewhere: Whether another machine reads the meter meanwhile.

    Attributes:
        about: `power_sensor` of the job's record.
    """

    def __init__(self, sensor: Any, reason: str = "", *, is_elsewhere: bool = False) -> None:
        self._sensor = sensor
        self._is_elsewhere = is_elsewhere
        self._failure: str | None = None
        self.about: dict[str, Any] = {"unavailable": reason}
        if sensor is not None:
            self.about = {name: getattr(sensor, name) for name in ("name", "driver", "covers")}

    @property
    def measures(self) -> bool:
        """Whether power is measured, by this machine or by another one."""
        return self._sensor is not None or self._is_elsewhere

    def begin(self) -> None:
        """Start a window."""
        self._failure = None
        if self._sensor is not None:
            try:
                self._sensor.begin()
            except (AgentError, OSError) as err:
                self._failure = f"the sensor failed when the window began: {err}"

    def end(self) -> dict[str, Any]:
        """End the window and return its power, or why there is none."""
        if self._sensor is None:
            return dict(self.about)
        if self._failure is None:
            try:
                power: dict[str, Any] = self._sensor.end()
            except (AgentError, OSError) as err:
                self._failure = f"the sensor failed when the window ended: {err}"
            else:
                return power
        return {"sensor": self.about["name"], "unavailable": self._failure}

    def over(self, seconds: float) -> dict[str, Any]:
        """Return the power of the next seconds, in which nothing runs."""
        self.begin()
        time.sleep(seconds)
        return self.end()

    def __enter__(self) -> Meter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._sensor is not None:
            self._sensor.close()


def open_meter(spec: dict[str, Any]) -> Meter:
    """Choose the sensor that a spec asks for.

    Raises:
        AgentError: `no_power_sensor`: one was named, and cannot be had.
    """
    wanted = spec["power"]
    if wanted == "none":
        return Meter(None, "not asked for")
    if wanted == ELSEWHERE:
        return Meter(None, _NOBODY_RECORDED, is_elsewhere=True)
    from .power.registry import choose

    try:
        return Meter(choose(wanted, spec["power_settings"]))
    except AgentError as err:
        if wanted != "auto" or err.code != "no_power_sensor":
            raise
        return Meter(None, err.message)
