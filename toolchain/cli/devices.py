"""`edgepack devices add|trust|check|list|remove`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from edgepack.toolchain.cli.devices_options import device_options, exit_code_of, failure_documents, fleet_rows
from edgepack.toolchain.cli.output import json_option, note, show_result
from edgepack.toolchain.errors import HostKeyError

_LAB = click.option("--lab", type=click.Path(path_type=Path), help="The inventory. [default: ./lab.toml]")


@click.group(name="devices", short_help="Add, trust, check, list and remove devices.")
def command() -> None:
    """Keep the inventory of devices, lab.toml."""


@command.command(name="list", short_help="List the devices.")
@_LAB
@json_option
def list_devices(lab: Path | None) -> None:
    """List the devices of the inventory."""
    from edgepack.toolchain.api import select_fleet
    from edgepack.toolchain.report.device_tables import device_table

    fleet = select_fleet(names=["local"], lab=lab)
    devices = fleet.lab.devices
    hidden = {"power": {"settings"}}  # a plug's can hold its password
    show_result([device.model_dump(mode="json", exclude=hidden) for device in devices], device_table(devices))


@command.command(name="add", short_help="Add a device to lab.toml.")
@click.argument("name")
@click.option("--host", required=True, help="Name or address, or a Host of ~/.ssh/config.")
@click.option("--user", help="User to log in as. [default: as in ~/.ssh/config]")
@click.option("--port", type=click.IntRange(1, 65535), help="Port. [default: as in ~/.ssh/config]")
@click.option("--target", "-t", help="What kind of device it is: edgepack targets")
@click.option("--group", "-g", "groups", multiple=True, help="A group that it belongs to. Repeatable.")
@click.option("--python", help="Python 3.9 or newer on the device. [default: python3]")
@click.option("--work-dir", help="Where the agent keeps its files. [default: ~/.edgepack]")
@click.option("--runtime", type=click.Choice(["auto", "system"]), help="[default: auto]")
@click.option("--identity-file", help="The private key to log in with.")
@click.option("--emulated", is_flag=True, default=None, help="Mark every figure of it as emulated.")
@_LAB
@json_option
def add(name: str, groups: tuple[str, ...], lab: Path | None, **given: str | int | None) -> None:
    """Add a device to lab.toml; comments in the file stay."""
    from edgepack.toolchain.devices import add_device

    path, device = add_device(name, groups=groups, lab=lab, **given)
    show_result(
        {"lab": str(path), "device": device.model_dump(mode="json")},
        f"{path}: added {name}.",
        f"Next: edgepack devices trust {name}",
    )


@command.command(name="remove", short_help="Remove a device from lab.toml.")
@click.argument("name")
@_LAB
@json_option
def remove(name: str, lab: Path | None) -> None:
    """Remove a device from lab.toml. What is installed on it stays there."""
    from edgepack.toolchain.devices import remove_device

    path = remove_device(name, lab=lab)
    show_result({"lab": str(path), "removed": name}, f"{path}: removed {name}.")


@command.command(name="trust", short_help="Accept a device's host key, and let it accept your packages.")
@click.argument("name")
@click.option("--yes", "-y", is_flag=True, help="Accept the host key without asking.")
@click.option("--fingerprint", help="Accept the host key only if it has this fingerprint (SHA256:…).")
@click.option("--key", type=click.Path(path_type=Path), help="The signing key that the device shall trust.")
@click.option(
    "--replace", is_flag=True, help="Replace the signers that the device trusts, instead of adding."
)
@_LAB
@json_option
def trust(
    name: str, yes: bool, fingerprint: str | None, key: Path | None, replace: bool, lab: Path | None
) -> None:
    """Accept the host key of device NAME, then let the device accept packages signed by your key.

    Compare the fingerprint with the one that the device itself shows:
    ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub
    """
    from edgepack.toolchain.api import own_signer
    from edgepack.toolchain.devices import accept_host_key, scan_device, trust_signer

    shown = scan_device(name, lab=lab)
    if shown is not None and not shown.known:
        note(f"{name} ({shown.host}) shows the {shown.algorithm} host key {shown.fingerprint}")
        if fingerprint is None and not yes:
            _ask_whether_it_is_the_devices_own(name)
        accept_host_key(name, shown, expected=fingerprint, lab=lab)
    signers = trust_signer(name, own_signer(key), replace=replace, lab=lab)
    show_result(
        {
            "device": name,
            "host_key": shown.fingerprint if shown else None,
            "allowed_signers": signers.splitlines(),
        },
        *([f"{name}: host key {shown.fingerprint} is known."] if shown else []),
        f"{name}: accepts packages signed by {len(signers.splitlines())} key(s).",
    )


def _ask_whether_it_is_the_devices_own(name: str) -> None:
    """Ask the person at the terminal.

    Raises:
        HostKeyError: There is nobody to ask, or the answer is no.
    """
    remedy = f"Compare it with the device's own: edgepack devices trust {name} --fingerprint SHA256:…"
    if not sys.stdin.isatty():
        message = f"The host key of {name} was not accepted: there is no terminal to ask at."
        raise HostKeyError(message, remedy=remedy)
    if not click.confirm("Is this the device's own key?", err=True):
        message = f"The host key of {name} was not accepted."
        raise HostKeyError(message, remedy=remedy)


@command.command(name="check", short_help="Show what devices have, and what they lack.")
@device_options
@json_option
def check(
    devices: tuple[str, ...], groups: tuple[str, ...], everything: bool, lab: Path | None, jobs: int | None
) -> int:
    """Show what devices have (Python, C library, CPU, disk, clock, power sensors), and what they lack."""
    from edgepack.toolchain.api import select_fleet
    from edgepack.toolchain.deploy.fleet import run_fleet
    from edgepack.toolchain.devices import check_device
    from edgepack.toolchain.report.device_tables import check_card

    fleet = select_fleet(names=devices, groups=groups, everything=everything, lab=lab, jobs=jobs)
    with fleet_rows(fleet) as listen:
        outcomes = run_fleet(
            fleet.devices,
            lambda device, _, cancellation: check_device(device, fleet.lab, cancellation),
            parallel=fleet.parallel,
            attempts=1,
            listen=listen,
        )
    checks = [outcome.value for outcome in outcomes if outcome.value]
    show_result(
        {"devices": [each.to_dict() for each in checks], "failures": failure_documents(outcomes)},
        *(part for each in checks for part in (check_card(each), "")),
    )
    return exit_code_of(outcomes)
