"""Emulated devices in the user's inventory, with their host keys known: the keys were made here.

Rules:
    * A device that the user added under the same name is never touched.
    * What is added is what is removed, and nothing else.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.toolchain.deploy import known_hosts
from edgepack.toolchain.deploy.inventory import load_lab, parse_lab
from edgepack.toolchain.deploy.inventory_edit import add_device, remove_device
from edgepack.toolchain.errors import ProjectError

if TYPE_CHECKING:
    from edgepack.toolchain.deploy.inventory import Device, Lab
    from edgepack.toolchain.lab.state import EmulatedDevice


def require_name_is_free(path: Path, name: str) -> None:
    """Check that an inventory has no device of a name.

    Raises:
        ProjectError: It has one, or it is wrong.
    """
    if _find(_read(path), name) is not None:
        message = f"{path} has a device '{name}', which is not an emulated one of `edgepack lab`."
        raise ProjectError(
            message, remedy=f"Name another inventory with --lab, or: edgepack devices remove {name}"
        )


def register(device: EmulatedDevice, path: Path) -> None:
    """Add a device to an inventory, and let its host key be known.

    Raises:
        ProjectError: The inventory cannot be changed.
        DeployError: The file of host keys cannot be written.
    """
    entry = device.entry()
    found = _find(_read(path), device.name)
    if found is None or not _is_ours(found, device):
        require_name_is_free(path, device.name)
        add_device(path, entry)
    known_hosts.trust(load_lab(path).known_hosts, device.known_as, device.host_key)
    known_hosts.trust(device.folder / "known_hosts", device.known_as, device.host_key)


def unregister(device: EmulatedDevice) -> None:
    """Remove a device and its host key from the inventories, unless the user has put another in its place.

    Raises:
        ProjectError: An inventory cannot be changed.
    """
    for path in map(Path, device.inventories):
        if not path.exists():
            continue
        lab = _read(path)
        if (device.folder / "host_key.pub").exists():
            known_hosts.forget(lab.known_hosts, device.known_as, device.host_key)
        found = _find(lab, device.name)
        if found is not None and _is_ours(found, device):
            remove_device(path, device.name)


def _is_ours(found: Device, device: EmulatedDevice) -> bool:
    return (found.host, found.port, found.emulated) == (device.host, device.port, True)


def _find(lab: Lab, name: str) -> Device | None:
    return next((device for device in lab.devices if device.name == name), None)


def _read(path: Path) -> Lab:
    return load_lab(path) if path.exists() else parse_lab(b"", path)
