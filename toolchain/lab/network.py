"""Network namespaces on a bridge of their own: hosts with addresses on this machine, reached from it.

Rules:
    * Namespaces, bridges and cables have names that begin with a prefix of ours; nothing else is touched.
    * This machine is on the bridge, too, so that edgepack runs in no namespace of its own.
    * Nothing is routed between the bridge and any other network by us.
"""

from __future__ import annotations

import ipaddress
import json
import subprocess
from dataclasses import dataclass
from typing import Any

from edgepack.toolchain.errors import LabError
from edgepack.toolchain.lab.commands import find_program, require_programs

# Source: RFC 1918; the middle of 10.0.0.0/8, which few home and office networks use.
_CANDIDATES = tuple(f"10.213.{number}.0/24" for number in range(77, 177))
GATEWAY = 254


@dataclass(frozen=True)
class Network:
    """A bridge and the hosts on it.

    Attributes:
        bridge: The bridge's name, at most 15 characters.
        subnet: The addresses, such as "10.213.77.0/24".
    """

    bridge: str
    subnet: str

    def address(self, number: int) -> str:
        """Return the address of a host; numbers begin with 1."""
        return str(ipaddress.ip_network(self.subnet)[number])

    def add(self) -> None:
        """Make the bridge, and put this machine on it.

        Raises:
            LabError: The kernel refuses it.
        """
        ip("link", "add", self.bridge, "type", "bridge")
        ip("addr", "add", f"{self.address(GATEWAY)}/24", "dev", self.bridge)
        ip("link", "set", self.bridge, "up")

    def remove(self) -> None:
        """Remove the bridge, where there is one."""
        ip("link", "del", self.bridge, check=False)

    def plug_in(self, namespace: str, number: int) -> None:
        """Make a namespace with an address on the bridge.

        Args:
            namespace: Its name, which is also the name of its cable: at most 15 characters.
            number: Which address it gets.

        Raises:
            LabError: The kernel refuses it.
        """
        ip("netns", "add", namespace)
        ip("link", "add", namespace, "type", "veth", "peer", "name", "eth0", "netns", namespace)
        ip("link", "set", namespace, "master", self.bridge, "up")
        ip("-n", namespace, "link", "set", "lo", "up")
        ip("-n", namespace, "addr", "add", f"{self.address(number)}/24", "dev", "eth0")
        ip("-n", namespace, "link", "set", "eth0", "up")


def unplug(namespace: str) -> None:
    """Remove a namespace and its cable, where there are any."""
    # The kernel takes a namespace down later, and its cable with it: do not wait for that.
    ip("link", "del", namespace, check=False)
    ip("netns", "del", namespace, check=False)


def set_link(namespace: str, *, up: bool) -> None:
    """Pull a host's cable, or plug it in again: packets vanish, nothing says goodbye.

    Raises:
        LabError: There is no such host.
    """
    ip("-n", namespace, "link", "set", "eth0", "up" if up else "down")


def bridge_subnet(bridge: str) -> str | None:
    """Return the addresses of a bridge; None where there is no such bridge."""
    for link in _json("-j", "addr", "show", "dev", bridge):
        for address in link.get("addr_info", []):
            if address.get("family") == "inet":
                return str(ipaddress.ip_interface(f"{address['local']}/{address['prefixlen']}").network)
    return None


def free_subnet() -> str:
    """Return a range of addresses that this machine has no route to yet.

    Raises:
        LabError: All that we would use are taken.
    """
    taken = [_network(route.get("dst", "")) for route in _json("-j", "route", "show", "table", "all")]
    for candidate in _CANDIDATES:
        if not any(other and ipaddress.ip_network(candidate).overlaps(other) for other in taken):
            return candidate
    message = "All addresses from 10.213.77.0 to 10.213.176.255 are routed somewhere already."
    raise LabError(message, remedy="Free one of these ranges: ip route")


def ip(*arguments: str, check: bool = True) -> str:
    """Run one command of iproute2 and return what it prints.

    Raises:
        LabError: It failed.
    """
    program = find_program("ip")
    if program is None:
        if not check:
            return ""
        require_programs("A network of light devices", ["ip"])
    command = [program or "ip", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and check:
        message = f"ip {' '.join(arguments)}: {done.stderr.strip()}"
        raise LabError(message, remedy="Check that this kernel has network namespaces, veth and bridge.")
    return done.stdout


def _json(*arguments: str) -> list[dict[str, Any]]:
    found = json.loads(ip(*arguments, check=False) or "[]")
    return found if isinstance(found, list) else []


def _network(text: object) -> ipaddress.IPv4Network | None:
    try:
        return ipaddress.IPv4Network(str(text))
    except ValueError:
        return None  # "default", or IPv6
