"""The settings of a cabled meter, as they come from `[devices.NAME.power]` of lab.toml through the host.

    kind = "shelly" | "shelly-gen1" | "tasmota"      host, port (80), channel (0)
    kind = "command"                                 command = ["program", "argument", ...]
    kind = "ina219" | "ina226" | "ina228" | "ina260" bus, address (0x40), shunt_ohm (not for ina260)
    kind = "ppk2"                                    port = "/dev/ttyACM0", source_mv, mode ("ampere")
    kind = "lpm01a"                                  port = "/dev/ttyACM0", source_mv, rate_hz (1000)
    kind = "joulescope"                              serial (where several are plugged in)
    any kind, and any sensor of the device itself    accuracy (limit of the gain's relative error, 0.01)

`kind` may be left out where the sensor's name says it ("shelly", "plug:shelly", "ppk2"), or where there is a
`command`.

Every value is checked: type, range, length. A key that a kind does not know is an error.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, fields
from typing import Any, Callable

from ..errors import AgentError

INA_KINDS = ("ina219", "ina226", "ina228", "ina260")
PLUG_KINDS = ("shelly", "shelly-gen1", "tasmota")
# Source: UM2269, command `freq`; above 1 kHz the stream is binary.
LPM01A_RATES_HZ = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
_NEEDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(PLUG_KINDS, ("host",)),
    **dict.fromkeys(INA_KINDS, ("bus", "shunt_ohm")),
    "ina260": ("bus",),
    "command": ("command",),
    "joulescope": (),
    "lpm01a": ("port", "source_mv"),
    "ppk2": ("port", "source_mv"),
}
_TAKES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(PLUG_KINDS, ("host", "port", "channel")),
    **dict.fromkeys(INA_KINDS, ("bus", "address", "shunt_ohm")),
    "ina260": ("bus", "address"),
    "command": ("command",),
    "joulescope": ("serial",),
    "lpm01a": ("port", "source_mv", "rate_hz"),
    "ppk2": ("port", "source_mv", "mode"),
}
# Volts that the meters can give. Source: UM2269 `volt`; PPK2 user guide, "Source Meter".
_SOURCE_MV = {"lpm01a": (1800, 3300), "ppk2": (800, 5000)}
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:]{2,45}")
_DEVICE = re.compile(r"/dev/[\w./-]{1,200}")
_MOST_ARGUMENTS = 64
_MOST_ARGUMENT_CHARS = 4096


@dataclass(frozen=True)
class Settings:
    """A meter's settings, checked. What its kind does not need is None.

    Attributes:
        kind: Which meter it is; empty where a sensor of the device itself is meant.
        host: Name or address of a plug.
        port: TCP port of a plug, or device file of a serial meter.
        channel: Which switch of a plug.
        command: Program and arguments.
        bus: Number of the I2C bus, as in /dev/i2c-N.
        address: The chip's address on it.
        shunt_ohm: The shunt's resistance.
        source_mv: The voltage that the meter gives (or, of a PPK2 as ampere meter, that the supply has).
        mode: Whether a PPK2 gives the voltage ("source") or sits in the line of another supply ("ampere").
        rate_hz: Samples a second.
        serial: Serial number of a Joulescope.
        accuracy: Limit of the relative error of the gain; enters the uncertainty.
    """

    kind: str = ""
    host: str | None = None
    port: int | str | None = None
    channel: int = 0
    command: tuple[str, ...] = ()
    bus: int | None = None
    address: int = 0x40
    shunt_ohm: float | None = None
    source_mv: int | None = None
    mode: str = "ampere"
    rate_hz: int = 1000
    serial: str | None = None
    accuracy: float = 0.0


def parse(raw: dict[str, Any] | None, wanted: str = "auto") -> Settings:
    """Return checked settings.

    Args:
        raw: As they come from lab.toml; None or empty where there are none.
        wanted: The sensor's name, which can say the kind.

    Raises:
        AgentError: `bad_request`, naming the key.
    """
    if raw is not None and not isinstance(raw, dict):
        raise _wrong("power", raw, "a table")
    given = dict(raw or {})
    kind = _kind_by_name(wanted, given)
    if kind:
        given.setdefault("kind", kind)
    if set(given) <= {"accuracy"}:
        return Settings(**{key: _CHECKS[key](value) for key, value in given.items()})
    kind = given.get("kind")
    if kind not in _TAKES:
        raise _wrong("kind", kind, f"one of {', '.join(sorted(_TAKES))}", _nearest(str(kind), _TAKES))
    known = {"kind", "accuracy", *_TAKES[kind]}
    for key in given:
        if key not in known:
            message = (
                f"power setting {str(key)[:40]!r}: {kind} has no such setting.{_nearest(str(key), known)}"
            )
            raise AgentError("bad_request", message, _remedy(str(key)[:40]))
    for key in _NEEDS[kind]:
        if key not in given:
            raise _wrong(key, None, f"a value ({kind} needs it)")
    return Settings(**{key: _checked(kind, key, value) for key, value in given.items()})


def _kind_by_name(wanted: str, given: dict[str, Any]) -> str | None:
    """Return the kind that a sensor's name says; a chip's name alone may mean its kernel driver."""
    if "command" in given:
        return "command"
    kind = wanted[len("plug:") :] if wanted.startswith("plug:") else wanted
    return kind if kind in _TAKES and (kind not in INA_KINDS or "bus" in given) else None


def _checked(kind: str, key: str, value: Any) -> Any:
    if key == "port":
        return _tcp_port(value) if kind in PLUG_KINDS else _matches(key, value, _DEVICE, "a path below /dev")
    if key == "source_mv":
        return _whole(key, value, *_SOURCE_MV[kind])
    return _CHECKS[key](value)


def _whole(key: str, value: Any, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise _wrong(key, value, f"a whole number from {least} to {most}")
    return value


def _real(key: str, value: Any, least: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise _wrong(key, value, f"a number from {least:g} to {most:g}")
    return float(value)


def _matches(key: str, value: Any, pattern: re.Pattern[str], wanted: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value) or ".." in value:
        raise _wrong(key, value, wanted)
    return value


def _tcp_port(value: Any) -> int:
    return _whole("port", value, 1, 65_535)


def _address(value: Any) -> int:
    """Return an I2C address; the pins allow sixteen (INA226 datasheet, "Serial Bus Address")."""
    if isinstance(value, str) and re.fullmatch(r"0x[0-9A-Fa-f]{2}", value):
        value = int(value, 16)
    return _whole("address", value, 0x40, 0x4F)


def _command(value: Any) -> tuple[str, ...]:
    fits = isinstance(value, list) and 1 <= len(value) <= _MOST_ARGUMENTS
    if not fits or not all(isinstance(one, str) and 0 < len(one) <= _MOST_ARGUMENT_CHARS for one in value):
        raise _wrong("command", value, "a list of a program and its arguments, each a string")
    return tuple(value)


def _one_of(key: str, value: Any, allowed: tuple[Any, ...]) -> Any:
    if isinstance(value, bool) or value not in allowed:
        raise _wrong(key, value, f"one of {', '.join(map(str, allowed))}")
    return value


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "kind": lambda value: value,
    "host": lambda value: _matches("host", value, _HOST, "a host name or address without scheme or path"),
    "channel": lambda value: _whole("channel", value, 0, 15),
    "command": _command,
    "bus": lambda value: _whole("bus", value, 0, 255),
    "address": _address,
    "shunt_ohm": lambda value: _real("shunt_ohm", value, 1e-6, 100.0),
    "mode": lambda value: _one_of("mode", value, ("ampere", "source")),
    "rate_hz": lambda value: _one_of("rate_hz", value, LPM01A_RATES_HZ),
    "serial": lambda value: _matches("serial", value, re.compile(r"\w{1,32}"), "letters and digits"),
    "accuracy": lambda value: _real("accuracy", value, 0.0, 0.5),
}
_KEYS = tuple(field.name for field in fields(Settings))


def _nearest(word: str, words: Any) -> str:
    close = difflib.get_close_matches(word, sorted(words), n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""


def _wrong(key: str, value: Any, wanted: str, hint: str = "") -> AgentError:
    found = "nothing" if value is None else repr(value)[:80]
    message = f"power setting {key!r}: {wanted} expected, {found} found.{hint}"
    return AgentError("bad_request", message, _remedy(key))


def _remedy(key: str) -> str:
    return f"Correct `{key}` in `[devices.NAME.power]` of lab.toml."
