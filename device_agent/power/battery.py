"""The battery of a phone or laptop, by its fuel gauge, and only while it discharges.

Power is `power_now`, else `current_now` times `voltage_now`. The sign of `current_now` differs between
drivers, so its size is taken and `status` says which way it flows. As a cross check the gauge's own counter
of charge or energy is read along: where it has moved enough to say anything and disagrees by more than a
quarter, the window is refused.

Some drivers report other units than the kernel asks for (`test_power` reports 4100 for 4.1 V). A reading that
no battery can have is refused with its reason, not reported as a millionth of the truth.

Source: Documentation/ABI/testing/sysfs-class-power (uV, uA, uW, uAh, uWh; `status`; `scope`).
"""

from __future__ import annotations

import errno
import time
from collections import deque
from typing import TYPE_CHECKING, Callable

from .found import Found
from .roots import folders, number_or_none, read_number, read_text, text_or_none
from .sampler import SampledSource
from .source import NoReadingError, SensorGoneError, Traits

if TYPE_CHECKING:
    from pathlib import Path

    from .roots import Roots

_COVERS = "the whole device at its battery, screen and radios included; the gauge updates every few seconds"
# One cell that is nearly empty, and the stack of an electric scooter.
_PLAUSIBLE_V = (1.5, 100.0)
# A device that runs a benchmark takes more than a milliwatt, and less than a battery of this kind can give.
_PLAUSIBLE_W = (0.001, 1000.0)
_INTERVAL_NS = 200_000_000
# Gauges average over seconds. Source: ChromeOS EC and MAX17042 datasheets: 0.175 s to 5.6 s.
_LAG_NS = 1_000_000_000
_MIN_WINDOW_NS = 5_000_000_000
_DISAGREEMENT = 0.25
_COUNTER_STEPS = 4
_KEPT_READINGS = 65_536
# Counters of charge (uAh, needs the voltage) and of energy (uWh).
_COUNTERS = (("energy_now", 3600e-6, False), ("charge_counter", 3600e-6, True), ("charge_now", 3600e-6, True))


class Battery:
    """One battery's gauge.

    Args:
        folder: Its folder below /sys/class/power_supply.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._counters: deque[tuple[int, float]] = deque(maxlen=_KEPT_READINGS)
        self._counter = next((one for one in _COUNTERS if (folder / one[0]).exists()), None)

    def read(self) -> float:
        """Return the power that the battery gives, in watts.

        Raises:
            SensorGoneError: It does not discharge, or reports what no battery can have.
            OSError: As the kernel says.
        """
        status = read_text(self._folder / "status")
        if status != "Discharging":
            message = (
                f"the battery is {status.lower() or 'in an unknown state'}: only discharging is measured"
            )
            raise SensorGoneError(message)
        volts = read_number(self._folder / "voltage_now") / 1e6
        if not _PLAUSIBLE_V[0] <= volts <= _PLAUSIBLE_V[1]:
            raise SensorGoneError(_wrong_unit("voltage_now", volts, "V", "microvolts"))
        watts = self._watts(volts)
        if watts == 0:
            message = "the gauge reports no current while discharging"
            raise NoReadingError(message)
        if not _PLAUSIBLE_W[0] <= watts <= _PLAUSIBLE_W[1]:
            raise SensorGoneError(_wrong_unit("power or current", watts, "W", "microwatts or microamperes"))
        self._count(volts)
        return watts

    def objection(self, from_ns: int, to_ns: int, joules: float) -> str | None:
        """Return how the gauge's own counter contradicts an energy; None where it does not, or cannot."""
        counted = [value for clock_ns, value in list(self._counters) if from_ns <= clock_ns <= to_ns]
        steps = [abs(after - before) for before, after in zip(counted, counted[1:]) if after != before]
        if len(steps) < _COUNTER_STEPS or self._counter is None:
            return None
        counted_j = abs(counted[-1] - counted[0])
        if abs(counted_j - joules) <= _DISAGREEMENT * joules + 2 * max(steps):
            return None
        return f"current and voltage give {joules:.3g} J, the gauge's {self._counter[0]} {counted_j:.3g} J"

    def _watts(self, volts: float) -> float:
        microwatts = number_or_none(self._folder / "power_now")
        if microwatts is not None:
            return abs(microwatts) / 1e6
        return abs(read_number(self._folder / "current_now")) / 1e6 * volts

    def _count(self, volts: float) -> None:
        if self._counter is None:
            return
        name, joules_per_unit, is_charge = self._counter
        value = number_or_none(self._folder / name)
        if value is not None:
            joules = value * joules_per_unit * (volts if is_charge else 1.0)
            self._counters.append((time.monotonic_ns(), joules))


def find(roots: Roots) -> list[Found]:
    """Return the batteries that power this machine; those of mice and headsets are left out."""
    found = []
    for folder in folders(roots.sys_class / "power_supply"):
        if text_or_none(folder / "type") == "Battery" and text_or_none(folder / "scope") != "Device":
            reason, remedy = _why_not(folder)
            name = f"battery:{folder.name}"
            found.append(Found(name, "battery", str(folder), _COVERS, _opener(folder), reason, remedy))
    return found


def _opener(folder: Path) -> Callable[[], SampledSource]:
    def open_source() -> SampledSource:
        battery = Battery(folder)
        traits = Traits(lag_ns=_LAG_NS, min_window_ns=_MIN_WINDOW_NS)
        return SampledSource(
            battery.read, traits, interval_ns=_INTERVAL_NS, objection=battery.objection, calibrate=False
        )

    return open_source


def _why_not(folder: Path) -> tuple[str | None, str | None]:
    try:
        Battery(folder).read()
    except SensorGoneError as err:
        pulled = "only discharging" in str(err)
        return str(err), "Unplug the charger while it is measured." if pulled else None
    except NoReadingError as err:
        return str(err), None
    except OSError as err:
        missing = err.errno == errno.ENOENT
        return f"it has no {err.filename}" if missing else f"{err.filename}: {err.strerror}", None
    return None, None


def _wrong_unit(what: str, value: float, unit: str, wanted: str) -> str:
    return f"{what} would be {value:.3g} {unit}, which no battery has: its driver does not report in {wanted}"
