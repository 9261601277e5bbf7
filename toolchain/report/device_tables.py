"""Devices as a person reads them in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from edgepack.targets.units import format_bytes, format_hz

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgepack.toolchain.deploy.facts import Facts, PowerSensorFacts
    from edgepack.toolchain.deploy.health import Check, Finding, MeterCheck
    from edgepack.toolchain.deploy.inventory import Device

_UNKNOWN = "—"


def device_table(devices: Sequence[Device]) -> Table:
    """Return one row a device of the inventory."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("device", "kind", "target", "host", "groups", "runtime", "work dir"):
        table.add_column(heading, overflow="fold")
    for device in devices:
        login = f"{device.user}@{device.host}" if device.user and device.host else device.host or _UNKNOWN
        table.add_row(
            Text(device.name, style="cyan"),
            device.kind,
            device.target or _UNKNOWN,
            f"{login}:{device.port}" if device.port else login,
            ", ".join(device.groups) or _UNKNOWN,
            device.runtime,
            device.work_dir,
        )
    return table


def check_card(check: Check) -> Table:
    """Return what a device has and what it lacks."""
    facts = check.facts
    card = Table(box=None, pad_edge=False, show_header=False)
    card.add_column(style="bold", no_wrap=True)
    card.add_column(overflow="fold")
    card.add_row("device", Text(check.device, style="cyan"))
    for name, value in _rows(facts):
        card.add_row(name, value or _UNKNOWN)
    for sensor in facts.power_sensors or ():
        card.add_row("power sensor", _sensor(sensor))
    if check.meter:
        card.add_row("power meter", _meter(check.meter))
    card.add_row("installed", ", ".join(check.installed) or "nothing")
    for finding in check.findings:
        card.add_row(*_finding(finding))
    if not any(finding.level == "missing" for finding in check.findings):
        card.add_row("verdict", Text("ready", style="green"))
    return card


def _rows(facts: Facts) -> list[tuple[str, str | None]]:
    libc = f"{facts.libc.kind} {facts.libc.version or ''}".strip() if facts.libc.kind else None
    runtime = facts.system_runtime
    clocks = facts.clocks_hz
    return [
        ("model", facts.model or facts.hostname),
        ("system", f"{facts.machine}, kernel {facts.kernel or _UNKNOWN}"),
        ("python", f"{facts.python.version} ({facts.python.bits} bit)"),
        ("C library", libc),
        ("cpu", _cpu(facts)),
        ("clock", f"{facts.governor or _UNKNOWN}, {format_hz(max(clocks))}" if clocks else facts.governor),
        ("memory", None if facts.memory.total_bytes is None else format_bytes(facts.memory.total_bytes)),
        ("free disk", None if facts.disk.free_bytes is None else format_bytes(facts.disk.free_bytes)),
        ("temperature", ", ".join(f"{t.name} {t.value:.1f} °C" for t in facts.temperatures_c or ())),
        ("own runtime", f"{runtime.kind} {runtime.version or ''}".strip() if runtime else "none"),
    ]


def _cpu(facts: Facts) -> str | None:
    count = f"{facts.cpu.count}x " if facts.cpu.count else ""
    notable = {"asimd", "asimddp", "i8mm", "fphp", "sve", "neon", "avx2", "avx512_vnni", "amx_int8"}
    features = " ".join(feature for feature in facts.cpu.features or () if feature in notable)
    return f"{count}{facts.cpu.model or facts.machine} {features}".strip()


def _sensor(sensor: PowerSensorFacts) -> Text:
    """Return what a power sensor covers, and why it cannot be read where it cannot."""
    name = sensor.name or f"{sensor.driver} {sensor.path or ''}".strip()
    covers = f": {sensor.covers}" if sensor.covers else ""
    if sensor.usable is False:
        return Text.assemble(
            f"{name}{covers} ", (f"cannot be read: {sensor.reason or 'no reason given'}", "yellow")
        )
    return Text(f"{name}{covers}")


def _meter(meter: MeterCheck) -> Text:
    """Return what a meter at another machine covers; why it cannot be read is among the findings."""
    name = f"{meter.sensor}, cabled to {'this machine' if meter.at == 'host' else meter.at}"
    return Text.assemble(f"{name}: ", meter.covers or ("cannot be read", "yellow"))


def _finding(finding: Finding) -> tuple[Text, str]:
    style = "bold red" if finding.level == "missing" else "yellow"
    return Text(finding.level, style=style), f"{finding.what} ({finding.remedy})"
