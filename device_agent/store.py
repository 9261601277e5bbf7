"""Contents on the device, by their SHA-256: what has arrived, what is missing, what can go.

Rules:
    * A content is written as `blobs/<sha256>.part` while it arrives, hashed on the way, and renamed when the
      hash is right. A cut upload leaves the part, and the next one goes on where it ended, after hashing
      what is there.
    * Blobs are not fsynced one by one: 500 small files would wait for 500 journal commits. Nothing is
      trusted because it lies in `blobs/`: install hashes every file again and fsyncs it once, before
      the one rename that makes it count. A blob that a power cut has damaged is found then, removed,
      and sent again.
    * A blob that is part of an installed package shares its bytes with it (a hard link), so keeping it
      costs nothing, and the next version's unchanged files need not be sent.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import time
from typing import TYPE_CHECKING, Any

from .durable import CHUNK_BYTES
from .errors import AgentError, StoppedError, from_os_error

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .layout import WorkDir
    from .protocol import Span

# How long a content that no package uses is kept for an upload that is taken up again.
_KEEP_S = 7 * 24 * 3600


def free_bytes(path: Path) -> int:
    """Return how much the user may still write on a folder's filesystem."""
    return shutil.disk_usage(path).free


def missing(work: WorkDir, blobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return which contents are absent, with the bytes of each that have arrived already."""
    absent = []
    for blob in blobs:
        path = f"{work.blobs}/{blob['sha256']}"
        if _size(path) == blob["size_bytes"]:
            continue
        arrived = _size(f"{path}.part") or 0
        absent.append(
            {"sha256": blob["sha256"], "offset_bytes": arrived if arrived <= blob["size_bytes"] else 0}
        )
    return absent


def put(work: WorkDir, blobs: list[dict[str, Any]], span: Callable[[int], Span]) -> int:
    """Store contents as they arrive.

    Args:
        work: The work directory.
        blobs: What comes, in this order, each from its `offset_bytes` to its `size_bytes`.
        span: Gives a reader of the next so many raw bytes.

    Returns:
        The number of contents that are now on the device.

    Raises:
        AgentError: `disk_full`, `hash_mismatch`: the first failure, after all bytes were read and every
            content that arrived whole was kept.
        StoppedError: The stream ended early; the part that arrived stays.
    """
    failure: AgentError | None = None
    stored = 0
    buffer = memoryview(bytearray(CHUNK_BYTES))
    for blob in blobs:
        source = span(blob["size_bytes"] - blob["offset_bytes"])
        try:
            _receive(work, blob, source, buffer)
            stored += 1
        except AgentError as err:
            failure = failure or err
        except OSError as err:
            failure = failure or from_os_error(err)
        source.drain()
    if failure:
        raise failure
    return stored


def _receive(work: WorkDir, blob: dict[str, Any], source: Span, buffer: memoryview) -> None:
    final = f"{work.blobs}/{blob['sha256']}"
    if _size(final) == blob["size_bytes"]:
        return
    part, descriptor = _open_part(final, blob["offset_bytes"])
    try:
        digest = _hash_arrived(descriptor, blob, buffer)
        while count := source.readinto(buffer):
            digest.update(buffer[:count])
            _write(descriptor, buffer[:count])
        if digest.hexdigest() != blob["sha256"]:
            message = f"The content {blob['sha256'][:16]}… has SHA-256 {digest.hexdigest()[:16]}… on arrival."
            raise AgentError("hash_mismatch", message, "Send it again; if that fails too, check the link.")
        os.replace(part, final)
    except StoppedError:
        raise  # the part stays: the next upload goes on from there
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(part)
        raise
    finally:
        os.close(descriptor)


def _open_part(final: str, offset: int) -> tuple[str, int]:
    """Open the part of a content for this agent alone.

    The lock keeps two agents from writing one part. An agent whose host is gone may sit on it until TCP
    notices: then this one goes on with a copy of what has arrived.
    """
    part = f"{final}.part"
    descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _inode(part) == os.fstat(descriptor).st_ino:
            return part, descriptor
    except BlockingIOError:
        pass
    with os.fdopen(descriptor, "rb") as other:
        arrived = other.read(offset)
    private = f"{final}.{os.getpid()}.part"
    descriptor = os.open(private, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        _write(descriptor, memoryview(arrived))
    except BaseException:
        os.close(descriptor)
        os.unlink(private)
        raise
    return private, descriptor


def _hash_arrived(descriptor: int, blob: dict[str, Any], buffer: memoryview) -> Any:
    """Hash the bytes before the offset and leave the file's end and position there."""
    digest = hashlib.sha256()
    left = blob["offset_bytes"]
    if os.fstat(descriptor).st_size < left:
        message = (
            f"Less of {blob['sha256'][:16]}… has arrived than the {left} bytes that the upload builds on."
        )
        raise AgentError("hash_mismatch", message, "Send it again from its start.")
    os.lseek(descriptor, 0, os.SEEK_SET)
    while left:
        count = os.readv(descriptor, [buffer[:left]])
        digest.update(buffer[:count])
        left -= count
    os.ftruncate(descriptor, blob["offset_bytes"])
    return digest


def _write(descriptor: int, data: memoryview) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def blob_path(work: WorkDir, sha256: str) -> Path:
    """Return where a content lies.

    Raises:
        AgentError: `missing_blob`: it is not on the device.
    """
    path = work.blobs / sha256
    if not path.is_file():
        message = f"The content {sha256[:16]}… is not on the device."
        raise AgentError("missing_blob", message, "Deploy again: what is missing is sent anew.")
    return path


def read_blob(work: WorkDir, sha256: str, *, max_bytes: int) -> bytes:
    """Return a small content after checking its hash.

    Raises:
        AgentError: `missing_blob`, `hash_mismatch` (the damaged blob is removed) or `bad_package` (too big).
    """
    path = blob_path(work, sha256)
    with open(path, "rb") as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        message = f"The content {sha256[:16]}… is larger than the {max_bytes} bytes allowed for it."
        raise AgentError("bad_package", message, "Build the package again.")
    if hashlib.sha256(data).hexdigest() != sha256:
        raise damaged(work, sha256)
    return data


def damaged(work: WorkDir, sha256: str) -> AgentError:
    """Remove a content that is not what its name says, and return the error that says so."""
    with contextlib.suppress(OSError):
        (work.blobs / sha256).unlink()
    message = f"The content {sha256[:16]}… was damaged on the device's disk and has been removed."
    return AgentError(
        "hash_mismatch", message, "Deploy again: it is sent anew. Check the SD card if it recurs."
    )


def place(work: WorkDir, sha256: str, target: Path) -> None:
    """Make a file of the store from a content: a hard link, or a copy where there are no links."""
    source = blob_path(work, sha256)
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
    target.chmod(0o444)


def forget(work: WorkDir, inodes: set[int]) -> None:
    """Remove the contents that only a package which is gone now has shared."""
    for entry in os.scandir(work.blobs):
        if entry.inode() in inodes and entry.stat(follow_symlinks=False).st_nlink == 1:
            os.unlink(entry.path)


def forget_unused(work: WorkDir) -> None:
    """Remove contents and parts that no package shares and that nobody has taken up for a week."""
    oldest = time.time() - _KEEP_S
    for entry in os.scandir(work.blobs):
        status = entry.stat(follow_symlinks=False)
        if status.st_nlink == 1 and status.st_mtime < oldest:
            os.unlink(entry.path)


def _size(path: str) -> int | None:
    try:
        return os.stat(path).st_size
    except OSError:
        return None


def _inode(path: str) -> int | None:
    try:
        return os.stat(path).st_ino
    except OSError:
        return None
