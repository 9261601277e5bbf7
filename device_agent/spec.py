"""What a benchmark is asked to do: the `spec` of `bench.start`, checked, with what it leaves out in place."""

from __future__ import annotations

import json
import re
from typing import Any

from .protocol import bad_request

DELEGATES = ("xnnpack", "none")
_MOST_CONFIGURATIONS = 256
# Samples a window, and in the whole record: some 9 bytes each.
MAX_SAMPLES = 10_000
_FEWEST_SAMPLES = 100
_MOST_SAMPLES = 5_000_000
_MOST_CPUS = 4096
_MAX_SETTINGS_BYTES = 16384
# Default, lowest, highest; an int where the default is one. Sources of the defaults: EEMBC EnergyRunner,
# README, "Performance" (at least 10 s and 10 iterations, five windows); LiteRT's benchmark_model (warm-up,
# `max_secs`).
_NUMBERS: dict[str, tuple[float, float, float]] = {
    "warmup_min_runs": (1, 0, 1_000_000),
    "warmup_min_seconds": (0.5, 0, 3600),
    "warmup_max_seconds": (30.0, 0, 3600),
    "windows": (5, 1, 64),
    "min_runs": (10, 1, 1_000_000),
    "min_seconds": (10.0, 0, 3600),
    "max_seconds": (150.0, 0.001, 7200),
    "cool_timeout_seconds": (300.0, 0, 7200),
}
_SWITCHES = {"quick": False, "memory": True, "evaluation": True, "profile": False}
_GOVERNOR = re.compile(r"[a-z][a-z_]{0,31}")


def check_spec(value: Any) -> dict[str, Any]:
    """Check the `spec` of a request and fill in what it leaves out.

    Raises:
        AgentError: `bad_request`, naming the key.
    """
    if not isinstance(value, dict):
        raise bad_request("bench.start: 'spec' is not an object.")
    spec: dict[str, Any] = {**_configurations(value), **_numbers(value)}
    spec.update({key: value.get(key, default) is True for key, default in _SWITCHES.items()})
    spec["pin"] = _pin(value.get("pin"))
    spec["governor"] = _governor(value.get("governor"))
    cool = value.get("cool_to_c")
    if cool is not None and (type(cool) not in (int, float) or not -100 <= cool <= 200):
        raise _bad("cool_to_c", cool, "null, or degrees Celsius")
    spec["cool_to_c"] = cool
    power = value.get("power", "auto")
    if not isinstance(power, str) or not 0 < len(power) <= 256 or not power.isprintable():
        raise _bad("power", power, '"auto", "none", or the name of a sensor')
    spec["power"] = power
    spec["power_settings"] = _settings(value.get("power_settings", {}))
    return spec


def configurations(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """Return `batch`, `threads` and `delegate` of everything that a checked spec asks for."""
    return [
        {"batch": batch, "threads": threads, "delegate": delegate}
        for delegate in spec["delegates"]
        for batch in spec["batches"]
        for threads in spec["threads"]
    ]


def kept_samples(spec: dict[str, Any]) -> int:
    """Return how many samples a window may keep, so that the record stays of a size to send; even."""
    windows: int = len(configurations(spec)) * spec["windows"]
    return max(_FEWEST_SAMPLES, min(MAX_SAMPLES, _MOST_SAMPLES // windows)) // 2 * 2


def _configurations(value: dict[str, Any]) -> dict[str, list[Any]]:
    spec = {
        "batches": _integers(value, "batches", 4096),
        "threads": _integers(value, "threads", 256),
        "delegates": value.get("delegates", ["xnnpack"]),
    }
    names = spec["delegates"]
    if not isinstance(names, list) or not 0 < len(names) <= 4 or not all(name in DELEGATES for name in names):
        raise _bad("delegates", names, f"a list of {' and '.join(DELEGATES)}")
    count = len(configurations(spec))
    if count > _MOST_CONFIGURATIONS:
        message = f"bench.start: 'spec' asks for {count} configurations; {_MOST_CONFIGURATIONS} are allowed."
        raise bad_request(message)
    return spec


def _integers(value: dict[str, Any], key: str, highest: int) -> list[int]:
    items = value.get(key, [1])
    good = isinstance(items, list) and 0 < len(items) <= 32
    if not good or not all(type(item) is int and 1 <= item <= highest for item in items):
        raise _bad(key, items, f"a list of 1 to {highest}")
    return list(items)


def _numbers(value: dict[str, Any]) -> dict[str, float]:
    spec = {}
    for key, (default, low, high) in _NUMBERS.items():
        number = value.get(key, default)
        kinds = (int,) if isinstance(default, int) else (int, float)
        if type(number) not in kinds or not low <= number <= high:
            raise _bad(key, number, f"{low} to {high}")
        spec[key] = number
    return spec


def _pin(cpus: Any) -> list[int] | None:
    if cpus is None:
        return None
    good = isinstance(cpus, list) and 0 < len(cpus) <= _MOST_CPUS
    if not good or not all(type(cpu) is int and 0 <= cpu < _MOST_CPUS for cpu in cpus):
        raise _bad("pin", cpus, "null, or a list of CPU numbers")
    return sorted(set(cpus))


def _governor(name: Any) -> str | None:
    if name is not None and (not isinstance(name, str) or not _GOVERNOR.fullmatch(name)):
        raise _bad("governor", name, 'null, or a name such as "performance"')
    return name


def _settings(settings: Any) -> dict[str, Any]:
    if not isinstance(settings, dict) or len(json.dumps(settings)) > _MAX_SETTINGS_BYTES:
        raise _bad("power_settings", settings, f"an object of at most {_MAX_SETTINGS_BYTES} bytes")
    return settings


def _bad(key: str, value: Any, allowed: str) -> Exception:
    return bad_request(f"bench.start: 'spec.{key}' is {value!r:.80}; {allowed} is allowed.")
