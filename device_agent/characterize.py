"""What limits the model on this device: its operators one by one, and the roof of the hardware."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from .layout import WorkDir
    from .runtimes import Runtime


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
    del work, child, runtime, spec, package
    reason = {"unavailable": "this agent does not profile"}
    return {"profile": reason, "roofline": dict(reason)}
