"""Peak resident memory of a model: a pass of its own, because looking at it costs time.

It is the kernel's own high-water mark, never polled.
"""

from __future__ import annotations

import resource
import sys
from typing import TYPE_CHECKING, Any

from .inputs import set_golden_inputs
from .runners.litert import Runner, UnsupportedError, import_runtime

if TYPE_CHECKING:
    from pathlib import Path

_MEMORY_RUNS = 10


def memory(
    kind: str, folder: Path, manifest: dict[str, Any], batch: int, threads: int, delegate: str
) -> dict[str, Any]:
    """Load the model, run it a few times, and return the peak resident memory of this process in bytes."""
    try:
        runner = Runner(kind, folder, manifest, batch=batch, threads=threads, delegate=delegate)
        set_golden_inputs(runner, folder, manifest)
    except UnsupportedError as err:
        return {"unavailable": str(err)}
    for _ in range(_MEMORY_RUNS):
        runner.invoke()
    return {"peak_rss_bytes": peak_rss_bytes(), "batch": batch, "threads": threads}


def baseline(kind: str) -> dict[str, Any]:
    """Load the runtime and no model, and return the peak resident memory of this process in bytes."""
    import_runtime(kind)
    return {"peak_rss_bytes": peak_rss_bytes()}


def peak_rss_bytes() -> int:
    """Return the most memory that this process has had resident so far, in bytes.

    `VmHWM` where there is one: `ru_maxrss` starts at the size of the process that started this one.
    Source: proc(5); getrusage(2); Linux `begin_new_exec` keeps the old maximum.
    """
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
