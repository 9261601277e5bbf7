"""What was built for emulated devices, kept in the user's cache.

Rules:
    * A folder is named by a hash of everything that it was made from, and nobody writes into it afterwards.
    * It is made under another name and renamed when it is complete: a build that was cut off leaves nothing
      that counts.
    * A file lock lets one process build while others wait for the result.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_KEY_DIGITS = 16


def cache_dir() -> Path:
    """Return the folder of built images, which `EDGEPACK_CACHE_DIR` moves."""
    named = os.environ.get("EDGEPACK_CACHE_DIR")
    root = Path(named).expanduser() if named else platformdirs.user_cache_path("edgepack")
    return root.absolute() / "lab"


def cached_folder(name: str, reads: Iterable[str]) -> Path:
    """Return where the result of a build lies, whether or not it is there."""
    key = hashlib.sha256("\0".join(reads).encode()).hexdigest()[:_KEY_DIGITS]
    return cache_dir() / f"{name}-{key}"


def cached(name: str, reads: Iterable[str], make: Callable[[Path], None]) -> Path:
    """Return the folder that a build made, running it where that has not happened yet.

    Args:
        name: What the folder is called.
        reads: Everything that the result depends on.
        make: Fills the folder that it is given.
    """
    folder = cached_folder(name, reads)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            part = folder.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            try:
                make(part)
                part.rename(folder)
            finally:
                shutil.rmtree(part, ignore_errors=True)
    return folder


def size_bytes(folder: Path) -> int:
    """Return the disk space that a folder takes: blocks, since disk images have holes."""
    if not folder.exists():
        return 0
    return sum(path.lstat().st_blocks * 512 for path in (folder, *folder.rglob("*")))
