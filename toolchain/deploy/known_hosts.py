"""Host keys that the user trusts: OpenSSH's `known_hosts` files, read and written.

Rules:
    * A key counts only when a line of a file holds exactly this key for this host.
    * Names may be plain, hashed, patterns with `*` and `?`, negated; `[host]:port` where the port is not 22.
    * A key marked `@revoked` is refused whatever else the files say. Certificate authorities are not used.
    * edgepack writes only to its own file, never to the user's.

Source: sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT".
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import hmac
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgepack.toolchain.errors import DeployError, HostKeyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SYSTEM_KNOWN_HOSTS = Path("/etc/ssh/ssh_known_hosts")
_MAX_FILE_BYTES = 16 << 20


@dataclass(frozen=True)
class HostKey:
    """A host key that a device showed.

    Attributes:
        algorithm: Such as "ssh-ed25519".
        blob: The public key in SSH's own encoding.
    """

    algorithm: str
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """The fingerprint as OpenSSH prints it."""
        digest = base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")
        return f"SHA256:{digest}"


@dataclass(frozen=True)
class KnownKey:
    """A line of a known_hosts file that speaks of a host."""

    key: HostKey
    path: Path
    line: int
    revoked: bool


def host_name(host: str, port: int) -> str:
    """Return the name of a host in known_hosts files."""
    return host.lower() if port == 22 else f"[{host.lower()}]:{port}"


def find(name: str, paths: Iterable[Path]) -> list[KnownKey]:
    """Return the keys that the files hold for a host; files that do not exist are skipped.

    Raises:
        DeployError: A file cannot be read.
    """
    return [known for path in paths for patterns, known in _read(path) if _matches(name, patterns)]


def judge(key: HostKey, known: Iterable[KnownKey]) -> Literal["known", "unknown", "changed", "revoked"]:
    """Return what the files say about a key that a host showed."""
    known = list(known)
    if any(entry.revoked and entry.key.blob == key.blob for entry in known):
        return "revoked"
    valid = [entry for entry in known if not entry.revoked]
    if any(hmac.compare_digest(entry.key.blob, key.blob) for entry in valid):
        return "known"
    return "changed" if valid else "unknown"


def require_known(name: str, key: HostKey, known: Iterable[KnownKey], *, accept: str) -> None:
    """Let only a known key pass.

    Args:
        name: The host's name in the files.
        key: The key that the host showed.
        known: What the files say about the host.
        accept: What the user does to accept a key, as the end of a sentence.

    Raises:
        HostKeyError: The key is unknown, changed or revoked.
    """
    known = list(known)
    verdict = judge(key, known)
    if verdict == "known":
        return
    shown = f"{name} shows the {key.algorithm} host key {key.fingerprint}"
    if verdict == "unknown":
        message = f"{shown}, which is not known."
        raise HostKeyError(message, remedy=f"Compare it with the device's own, then {accept}.")
    places = ", ".join(
        f"{entry.path}:{entry.line}" for entry in known if entry.revoked == (verdict == "revoked")
    )
    if verdict == "revoked":
        message = f"{shown}, which is revoked in {places}."
        raise HostKeyError(message, remedy="Do not use this device until it has a new host key.")
    message = f"{shown}; another key is known ({places}). It was reinstalled, or someone is in between."
    raise HostKeyError(message, remedy=f"If you know why the key changed, {accept}.")


def trust(path: Path, name: str, key: HostKey) -> None:
    """Write a host's key into edgepack's own file, in place of the keys that this file held for the host.

    Raises:
        DeployError: The file cannot be written.
    """
    entry = f"{name} {key.algorithm} {base64.b64encode(key.blob).decode()}"
    _rewrite(path, lambda lines: [*(line for line in lines if line.split()[:1] != [name]), entry])


def forget(path: Path, name: str, key: HostKey) -> None:
    """Remove a host's key from edgepack's own file, where it is there.

    Raises:
        DeployError: The file cannot be written.
    """
    if path.exists():
        entry = [name, key.algorithm, base64.b64encode(key.blob).decode()]
        _rewrite(path, lambda lines: [line for line in lines if line.split()[:3] != entry])


def _rewrite(path: Path, change: Callable[[list[str]], list[str]]) -> None:
    """Replace a file by one rename."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lines = change(path.read_text().splitlines() if path.exists() else [])
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".known_hosts-", delete=False) as file:
            file.write("".join(f"{line}\n" for line in lines))
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).replace(path)
    except OSError as err:
        message = f"{path}: cannot be written ({err.strerror})."
        raise DeployError(message, remedy="Name a writable file in EDGEPACK_KNOWN_HOSTS.") from err


def _read(path: Path) -> list[tuple[str, KnownKey]]:
    """Return the host patterns and the key of each line that holds a key; OpenSSH skips other lines, too."""
    try:
        if not path.exists():
            return []
        with path.open("rb") as file:
            text = file.read(_MAX_FILE_BYTES).decode(errors="replace")
    except OSError as err:
        message = f"{path}: cannot be read ({err.strerror})."
        raise DeployError(message, remedy=f"Correct the rights of {path}.") from err
    entries = []
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split()
        marker = fields.pop(0) if fields and fields[0].startswith("@") else ""
        if len(fields) < 3 or fields[0].startswith("#") or marker not in ("", "@revoked"):
            continue
        try:
            blob = base64.b64decode(fields[2], validate=True)
        except binascii.Error:
            continue
        entries.append((fields[0], KnownKey(HostKey(fields[1], blob), path, number, bool(marker))))
    return entries


def _matches(name: str, patterns: str) -> bool:
    """Return whether the first field of a line speaks of a host."""
    if patterns.startswith("|1|"):
        return _matches_hash(name, patterns)
    found = False
    for pattern in patterns.lower().split(","):
        # fnmatch would read "[host]:22" as a set of characters; OpenSSH's patterns know only * and ?.
        if fnmatch.fnmatchcase(name, pattern.lstrip("!").replace("[", "[[]")):
            if pattern.startswith("!"):
                return False
            found = True
    return found


def _matches_hash(name: str, field: str) -> bool:
    try:
        _, _, salt, digest = field.split("|")
        expected = base64.b64decode(digest, validate=True)
        found = hmac.new(base64.b64decode(salt, validate=True), name.encode(), hashlib.sha1).digest()
    except (ValueError, binascii.Error):
        return False
    return hmac.compare_digest(found, expected)
