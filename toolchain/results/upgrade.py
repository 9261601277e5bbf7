"""Read records of earlier versions: JSON values of an old shape in, of today's shape out.

Run records lie in people's stores; a job's record waits on its device until the host brings it home,
which may be after an upgrade of edgepack.

Rules:
    * Nothing is invented: what an old record does not hold is None or unavailable with the reason.
    * Figures and samples stay as they were; nobody judged them, so there is no verdict.
    * One step a version, so that a later version adds a step and changes none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

CURRENT = 2
OLDEST = 1
_NO_POWER = "measured by an edgepack that read no power sensor"
_NOT_THEN = "measured by an edgepack that did not measure it"
_ENERGY = "energy_per_inference"


def upgraded(value: dict[str, Any]) -> dict[str, Any]:
    """Return a run record's JSON value in today's shape.

    Args:
        value: A record whose `schema_version` is one of `OLDEST` to `CURRENT`. It is not changed, and not
            trusted: what it turns into is checked by the schema like any other record.
    """
    return _from_version_1(value) if value.get("schema_version") == 1 else value


def upgraded_job(value: dict[str, Any]) -> dict[str, Any]:
    """Return a job record's JSON value in today's shape; `record` is its version, 1 or 2."""
    if value.get("record") != 1:
        return value
    new = {**value, "record": 2, "power_sensor": {"unavailable": _NO_POWER}}
    new |= {"profile": {"unavailable": _NOT_THEN}, "roofline": {"unavailable": _NOT_THEN}}
    return _convert(new, "configurations", _configuration)


def _from_version_1(old: dict[str, Any]) -> dict[str, Any]:
    """One window a configuration became `windows`; "energy" became "energy_per_inference"."""
    new = {**old, "schema_version": 2, "verdict": None, "power_sensor": {"unavailable": _NO_POWER}}
    return _convert(_convert(new, "configurations", _configuration), "metrics", _metric)


def _convert(
    record: dict[str, Any], key: str, convert: Callable[[dict[str, Any]], dict[str, Any]]
) -> dict[str, Any]:
    found = record.get(key)
    if not isinstance(found, list):
        return record
    return {**record, key: [convert(item) if isinstance(item, dict) else item for item in found]}


def _metric(old: dict[str, Any]) -> dict[str, Any]:
    return {**old, "name": _ENERGY} if old.get("name") == "energy" else old


def _configuration(old: dict[str, Any]) -> dict[str, Any]:
    if "samples_ns" not in old:
        return old
    kept = {key: old[key] for key in old if key not in ("samples_ns", "window_ns", "cpu_ns", "stopped_by")}
    samples = old["samples_ns"]
    window = {
        "inputs": 0,
        "start_clock_ns": 0,  # the origin of the only window: there is nothing to compare it with
        "window_ns": old.get("window_ns"),
        "runs": len(samples) if isinstance(samples, list) else None,
        "samples_ns": samples,
        "cpu_ns": old.get("cpu_ns"),
        "stopped_by": old.get("stopped_by", "min_runs"),
        "power": {"unavailable": _NO_POWER},
    }
    return {**kept, "windows": [window]}
