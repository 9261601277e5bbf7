"""What can keep a device from being emulated here."""

from __future__ import annotations

from edgepack.toolchain.errors import LabError


class MirrorError(LabError):
    """Debian's packages cannot be reached."""


class MissingProgramError(LabError):
    """A program, or the right to do something, is missing on this machine."""
