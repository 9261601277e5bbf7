"""A file of an installed package for a host that never saw the package: it cannot read a record without."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

from .durable import CHUNK_BYTES
from .errors import AgentError
from .package import MANIFEST_NAME, MAX_MANIFEST_BYTES, SIGNATURE_NAME, bad_package, parse_manifest

if TYPE_CHECKING:
    from pathlib import Path

    from .layout import WorkDir


def fetch(work: WorkDir, package_id: str, path: str) -> dict[str, Any]:
    """Return size and hash of a file, and the open file as `body`.

    Args:
        work: The work directory.
        package_id: The package.
        path: `manifest.json`, its signature, or a path that the manifest names; nothing else is handed out.

    Raises:
        AgentError: `not_installed`: no such package or file; `bad_package`: the manifest is damaged.
    """
    folder = work.store / package_id
    if path not in (MANIFEST_NAME, SIGNATURE_NAME) and path not in _named(folder, package_id):
        raise _absent(package_id, path)
    try:
        body = os.fdopen(os.open(folder / path, os.O_RDONLY | os.O_NOFOLLOW), "rb")
    except FileNotFoundError:
        raise _absent(package_id, path) from None
    digest = hashlib.sha256()
    while chunk := body.read(CHUNK_BYTES):
        digest.update(chunk)
    size_bytes = body.tell()
    body.seek(0)
    return {"size_bytes": size_bytes, "sha256": digest.hexdigest(), "body": body}


def _named(folder: Path, package_id: str) -> set[str]:
    try:
        with open(folder / MANIFEST_NAME, "rb") as file:
            package = parse_manifest(file.read(MAX_MANIFEST_BYTES + 1))
    except FileNotFoundError:
        return set()
    if package.package_id != package_id:
        message = f"The manifest of the stored package {package_id[:16]} is damaged."
        raise bad_package(message)
    return {entry["path"] for entry in package.files}


def _absent(package_id: str, path: str) -> AgentError:
    message = f"The device has no file {path!r:.100} of the package {package_id[:16]}."
    return AgentError("not_installed", message, "Install the package again with `edgepack deploy`.")
