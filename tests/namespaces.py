"""Hosts with addresses of their own on this machine: network namespaces on one bridge, each with a real sshd.

    with Namespaces.start(tmp_path, count=3) as hosts:
        hosts.servers[0].device("pi0")

This machine is on the bridge, too, so that the code under test needs no namespace of its own. Needs root.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from edgepack.toolchain.lab.network import Network, set_link, unplug
from tests.sshd import SSHD, Sshd, make_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def _can_make_namespaces() -> bool:
    if os.geteuid() != 0 or shutil.which("ip") is None or SSHD is None:
        return False
    name = f"epk{os.getpid()}probe"
    done = subprocess.run(["ip", "netns", "add", name], capture_output=True)
    subprocess.run(["ip", "netns", "del", name], capture_output=True)
    return done.returncode == 0


needs_namespaces = pytest.mark.skipif(
    not _can_make_namespaces(), reason="needs root, iproute2, sshd and a kernel with network namespaces"
)


@dataclass
class Namespaces:
    """Running hosts.

    Attributes:
        prefix: What the names of the namespaces begin with.
        servers: One server a host.
    """

    prefix: str
    servers: list[Sshd]

    @classmethod
    @contextlib.contextmanager
    def start(cls, folder: Path, *, count: int) -> Iterator[Namespaces]:
        """Start hosts 10.212.N.1 and up, and take everything down afterwards."""
        prefix = f"epk{os.getpid()}n"
        network = Network(f"epk{os.getpid()}", f"10.212.{os.getpid() % 250}.0/24")
        identity = make_key(folder / "identity")
        hosts = cls(prefix, [])
        with contextlib.ExitStack() as stack:
            network.add()
            stack.callback(network.remove)
            for number in range(1, count + 1):
                name = f"{prefix}{number}"
                stack.callback(unplug, name)
                network.plug_in(name, number)
                server = Sshd.start(
                    folder / name, address=network.address(number), port=22, namespace=name, identity=identity
                )
                hosts.servers.append(stack.enter_context(server))
            yield hosts

    def cut(self, number: int) -> None:
        """Pull the cable of a host (the first is 0): packets vanish, nothing says goodbye."""
        set_link(f"{self.prefix}{number + 1}", up=False)

    def mend(self, number: int) -> None:
        """Plug the cable in again."""
        set_link(f"{self.prefix}{number + 1}", up=True)
