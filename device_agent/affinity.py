"""Binding the model's process to CPUs."""

from __future__ import annotations

import os


def why_not(cpus: list[int]) -> str | None:
    """Return why a process cannot be bound to the CPUs; None where it can.

    It is tried, on this process, which gets back what it had: only the kernel knows about cpusets.
    """
    try:
        allowed = os.sched_getaffinity(0)
    except (AttributeError, OSError):
        return "CPUs cannot be pinned: this system has no such call"
    if missing := sorted(set(cpus) - allowed):
        asked, may = _ranges(missing), _ranges(sorted(allowed))
        return f"CPUs cannot be pinned: {asked} asked for, this process may use {may}"
    try:
        os.sched_setaffinity(0, cpus)
        os.sched_setaffinity(0, allowed)
    except OSError as err:
        return f"CPUs cannot be pinned to {_ranges(cpus)}: {err.strerror}"
    return None


def _ranges(cpus: list[int]) -> str:
    """Return numbers as the kernel writes them: "0-3,6"."""
    parts: list[list[int]] = []
    for cpu in cpus:
        if parts and parts[-1][-1] == cpu - 1:
            parts[-1].append(cpu)
        else:
            parts.append([cpu])
    return ",".join(f"{part[0]}-{part[-1]}" if len(part) > 1 else str(part[0]) for part in parts)
