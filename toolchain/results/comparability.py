"""What two runs differ in beside the package: every line here is a reason to doubt a comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.toolchain.results.foreign import ForeignRun
from edgepack.toolchain.results.job_record import PowerSensorInfo
from edgepack.toolchain.results.schema import Metric

if TYPE_CHECKING:
    from edgepack.toolchain.results.change import AnyRun
    from edgepack.toolchain.results.schema import RunRecord


def doubts(base: AnyRun, new: AnyRun) -> tuple[str, ...]:
    """Return what a reader must know before believing a comparison, most important first."""
    found: list[str] = []
    for side, run in (("BASE", base), ("NEW", new)):
        found += _foreign(side, run) if isinstance(run, ForeignRun) else _alone(side, run)
    if not isinstance(base, ForeignRun) and not isinstance(new, ForeignRun):
        found += _apart(base, new)
    return tuple(found)


def _foreign(side: str, run: ForeignRun) -> list[str]:
    known = "" if run.threads else ", and not with how many threads"
    return [
        f"{side} is a summary by {run.tool} without samples: nothing can be tested, "
        f"and it does not say on which device it ran{known}"
    ]


def _alone(side: str, run: RunRecord) -> list[str]:
    found = []
    if run.emulated:
        found.append(f"{side} ran on an emulated device: its figures say nothing about real hardware")
    if run.verdict is not None and run.verdict.status == "unstable":
        found.append(f"{side} is unstable: {'; '.join(run.verdict.reasons)}")
    if run.spec.quick:
        found.append(f"{side} is a --quick run: its windows are shorter than the rules ask for")
    if run.stolen_from:
        found.append(f"{side} took the device over from {run.stolen_from} while it was in use")
    return found


def _apart(base: RunRecord, new: RunRecord) -> list[str]:
    before, after = _traits(base), _traits(new)
    found = [
        f"another {what}: {_shown(before[what])} → {_shown(after[what])}"
        for what in before
        if before[what] != after[what]
    ]
    if new.time < base.time:
        found.append(f"NEW is older than BASE: {new.time:%Y-%m-%d %H:%M} and {base.time:%Y-%m-%d %H:%M}")
    first, second = base.find("quality_device"), new.find("quality_device")
    if isinstance(first, Metric) and isinstance(second, Metric) and first.samples != second.samples:
        found.append(f"another evaluation set: {first.samples} and {second.samples} samples")
    return found


def _traits(run: RunRecord) -> dict[str, object]:
    facts = run.device.facts_before
    return {
        "package": run.package.name,
        "target": run.target,
        "precision": run.model.precision,
        "device": run.device.name,
        "machine": facts.model or (facts.cpu.model if facts.cpu else None),
        "runtime": f"{run.runtime.kind} {run.runtime.version}",
        "kernel": facts.kernel,
        "governor": _governor(run),
        "choice of CPUs": run.control.pinned if run.control else None,
        "power sensor": run.power_sensor.name if isinstance(run.power_sensor, PowerSensorInfo) else None,
        "length of windows": f"{run.spec.windows} x {run.spec.min_seconds:g} s",
    }


def _governor(run: RunRecord) -> str | None:
    if run.control and run.control.governor:
        return run.control.governor
    return run.device.facts_before.governor


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "unknown" if value is None else str(value)
