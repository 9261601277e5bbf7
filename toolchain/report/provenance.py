"""What a device was before and after a run, as lines of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.targets.units import format_bytes, format_hz

if TYPE_CHECKING:
    from edgepack.toolchain.deploy.facts import DeviceFacts
    from edgepack.toolchain.results.schema import RunRecord

_UNKNOWN = "not known"


def device_facts(record: RunRecord) -> list[tuple[str, str]]:
    """Return label and text of what matters about a device for reading its figures."""
    before, after = record.device.facts_before, record.device.facts_after
    return [
        ("model", before.model or _UNKNOWN),
        ("processor", _processor(before)),
        ("memory", _memory(before)),
        ("kernel", " ".join(filter(None, (before.kernel, before.machine))) or _UNKNOWN),
        ("governor", _change(before.governor, after.governor)),
        ("clocks", _change(_clocks(before), _clocks(after))),
        ("temperature", _change(_temperatures(before), _temperatures(after))),
        ("runtime", _runtime(record)),
        ("reached by", record.device.kind),
        ("agent", record.agent),
    ]


def _memory(facts: DeviceFacts) -> str:
    total_bytes = facts.memory.total_bytes if facts.memory else None
    return _UNKNOWN if total_bytes is None else format_bytes(total_bytes)


def _processor(facts: DeviceFacts) -> str:
    if facts.cpu is None:
        return _UNKNOWN
    cores = f", {facts.cpu.count} cores" if facts.cpu.count else ""
    return f"{facts.cpu.model or _UNKNOWN}{cores}"


def _clocks(facts: DeviceFacts) -> str | None:
    if not facts.clocks_hz:
        return None
    low, high = min(facts.clocks_hz), max(facts.clocks_hz)
    return format_hz(high) if low == high else f"{format_hz(low)} to {format_hz(high)}"


def _temperatures(facts: DeviceFacts) -> str | None:
    if not facts.temperatures_c:
        return None
    hottest = max(facts.temperatures_c, key=lambda temperature: temperature.value)
    return f"{hottest.value:.1f} °C ({hottest.name})"


def _change(before: str | None, after: str | None) -> str:
    """Return a fact, and what it became during the run where it changed."""
    if before is None and after is None:
        return _UNKNOWN
    return before or _UNKNOWN if before == after else f"{before or _UNKNOWN} → {after or _UNKNOWN}"


def _runtime(record: RunRecord) -> str:
    runtime = record.runtime
    parts = [f"{runtime.kind} {runtime.version}", runtime.source]
    parts += [f"numpy {runtime.numpy}"] if runtime.numpy else []
    parts += [f"Python {runtime.python}"] if runtime.python else []
    return ", ".join(parts)
