"""Files that survive a power cut: complete under their final name, or absent.

The order is always: write under a temporary name, fsync the file, rename, fsync the folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

CHUNK_BYTES = 1 << 20
# From this many files on, one sync() of everything is cheaper than the journal commits of that many fsync()s.
_MANY_FILES = 32
# What a note of `overwrite_json` occupies, padded with blanks.
_NOTE_BYTES = 1024


def fsync_path(path: Path) -> None:
    """Wait until a file's content, or a folder's entries, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_tree(root: Path) -> None:
    """Wait until every file and folder below a folder is on the disk.

    With many files a `sync()` goes first, which writes them together; the fsyncs after it find
    nothing left to write, and report errors that `sync()` would keep to itself.
    """
    folders, files = [], []
    for folder, _, names in os.walk(root):
        folders.append(Path(folder))
        files += [Path(folder, name) for name in names]
    if len(files) > _MANY_FILES:
        os.sync()
    for path in (*files, *reversed(folders)):
        fsync_path(path)


def write_atomic(path: Path, data: bytes) -> None:
    """Replace a file by one rename; the old content stays if anything fails before."""
    temporary = path.with_name(f".new-{os.getpid()}-{path.name}")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    fsync_path(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file by one rename."""
    write_atomic(path, json.dumps(value, separators=(",", ":"), allow_nan=False).encode())


def overwrite_json(path: Path, value: Any) -> None:
    """Replace a small note that needs not survive a power cut, in the room that it has already.

    Nothing is allocated once the note exists, so a full disk cannot refuse, and nothing is synced, so a
    flash card is not worn. A reader may meet a torn note, and `read_json` gives None for it.
    """
    data = json.dumps(value, separators=(",", ":"), allow_nan=False).encode().ljust(_NOTE_BYTES)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.pwrite(descriptor, data, 0)
        os.ftruncate(descriptor, len(data))
    finally:
        os.close(descriptor)


def read_json(path: Path) -> Any:
    """Return the value of a JSON file, or None where it is absent or damaged."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's content."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(CHUNK_BYTES))
    with open(path, "rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
    return digest.hexdigest()


def remove_tree(path: Path) -> int:
    """Remove a file, a link or a folder if it is there. Returns the bytes of the files removed."""
    if path.is_symlink() or not path.is_dir():
        with contextlib.suppress(FileNotFoundError):
            size = path.lstat().st_size
            path.unlink()
            return size
        return 0
    size = sum(file.lstat().st_size for file in path.rglob("*") if file.is_file())
    shutil.rmtree(path, ignore_errors=True)
    return size
