"""What a device was before, during and after a run, as lines of text.

Rules:
    * What is the same before and after is said once; what changed, with an arrow.
    * A bit that the firmware raised is named by its meaning, not by its number alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.targets.units import format_bytes, format_hz
from edgepack.toolchain.report.details import power_source

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edgepack.toolchain.deploy.facts import DeviceFacts
    from edgepack.toolchain.results.schema import RunRecord
    from edgepack.toolchain.results.window_record import State

_UNKNOWN = "not known"


def device_facts(record: RunRecord) -> list[tuple[str, str]]:
    """Return label and text of what matters about a device for reading its figures."""
    before, after = record.device.facts_before, record.device.facts_after
    states = run_states(record)
    return [
        ("model", before.model or _UNKNOWN),
        ("processor", _processor(before)),
        ("memory", _memory(before, states)),
        ("kernel", " ".join(filter(None, (before.kernel, before.machine))) or _UNKNOWN),
        *_firmware(before),
        ("governor", _governors(states) or _change(before.governor, after.governor)),
        ("clocks", _change(_clocks(before), _clocks(after))),
        *_during("clocks in the windows", _clock_range(states)),
        ("temperature", _change(_hottest(before), _hottest(after))),
        *_during("hottest in the windows", _hottest_of(states)),
        ("throttling", throttling(states)),
        *_during("slowed down by", _slowed(states)),
        *_during("load before", _load(states)),
        *_during("CPUs of others", _others(record)),
        ("power sensor", power_source(record)),
        ("runtime", _runtime(record)),
        ("reached by", record.device.kind),
        ("agent", record.agent),
    ]


def run_states(record: RunRecord) -> list[State]:
    """Return every state of the device that the run's windows hold, by time."""
    states = (state for found in record.configurations for window in found.windows for state in window.states)
    return sorted(states, key=lambda state: state.clock_ns)


def throttling(states: Sequence[State]) -> str:
    """Return what the firmware said of supply and temperature: which bits it raised, and what they mean."""
    words = [state.throttling for state in states if state.throttling]
    if not words:
        return "the device has no firmware that says"
    during = list(dict.fromkeys(text for word in words for text in word.now))
    earlier = [t for t in dict.fromkeys(t for w in words for t in w.since_boot) if t not in during]
    if not during and not earlier:
        return "none, and none since the device was started"
    bits = 0
    for word in words:
        bits |= word.bits
    parts = [f"during the run: {', '.join(during)}" if during else "none during the run"]
    parts += [f"since the device was started: {', '.join(earlier)}"] if earlier else []
    return f"{'; '.join(parts)} (bits {bits:#x})"


def _during(label: str, text: str | None) -> list[tuple[str, str]]:
    return [(label, text)] if text else []


def _firmware(facts: DeviceFacts) -> list[tuple[str, str]]:
    known = (("firmware", facts.firmware), ("microcode", facts.microcode))
    return [(label, text) for label, text in known if text]


def _governors(states: Sequence[State]) -> str | None:
    known = [_distinct(g for g in state.governors if g) for state in states if state.governors]
    known = [text for text in known if text]
    return _change(known[0], known[-1]) if known else None


def _distinct(texts: Iterable[str]) -> str:
    return ", ".join(sorted(set(texts)))


def _clock_range(states: Sequence[State]) -> str | None:
    clocks = [max(now) for state in states if (now := [c for c in state.clocks_hz or () if c])]
    if not clocks:
        return None
    text = _span(min(clocks), max(clocks))
    allowed = [max(most) for state in states if (most := [c for c in state.max_clocks_hz or () if c])]
    if not allowed:
        return text
    if min(allowed) < max(allowed):
        return f"{text}; allowed {format_hz(max(allowed))}, at times only {format_hz(min(allowed))}"
    return f"{text}; allowed {format_hz(max(allowed))}"


def _hottest_of(states: Sequence[State]) -> str | None:
    seen = [(t.value, t.name) for state in states for t in state.temperatures_c or ()]
    return f"{max(seen)[0]:.1f} °C ({max(seen)[1]})" if seen else None


def _slowed(states: Sequence[State]) -> str | None:
    """Return what slowed the processor down in the windows: cooling devices, throttle events of an x86."""
    steps: dict[str, int] = {}
    for state in states:
        for cooling in state.cooling or ():
            steps[cooling.name] = max(steps.get(cooling.name, 0), cooling.step)
    parts = [f"{name} up to step {step}" for name, step in steps.items() if step]
    events = [state.throttle_events for state in states if state.throttle_events is not None]
    if events and events[-1] > events[0]:
        parts.append(f"{events[-1] - events[0]} throttle events of the processor")
    return ", ".join(parts) or None


def _load(states: Sequence[State]) -> str | None:
    loads = [state.load_1min for state in states if state.load_1min is not None]
    return f"{loads[0]:.2f} (load average of the last minute)" if loads else None


def _others(record: RunRecord) -> str | None:
    used = [verdict.others_cpus for verdict in record.verdicts if verdict.others_cpus is not None]
    return f"{max(used):.2f} at most, on average over a configuration" if used else None


def _memory(facts: DeviceFacts, states: Sequence[State]) -> str:
    total_bytes = facts.memory.total_bytes if facts.memory else None
    free = [state.available_bytes for state in states if state.available_bytes is not None]
    least = f", at least {format_bytes(min(free))} available in the windows" if free else ""
    return _UNKNOWN if total_bytes is None else f"{format_bytes(total_bytes)}{least}"


def _processor(facts: DeviceFacts) -> str:
    if facts.cpu is None:
        return _UNKNOWN
    cores = f", {facts.cpu.count} cores" if facts.cpu.count else ""
    return f"{facts.cpu.model or _UNKNOWN}{cores}"


def _clocks(facts: DeviceFacts) -> str | None:
    return _span(min(facts.clocks_hz), max(facts.clocks_hz)) if facts.clocks_hz else None


def _span(low_hz: int, high_hz: int) -> str:
    return format_hz(high_hz) if low_hz == high_hz else f"{format_hz(low_hz)} to {format_hz(high_hz)}"


def _hottest(facts: DeviceFacts) -> str | None:
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
