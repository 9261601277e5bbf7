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


def ip(*arguments: str) -> None:
    """Run one command of iproute2."""
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    if done.returncode:
        message = f"ip {' '.join(arguments)}: {done.stderr}"
        raise RuntimeError(message)


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
        """Start hosts 10.213.N.1 and up, and take everything down afterwards."""
        prefix, net = f"epk{os.getpid()}n", f"10.213.{os.getpid() % 250}"
        bridge = f"epk{os.getpid()}"
        identity = make_key(folder / "identity")
        hosts = cls(prefix, [])
        with contextlib.ExitStack() as stack:
            ip("link", "add", bridge, "type", "bridge")
            stack.callback(ip, "link", "del", bridge)
            ip("addr", "add", f"{net}.254/24", "dev", bridge)
            ip("link", "set", bridge, "up")
            for number in range(1, count + 1):
                name = f"{prefix}{number}"
                ip("netns", "add", name)
                stack.callback(ip, "netns", "del", name)
                ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
                # The kernel takes a namespace down later, and its cable with it: do not wait for that.
                stack.callback(ip, "link", "del", name)
                ip("link", "set", name, "master", bridge, "up")
                ip("-n", name, "link", "set", "lo", "up")
                ip("-n", name, "addr", "add", f"{net}.{number}/24", "dev", "eth0")
                ip("-n", name, "link", "set", "eth0", "up")
                server = Sshd.start(
                    folder / name, address=f"{net}.{number}", port=22, namespace=name, identity=identity
                )
                hosts.servers.append(stack.enter_context(server))
            yield hosts

    def cut(self, number: int) -> None:
        """Pull the cable of a host (the first is 0): packets vanish, nothing says goodbye."""
        ip("-n", f"{self.prefix}{number + 1}", "link", "set", "eth0", "down")

    def mend(self, number: int) -> None:
        """Plug the cable in again."""
        ip("-n", f"{self.prefix}{number + 1}", "link", "set", "eth0", "up")
