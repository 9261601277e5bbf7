"""The file of a job's record: whole or absent, after a kill, a full disk or a power cut at any moment.

The first line is `<sha256> <size_bytes>`, of the record, which follows it. A file whose content is not what
its first line says is torn, and is never sent as a record.

Rules:
    * Room for the record is taken when the job starts (`reserve`); the record is written into that room.
      A disk that has filled up meanwhile cannot refuse it.
    * A record that is larger than its room, on a full disk, waits for space and is not given up.
    * Written, fsynced, renamed, folder fsynced. Whoever is killed between the last byte and the rename
      leaves a whole record under the name of the room; `recover` finishes what is left.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
from typing import IO, TYPE_CHECKING

from .durable import CHUNK_BYTES, fsync_path
from .errors import AgentError, is_disk_full

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAME = "record"
RESERVE_NAME = "record.new"
RETRY_S = 5.0
_HEADER = re.compile(rb"([0-9a-f]{64}) ([0-9]{1,12})\n")
_MAX_HEADER_BYTES = 80


def reserve(folder: Path, size_bytes: int) -> None:
    """Take the room for a record.

    Raises:
        OSError: There is no space for it.
    """
    descriptor = os.open(folder / RESERVE_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, size_bytes)
        os.fsync(descriptor)
    except OSError as err:
        if is_disk_full(err):
            os.unlink(folder / RESERVE_NAME)
            raise
        # A file system that cannot allocate ahead: the record is written when it is there.
    finally:
        os.close(descriptor)


def write(folder: Path, data: bytes, waiting: Callable[[], None]) -> None:
    """Write a record, however long a full disk keeps it waiting.

    Args:
        folder: The job's folder.
        data: The record.
        waiting: Called before each pause while the disk is full.

    Raises:
        OSError: The disk refuses for another reason than space.
    """
    header = f"{hashlib.sha256(data).hexdigest()} {len(data)}\n".encode()
    while True:
        try:
            _write_once(folder, header, data)
            return
        except OSError as err:
            if not is_disk_full(err):
                raise
        waiting()
        time.sleep(RETRY_S)


def _write_once(folder: Path, header: bytes, data: bytes) -> None:
    descriptor = os.open(folder / RESERVE_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        # The header, which makes the file a record, comes after all that it speaks of.
        _write_at(descriptor, memoryview(data), len(header))
        os.ftruncate(descriptor, len(header) + len(data))
        os.fsync(descriptor)
        _write_at(descriptor, memoryview(header), 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    _rename(folder)


def _write_at(descriptor: int, data: memoryview, offset: int) -> None:
    while data:
        written = os.pwrite(descriptor, data[:CHUNK_BYTES], offset)
        data, offset = data[written:], offset + written


def _rename(folder: Path) -> None:
    os.replace(folder / RESERVE_NAME, folder / NAME)
    fsync_path(folder)


def recover(folder: Path) -> bool:
    """Finish the record of a job that was killed right before the rename. Call only when the job is gone.

    Returns:
        Whether the job has a record now.
    """
    with contextlib.suppress(OSError):  # there is no room, or another agent has just done it
        with open(folder / RESERVE_NAME, "rb") as file:
            is_whole = _check(file) is not None
            os.fsync(file.fileno())
        if is_whole:
            _rename(folder)
    return (folder / NAME).exists()


def open_record(folder: Path) -> tuple[IO[bytes], int, str]:
    """Open a record for sending.

    Returns:
        The file, which stands at the record's first byte; the record's size in bytes; and its SHA-256.

    Raises:
        FileNotFoundError: There is no record.
        AgentError: `damaged`: its content is not what was written.
    """
    file = open(folder / NAME, "rb")  # noqa: SIM115 - handed to the caller
    found = _check(file)
    if found is None:
        file.close()
        message = f"The record of the job {folder.name} was damaged on the device's disk."
        remedy = f"Remove it (edgepack jobs remove {folder.name}) and measure again; check the SD card."
        raise AgentError("damaged", message, remedy)
    return file, *found


def size_bytes(folder: Path) -> int | None:
    """Return the size of a record as its first line tells, or None where there is no such line."""
    try:
        with open(folder / NAME, "rb") as file:
            header = _HEADER.match(file.read(_MAX_HEADER_BYTES))
    except OSError:
        return None
    return int(header[2]) if header else None


def _check(file: IO[bytes]) -> tuple[int, str] | None:
    """Return size and hash of the record in a file, and stand at its first byte; None where it is torn."""
    header = _HEADER.match(file.read(_MAX_HEADER_BYTES))
    if header is None:
        return None
    sha256, size = header[1].decode(), int(header[2])
    file.seek(header.end())
    digest = hashlib.sha256()
    while chunk := file.read(CHUNK_BYTES):
        digest.update(chunk)
    if file.tell() - header.end() != size or digest.hexdigest() != sha256:
        return None
    file.seek(header.end())
    return size, sha256
