"""The one zip layout that a package has: every byte that is not content is fixed.

Rules:
    * Entries are stored (never compressed), sorted by name, contiguous from the first byte of the file.
    * Times are 1980-01-01, attributes those of a plain file of mode 0644; no extra fields, no comments.
    * The central directory follows the last entry, the end record follows the directory and ends the file.

Because the layout is fixed, a reader can compute every header and compare: what is not exactly so is refused,
which leaves no room for bombs, links, hidden data, or two readers that see two different archives.

Source: PKWARE APPNOTE.TXT 6.3.10, sections 4.3.7 (local header), 4.3.12 (directory), 4.3.16 (end record).
"""

from __future__ import annotations

import stat
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.toolchain.errors import PackageError
from edgepack.toolchain.packaging.manifest import MAX_FILES, is_safe_path

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, BinaryIO

MAX_ARCHIVE_BYTES = (1 << 32) - (1 << 26)
"""A zip without zip64 addresses 4 GiB; the last 64 MiB are left for the directory."""

_MAX_ENTRIES = MAX_FILES + 2  # the manifest and its signature
_LOCAL = struct.Struct("<4s5H3I2H")
_DIRECTORY = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
LOCAL_HEADER_BYTES = _LOCAL.size
END_BYTES = _END.size

_NAME_LENGTH = 10  # its place among the fields of a directory row
_VERSION_NEEDED = 10  # 1.0: a stored file
_VERSION_MADE_BY = (3 << 8) | 10  # 3: the attributes are Unix ones
_TIME, _DATE = 0, (0 << 9) | (1 << 5) | 1  # 1980-01-01 00:00:00
_ATTRIBUTES = 0o100644 << 16
_DAMAGED = (
    "Build the package again with `edgepack build`, or copy it again: it was changed or made by another tool."
)


@dataclass(frozen=True)
class Entry:
    """A file in the archive.

    Attributes:
        name: Its path inside the package.
        size_bytes: Its size.
        crc32: CRC-32 of its content.
        offset: Where its local header begins, from the start of the archive.
    """

    name: str
    size_bytes: int
    crc32: int
    offset: int

    @property
    def content_offset(self) -> int:
        """Where its content begins."""
        return self.offset + LOCAL_HEADER_BYTES + len(self.name)

    @property
    def end_offset(self) -> int:
        """Where the next entry, or the directory, begins."""
        return self.content_offset + self.size_bytes


def local_header(entry: Entry) -> bytes:
    """Return the bytes that stand before an entry's content."""
    name = entry.name.encode("ascii")
    size = entry.size_bytes
    fixed = _LOCAL.pack(b"PK\3\4", _VERSION_NEEDED, 0, 0, _TIME, _DATE, entry.crc32, size, size, len(name), 0)
    return fixed + name


def directory(entries: Sequence[Entry]) -> bytes:
    """Return the central directory and the end record: all that follows the last entry's content."""
    rows = b"".join(_directory_row(entry) for entry in entries)
    start = entries[-1].end_offset if entries else 0
    count = len(entries)
    return rows + _END.pack(b"PK\5\6", 0, 0, count, count, len(rows), start, 0)


def read_entries(file: BinaryIO, size_bytes: int, *, source: str) -> tuple[Entry, ...]:
    """Return the entries of an archive that nobody has vouched for.

    Args:
        file: The archive, seekable.
        size_bytes: Its size.
        source: What to call it in an error, usually its path.

    Raises:
        PackageError: It is not exactly in the layout of this module.
    """
    count, start, length = _read_end(file, size_bytes, source)
    file.seek(start)
    found = file.read(length)
    entries = _parse_directory(found, count, source)
    _check_order(entries, start, source)
    for entry in entries:
        file.seek(entry.offset)
        if file.read(LOCAL_HEADER_BYTES + len(entry.name)) != local_header(entry):
            raise _refusal(source, f"the local header of '{entry.name}' disagrees with the directory")
    return entries


def _directory_row(entry: Entry) -> bytes:
    name = entry.name.encode("ascii")
    fixed = _DIRECTORY.pack(
        b"PK\1\2", _VERSION_MADE_BY, _VERSION_NEEDED, 0, 0, _TIME, _DATE, entry.crc32,
        entry.size_bytes, entry.size_bytes, len(name), 0, 0, 0, 0, _ATTRIBUTES, entry.offset,
    )  # fmt: skip
    return fixed + name


