"""`edgepack lab up|list|down`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgepack.toolchain.cli.output import json_option, note, progress, show_result

if TYPE_CHECKING:
    from rich.table import Table

    from edgepack.toolchain.lab.control import Status, Up

_KINDS = ("rpi64", "rpi32", "fleet")  # written down: importing them would slow down every --help


@click.group(name="lab", short_help="Emulate devices on this machine, for tests without a board.")
def command() -> None:
    """Emulate devices on this machine, for anyone who has no board.

    Their latencies are those of an emulator and are marked so everywhere.
    """


@command.command(name="up", short_help="Bring emulated devices up.")
@click.argument("kind", type=click.Choice(_KINDS))
@click.option("--size", type=click.IntRange(1, 250), help="How many there should be. [default: 1; fleet: 20]")
@click.option("--lab", type=click.Path(path_type=Path), help="The inventory. [default: ./lab.toml]")
@json_option
def lab_up(kind: str, size: int | None, lab: Path | None) -> int:
    """Bring up emulated devices KIND-1, KIND-2, … and add them to lab.toml.

    \b
    rpi64  a whole emulated Raspberry Pi 4: Debian 12, 64 bit, with a power sensor
    rpi32  the same with 32-bit programs
    fleet  many light hosts on this machine's own kernel (needs root)

    What a machine boots is built once and kept. Those that run already stay as they are; after a restart of
    this machine the same command brings them back with their disks.
    """  # noqa: D301 - click reads a real backspace
    from edgepack.toolchain.devices import lab_path
    from edgepack.toolchain.lab.control import up
    from edgepack.toolchain.lab.kinds import find_kind

    about = find_kind(kind)
    note(f"{kind}: {about.title}.")
    note(f"It costs, the first time: {about.first_cost}. Each: {about.each_cost}.")
    inventory = lab_path(lab).absolute()
    with progress(f"lab up {kind}") as report:
        devices = up(kind, size=size, inventory=inventory, report=report)
        trusting = _let_trust(devices, inventory, report)
    show_result(
        {
            "lab": str(inventory),
            "trusts_your_key": trusting,
            "devices": [_up_document(each) for each in devices],
        },
        *_told(devices, inventory),
        *_next(devices, trusting=trusting),
    )
    return 0


def _let_trust(devices: list[Up], inventory: Path, report: Any) -> bool | None:  # noqa: ANN401 - Report
    """Let new devices accept packages signed by the user's key; None where there is no key yet.

    Raises:
        EdgepackError: A device refused.
    """
    from edgepack.toolchain.api import own_signer
    from edgepack.toolchain.deploy.fleet import run_fleet
    from edgepack.toolchain.devices import trust_signer
    from edgepack.toolchain.errors import SignatureError

    try:
        signer = own_signer()
    except SignatureError:
        return None
    entries = [each.device.entry() for each in devices]
    report("letting them trust your key", 0, 0)
    outcomes = run_fleet(
        entries,
        lambda device, *_: trust_signer(device.name, signer, replace=False, lab=inventory),
        parallel=8,
    )
    for outcome in outcomes:
        if outcome.error:
            raise outcome.error
    return True


def _up_document(each: Up) -> dict[str, Any]:
    device = each.device
    return {
        "name": device.name,
        "kind": device.kind,
        "target": device.target,
        "host": device.host,
        "port": device.port,
        "boot_s": round(each.boot_s, 2) if each.boot_s is not None else None,
        "was_up": each.boot_s is None,
    }


def _told(devices: list[Up], inventory: Path) -> list[str]:
    """Return what happened, in a line or two."""
    new = [each.boot_s for each in devices if each.boot_s is not None]
    names = _span([each.device.name for each in devices])
    slowest = (
        f", the slowest after {max(new):.1f} s" if len(new) > 1 else f" after {new[0]:.1f} s" if new else ""
    )
    lines = [f"{names}: up{slowest}." if new else f"{names}: up already."]
    return [*lines, f"In {inventory}, group lab; their host keys are known."]


def _next(devices: list[Up], *, trusting: bool | None) -> list[str]:
    """Return the commands that come next."""
    first = devices[0].device
    many = f"--group {first.kind}" if len(devices) > 1 else f"--device {first.name}"
    lines = ["Packages signed by your key are accepted."] if trusting else []
    if trusting is None:
        lines.append("There is no signing key yet: edgepack keys --create, then the same command again.")
    lines.append("Next:")
    lines.append(f"  edgepack devices check {many}")
    target = f" --target {first.target}" if first.target else ""
    lines.append(f"  edgepack run{target} {many}")
    return [*lines, "  edgepack lab down"]


def _span(names: list[str]) -> str:
    """Return the names, the numbered ones of a kind as `first to last`."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name.rpartition("-")[0], []).append(name)
    return ", ".join(
        group[0] if len(group) == 1 else f"{group[0]} to {group[-1]}" for group in groups.values()
    )


@command.command(name="list", short_help="List the emulated devices.")
@json_option
def lab_list() -> None:
    """List the emulated devices of this machine, with what they cost now."""
    from edgepack.toolchain.lab.control import statuses

    found = statuses()
    shown = [_table(found)] if found else ["No emulated devices. Bring one up: edgepack lab up rpi64"]
    show_result([_status_document(each) for each in found], *shown)


def _table(found: list[Status]) -> Table:
    from rich.table import Table

    from edgepack.targets.units import format_bytes

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("device", "state", "target", "address", "memory", "disk", "files"):
        table.add_column(heading, overflow="fold")
    for each in found:
        device = each.device
        memory = "—" if each.memory_bytes is None else format_bytes(each.memory_bytes)
        state = "up" if each.is_running else f"stopped; edgepack lab up {device.kind}"
        address, disk = f"{device.host}:{device.port}", format_bytes(each.disk_bytes)
        table.add_row(device.name, state, device.target or "—", address, memory, disk, str(device.folder))
    return table


def _status_document(each: Status) -> dict[str, Any]:
    device = each.device
    return {
        "name": device.name,
        "kind": device.kind,
        "target": device.target,
        "host": device.host,
        "port": device.port,
        "running": each.is_running,
        "memory_bytes": each.memory_bytes,
        "disk_bytes": each.disk_bytes,
        "inventories": list(device.inventories),
        "folder": str(device.folder),
    }


@command.command(name="down", short_help="Remove emulated devices.")
@click.argument("names", nargs=-1)
@click.option("--purge", is_flag=True, help="Remove the built images, too.")
@json_option
def lab_down(names: tuple[str, ...], purge: bool) -> None:
    """Remove emulated devices, or those of NAMES: processes, disks, networks, entries in lab.toml."""
    from edgepack.toolchain.lab import control

    gone = control.down(names)
    freed = control.purge() if purge else None
    told = f"Removed {_span([device.name for device in gone])}." if gone else "No emulated devices."
    show_result(
        {"removed": [device.name for device in gone], "purged_bytes": freed},
        told,
        *([f"Removed the built images: {freed / 1e6:.0f} MB."] if freed is not None else []),
    )
