"""What a device has and what it lacks for edgepack's work: the findings behind `edgepack devices check`.

Rules:
    * A finding says what is wrong and what to do; "missing" stops the work, "warning" spoils it.
    * Arithmetic on facts alone: nothing here talks to a device.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from edgepack.targets.units import format_bytes

if TYPE_CHECKING:
    from edgepack.targets.model import Target
    from edgepack.toolchain.deploy.facts import Facts

_MIN_FREE_BYTES = 300_000_000
"""A provisioned LiteRT with NumPy takes 95 to 113 MB unpacked, and its wheels lie beside it meanwhile."""

_MAX_CLOCK_SKEW_S = 60
_ARCH_OF = {"x86_64": "x86_64", "aarch64": "aarch64", "armv7l": "armv7l", "armv8l": "armv7l"}


@dataclass(frozen=True)
class Finding:
    """Something that a device lacks.

    Attributes:
        level: "missing" where edgepack cannot work without it, else "warning".
        what: What is wrong.
        remedy: What to do.
    """

    level: Literal["missing", "warning"]
    what: str
    remedy: str


@dataclass(frozen=True)
class MeterCheck:
    """A power meter that is cabled to another machine than the device.

    Attributes:
        sensor: Its name.
        at: The machine: "host", or the name of a device.
        covers: What it covers; None where it cannot be opened.
        reason: Why it cannot be opened; None where it can.
        remedy: What to do then.
    """

    sensor: str
    at: str
    covers: str | None = None
    reason: str | None = None
    remedy: str | None = None


@dataclass(frozen=True)
class Check:
    """What a device has and what it lacks.

    Attributes:
        device: Its name.
        facts: What the agent found out.
        installed: Name and version of each installed package.
        findings: What it lacks.
        meter: Its power meter, where that is cabled to another machine.
    """

    device: str
    facts: Facts
    installed: tuple[str, ...]
    findings: tuple[Finding, ...]
    meter: MeterCheck | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return this check as JSON values."""
        return {
            "device": self.device,
            "facts": self.facts.model_dump(mode="json"),
            "installed": list(self.installed),
            "findings": [asdict(finding) for finding in self.findings],
            "meter": asdict(self.meter) if self.meter else None,
        }


def examine(
    facts: Facts,
    *,
    name: str,
    target: Target | None,
    signers: str,
    host_unix_ns: int,
    meter: MeterCheck | None = None,
) -> tuple[Finding, ...]:
    """Return what a device lacks, the worst first.

    Args:
        facts: What the agent found out.
        name: The device's name, for the remedies.
        target: The target that the inventory names; None where it names none.
        signers: The keys that the device trusts.
        host_unix_ns: This machine's clock when the facts came in, in nanoseconds.
        meter: Its power meter, where that is cabled to another machine.
    """
    findings = [
        *_tools(facts, name, signers),
        *_machine(facts, target),
        *_room(facts),
        *_clock(facts, host_unix_ns),
        *_steadiness(facts),
        *_power(facts, meter),
    ]
    return tuple(sorted(findings, key=lambda finding: finding.level != "missing"))


def _tools(facts: Facts, name: str, signers: str) -> list[Finding]:
    found = []
    if facts.ssh_keygen is None:
        found.append(Finding("missing", "no ssh-keygen", "apt-get install openssh-client on the device"))
    if not signers.strip():
        found.append(Finding("missing", "it trusts no signer yet", f"edgepack devices trust {name}"))
    if facts.libc.kind not in (None, "glibc") and facts.system_runtime is None:
        what = f"its C library is {facts.libc.kind}, for which there are no LiteRT wheels"
        found.append(Finding("missing", what, 'install a runtime there and set runtime = "system"'))
    return found


def _machine(facts: Facts, target: Target | None) -> list[Finding]:
    machine = _ARCH_OF.get(facts.machine, facts.machine)
    if facts.python.bits == 32 and machine == "aarch64":
        machine = "armv7l"  # a 32-bit system on a 64-bit kernel
    if target is None or target.arch == machine:
        return []
    what = f"it is {machine}; its target {target.name} is {target.arch}"
    return [Finding("warning", what, "correct 'target' in lab.toml: edgepack targets")]


def _room(facts: Facts) -> list[Finding]:
    free = facts.disk.free_bytes
    if free is None or free >= _MIN_FREE_BYTES:
        return []
    what = f"{format_bytes(free)} free; a runtime needs {format_bytes(_MIN_FREE_BYTES)}"
    return [Finding("warning", what, "free some space, or set work_dir in lab.toml to another disk")]


def _clock(facts: Facts, host_unix_ns: int) -> list[Finding]:
    if facts.clock.unix_ns is None:
        return []
    skew_s = (facts.clock.unix_ns - host_unix_ns) / 1e9
    if abs(skew_s) <= _MAX_CLOCK_SKEW_S:
        return []
    what = f"its clock is {abs(skew_s):.0f} s {'ahead' if skew_s > 0 else 'behind'}"
    return [Finding("warning", what, "set the device's clock (timedatectl set-ntp true)")]


def _steadiness(facts: Facts) -> list[Finding]:
    found = []
    if facts.governor not in (None, "performance"):
        what = f"its clock governor is {facts.governor}: latency will vary"
        found.append(Finding("warning", what, "set the governor to performance while measuring"))
    return found


def _power(facts: Facts, meter: MeterCheck | None) -> list[Finding]:
    if meter is not None:
        what = f"its power meter {meter.sensor} (at {meter.at}) cannot be read: {meter.reason}"
        return [Finding("warning", what, meter.remedy or "check its cable")] if meter.reason else []
    sensors = facts.power_sensors or []
    if not sensors:
        return [Finding("warning", "no power sensor: energy is unavailable", "add an INA2xx sensor")]
    if all(sensor.usable is False for sensor in sensors):
        what = f"no power sensor can be read: {sensors[0].reason or 'no reason given'}"
        return [Finding("warning", what, "give the user the right to read it, or name another sensor")]
    return []
