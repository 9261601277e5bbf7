"""The seam between edgepack and a device: start a program there, talk to it, learn how it ended.

Two implementations: `ssh.py` (a device over SSH) and `local.py` (child processes of this machine).
All else in edgepack sees only what stands here.

Rules:
    * A program is an argument list, never a shell line.
    * Every wait has a timeout. A link that fails raises `NetworkError`, and nothing else does.
    * What a program writes on stderr is for people: its end is kept, and it can never block the program.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from edgepack.toolchain.errors import DeployError, NetworkError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgepack.toolchain.deploy.inventory import Device, Lab

STDERR_KEPT_BYTES = 16_384
MAX_OUTPUT_BYTES = 4 << 20
_CHUNK_BYTES = 1 << 16


@dataclass(frozen=True)
class Exit:
    """How a program ended.

    Attributes:
        status: Its exit status; None where it was ended by a signal or the status was lost.
        stderr: The end of what it wrote on stderr.
    """

    status: int | None
    stderr: str


@dataclass(frozen=True)
class Completed:
    """A program that has ended, with all that it wrote on stdout."""

    status: int | None
    stdout: bytes
    stderr: str


class Stream(Protocol):
    """A program that runs on the device."""

    def send(self, data: bytes | memoryview, *, timeout_s: float) -> None:
        """Write all bytes to the program's stdin.

        Raises:
            BrokenPipeError: The program no longer reads.
            NetworkError: The link failed, or nothing could be written for `timeout_s`.
        """

    def receive(self, size: int, *, timeout_s: float) -> bytes:
        """Return between 1 and `size` bytes of the program's stdout, or none at its end.

        Raises:
            NetworkError: The link failed, or nothing came for `timeout_s`.
        """

    def finish(self, *, timeout_s: float) -> Exit:
        """Close stdin and wait for the program's end.

        Raises:
            NetworkError: The link failed, or the program did not end within `timeout_s`.
        """

    def close(self) -> None:
        """Give the program up. A second call does nothing."""


class Connection(Protocol):
    """A way to a device. Used by one thread at a time, but `close` may be called from any."""

    def open_stream(self, argv: Sequence[str]) -> Stream:
        """Start a program in the home folder of the device's user (a local device: in this folder).

        Raises:
            NetworkError: The link failed.
            DeployError: The device refuses to start programs.
        """

    def close(self) -> None:
        """Close the connection and all its streams. A second call does nothing."""


class Cancellation:
    """A switch that ends work on devices from another thread, by closing the connections it waits on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connections: set[Connection] = set()
        self._event = threading.Event()

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._event.is_set()

    def add(self, connection: Connection) -> None:
        """Close this connection when the work is cancelled, or now if it is already."""
        with self._lock:
            self._connections.add(connection)
        if self.cancelled:
            connection.close()

    def discard(self, connection: Connection) -> None:
        """Forget a connection."""
        with self._lock:
            self._connections.discard(connection)

    def wait(self, timeout_s: float) -> bool:
        """Sleep, and return early with True when cancelled."""
        return self._event.wait(timeout_s)

    def cancel(self) -> None:
        """End the work."""
        self._event.set()
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            connection.close()


def connect(device: Device, lab: Lab) -> Connection:
    """Open the way to a device.

    Raises:
        NetworkError: The device does not answer.
        HostKeyError: Its host key is unknown or has changed.
        DeployError: It refused the login.
    """
    if device.kind == "local":
        from edgepack.toolchain.deploy.local import LocalConnection

        return LocalConnection()
    from edgepack.toolchain.deploy.ssh import connect_ssh

    return connect_ssh(device, lab)


def run(connection: Connection, argv: Sequence[str], *, data: bytes = b"", timeout_s: float) -> Completed:
    """Run a program on a device to its end.

    Args:
        connection: The way to the device.
        argv: Program and arguments.
        data: Given to the program on stdin.
        timeout_s: Seconds that the program may be silent.

    Raises:
        NetworkError: The link failed, or the program was silent for too long.
        DeployError: The program wrote more than `MAX_OUTPUT_BYTES`.
    """
    stream = connection.open_stream(argv)
    try:
        output = bytearray()
        try:
            stream.send(data, timeout_s=timeout_s)
        except BrokenPipeError:
            pass  # It ended without reading all; its exit status tells why.
        else:
            output = _read_all(stream, argv[0], timeout_s)
        ended = stream.finish(timeout_s=timeout_s)
        return Completed(ended.status, bytes(output), ended.stderr)
    finally:
        stream.close()


def _read_all(stream: Stream, program: str, timeout_s: float) -> bytearray:
    """Return all of a program's stdout; it must not wait for the end of stdin."""
    output = bytearray()
    while chunk := stream.receive(_CHUNK_BYTES, timeout_s=timeout_s):
        output += chunk
        if len(output) > MAX_OUTPUT_BYTES:
            message = f"'{program}' wrote more than {MAX_OUTPUT_BYTES} bytes."
            raise DeployError(
                message, remedy="Check what the device starts for this user, such as a login script."
            )
    return output


def silence(timeout_s: float) -> NetworkError:
    """Return the error of a wait that took too long."""
    message = f"The program on the device was silent for {timeout_s:g} s."
    remedy = "Check the device and the link; raise 'answer_timeout_s' in lab.toml for a slow device."
    return NetworkError(message, remedy=remedy)
