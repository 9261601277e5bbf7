"""What bounds the reading of a model file: its size, its header, and how much may be copied out of it."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from edgepack.converters.errors import ConversionError

if TYPE_CHECKING:
    from pathlib import Path

# A flatbuffer addresses 2 GiB (32-bit signed offsets); larger models keep weights behind it.
MAX_FILE_BYTES = 1 << 31
IDENTIFIER = b"TFL3"
DAMAGED = "The file is damaged or is no TensorFlow Lite model: export or download it again."

# What the generated accessors raise on a damaged file.
FOREIGN_ERRORS = (
    struct.error, ArithmeticError, AssertionError, AttributeError, BufferError, LookupError, MemoryError,
    RecursionError, TypeError, ValueError,
)  # fmt: skip


def read_bytes(path: Path) -> bytes:
    """Return the bytes of a model file.

    Raises:
        ConversionError: The file is missing, is not a regular file, or is larger than 2 GiB.
    """
    try:
        if not path.is_file():
            found = "a folder" if path.is_dir() else "no such file"
            msg = f"{path}: expected a .tflite file, found {found}."
            raise ConversionError(msg, remedy="Give the path of a .tflite file.")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise _too_large(path)
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)  # the file may have grown since
    except OSError as err:
        msg = f"{path}: cannot be read ({err.strerror})."
        raise ConversionError(msg, remedy="Check that the file is there and that you may read it.") from err
    if len(data) > MAX_FILE_BYTES:
        raise _too_large(path)
    return data


def _too_large(path: Path) -> ConversionError:
    msg = f"{path}: the file is larger than {MAX_FILE_BYTES} bytes."
    return ConversionError(msg, remedy="Split the model, or quantize it to fewer bytes first.")


def check_header(data: bytes, source: str) -> None:
    """Raise ConversionError unless the bytes start as a TFLite flatbuffer does."""
    if len(data) < 8 or data[4:8] != IDENTIFIER:
        found = f"identifier {data[4:8]!r}" if len(data) >= 8 else f"only {len(data)} bytes"
        msg = (
            f"{source}: not a .tflite file: expected the identifier {IDENTIFIER!r} at byte 4, found {found}."
        )
        raise ConversionError(msg, remedy="Give a .tflite file; `edgepack build` converts other formats.")


class Budget:
    """Bounds how many bytes are read from a file, all vectors, names and buffers together."""

    def __init__(self, file_bytes: int, source: str) -> None:
        self._left = 4 * file_bytes + (1 << 16)  # a sound file holds each byte once
        self._source = source

    def charge(self, size_bytes: int) -> None:
        """Take from the budget."""
        self._left -= size_bytes
        if self._left < 0:
            msg = f"{self._source}: its tables describe far more data than the file holds."
            raise ConversionError(msg, remedy=DAMAGED)
