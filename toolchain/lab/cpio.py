"""The archive format of the kernel's first file system.

Rules:
    * Archives may be put one after the other, compressed or not: the kernel unpacks them in this order.
    * The same files give the same bytes.

Source: the kernel's Documentation/driver-api/early-userspace/buffer-format.rst ("newc").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_FOLDER, _FILE = 0o040755, 0o100000
_END = "TRAILER!!!"


def cpio(files: Mapping[str, tuple[bytes, int]]) -> bytes:
    """Return an archive.

    Args:
        files: By path, without a leading slash: content and permissions. The folders come with them.
    """
    entries: dict[str, tuple[int, bytes]] = {}
    for path, (data, mode) in files.items():
        parts = path.split("/")
        for depth in range(1, len(parts)):
            entries.setdefault("/".join(parts[:depth]), (_FOLDER, b""))
        entries[path] = (_FILE | mode, data)
    numbered = [*entries.items(), (_END, (0, b""))]
    return b"".join(_entry(number, path, *entry) for number, (path, entry) in enumerate(numbered, 1))


def _entry(number: int, path: str, mode: int, data: bytes) -> bytes:
    name = path.encode() + b"\0"
    links = 2 if mode == _FOLDER else 1
    numbers = (number, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(name), 0)
    header = b"070701" + b"".join(b"%08X" % value for value in numbers)
    return _padded(header + name) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
