"""Where sensors are looked for, and the small readers of the files found there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_MOST_BYTES = 4096


@dataclass(frozen=True)
class Roots:
    """The places of a machine's sensors; tests point elsewhere.

    Attributes:
        sys_class: The kernel's classes of devices.
        dev: Device files.
        vcgencmd: Paths at which Raspberry Pi OS and Debian install the firmware's tool.
    """

    sys_class: Path = Path("/sys/class")
    dev: Path = Path("/dev")
    vcgencmd: tuple[Path, ...] = (Path("/usr/bin/vcgencmd"), Path("/opt/vc/bin/vcgencmd"))


def read_text(path: Path | str) -> str:
    """Return the stripped text of a small file of the kernel.

    The file is opened for each reading: a device that went away and came back is another one.

    Raises:
        OSError: As the kernel says.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.read(descriptor, _MOST_BYTES)
    except OSError as err:
        raise OSError(err.errno, err.strerror, str(path)) from err
    finally:
        os.close(descriptor)
    return data.decode("utf-8", "replace").strip("\0 \t\r\n")


def read_number(path: Path | str) -> int:
    """Return the whole number in a file of the kernel.

    Raises:
        OSError: As the kernel says; EIO where the file holds no number.
    """
    text = read_text(path)
    try:
        return int(text)
    except ValueError as err:
        raise OSError(5, f"not a number: {text[:40]!r}", str(path)) from err


def text_or_none(path: Path) -> str | None:
    """Return a file's text, or None where it cannot be read or is empty."""
    try:
        return read_text(path) or None
    except OSError:
        return None


def number_or_none(path: Path) -> int | None:
    """Return a file's number, or None where it cannot be had."""
    try:
        return read_number(path)
    except OSError:
        return None


def folders(parent: Path) -> list[Path]:
    """Return what lies in a folder, sorted; nothing where the folder cannot be read."""
    try:
        return sorted(parent.iterdir())
    except OSError:
        return []
