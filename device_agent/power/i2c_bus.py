"""Read registers of a chip on an I2C bus through /dev/i2c-N, without a library.

Source: Documentation/i2c/dev-interface.rst; include/uapi/linux/i2c-dev.h and i2c.h (numbers and layouts).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

_I2C_SLAVE = 0x0703
_I2C_SMBUS = 0x0720
_READ = 1
_WORD_DATA = 3
_I2C_BLOCK_DATA = 8
_BLOCK_MAX = 32


class _Data(ctypes.Union):
    _fields_ = (("word", ctypes.c_uint16), ("block", ctypes.c_uint8 * (_BLOCK_MAX + 2)))


class _Request(ctypes.Structure):
    _fields_ = (
        ("read_write", ctypes.c_uint8),
        ("command", ctypes.c_uint8),
        ("size", ctypes.c_uint32),
        ("data", ctypes.POINTER(_Data)),
    )


class Registers(Protocol):
    """The registers of one chip."""

    def word(self, register: int) -> int:
        """Return a 16-bit register, high byte first as TI's monitors send it."""

    def block(self, register: int, size: int) -> int:
        """Return a register of `size` bytes, high byte first."""

    def close(self) -> None:
        """Let go of the bus."""


class I2cChip:
    """One chip on a bus; nothing is written to it.

    Args:
        path: The bus, /dev/i2c-N.
        address: The chip's address.

    Raises:
        OSError: No such bus, no permission, or (EBUSY) a driver of the kernel holds the address.
    """

    def __init__(self, path: Path, address: int) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.ioctl(self._descriptor, _I2C_SLAVE, address)
        except OSError as err:
            os.close(self._descriptor)
            held = "a kernel driver holds the address: use its hwmon sensor"
            said = held if err.errno == errno.EBUSY else err.strerror
            raise OSError(err.errno, said, str(path)) from err

    def word(self, register: int) -> int:
        """Return a 16-bit register. SMBus words come low byte first, TI's registers high byte first."""
        value = int(self._transfer(register, _WORD_DATA, _Data()).word)
        return (value & 0xFF) << 8 | value >> 8

    def block(self, register: int, size: int) -> int:
        """Return a register of `size` bytes, high byte first."""
        data = _Data()
        data.block[0] = size
        self._transfer(register, _I2C_BLOCK_DATA, data)
        if data.block[0] != size:
            raise OSError(
                errno.EIO, f"{data.block[0]} bytes of {size} from register {register:#x}", str(self._path)
            )
        return int.from_bytes(bytes(data.block[1 : size + 1]), "big")

    def close(self) -> None:
        """Close the bus."""
        os.close(self._descriptor)

    def _transfer(self, register: int, size: int, data: _Data) -> _Data:
        request = _Request(_READ, register, size, ctypes.pointer(data))
        fcntl.ioctl(self._descriptor, _I2C_SMBUS, request)
        return data
