"""Write and read `.epk` files.

Rules:
    * The same manifest, files and signature give the same bytes (`zip_layout.py` fixes all the rest).
    * A package appears under its name whole or not at all: it is written beside it, synced and renamed.
    * A reader trusts nothing. Layout, names and sizes are checked when a package is opened; a file's content
      is checked against CRC and SHA-256 before `read` returns it. Who signed it is `signature.py`'s business.

The format is described in `docs/package-format.md`.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from edgepack.converters.artifacts import sha256_of
from edgepack.toolchain.errors import PackageError, SignatureError
from edgepack.toolchain.packaging.manifest import (
    MANIFEST_NAME,
    MAX_MANIFEST_BYTES,
    SIGNATURE_NAME,
    Manifest,
    parse_manifest,
)
from edgepack.toolchain.packaging.signature import MAX_SIGNATURE_BYTES
from edgepack.toolchain.packaging.zip_layout import (
    MAX_ARCHIVE_BYTES,
    Entry,
    directory,
    local_header,
    read_entries,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_CHUNK_BYTES = 1 << 20
_REBUILD = "Build the package again with `edgepack build`, or copy it again."


@dataclass(frozen=True)
class Package:
    """A package on disk.

    Attributes:
        path: The `.epk` file.
        sha256: SHA-256 of the file.
        package_id: SHA-256 of its manifest: the identity of the package on every device.
        manifest: What it says about itself.
    """

    path: Path
    sha256: str
    package_id: str
    manifest: Manifest


def write_package(
    path: Path, manifest: Manifest, files: Mapping[str, bytes | Path], signature: bytes
) -> Package:
    """Write a package; replaces an older file of that name at once or not at all.

    Args:
        path: Where to write it; its folder is made.
        manifest: The manifest; names every file with size and hash.
        files: Content, or the path of the content, of every file that the manifest names.
        signature: The armoured OpenSSH signature of `manifest.to_bytes()`.

    Raises:
        PackageError: The files are not those that the manifest names, or the package would exceed 4 GiB.
        SignatureError: The signature is empty or too large.
    """
    contents = _contents(path, manifest, files, signature)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    try:
        with partial.open("xb") as file:
            entries = _write_entries(file, contents, manifest)
            file.write(directory(entries))
            file.flush()
            os.fsync(file.fileno())
        digest = sha256_of(partial)
        partial.replace(path)
    except BaseException:  # Ctrl-C too leaves nothing behind
        partial.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)
    return Package(path=path, sha256=digest, package_id=manifest.package_id, manifest=manifest)


class OpenPackage:
    """An open package whose layout, names and sizes have been checked.

    Attributes:
        path: The `.epk` file.
        manifest: The manifest.
        manifest_bytes: Its bytes: what the signature covers.
        signature: The armoured OpenSSH signature; not verified here.
    """

    def __init__(self, path: Path, file: BinaryIO, entries: tuple[Entry, ...]) -> None:
        self.path = path
        self._file = file
        self._entries = {entry.name: entry for entry in entries}
        self.manifest_bytes = self._bounded(MANIFEST_NAME, MAX_MANIFEST_BYTES)
        self.manifest = parse_manifest(self.manifest_bytes, source=str(path))
        if SIGNATURE_NAME not in self._entries:
            raise _unsigned(path)
        self.signature = self._bounded(SIGNATURE_NAME, MAX_SIGNATURE_BYTES)
        self._sha256 = {entry.path: entry.sha256 for entry in self.manifest.files}
        self._check_names_and_sizes()

    @property
    def package_id(self) -> str:
        """The SHA-256 of the manifest."""
        return hashlib.sha256(self.manifest_bytes).hexdigest()

    def read(self, name: str) -> bytes:
        """Return the verified content of a file that the manifest names.

        Raises:
            PackageError: There is no such file, or its content is not what the manifest says.
        """
        return b"".join(self.open(name))

    def open(self, name: str) -> Iterator[bytes]:
        """Yield the content of a file in chunks of at most 1 MiB, for sending it on without holding it.

        The hash is known only at the end: a consumer keeps nothing of it when the iteration raises.

        Raises:
            PackageError: There is no such file, or (at the end) its content is not what the manifest says.
        """
        if name not in self._sha256:
            message = f"{self.path} holds no file '{name}'."
            raise PackageError(
                message,
                remedy=f"It holds: {', '.join(sorted(self._sha256))}.",
            )
        return self._chunks(self._entries[name], self._sha256[name])

    def verify_files(self) -> None:
        """Check the content of every file against the manifest.

        Raises:
            PackageError: A file's content is not what the manifest says.
        """
        for name in self._sha256:
            for _ in self.open(name):
                pass

    def _chunks(self, entry: Entry, sha256: str | None) -> Iterator[bytes]:
        crc32, digest, position = 0, hashlib.sha256(), 0
        while position < entry.size_bytes:
            self._file.seek(entry.content_offset + position)  # other files may be read in between
            chunk = self._file.read(min(_CHUNK_BYTES, entry.size_bytes - position))
            if not chunk:
                raise _damaged(self.path, entry.name, f"{position} bytes", f"{entry.size_bytes} bytes")
            crc32 = zlib.crc32(chunk, crc32)
            digest.update(chunk)
            position += len(chunk)
            yield chunk
        if sha256 is not None and digest.hexdigest() != sha256:
            raise _damaged(self.path, entry.name, f"SHA-256 {digest.hexdigest()}", sha256)
        if crc32 != entry.crc32:
            raise _damaged(self.path, entry.name, f"CRC-32 {crc32:08x}", f"{entry.crc32:08x}")

    def _bounded(self, name: str, limit: int) -> bytes:
        entry = self._entries.get(name)
        if entry is None:
            message = f"{self.path} is not a package: it holds no '{name}'."
            raise PackageError(message, remedy=_REBUILD)
        if entry.size_bytes > limit:
            message = f"{self.path}: '{name}' has {entry.size_bytes} bytes; at most {limit} are allowed."
            raise PackageError(
                message,
                remedy=_REBUILD,
            )
        return b"".join(self._chunks(entry, None))

    def _check_names_and_sizes(self) -> None:
        sizes = {entry.path: entry.size_bytes for entry in self.manifest.files}
        found = set(self._entries) - {MANIFEST_NAME, SIGNATURE_NAME}
        if absent := sorted(set(sizes) - found):
            message = f"{self.path} lacks '{absent[0]}', which its manifest names."
            raise PackageError(message, remedy=_REBUILD)
        if extra := sorted(found - set(sizes)):
            message = f"{self.path} holds '{extra[0]}', which its manifest does not name."
            raise PackageError(message, remedy=_REBUILD)
        for name, size_bytes in sizes.items():
            if self._entries[name].size_bytes != size_bytes:
                raise _damaged(
                    self.path, name, f"{self._entries[name].size_bytes} bytes", f"{size_bytes} bytes"
                )


@contextmanager
def open_package(path: Path) -> Iterator[OpenPackage]:
    """Open a package that nobody has vouched for.

    Raises:
        PackageError: It cannot be read, or it is not a valid package.
        SignatureError: It holds no signature.
    """
    if not path.is_file():
        what = "is not a file" if path.exists() else "does not exist"
        message = f"The package '{path}' {what}."
        raise PackageError(
            message,
            remedy="Build one with `edgepack build`; it is written to `dist/`.",
        )
    try:
        file = path.open("rb")
    except OSError as err:
        message = f"The package '{path}' cannot be read: {err.strerror}."
        raise PackageError(message, remedy="Make the file readable for you.") from err
    with file:
        entries = read_entries(file, os.fstat(file.fileno()).st_size, source=str(path))
        yield OpenPackage(path, file, entries)


def load_package(path: Path) -> Package:
    """Check a whole package, every file's content included, and return what it is.

    The signature is not verified: that is `signature.verify`, which needs to know whom to trust.

    Raises:
        PackageError: It is not a valid package, or a file's content is not what the manifest says.
    """
    with open_package(path) as opened:
        opened.verify_files()
        return Package(
            path=path, sha256=sha256_of(path), package_id=opened.package_id, manifest=opened.manifest
        )


def _contents(
    path: Path, manifest: Manifest, files: Mapping[str, bytes | Path], signature: bytes
) -> dict[str, bytes | Path]:
    """Return all contents in the order of the archive, after checking names and sizes."""
    named = {entry.path for entry in manifest.files}
    if named != set(files):
        odd = sorted(named ^ set(files))[0]
        where = (
            "is named by the manifest but was not given" if odd in named else "is not named by the manifest"
        )
        message = f"{path} cannot be written: file '{odd}' {where}."
        raise PackageError(message, remedy=_REBUILD)
    if not 0 < len(signature) <= MAX_SIGNATURE_BYTES:
        raise _unsigned(path)
    total_bytes = sum(entry.size_bytes for entry in manifest.files)
    if total_bytes > MAX_ARCHIVE_BYTES:
        message = f"{path} would hold {total_bytes} bytes; a package holds at most {MAX_ARCHIVE_BYTES}."
        raise PackageError(
            message,
            remedy="Pack a smaller evaluation set, or a smaller model.",
        )
    own: dict[str, bytes | Path] = {MANIFEST_NAME: manifest.to_bytes(), SIGNATURE_NAME: signature}
    return dict(sorted({**files, **own}.items()))


def _write_entries(file: BinaryIO, contents: Mapping[str, bytes | Path], manifest: Manifest) -> list[Entry]:
    expected = {entry.path: (entry.size_bytes, entry.sha256) for entry in manifest.files}
    entries: list[Entry] = []
    for name, content in contents.items():
        offset = file.tell()
        file.write(bytes(len(local_header(Entry(name, 0, 0, 0)))))  # its CRC is known after the content
        size_bytes, crc32, sha256 = _copy(content, file)
        if name in expected and (size_bytes, sha256) != expected[name]:
            message = (
                f"File '{name}' has {size_bytes} bytes with SHA-256 {sha256}; "
                f"the manifest says {expected[name][0]} bytes with {expected[name][1]}."
            )
            raise PackageError(
                message,
                remedy="It changed while the package was made: run `edgepack build` again.",
            )
        entry = Entry(name=name, size_bytes=size_bytes, crc32=crc32, offset=offset)
        file.seek(offset)
        file.write(local_header(entry))
        file.seek(entry.end_offset)
        entries.append(entry)
    return entries


def _copy(content: bytes | Path, file: BinaryIO) -> tuple[int, int, str]:
    """Copy content to the archive and return its size in bytes, CRC-32 and SHA-256."""
    size_bytes, crc32, digest = 0, 0, hashlib.sha256()
    for chunk in _chunks_of(content):
        file.write(chunk)
        size_bytes += len(chunk)
        crc32 = zlib.crc32(chunk, crc32)
        digest.update(chunk)
    return size_bytes, crc32, digest.hexdigest()


def _chunks_of(content: bytes | Path) -> Iterator[bytes]:
    if isinstance(content, Path):
        with content.open("rb") as source:
            while chunk := source.read(_CHUNK_BYTES):
                yield chunk
    else:
        yield content


def _sync_folder(folder: Path) -> None:
    """Make the rename survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _damaged(path: Path, name: str, found: str, expected: str) -> PackageError:
    return PackageError(
        f"{path}: file '{name}' is damaged: found {found}, expected {expected}.", remedy=_REBUILD
    )


def _unsigned(path: Path) -> SignatureError:
    return SignatureError(
        f"{path} is unsigned: '{SIGNATURE_NAME}' is missing, empty or over {MAX_SIGNATURE_BYTES} bytes.",
        remedy="Sign when building: `edgepack build --key ~/.ssh/id_ed25519`; `edgepack keys` makes a key.",
    )
