"""Which emulated devices exist: one folder a device in the user's state, with a note of what it is.

Rules:
    * The folder holds everything that is the device's own: its keys, its disk, what it printed.
    * A note is replaced by one rename, and read back with a check of every field.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from edgepack.toolchain.deploy.inventory import Device, Lab, state_dir
from edgepack.toolchain.deploy.known_hosts import HostKey, host_name
from edgepack.toolchain.errors import LabError
from edgepack.toolchain.lab.commands import run
from edgepack.toolchain.lab.process import Process

GROUP = "lab"
USER = "root"
_NOTE = "device.json"


@dataclass(frozen=True)
class EmulatedDevice:
    """An emulated device.

    Attributes:
        name: Its name in the inventory.
        kind: "rpi64", "rpi32" or "fleet".
        target: The target that it stands for; None where none fits.
        host: Address of its SSH server.
        port: Port of its SSH server.
        inventories: Each `lab.toml` that it is registered in.
        created_unix_s: When it was made.
        process: What runs it; None before its first start.
    """

    name: str
    kind: str
    target: str | None
    host: str
    port: int
    inventories: tuple[str, ...]
    created_unix_s: float
    process: Process | None = None

    @property
    def folder(self) -> Path:
        """Where its files lie."""
        return devices_dir() / self.name

    @property
    def is_running(self) -> bool:
        """Whether its process is alive."""
        return self.process is not None and self.process.is_alive

    @property
    def known_as(self) -> str:
        """Its name in known_hosts files."""
        return host_name(self.host, self.port)

    @property
    def host_key(self) -> HostKey:
        """The public half of its host key."""
        import base64

        algorithm, blob, *_ = (self.folder / "host_key.pub").read_text().split()
        return HostKey(algorithm, base64.b64decode(blob))

    def with_process(self, process: Process) -> EmulatedDevice:
        """Return the same device with a new process, after noting it."""
        started = replace(self, process=process)
        started.save()
        return started

    def entry(self) -> Device:
        """Return the device's entry for the inventory."""
        values: dict[str, Any] = {
            "name": self.name,
            "host": self.host,
            "user": USER,
            "port": self.port,
            "target": self.target,
            "groups": [GROUP, self.kind],
            "emulated": True,
            "identity_file": str(identity_path()),
        }
        if self.kind == "fleet":
            import sys

            # Its programs are those of this machine: the Python that runs here has a runtime already.
            values |= {"python": sys.executable, "runtime": "system", "work_dir": str(self.folder / "work")}
        return Device.model_validate(values)

    def own_lab(self) -> Lab:
        """Return an inventory of this device alone, whatever the user's inventory says by now."""
        return Lab(path=None, devices=(self.entry(),), known_hosts=self.folder / "known_hosts")

    def save(self) -> None:
        """Note what the device is.

        Raises:
            LabError: The note cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with tempfile.NamedTemporaryFile("w", dir=self.folder, prefix=".note-", delete=False) as file:
                json.dump(asdict(self), file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            Path(file.name).replace(self.folder / _NOTE)
        except OSError as err:
            message = f"{self.folder}: cannot be written ({err.strerror})."
            raise LabError(message, remedy="Name a writable folder in EDGEPACK_STATE_DIR.") from err

    def forget(self) -> None:
        """Remove the device's folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


def devices_dir() -> Path:
    """Return the folder of all emulated devices."""
    return state_dir() / "lab"


def identity_path() -> Path:
    """Return the private key that all emulated devices accept."""
    return devices_dir() / "identity"


def load_devices() -> list[EmulatedDevice]:
    """Return all emulated devices, in the order of their names.

    Raises:
        LabError: A note is damaged.
    """
    notes = sorted(devices_dir().glob(f"*/{_NOTE}"), key=lambda path: _natural(path.parent.name))
    return [_load(path) for path in notes]


def find_device(name: str) -> EmulatedDevice | None:
    """Return the emulated device of a name; None where there is none."""
    path = devices_dir() / name / _NOTE
    return _load(path) if path.is_file() else None


def make_key(path: Path, comment: str) -> None:
    """Make a key pair without a passphrase, unless there is one.

    Raises:
        LabError: `ssh-keygen` failed.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        options = ["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path]
        run(["ssh-keygen", *options], what="Making a key", timeout_s=60)


def _load(path: Path) -> EmulatedDevice:
    try:
        values = json.loads(path.read_bytes())
        process, inventories = values.pop("process"), tuple(values.pop("inventories"))
        return EmulatedDevice(
            **values, inventories=inventories, process=Process(**process) if process else None
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as err:
        message = f"{path}: not a note of an emulated device ({err})."
        raise LabError(
            message, remedy=f"Remove the folder {path.parent}, and end what still runs by hand."
        ) from err


def _natural(name: str) -> tuple[str, int]:
    stem, _, number = name.rpartition("-")
    return (stem, int(number)) if number.isdigit() else (name, 0)
