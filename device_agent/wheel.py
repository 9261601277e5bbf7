"""Unpack a wheel without pip.

A wheel is a zip from elsewhere: names, counts and sizes are checked before anything is written, and no more
is written than was announced.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from .durable import CHUNK_BYTES
from .errors import AgentError
from .store import free_bytes

if TYPE_CHECKING:
    from pathlib import Path

_MAX_ENTRIES = 50_000


def unpack_wheel(path: Path, site: Path, *, name: str, max_bytes: int) -> int:
    """Unpack what a wheel would put into site-packages; scripts, headers and data files are left out.

    Args:
        path: The wheel.
        site: The folder to unpack into.
        name: What to call the wheel in an error.
        max_bytes: How much may be written.

    Returns:
        The bytes written.

    Raises:
        AgentError: `bad_package`: it is not a sound wheel; `disk_full`: it would not fit.

    Source: the binary distribution format (PEP 427), "Installing a wheel"; `.data/purelib` and
    `.data/platlib`
        spread into site-packages.
    """
    try:
        with zipfile.ZipFile(path) as wheel:
            entries = _checked_entries(wheel, name, max_bytes)
            total = sum(entry.file_size for entry, _ in entries)
            if total > free_bytes(site):
                message = f"{name} needs {total} bytes unpacked; the device has {free_bytes(site)} free."
                raise AgentError("disk_full", message, "Free space on the device, then try again.")
            for entry, target in entries:
                _unpack_entry(wheel, entry, site / target)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as err:
        raise _bad_wheel(name, str(err)) from err
    return total


def _checked_entries(wheel: zipfile.ZipFile, name: str, max_bytes: int) -> list[tuple[zipfile.ZipInfo, str]]:
    infos = wheel.infolist()
    if len(infos) > _MAX_ENTRIES or sum(info.file_size for info in infos) > max_bytes:
        raise _bad_wheel(name, f"it unpacks to more than {_MAX_ENTRIES} files or {max_bytes} bytes")
    entries = []
    for info in infos:
        parts = PurePosixPath(info.filename).parts
        kind = info.external_attr >> 28  # the upper 4 bits of st_mode: 10 is a link, 8 a file, 4 a folder
        safe = parts and not info.filename.startswith("/") and ".." not in parts and "\\" not in info.filename
        if not safe or "\0" in info.filename or kind not in (0, 4, 8):
            raise _bad_wheel(name, f"the entry {info.filename!r:.120} is not allowed")
        if parts[0].endswith(".data"):
            parts = parts[2:] if parts[1:2] in (("purelib",), ("platlib",)) else ()
        if parts and not info.is_dir():
            entries.append((info, "/".join(parts)))
    return entries


def _unpack_entry(wheel: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    left = entry.file_size
    with wheel.open(entry) as source, open(target, "wb") as sink:
        while chunk := source.read(min(CHUNK_BYTES, left + 1)):
            left -= len(chunk)
            if left < 0:
                message = f"{entry.filename} is longer than it says"
                raise zipfile.BadZipFile(message)
            sink.write(chunk)


def _bad_wheel(name: str, why: str) -> AgentError:
    return AgentError(
        "bad_package",
        f"{name} is not a sound wheel: {why}.",
        "Remove it from the host's cache; deploy again.",
    )
