"""What limits the model on this device: its operators one by one, and the roof of the hardware.

Rules:
    * Operators are timed by the runtime itself where it can (`profile_litert.py`), else by cutting the model
      off (`profile_truncated.py`); `method` says which, `note` why not the better one.
    * The roof is the device's and the runtime's, not the model's: it is measured once for each number of
      threads, and kept in the work directory until what it depends on has changed, or it is old.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from typing import TYPE_CHECKING, Any

from .durable import read_json, write_json
from .errors import AgentError
from .sysfs import MACHINE, fields, text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .layout import WorkDir
    from .runtimes import Runtime

_TIMEOUT_S = 1800.0
_MAX_AGE_NS = 30 * 24 * 3600 * 10**9
_DISTURBED = "Other programs used the CPUs meanwhile, so the roof may be too low: it is measured again."
# What /proc/cpuinfo calls a CPU: x86, Arm (its number), older Arm kernels.
_CPU_FIELDS = ("model name", "CPU implementer", "CPU part", "CPU variant", "Hardware")


def characterize(
    work: WorkDir, child: Callable[..., dict[str, Any]], runtime: Runtime, spec: dict[str, Any], package: str
) -> dict[str, Any]:
    """Measure the profile and the roofline of the job's record.

    Args:
        work: The work directory; what is measured once a device is kept there.
        child: `child(operation, timeout_s, **fields)` runs an operation of `child.py` and returns its answer.
        runtime: The runtime that the child loads.
        spec: The job's spec.
        package: The package's folder.

    Returns:
        `profile` and `roofline`, each a value or `{"unavailable": reason}`.
    """
    del package  # the child is told by whoever made it
    threads = spec["threads"][0]
    return {
        "profile": _or_unavailable(lambda: _profile(child, threads, spec["delegates"][0])),
        "roofline": _or_unavailable(lambda: _roofline(work, child, runtime, spec["pin"], threads)),
    }


def _or_unavailable(measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return measure()
    except AgentError as err:
        return {"unavailable": err.message}


def _profile(child: Callable[..., dict[str, Any]], threads: int, delegate: str) -> dict[str, Any]:
    """Return the profile by the best method that works; one that crashes the runtime is one that does not."""
    where = {"threads": threads, "delegate": delegate}
    try:
        return child("profile", _TIMEOUT_S, method="runtime", **where)
    except AgentError as err:
        why = err.message
    found = child("profile", _TIMEOUT_S, method="truncated", **where)
    return {**found, "note": f"{found['note']} Not timed by the runtime itself: {why}"[:1000]}


def _roofline(
    work: WorkDir,
    child: Callable[..., dict[str, Any]],
    runtime: Runtime,
    pin: list[int] | None,
    threads: int,
) -> dict[str, Any]:
    """Return the roof, measured now for those numbers of threads for which none is kept."""
    cpus = len(pin) if pin else _available_cpus()
    path = work.root / f"roofline-{_key(runtime, cpus)}.json"
    known = _read(path)
    wanted = sorted({1, threads, cpus})
    for count in wanted:
        if str(count) not in known:
            found = child("roofline", _TIMEOUT_S, threads=count)
            known[str(count)] = {**found, "measured_unix_ns": time.time_ns()}
    write_json(path, {count: part for count, part in known.items() if not part["disturbed"]})
    parts = [known[str(count)] for count in wanted]
    disturbed = any(part["disturbed"] for part in parts)
    return {
        "note": _DISTURBED if disturbed else None,
        "measured_unix_ns": min(part["measured_unix_ns"] for part in parts),
        "peaks": [peak for part in parts for peak in part["peaks"]],
        "bandwidths": [entry for part in parts for entry in part["bandwidths"]],
    }


def _read(path: Path) -> dict[str, Any]:
    """Return what is kept and not too old, by number of threads."""
    known, now = read_json(path), time.time_ns()
    try:
        # One from the future: the clock was set back, and its age is unknown.
        known = {threads: part for threads, part in known.items() if not part["disturbed"]}
        ages = {threads: now - part["measured_unix_ns"] for threads, part in known.items()}
        return {threads: known[threads] for threads, age in ages.items() if 0 <= age < _MAX_AGE_NS}
    except (AttributeError, KeyError, TypeError):  # a damaged file, or none
        return {}


def _key(runtime: Runtime, cpus: int) -> str:
    """Return a name for everything that the roof depends on."""
    about = fields(MACHINE.proc / "cpuinfo")
    governor = text(MACHINE.cpu / "cpu0/cpufreq/scaling_governor")
    values = [
        runtime.describe(),
        cpus,
        governor,
        os.uname().machine,
        [about.get(name) for name in _CPU_FIELDS],
    ]
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def _available_cpus() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        return os.cpu_count() or 1
