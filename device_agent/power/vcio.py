"""Ask the Raspberry Pi's firmware one of vcgencmd's questions without running vcgencmd.

The firmware answers property messages through /dev/vcio. The tag GET_GENCMD_RESULT carries the question in
and the answer out, as a string of at most 1024 bytes.

Source: github.com/raspberrypi/utils, vcgencmd/vcgencmd.c (layout, tag, ioctl); Raspberry Pi firmware wiki,
"Mailbox property interface" (header and end tag).
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_TAG = 0x00030080
_TEXT_BYTES = 1024
# Size of the message, request code, tag, size of the tag's buffer, request size, error; then text, end tag.
_HEADER = struct.Struct("<6I")
_SIZE = _HEADER.size + _TEXT_BYTES + 4
# _IOWR(100, 0, char *): the size of a pointer is part of the number.
_IOCTL = 0xC0000000 | ctypes.sizeof(ctypes.c_void_p) << 16 | 100 << 8


class Firmware:
    """The firmware behind /dev/vcio, opened at the first question."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def ask(self, question: str) -> str:
        """Return the answer to a question such as "pmic_read_adc".

        Raises:
            OSError: There is no such device, no permission, or the firmware refuses the question.
        """
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        message = bytearray(_SIZE)
        _HEADER.pack_into(message, 0, _SIZE, 0, _TAG, _TEXT_BYTES, 0, 0)
        text = question.encode("ascii") + b"\0"
        message[_HEADER.size : _HEADER.size + len(text)] = text
        fcntl.ioctl(self._descriptor, _IOCTL, message, True)
        error = _HEADER.unpack_from(message)[5]
        if error:
            raise OSError(error, f"the firmware refuses {question!r}", str(self._path))
        return bytes(message[_HEADER.size : -4]).split(b"\0", 1)[0].decode("ascii", "replace")

    def close(self) -> None:
        """Close the device."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
