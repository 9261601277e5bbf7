"""Small readers of the files in which a kernel tells about its machine.

A fact that cannot be had is None, never 0 and never an error: boards differ in what they show, containers
hide most of it, and some drivers answer a read with an error while they have no value.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Sources:
    """Where a machine tells about itself; tests point elsewhere.

    Attributes:
        sys: The kernel's devices.
        proc: The kernel's processes and totals.
        vcgencmd: Where Raspberry Pi OS and Debian install the firmware's tool.
    """

    sys: Path = Path("/sys")
    proc: Path = Path("/proc")
    vcgencmd: tuple[str, ...] = ("/usr/bin/vcgencmd", "/opt/vc/bin/vcgencmd")

    @property
    def cpu(self) -> Path:
        """The folder of the CPUs."""
        return self.sys / "devices/system/cpu"


MACHINE = Sources()


def text(path: str | Path) -> str | None:
    """Return a small file's text, without a device tree's final zero byte; None where there is no text."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        data = b""
        while len(data) < _MOST_BYTES and (chunk := os.read(descriptor, 1 << 16)):
            data += chunk
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return data.rstrip(b"\0").decode("utf-8", "replace").strip() or None


def number(path: str | Path) -> int | None:
    """Return a small file's integer."""
    found = text(path)
    try:
        return int(found) if found else None
    except ValueError:
        return None


def fields(path: str | Path) -> dict[str, str]:
    """Return the first `key : value` of each key."""
    found: dict[str, str] = {}
    for line in (text(path) or "").splitlines():
        key, colon, value = line.partition(":")
        if colon:
            found.setdefault(key.strip(), value.strip())
    return found


def listing(folder: Path, pattern: str) -> list[Path]:
    """Return the paths below a folder that match, by name; numbers in names in the order of numbers."""
    try:
        return sorted(folder.glob(pattern), key=_natural)
    except OSError:
        return []


def _natural(path: Path) -> list[tuple[int, str]]:
    parts = re.findall(r"\d+|\D+", str(path))
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
