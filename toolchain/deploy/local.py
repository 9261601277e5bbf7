"""This machine as a device: programs are child processes, talked to over pipes."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import threading
from typing import TYPE_CHECKING

from edgepack.toolchain.deploy.connection import STDERR_KEPT_BYTES, Exit, silence
from edgepack.toolchain.errors import DeployError

if TYPE_CHECKING:
    from collections.abc import Sequence

_END_GRACE_S = 1.0


class LocalConnection:
    """Starts programs on this machine."""

    def __init__(self) -> None:
        self._streams: list[LocalStream] = []

    def open_stream(self, argv: Sequence[str]) -> LocalStream:
        """Start a program; see `Connection.open_stream`."""
        try:
            # A session of its own: Ctrl-C goes to edgepack, which ends the program in its own order.
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                bufsize=0,
            )
        except OSError as err:
            message = f"'{argv[0]}' cannot be started on this machine ({err.strerror})."
            raise DeployError(
                message, remedy="Set 'python' of the local device in lab.toml to a Python 3.9 or later."
            ) from err
        stream = LocalStream(process)
        self._streams.append(stream)
        return stream

    def close(self) -> None:
        """End all programs; see `Connection.close`."""
        for stream in self._streams:
            stream.close()


class LocalStream:
    """A child process; see `Stream`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin and process.stdout and process.stderr
        self._process = process
        self._stdin, self._stdout, self._stderr = process.stdin, process.stdout, process.stderr
        os.set_blocking(self._stdin.fileno(), False)
        self._lock = threading.Lock()
        self._kept = b""
        self._reader = threading.Thread(target=self._keep_stderr, name="edgepack-stderr", daemon=True)
        self._reader.start()

    def send(self, data: bytes | memoryview, *, timeout_s: float) -> None:
        """See `Stream.send`."""
        rest = memoryview(data).cast("B")
        poller = select.poll()
        try:
            poller.register(self._stdin, select.POLLOUT)
            while rest:
                if not poller.poll(timeout_s * 1000):
                    raise silence(timeout_s)
                rest = rest[os.write(self._stdin.fileno(), rest) :]
        except ValueError as err:  # closed by another thread
            raise BrokenPipeError from err

    def receive(self, size: int, *, timeout_s: float) -> bytes:
        """See `Stream.receive`."""
        poller = select.poll()
        try:
            poller.register(self._stdout, select.POLLIN)
            if not poller.poll(timeout_s * 1000):
                raise silence(timeout_s)
            return os.read(self._stdout.fileno(), size)
        except ValueError:  # closed by another thread
            return b""

    def finish(self, *, timeout_s: float) -> Exit:
        """See `Stream.finish`."""
        with contextlib.suppress(OSError):
            self._stdin.close()
        try:
            status = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired as err:
            raise silence(timeout_s) from err
        self._reader.join(_END_GRACE_S)
        return Exit(status if status >= 0 else None, self._kept.decode(errors="replace"))

    def close(self) -> None:
        """See `Stream.close`. The program gets a moment to end by itself, since its stdin has ended."""
        with self._lock:
            with contextlib.suppress(OSError):
                self._stdin.close()
            for end in (None, signal.SIGTERM, signal.SIGKILL):
                if end is not None:
                    os.killpg(self._process.pid, end)  # it has a session of its own, so a group, too
                try:
                    self._process.wait(_END_GRACE_S)
                    break
                except subprocess.TimeoutExpired:
                    continue
            self._reader.join(_END_GRACE_S)
            self._stdout.close()
            self._stderr.close()

    def _keep_stderr(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while chunk := os.read(self._stderr.fileno(), STDERR_KEPT_BYTES):
                self._kept = (self._kept + chunk)[-STDERR_KEPT_BYTES:]
