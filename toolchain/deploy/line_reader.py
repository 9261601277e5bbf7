"""Lines and raw bytes from a device that may say anything: bounded, and harmless to show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from edgepack.toolchain.deploy.messages import MAX_LINE_BYTES
from edgepack.toolchain.errors import AgentError

if TYPE_CHECKING:
    from edgepack.toolchain.deploy.connection import Stream

_CHUNK_BYTES = 1 << 18
_SHOWN_BYTES = 120


class LineReader:
    """Reads lines and raw bytes from a stream, never more than a line's limit ahead."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._buffer = bytearray()

    def read_line(self, timeout_s: float) -> bytes | None:
        """Return the next line without its end, or None at the end of the stream."""
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            if searched > MAX_LINE_BYTES:
                message = f"The device sent a line of more than {MAX_LINE_BYTES} bytes."
                raise AgentError(message, remedy="Check what the device runs under the name of the agent.")
            chunk = self._stream.receive(_CHUNK_BYTES, timeout_s=timeout_s)
            if not chunk:
                return None
            self._buffer += chunk
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    def read_bytes(self, size: int, timeout_s: float) -> bytes:
        """Return between 1 and `size` bytes, or none at the end of the stream."""
        if not self._buffer:
            return self._stream.receive(size, timeout_s=timeout_s)
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data


def shown(data: bytes) -> str:
    """Return the beginning of what a device said, harmless for a terminal."""
    text = ascii(data[:_SHOWN_BYTES].decode(errors="replace"))
    return text if len(data) <= _SHOWN_BYTES else f"{text}..."


def printable(text: str) -> str:
    """Return a device's text without what a terminal would obey."""
    return "".join(char if char.isprintable() else " " for char in text)


def last_line(stderr: str) -> str:
    """Return the last line of a program's stderr: the one that says what is wrong in a Python traceback."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return printable(lines[-1])[:500] if lines else ""


def first_fault(error: Exception) -> str:
    """Return what is wrong with a message, in short."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return str(error)
