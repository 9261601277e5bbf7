"""A light device: an SSH server with a host name, an address, processes and a work folder of its own.

Its programs and the rest of its files are those of this machine. Twenty are up within seconds.

Rules:
    * All that runs on the device ends with its first process: a power cut leaves nothing running.
"""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.toolchain.errors import LabError
from edgepack.toolchain.lab.commands import find_program
from edgepack.toolchain.lab.network import Network, bridge_subnet, free_subnet, ip, set_link, unplug
from edgepack.toolchain.lab.process import start_detached
from edgepack.toolchain.lab.state import identity_path

if TYPE_CHECKING:
    from edgepack.toolchain.lab.state import EmulatedDevice

BRIDGE = "edgepack-lab"
PORT = 22
MAX_HOSTS = 250
_PREFIX = "eplab"
_LOG = "sshd.log"
_START_S = 30.0
# $1 the host name, $2 sshd, $3 its configuration. /run is empty but for the folder that sshd needs.
_INIT = """
set -e
hostname "$1"
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/sshd
exec "$2" -D -e -f "$3"
"""


@dataclass(frozen=True)
class Namespace:
    """A light device.

    Attributes:
        device: The device that it is.
    """

    device: EmulatedDevice

    @property
    def number(self) -> int:
        """Its number on the network, the last part of its address."""
        return int(self.device.host.rpartition(".")[2])

    @property
    def namespace(self) -> str:
        """The name of its network namespace and of its cable."""
        return f"{_PREFIX}{self.number}"

    def start(self) -> Namespace:
        """Switch the device on and return it with its process.

        Raises:
            LabError: The kernel refuses it, or its SSH server does not start.
        """
        folder = self.device.folder
        (folder / "sshd_config").write_text(self._configuration(), encoding="utf-8")
        (folder / "authorized_keys").write_bytes(identity_path().with_suffix(".pub").read_bytes())
        unplug(self.namespace)
        lab_network().plug_in(self.namespace, self.number)
        own = ["--uts", "--pid", "--mount", "--fork", "--kill-child=KILL", "--mount-proc"]
        programs = [find_program(name) or name for name in ("ip", "unshare", "sshd")]
        argv = [
            programs[0], "netns", "exec", self.namespace, programs[1], *own,
            "sh", "-c", _INIT, "device", self.device.name, programs[2], str(folder / "sshd_config"),
        ]  # fmt: skip
        process = start_detached(argv, folder=folder, log=folder / _LOG)
        return Namespace(self.device.with_process(process))

    def _configuration(self) -> str:
        folder = self.device.folder
        lines = [
            f"ListenAddress {self.device.host}", f"Port {PORT}", f"HostKey {folder / 'host_key'}",
            f"AuthorizedKeysFile {folder / 'authorized_keys'}", "PidFile none", "UsePAM no", "UseDNS no",
            "StrictModes no", "PasswordAuthentication no", "KbdInteractiveAuthentication no",
            "PermitRootLogin yes", "MaxStartups 100",
        ]  # fmt: skip
        return "\n".join(lines) + "\n"

    def stop(self) -> None:
        """Switch the device off at once, and remove its network."""
        if self.device.process is not None:
            self.device.process.end()
        unplug(self.namespace)

    def wait_until_up(self, *, timeout_s: float = _START_S) -> float:
        """Wait until the device answers on its SSH port, and return how many seconds that took.

        Raises:
            LabError: It does not come up.
        """
        start = time.monotonic()
        while time.monotonic() - start < timeout_s and self.device.is_running:
            try:
                with socket.create_connection((self.device.host, PORT), timeout=1) as link:
                    if link.recv(4) == b"SSH-":
                        return time.monotonic() - start
            except OSError:
                time.sleep(0.05)
        log = self.device.folder / _LOG
        told = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
        message = f"{self.device.name}: its SSH server did not start. {' '.join(told[-2:])}".rstrip()
        raise LabError(message, remedy=f"Look at {log}; `edgepack lab down {self.device.name}` removes it.")

    def power_cut(self) -> None:
        """End everything that runs on the device at once, and start it again.

        Raises:
            LabError: It does not start again.
        """
        self.stop()
        self.start()

    def link(self, *, up: bool) -> None:
        """Pull the network cable, or plug it in again: nothing says goodbye.

        Raises:
            LabError: The device is not up.
        """
        set_link(self.namespace, up=up)


def lab_network() -> Network:
    """Return the network of light devices, made now if there is none yet.

    Raises:
        LabError: The kernel refuses it.
    """
    subnet = bridge_subnet(BRIDGE)
    if subnet is not None:
        return Network(BRIDGE, subnet)
    network = Network(BRIDGE, free_subnet())
    network.add()
    return network


def remove_network() -> None:
    """Remove the network of light devices."""
    ip("link", "del", BRIDGE, check=False)
