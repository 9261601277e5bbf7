"""The devices of the inventory: add, accept, let trust, check, remove."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack.targets.errors import EdgepackError
from edgepack.targets.registry import find_target
from edgepack.toolchain.deploy import known_hosts, remote
from edgepack.toolchain.deploy.agent_session import open_session
from edgepack.toolchain.deploy.health import Check, MeterCheck, examine
from edgepack.toolchain.deploy.inventory import LAB_NAME, Device, Lab, find_lab, load_lab, make_device
from edgepack.toolchain.deploy.inventory_edit import add_device as append_device
from edgepack.toolchain.deploy.inventory_edit import remove_device as cut_device
from edgepack.toolchain.errors import HostKeyError
from edgepack.toolchain.measure.host_meter import recorded_meter

if TYPE_CHECKING:
    from edgepack.toolchain.deploy.connection import Cancellation
    from edgepack.toolchain.deploy.known_hosts import HostKey


def lab_path(lab: Path | None) -> Path:
    """Return the inventory to change: the one named, else the one in use, else a new one in this folder."""
    return lab or find_lab() or Path(LAB_NAME).absolute()


def add_device(
    name: str,
    *,
    groups: tuple[str, ...],
    lab: Path | None,
    **given: Any,  # noqa: ANN401 - keys of Device
) -> tuple[Path, Device]:
    """Add an SSH device to the inventory and return the file and the device.

    Raises:
        ProjectError: A value is wrong, or the inventory has the device already.
        TargetError: The target is unknown.
    """
    path = lab_path(lab)
    if given.get("target"):
        given["target"] = find_target(given["target"]).name
    values = {key: value for key, value in given.items() if value is not None}
    device = make_device(name, {"kind": "ssh", "groups": list(groups), **values}, str(path))
    append_device(path, device)
    return path, device


def remove_device(name: str, *, lab: Path | None) -> Path:
    """Remove a device from the inventory and return the file.

    Raises:
        ProjectError: There is no such device.
    """
    path = lab_path(lab)
    cut_device(path, name)
    return path


@dataclass(frozen=True)
class ShownKey:
    """The host key that a device showed.

    Attributes:
        host: The device's name in known_hosts files.
        key: The key.
        known: Whether a known_hosts file holds this very key.
    """

    host: str
    key: HostKey
    known: bool

    @property
    def algorithm(self) -> str:
        """The key's algorithm, such as "ssh-ed25519"."""
        return self.key.algorithm

    @property
    def fingerprint(self) -> str:
        """The key's fingerprint as OpenSSH prints it."""
        return self.key.fingerprint


def scan_device(name: str, *, lab: Path | None) -> ShownKey | None:
    """Return the host key that a device shows now; None for a device that is reached without SSH.

    Raises:
        NetworkError: The device does not answer.
        HostKeyError: The key is revoked.
    """
    from edgepack.toolchain.deploy.ssh import known_keys, scan_host_key

    loaded = load_lab(lab)
    device = loaded.device(name)
    if device.kind == "local":
        return None
    host, key = scan_host_key(device, loaded)
    verdict = known_hosts.judge(key, known_keys(device, loaded))
    if verdict == "revoked":
        message = f"{name} ({host}) shows a host key that is revoked: {key.fingerprint}."
        raise HostKeyError(message, remedy="Do not use this device until it has a new host key.")
    return ShownKey(host, key, known=verdict == "known")


def accept_host_key(name: str, shown: ShownKey, *, expected: str | None, lab: Path | None) -> None:
    """Write a device's host key into the lab's own known_hosts file.

    Raises:
        HostKeyError: The key has not the expected fingerprint.
    """
    if expected is not None and expected != shown.fingerprint:
        message = f"{name} ({shown.host}) shows the host key {shown.fingerprint}, expected {expected}."
        raise HostKeyError(message, remedy="Check that this is the device and that nobody is in between.")
    known_hosts.trust(load_lab(lab).known_hosts, shown.host, shown.key)


def trust_signer(name: str, signer: str, *, replace: bool, lab: Path | None) -> str:
    """Let a device accept packages that are signed by a key; return all signers that it trusts then.

    Args:
        name: The device.
        signer: The line of the key in the format of OpenSSH's ALLOWED SIGNERS.
        replace: Whether the device forgets the signers that it trusted so far.
        lab: The inventory.
    """
    loaded = load_lab(lab)
    with open_session(loaded.device(name), loaded) as session:
        old = [] if replace else remote.allowed_signers(session).splitlines()
        lines = [*(line for line in old if _key_of(line) != _key_of(signer)), signer.strip()]
        signers = "".join(f"{line}\n" for line in lines if line.strip())
        remote.set_allowed_signers(session, signers)
        return signers


def _key_of(line: str) -> str:
    """Return the base64 of the key on a line of allowed signers."""
    return max(line.split(), key=len, default="")


def check_device(device: Device, lab: Lab, cancellation: Cancellation) -> Check:
    """Ask a device what it has, and find what it lacks.

    Raises:
        NetworkError: The device does not answer.
        DeployError: It refused the login, or has no Python.
    """
    meter = _check_meter(device, lab, cancellation)
    with open_session(device, lab, cancellation=cancellation) as session:
        facts, now = remote.probe(session), time.time_ns()
        findings = examine(
            facts,
            name=device.name,
            target=find_target(device.target) if device.target else None,
            signers=remote.allowed_signers(session),
            host_unix_ns=now,
            meter=meter,
        )
        installed = tuple(f"{each.name} {each.package_id[:12]}" for each in remote.installed(session))
        return Check(device.name, facts, installed, findings, meter)


def _check_meter(device: Device, lab: Lab, cancellation: Cancellation) -> MeterCheck | None:
    """Open a device's power meter where it is cabled to another machine; None where it is not."""
    if device.power is None or device.power.at == "device":
        return None
    sensor, at = device.power.sensor, device.power.at
    try:
        with recorded_meter(device, lab, "auto", cancellation) as meter:
            return MeterCheck(sensor, at, meter.about.covers if meter else None)
    except EdgepackError as err:
        return MeterCheck(sensor, at, reason=err.message.rstrip("."), remedy=err.remedy)
