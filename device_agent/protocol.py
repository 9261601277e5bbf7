"""The wire: JSON objects, one a line, on stdin and stdout, with raw bytes after a line that announces them.

Rules:
    * `Channel` owns the real stdin and stdout. `take_stdio` points descriptor 1 at stderr first, so that no
      print, not even one of a C library, can corrupt the stream.
    * A line is at most 1 MiB. After a line that cannot be read nothing that follows can be trusted: the
      agent answers `bad_request` and ends.
    * The end of stdin, or a broken stdout, is the end of the host (`StoppedError`).
"""

from __future__ import annotations

import json
import os
import re
import select
import sys
import threading
from typing import IO, Any

from .errors import AgentError, StoppedError

PROTOCOL = 1
MAX_LINE_BYTES = 1 << 20
_BUFFER_BYTES = 1 << 20
_F_SETPIPE_SZ = 1031  # Linux fcntl.h; Python names it from 3.10 on

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
SHA256 = re.compile(r"[0-9a-f]{64}")
JOB_ID = re.compile(r"[0-9]{8}T[0-9]{6}-[0-9a-f]{8}")


def bad_request(message: str) -> AgentError:
    """Return the error for a request that is not as `PROTOCOL.md` says."""
    return AgentError("bad_request", message, "This is a bug in the host's edgepack; please report it.")


class FramingError(Exception):
    """What comes in cannot be told apart into lines and bytes any more; holds the answer to give."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.answer = bad_request(message)


class Span:
    """The raw bytes that belong to one announcement: a reader that cannot read too far."""

    def __init__(self, source: IO[bytes], size_bytes: int) -> None:
        self._source = source
        self.remaining = size_bytes

    def readinto(self, buffer: memoryview) -> int:
        """Read some of the bytes that are left; 0 at the end of the span.

        Raises:
            StoppedError: The stream ended inside the span.
        """
        if self.remaining == 0:
            return 0
        count: int = self._source.readinto1(buffer[: self.remaining])  # type: ignore[attr-defined]
        if count == 0:
            raise StoppedError
        self.remaining -= count
        return count

    def drain(self) -> None:
        """Read and drop what is left."""
        buffer = memoryview(bytearray(min(self.remaining, _BUFFER_BYTES)))
        while self.readinto(buffer):
            pass


class Channel:
    """Both directions of the conversation with the host."""

    def __init__(self, source: IO[bytes], sink: IO[bytes]) -> None:
        self._source = source
        self._sink = sink
        self._lock = threading.Lock()  # a sign of life comes from a thread of its own

    def read_line(self) -> dict[str, Any] | None:
        """Return the next request; None when the host has closed the stream.

        Raises:
            FramingError: The line is too long, or not a JSON object.
        """
        line = self._source.readline(MAX_LINE_BYTES + 1)
        if not line.endswith(b"\n"):
            if len(line) > MAX_LINE_BYTES:
                message = f"A line is longer than {MAX_LINE_BYTES} bytes."
                raise FramingError(message)
            return None
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as err:
            message = f"A line is not JSON: {err}."
            raise FramingError(message) from err
        if not isinstance(value, dict):
            message = "A line is not a JSON object."
            raise FramingError(message)
        return value

    def span(self, size_bytes: int) -> Span:
        """Return a reader of the raw bytes that come next."""
        return Span(self._source, size_bytes)

    def has_input(self) -> bool:
        """Return whether the host has sent something more.

        Raises:
            StoppedError: The host has closed the stream.
        """
        if not select.select([self._source], [], [], 0)[0]:
            return False
        if not self._source.peek(1):  # type: ignore[attr-defined]
            raise StoppedError
        return True

    def send(self, message: dict[str, Any]) -> None:
        """Send one line.

        Raises:
            StoppedError: The host is gone.
        """
        self._write(json.dumps(message, separators=(",", ":"), allow_nan=False).encode() + b"\n")

    def send_file(self, file: IO[bytes]) -> None:
        """Send a file's bytes, raw, after the line that has announced them."""
        while chunk := file.read(_BUFFER_BYTES):
            self._write(chunk)

    def _write(self, data: bytes) -> None:
        try:
            with self._lock:
                self._sink.write(data)
                self._sink.flush()
        except (BrokenPipeError, ConnectionResetError):
            raise StoppedError from None


def take_stdio() -> Channel:
    """Take stdin and stdout for the protocol; from now on a print goes to stderr."""
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    _enlarge_pipe(0)
    return Channel(open(0, "rb", buffering=_BUFFER_BYTES, closefd=False), sink)


def _enlarge_pipe(descriptor: int) -> None:
    """Let a pipe hold 1 MiB instead of 64 KiB: fewer switches between sender and agent during an upload."""
    import fcntl

    try:
        fcntl.fcntl(descriptor, _F_SETPIPE_SZ, _BUFFER_BYTES)
    except OSError:
        return  # not a pipe, or above this user's limit: only slower