def _read_end(file: BinaryIO, size_bytes: int, source: str) -> tuple[int, int, int]:
    """Return the number of entries, and offset and length of the directory, from the end record."""
    if size_bytes > MAX_ARCHIVE_BYTES + (1 << 26):
        raise _refusal(source, f"it has {size_bytes} bytes; a package has at most {MAX_ARCHIVE_BYTES}")
    if size_bytes < END_BYTES:
        raise _refusal(source, f"it is not a zip: it has {size_bytes} bytes")
    file.seek(0)
    if file.read(2) != b"PK":
        raise _refusal(source, "it is not a zip, or data stands before it: it does not begin with an entry")
    file.seek(size_bytes - END_BYTES)
    magic, disk, first_disk, here, count, length, start, comment = _END.unpack(file.read(END_BYTES))
    if magic != b"PK\5\6":
        raise _refusal(source, "it is cut off, or data follows the zip: it does not end with an end record")
    if disk or first_disk or here != count or comment:
        raise _refusal(source, "its end record is not that of one plain zip without a comment")
    if not 1 <= count <= _MAX_ENTRIES:
        raise _refusal(source, f"it has {count} entries; 1 to {_MAX_ENTRIES} are allowed")
    if start + length + END_BYTES != size_bytes:
        raise _refusal(
            source,
            f"its directory of {length} bytes at {start} does not end where the end record begins "
            f"({size_bytes - END_BYTES}): data is hidden in it, it is cut off, or it is a zip64",
        )
    return count, start, length


def _parse_directory(data: bytes, count: int, source: str) -> tuple[Entry, ...]:
    entries: list[Entry] = []
    position = 0
    for index in range(count):
        if len(data) - position < _DIRECTORY.size:
            raise _refusal(source, f"its directory ends after {index} of {count} entries")
        fields = _DIRECTORY.unpack_from(data, position)
        position += _DIRECTORY.size
        name = data[position : position + fields[_NAME_LENGTH]]
        position += fields[_NAME_LENGTH]
        if fields[0] != b"PK\1\2":
            raise _refusal(source, f"entry {index + 1} of its directory is damaged")
        entries.append(_checked_entry(fields, name, source))
    if position != len(data):
        raise _refusal(source, f"{len(data) - position} bytes are hidden in its directory")
    return tuple(entries)


def _checked_entry(fields: tuple[Any, ...], raw_name: bytes, source: str) -> Entry:
    """Return the entry of one row of the directory, naming the commonest offences before the general one."""
    name = raw_name.decode("ascii", "backslashreplace")
    method, crc32, stored_bytes, size_bytes = fields[4], *fields[7:10]
    attributes, offset = fields[-2:]
    if not is_safe_path(name) or name.endswith("\n"):
        raise _refusal(source, f"entry {name[:255]!r} has an unsafe path (absolute, '..', or odd characters)")
    kind = stat.S_IFMT(attributes >> 16)
    if kind not in (0, stat.S_IFREG):
        what = "a link" if kind == stat.S_IFLNK else f"not a plain file (mode {kind:o})"
        raise _refusal(source, f"entry '{name}' is {what}")
    if method != 0 or stored_bytes != size_bytes:
        sizes = f"method {method}, {stored_bytes} bytes for {size_bytes}"
        raise _refusal(source, f"entry '{name}' is compressed ({sizes}); only stored entries are allowed")
    entry = Entry(name=name, size_bytes=size_bytes, crc32=crc32, offset=offset)
    if _DIRECTORY.pack(*fields) + raw_name != _directory_row(entry):
        odd = "flags, extra fields, a comment, a time or attributes that no package has"
        raise _refusal(source, f"entry '{name}' has {odd}")
    return entry


def _check_order(entries: tuple[Entry, ...], directory_offset: int, source: str) -> None:
    expected_offset = 0
    previous = ""
    for entry in entries:
        if entry.name == previous:
            raise _refusal(source, f"entry '{entry.name}' is there twice")
        if entry.name < previous:
            raise _refusal(source, f"entry '{entry.name}' stands after '{previous}'; entries must be sorted")
        if entry.offset != expected_offset:
            raise _refusal(
                source,
                f"entry '{entry.name}' begins at {entry.offset}, expected {expected_offset}: data is hidden",
            )
        previous, expected_offset = entry.name, entry.end_offset
    if expected_offset != directory_offset:
        raise _refusal(
            source, f"the entries end at {expected_offset}, but the directory begins at {directory_offset}"
        )


def _refusal(source: str, what: str) -> PackageError:
    return PackageError(f"{source} is not a valid package: {what}.", remedy=_DAMAGED)
