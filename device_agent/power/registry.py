"""Which power sensors this machine has, and which one to use.

"auto" takes the first usable one in this order; a sensor that covers more of the board comes before one that
covers less:
    1. the meter that the settings name: somebody cabled it for this purpose;
    2. hwmon power monitors (a rail that feeds the whole module before others; never a graphics processor's);
    3. the Raspberry Pi 5's power management chip;
    4. RAPL: psys, then all packages;
    5. a battery, while it discharges.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from ..errors import AgentError
from . import battery, command, hwmon, ina_i2c, joulescope, lpm01a, plug, powercap, ppk2, rpi_pmic
from .roots import Roots
from .samples import DEFAULT_CAPACITY
from .settings import parse
from .source import NoReadingError, SensorGoneError

if TYPE_CHECKING:
    from .found import Found
    from .sensor import PowerSensor
    from .settings import Settings

_NO_SENSOR = (
    "Cable a meter and name it in `[devices.NAME.power]` of lab.toml: an INA226 board in the supply's line, "
    "a plug that measures (Shelly, Tasmota), a Nordic PPK2 or a Joulescope. Raspberry Pi 5, Jetson, x86 and "
    "laptops on battery have a sensor of their own. docs/energy.md compares them."
)


def survey(roots: Roots = Roots(), settings: dict[str, Any] | None = None) -> list[dict[str, Any]]:  # noqa: B008
    """Return every sensor that exists here, in the order in which "auto" tries them.

    Args:
        roots: Where to look.
        settings: A cabled meter's settings from lab.toml, or None.

    Returns:
        For each: `name`, `driver`, `path`, `covers`, `usable`, and `reason` why not, or None.

    Raises:
        AgentError: `bad_request`: the settings are wrong.
    """
    return [found.fact() for found in _find(roots, parse(settings))]


def choose(
    wanted: str,
    settings: dict[str, Any] | None = None,
    roots: Roots = Roots(),  # noqa: B008
    *,
    capacity: int = DEFAULT_CAPACITY,
) -> PowerSensor:
    """Return a sensor, ready for its first window.

    Args:
        wanted: "auto", a name as `survey` lists it, the unique beginning of one (with or without its
            driver), or the `kind` of the meter that the settings describe.
        settings: A cabled meter's settings from lab.toml, or None.
        roots: Where to look.
        capacity: The number of samples kept.

    Raises:
        AgentError: `no_power_sensor`: none is usable, or none has this name; `bad_request`: wrong settings.
    """
    checked = parse(settings, wanted)
    there = _find(roots, checked)
    meant = bool(checked.kind) and wanted in ("auto", checked.kind)
    if meant or wanted == "auto":
        chosen = there[0] if meant else _automatic(there)
    else:
        chosen = _named(wanted, there)
    if chosen.reason is not None:
        raise _error(f"The power sensor {chosen.name} cannot be used: {chosen.reason}.", [chosen])
    try:
        return chosen.sensor(checked.accuracy, capacity)
    except (OSError, NoReadingError, SensorGoneError) as err:
        message = f"The power sensor {chosen.name} cannot be used: {err}."
        raise AgentError("no_power_sensor", message, chosen.remedy or _NO_SENSOR) from err


def _find(roots: Roots, settings: Settings) -> list[Found]:
    return [
        *command.find(settings),
        *plug.find(settings),
        *ppk2.find(settings),
        *lpm01a.find(settings),
        *joulescope.find(settings),
        *ina_i2c.find(roots, settings),
        *hwmon.find(roots),
        *rpi_pmic.find(roots),
        *powercap.find(roots),
        *battery.find(roots),
    ]


def _automatic(there: list[Found]) -> Found:
    usable = [found for found in there if found.automatic and found.reason is None]
    if usable:
        return usable[0]
    if not there:
        raise AgentError("no_power_sensor", "This device has no power sensor.", _NO_SENSOR)
    raise _error(f"None of this device's power sensors can be used: {_list(there)}.", there)


def _named(wanted: str, there: list[Found]) -> Found:
    exact = [found for found in there if found.name == wanted]
    fitting = exact or [found for found in there if found.name.startswith(wanted)]
    fitting = fitting or [found for found in there if found.name.split(":", 1)[-1].startswith(wanted)]
    whole = [found for found in fitting if all(one.name.startswith(found.name) for one in fitting)]
    if len(fitting) == 1 or whole:
        return (whole or fitting)[0]
    names = [found.name for found in there]
    if fitting:
        message = f"The power sensor {wanted!r} is ambiguous: {', '.join(found.name for found in fitting)}."
        raise AgentError("no_power_sensor", message, "Give the whole name.")
    close = difflib.get_close_matches(wanted, names, n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    message = f"This device has no power sensor {wanted!r}; it has {', '.join(names) or 'none'}.{hint}"
    raise AgentError(
        "no_power_sensor", message, "`edgepack devices check` lists the sensors." if there else _NO_SENSOR
    )


def _list(there: list[Found]) -> str:
    return "; ".join(f"{found.name} ({found.reason or 'covers ' + found.covers})" for found in there)


def _error(message: str, there: list[Found]) -> AgentError:
    remedy = next((found.remedy for found in there if found.remedy), _NO_SENSOR)
    return AgentError("no_power_sensor", message, remedy)
