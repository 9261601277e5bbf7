"""A meter that this machine records for another one: the host, or a device's gateway, while a device works.

    start -> the meter records without a break -> energy(spans), any spans, any number of times -> stop

The spans are edges of windows that another machine has timed, mapped to this machine's CLOCK_MONOTONIC by the
host. So nothing has to be told to this machine while the device is measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import AgentError
from .protocol import bad_request

if TYPE_CHECKING:
    from types import TracebackType

    from .power.sensor import PowerSensor

# With a trace of 500 points each, the answer fits a line.
MOST_SPANS = 16
_LONGEST_NS = 86_400_000_000_000
# 2**20 samples are 16 MiB: 17 minutes at 1 kHz; 2**25 are 9 hours. A quarter of the memory at most.
_FEWEST_SAMPLES = 1 << 20
_MOST_SAMPLES = 1 << 25
_SAMPLE_BYTES = 16


class MeterPost:
    """Where at most one meter is recorded."""

    def __init__(self) -> None:
        self._sensor: PowerSensor | None = None

    def start(self, sensor: str, settings: Any) -> dict[str, Any]:
        """Begin to record a meter, instead of the one that is recorded now.

        Args:
            sensor: Its name, as `power.registry.choose` takes it.
            settings: Its settings from lab.toml.

        Returns:
            `name`, `driver` and `covers`.

        Raises:
            AgentError: `no_power_sensor`: it cannot be opened; `bad_request`: wrong settings.
        """
        from .power.registry import choose

        self.stop()
        found = choose(sensor, settings, capacity=_capacity())
        self._sensor = found
        found.recorder.start()
        if fault := found.recorder.fault:
            self.stop()
            message = f"The power sensor {found.name} cannot be used: {fault}."
            raise AgentError(
                "no_power_sensor",
                message,
                "Check its cable, and its settings in `[devices.NAME.power]` of lab.toml.",
            )
        return {"name": found.name, "driver": found.driver, "covers": found.covers}

    def energy(self, spans: Any) -> list[dict[str, Any]]:
        """Return the POWER value of each span, a pair of times of this machine's CLOCK_MONOTONIC.

        Raises:
            AgentError: `bad_request`: no meter is recorded, or the spans are not such pairs.
        """
        if self._sensor is None:
            message = "meter.energy: no meter is recorded; `meter.start` comes first."
            raise bad_request(message)
        if not isinstance(spans, list) or len(spans) > MOST_SPANS or not all(map(_is_span, spans)):
            message = f"meter.energy: 'spans' is not a list of at most {MOST_SPANS} pairs [from_ns, to_ns]."
            raise bad_request(message)
        return [self._sensor.recorder.energy(from_ns, to_ns) for from_ns, to_ns in spans]

    def stop(self) -> None:
        """Let go of the meter, if one is recorded."""
        sensor, self._sensor = self._sensor, None
        if sensor is not None:
            sensor.close()

    def __enter__(self) -> MeterPost:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _is_span(value: Any) -> bool:
    pair = isinstance(value, list) and len(value) == 2 and all(type(item) is int for item in value)
    return pair and 0 <= value[0] < value[1] <= value[0] + _LONGEST_NS


def _capacity() -> int:
    """Return how many samples may be kept, by the memory that programs can still have."""
    from .state import StateReader
    from .sysfs import MACHINE

    available = StateReader(MACHINE).read()["available_bytes"] or 0
    return max(_FEWEST_SAMPLES, min(_MOST_SAMPLES, available // 4 // _SAMPLE_BYTES))
