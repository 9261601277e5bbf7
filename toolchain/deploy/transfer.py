"""Pushing contents to a device: only what it lacks, as one stream, from where a cut upload stopped.

Rules:
    * A content is named by its SHA-256. What the device has is not sent again.
    * All contents of a request travel after each other in one stream: files cost bytes, not round trips.
    * The device hashes what arrives and keeps a content only under the hash that it has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from edgepack.toolchain.deploy.messages import MissingBlobs, Stored
from edgepack.toolchain.errors import AgentError, PackageError
from edgepack.toolchain.progress import silent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from edgepack.toolchain.deploy.agent_session import AgentSession
    from edgepack.toolchain.progress import Report

T = TypeVar("T")
_BLOBS_PER_REQUEST = 4096  # a line of the protocol has at most 1 MiB
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Blob:
    """A content that a device should have.

    Attributes:
        sha256: Its SHA-256, 64 hex digits.
        size_bytes: Its size in bytes.
        open: Returns the content in chunks, from the beginning.
    """

    sha256: str
    size_bytes: int
    open: Callable[[], Iterable[bytes]]


@dataclass(frozen=True)
class Missing:
    """A content that the device lacks, and how much of it has arrived already."""

    blob: Blob
    offset_bytes: int

    @property
    def left_bytes(self) -> int:
        """What is still to be sent."""
        return self.blob.size_bytes - self.offset_bytes


@dataclass(frozen=True)
class Need:
    """What is to be sent to a device.

    Attributes:
        missing: The contents that it lacks.
        free_bytes: Free space on the device; None where it cannot tell.
    """

    missing: tuple[Missing, ...]
    free_bytes: int | None

    @property
    def left_bytes(self) -> int:
        """The bytes that are still to be sent."""
        return sum(missing.left_bytes for missing in self.missing)


def blob_of_bytes(sha256: str, data: bytes) -> Blob:
    """Return the blob of bytes in memory."""
    starts = range(0, len(data), _CHUNK_BYTES)
    return Blob(sha256, len(data), lambda: (data[start : start + _CHUNK_BYTES] for start in starts))


def blob_of_file(sha256: str, path: Path, size_bytes: int) -> Blob:
    """Return the blob of a file."""
    return Blob(sha256, size_bytes, lambda: _read(path))


def find_missing(session: AgentSession, blobs: Iterable[Blob]) -> Need:
    """Ask the device which contents it lacks.

    Raises:
        AgentError: The answer names a content that was not asked for, or more of it than there is.
        NetworkError: The link failed.
    """
    by_hash = {blob.sha256: blob for blob in blobs}
    missing: list[Missing] = []
    free_bytes = None
    for group in _groups(list(by_hash.values())):
        asked = [{"sha256": blob.sha256, "size_bytes": blob.size_bytes} for blob in group]
        answer = session.request("blobs.missing", MissingBlobs, blobs=asked)
        free_bytes = answer.free_bytes
        for found in answer.missing:
            blob = by_hash.get(found.sha256)
            if blob is None or found.offset_bytes > blob.size_bytes:
                message = f"{session.device.name}: the agent asks for content that it was not offered."
                raise AgentError(message, remedy="Check what runs on the device under the name of the agent.")
            missing.append(Missing(blob, found.offset_bytes))
    return Need(tuple(missing), free_bytes)


def push(session: AgentSession, need: Need, *, report: Report = silent) -> int:
    """Send what a device lacks and return the number of bytes sent.

    Args:
        session: The device's agent.
        need: What `find_missing` found.
        report: Told "push", bytes sent and bytes to send.

    Raises:
        AgentError: "disk_full", or "hash_mismatch" where a source changed while it was read.
        PackageError: A source is shorter than it said.
        NetworkError: The link failed; another call goes on from there.
    """
    _check_space(session, need)
    sent = 0

    def count(chunks: Iterable[bytes]) -> Iterator[bytes]:
        nonlocal sent
        for chunk in chunks:
            yield chunk
            sent += len(chunk)
            report("push", sent, need.left_bytes)

    for group in _groups(list(need.missing)):
        entries = [
            {
                "sha256": missing.blob.sha256,
                "size_bytes": missing.blob.size_bytes,
                "offset_bytes": missing.offset_bytes,
            }
            for missing in group
        ]
        session.request("blobs.put", Stored, blobs=entries, payload=count(_joined(group)))
    return sent


def push_blobs(session: AgentSession, blobs: Iterable[Blob], *, report: Report = silent) -> int:
    """Send those contents that the device lacks and return the number of bytes sent; see `push`."""
    return push(session, find_missing(session, blobs), report=report)


def _check_space(session: AgentSession, need: Need) -> None:
    if need.free_bytes is not None and need.left_bytes > need.free_bytes:
        name, lacking = session.device.name, need.left_bytes - need.free_bytes
        message = f"{name}: {need.left_bytes} bytes are to be sent, and the disk has {need.free_bytes} free."
        remedy = f"Free {lacking} bytes there, or set 'work_dir' in lab.toml to a folder on a larger disk."
        raise AgentError(message, remedy=remedy, code="disk_full")


def _joined(group: list[Missing]) -> Iterator[bytes]:
    """Yield the contents of a request after each other, small ones together so that they fill packets."""
    buffer = bytearray()
    for missing in group:
        for chunk in _from_offset(missing):
            if len(chunk) >= _CHUNK_BYTES and not buffer:
                yield chunk
                continue
            buffer += chunk
            if len(buffer) >= _CHUNK_BYTES:
                yield bytes(buffer)
                buffer.clear()
    if buffer:
        yield bytes(buffer)


def _from_offset(missing: Missing) -> Iterator[bytes]:
    """Yield a content from where the device's part ends, exactly as many bytes as were announced."""
    position, blob = 0, missing.blob
    for chunk in blob.open():
        start = max(0, missing.offset_bytes - position)
        position += len(chunk)
        if position > blob.size_bytes:
            break
        if start < len(chunk):
            yield chunk[start:] if start else chunk
    if position != blob.size_bytes:
        message = f"Content {blob.sha256} has {position} bytes or more; {blob.size_bytes} were announced."
        raise PackageError(message, remedy="It changed while it was read: run the same command again.")


def _groups(items: list[T]) -> Iterator[list[T]]:
    for start in range(0, len(items), _BLOBS_PER_REQUEST):
        yield items[start : start + _BLOBS_PER_REQUEST]


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk
