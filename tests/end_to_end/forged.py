"""Packages with something wrong in them, made of a good one."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from edgepack.toolchain.packaging.archive import open_package, write_package
from edgepack.toolchain.packaging.signature import sign

if TYPE_CHECKING:
    from pathlib import Path


def flip_bit(package: Path, into: Path, at: bytes = b"TFL3") -> Path:
    """Copy a package and flip one bit, by default inside the model."""
    data = bytearray(package.read_bytes())
    data[data.index(at)] ^= 1
    into.write_bytes(data)
    return into


def sign_again(package: Path, key: Path, into: Path) -> Path:
    """Copy a package, signed with another key."""
    with open_package(package) as opened:
        files = {entry.path: opened.read(entry.path) for entry in opened.manifest.files}
        write_package(into, opened.manifest, files, sign(opened.manifest.to_bytes(), key))
    return into


def with_wrong_golden_outputs(package: Path, key: Path, into: Path) -> Path:
    """Copy a package that claims other outputs than its model computes, signed as if it were good."""
    with open_package(package) as opened:
        manifest = opened.manifest
        files = {entry.path: opened.read(entry.path) for entry in manifest.files}
    wrong = {path: files[path][::-1] for case in manifest.golden for path in case.outputs}
    entries = [
        entry.model_copy(update={"sha256": hashlib.sha256(wrong[entry.path]).hexdigest()})
        if entry.path in wrong
        else entry
        for entry in manifest.files
    ]
    altered = manifest.model_copy(update={"files": entries})
    write_package(into, altered, {**files, **wrong}, sign(altered.to_bytes(), key))
    return into


def padded(package: Path, key: Path, into: Path, *, size_bytes: int) -> Path:
    """Copy a package that also holds a large file of no pattern: an upload that takes a while."""
    import numpy as np

    from edgepack.toolchain.packaging.manifest import FileEntry

    padding = np.random.default_rng(3).bytes(size_bytes)
    with open_package(package) as opened:
        manifest = opened.manifest
        files = {entry.path: opened.read(entry.path) for entry in manifest.files} | {"padding.bin": padding}
    entry = FileEntry(path="padding.bin", size_bytes=size_bytes, sha256=hashlib.sha256(padding).hexdigest())
    entries = sorted([*manifest.files, entry], key=lambda each: each.path)
    larger = manifest.model_copy(update={"files": entries})
    write_package(into, larger, files, sign(larger.to_bytes(), key))
    return into
