"""Open a serial meter raw, at any baud rate, without a library.

A meter on USB ignores the rate, one behind a UART bridge needs it exactly: `struct termios2` takes any.

Source: Linux include/uapi/asm-generic/termbits.h (struct termios2, BOTHER) and ioctls.h (TCGETS2, TCSETS2).
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import struct
import termios
import time
import tty

_TCGETS2 = 0x802C542A
_TCSETS2 = 0x402C542B
_CBAUD = 0o010017
_BOTHER = 0o010000
# iflag, oflag, cflag, lflag, line, cc[19], ispeed, ospeed
_TERMIOS2 = struct.Struct("=4IB19s2I")


class SerialPort:
    """A serial device.

    Args:
        path: The device file.
        baud: Bits a second.

    Raises:
        OSError: There is none, it is not a serial device, it is in use, or there is no permission.
    """

    def __init__(self, path: str, baud: int) -> None:
        self.path = path
        self.descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            tty.setraw(self.descriptor)
            self._set_baud(baud)
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            termios.tcflush(self.descriptor, termios.TCIOFLUSH)
        except BlockingIOError as err:
            os.close(self.descriptor)
            raise OSError(errno.EBUSY, "another program reads it", path) from err
        except (OSError, termios.error) as err:
            os.close(self.descriptor)
            raise OSError(err.args[0], f"no serial device: {err.args[-1]}", path) from err

    def write(self, data: bytes) -> None:
        """Send bytes."""
        while data:
            select.select([], [self.descriptor], [], 1.0)
            data = data[os.write(self.descriptor, data) :]

    def read_until(self, end: bytes, timeout_s: float, most: int = 65_536) -> bytes:
        """Return what comes up to and with `end`.

        Raises:
            OSError: ETIMEDOUT, or ENODEV where the device went away.
        """
        data = b""
        deadline = time.monotonic() + timeout_s
        while end not in data:
            left_s = deadline - time.monotonic()
            if left_s <= 0 or len(data) > most:
                raise OSError(errno.ETIMEDOUT, f"no {end!r} within {timeout_s:g} s", self.path)
            if select.select([self.descriptor], [], [], left_s)[0]:
                chunk = os.read(self.descriptor, 4096)
                if not chunk:
                    raise OSError(errno.ENODEV, "the meter was unplugged", self.path)
                data += chunk
        return data

    def discard(self, quiet_s: float = 0.05) -> None:
        """Throw away what the meter still sends, until it is quiet for a moment (2 s at most)."""
        deadline = time.monotonic() + 2.0
        while time.monotonic() < deadline and select.select([self.descriptor], [], [], quiet_s)[0]:
            if not os.read(self.descriptor, 65_536):
                return

    def close(self) -> None:
        """Close the device."""
        os.close(self.descriptor)

    def _set_baud(self, baud: int) -> None:
        buffer = bytearray(_TERMIOS2.size)
        fcntl.ioctl(self.descriptor, _TCGETS2, buffer, True)
        iflag, oflag, cflag, lflag, line, control, _, _ = _TERMIOS2.unpack(buffer)
        cflag = cflag & ~_CBAUD | _BOTHER
        _TERMIOS2.pack_into(buffer, 0, iflag, oflag, cflag, lflag, line, control, baud, baud)
        fcntl.ioctl(self.descriptor, _TCSETS2, buffer, True)
