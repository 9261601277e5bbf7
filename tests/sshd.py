"""A real OpenSSH server on this machine: own configuration, keys and port, ended by pid.

with Sshd.start(tmp_path) as server:
    device, lab = server.device("pi"), server.lab()
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgepack.toolchain.deploy.inventory import Device, Lab
from edgepack.toolchain.deploy.known_hosts import host_name

if TYPE_CHECKING:
    from collections.abc import Iterator

SSHD = shutil.which("sshd") or ("/usr/sbin/sshd" if Path("/usr/sbin/sshd").exists() else None)
# What distributions configure: a program, started through the user's shell like any other.
SFTP = "/usr/lib/openssh/sftp-server" if Path("/usr/lib/openssh/sftp-server").exists() else "internal-sftp"
needs_sshd = pytest.mark.skipif(
    SSHD is None or shutil.which("ssh-keygen") is None,
    reason="sshd is not installed (apt install openssh-server)",
)


def has_time_namespaces() -> bool:
    """Return whether a process can have another CLOCK_MONOTONIC here: root, Linux 5.6, util-linux 2.36."""
    unshare = shutil.which("unshare")
    command = [unshare or "", "--time", "--monotonic", "1", "true"]
    return unshare is not None and subprocess.run(command, capture_output=True).returncode == 0


def make_key(path: Path, *, kind: str = "ed25519", passphrase: str = "") -> Path:
    """Make a key pair and return the path of the private half."""
    command = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "edgepack-test", "-f", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return path


def free_port(address: str = "127.0.0.1") -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


@dataclass
class Sshd:
    """A running server.

    Attributes:
        folder: Its files.
        address: Where it listens.
        port: Where it listens.
        process: The listening process.
        identity: A private key that it accepts.
        known_hosts: A file that holds its host key.
    """

    folder: Path
    address: str
    port: int
    process: subprocess.Popen[bytes]
    identity: Path
    known_hosts: Path

    @classmethod
    @contextlib.contextmanager
    def start(
        cls,
        folder: Path,
        *,
        address: str = "127.0.0.1",
        port: int | None = None,
        namespace: str | None = None,
        ahead_s: int = 0,
        options: tuple[str, ...] = (),
        identity: Path | None = None,
    ) -> Iterator[Sshd]:
        """Start a server and end it, with its sessions, afterwards.

        Args:
            folder: An empty folder for its files.
            address: The address to listen on.
            port: The port; None for a free one.
            namespace: The network namespace to run in; None for this one.
            ahead_s: By how much its CLOCK_MONOTONIC is ahead of this machine's; needs root.
            options: Further lines of its configuration.
            identity: A private key to accept; None for a new one.
        """
        assert SSHD is not None
        folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(parents=True, exist_ok=True)
        port = port or free_port(address)
        host_key = make_key(folder / "host_key")
        identity = identity or make_key(folder / "identity")
        public = identity.with_name(identity.name + ".pub").read_text()
        (folder / "authorized_keys").write_text(public)
        kind, blob, *_ = (folder / "host_key.pub").read_text().split()
        known_hosts = folder / "known_hosts"
        known_hosts.write_text(f"{host_name(address, port)} {kind} {blob}\n")
        lines = [
            f"ListenAddress {address}", f"Port {port}", f"HostKey {host_key}", "PidFile none", "UsePAM no",
            f"AuthorizedKeysFile {folder / 'authorized_keys'}", "StrictModes no", "PasswordAuthentication no",
            "KbdInteractiveAuthentication no", "PermitRootLogin yes", "MaxStartups 200", "UseDNS no",
            f"Subsystem sftp {SFTP}", *options,
        ]  # fmt: skip
        (folder / "sshd_config").write_text("\n".join(lines) + "\n")
        prefix = ["ip", "netns", "exec", namespace] if namespace else []
        if ahead_s:
            prefix += ["unshare", "--time", "--monotonic", str(ahead_s)]
        with (folder / "log").open("wb") as log:
            command = [*prefix, SSHD, "-D", "-e", "-f", str(folder / "sshd_config")]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log, stdout=log)
        server = cls(folder, address, port, process, identity, known_hosts)
        try:
            server._wait_until_listening()
            yield server
        finally:
            server.cut_sessions()
            process.terminate()
            process.wait(10)

    def device(self, name: str = "pi", **fields: Any) -> Device:
        """Return the inventory's entry for this server; the agent's files lie in the server's folder."""
        values = {
            "name": name,
            "host": self.address,
            "port": self.port,
            "identity_file": str(self.identity),
            "work_dir": str(self.folder / "work"),
            "runtime": "system",
        }
        return Device.model_validate(values | fields)

    def lab(self, *devices: Device) -> Lab:
        """Return an inventory that knows this server's host key."""
        return Lab(path=None, devices=devices or (self.device(),), known_hosts=self.known_hosts)

    def session_pids(self) -> list[int]:
        """Return the processes that serve a login, outermost first."""
        return children_of(self.process.pid)

    def cut_sessions(self) -> None:
        """End all logins at once, as when the link is cut: nothing says goodbye."""
        for pid in self.session_pids():
            for victim in (*children_of(pid), pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)

    def _wait_until_listening(self) -> None:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if b"Server listening" in (self.folder / "log").read_bytes():
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        pytest.fail(f"sshd did not start: {(self.folder / 'log').read_text()}")


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has started and that still run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid:
                found.append(int(stat.parent.name))
    return found
