"""Sign and verify with OpenSSH keys, through the `ssh-keygen` that people already have.

Rules:
    * Namespace `edgepack`: a signature made for git or a file is none for a package, and the other way round.
    * Whom to trust is a text in the format of ssh-keygen(1), ALLOWED SIGNERS.
    * ssh-keygen never prompts here: it gets no terminal. A key with a passphrase signs through ssh-agent.
    * Signatures and signer lists come from outside: form and size are checked before any tool sees them.

Source: PROTOCOL.sshsig in the OpenSSH sources; ssh-keygen(1), `-Y sign`, `verify`, `find-principals`.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.toolchain.errors import PackageError, SignatureError

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMESPACE = "edgepack"
MAX_SIGNATURE_BYTES = 16 << 10
MAX_ALLOWED_SIGNERS_BYTES = 1 << 20
_TIMEOUT_S = 60  # a hardware key waits for a touch
_ARMOUR = re.compile(
    rb"-----BEGIN SSH SIGNATURE-----\n([A-Za-z0-9+/=\n]+)\n-----END SSH SIGNATURE-----\n?", re.ASCII
)
_GOOD = re.compile(r'^Good "edgepack" signature with (\S+) key (SHA256:[A-Za-z0-9+/]{43})$', re.MULTILINE)
_PUBLIC_KEY = re.compile(r"^([a-z0-9@.-]+) ([A-Za-z0-9+/]+={0,2})(?: [^\n\r]*)?")
_PRINCIPAL = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}")


@dataclass(frozen=True)
class Signer:
    """Who signed.

    Attributes:
        principal: The name that the allowed signers give to the key.
        key_type: The key's type as ssh-keygen prints it, such as "ED25519".
        fingerprint: The key's fingerprint, such as "SHA256:…".
    """

    principal: str
    key_type: str
    fingerprint: str


def sign(data: bytes, key: Path) -> bytes:
    """Return the armoured signature of some bytes.

    Args:
        data: What to sign.
        key: A private key; or a public key whose private half is in ssh-agent.

    Raises:
        SignatureError: The key cannot be read, or needs a passphrase that no agent has.
        PackageError: ssh-keygen is not installed.
    """
    if not key.is_file():
        message = f"The signing key '{key}' does not exist."
        raise SignatureError(
            message,
            remedy="Make one with `edgepack keys`, or name another with --key.",
        )
    result = _ssh_keygen("-Y", "sign", "-f", str(key), "-n", NAMESPACE, stdin=data)
    if result.returncode != 0 or not _ARMOUR.fullmatch(result.stdout):
        reason = _reason(result)
        remedy = "Name another key with --key, or make one with `edgepack keys`."
        if "passphrase" in reason or "agent" in reason:
            remedy = f"Unlock the key once: `ssh-add {key}`; or make a key for packages with `edgepack keys`."
        elif "permissions" in reason.lower() or "UNPROTECTED" in reason:
            remedy = f"Make the key readable for you alone: `chmod 600 {key}`."
        message = f"'{key}' cannot sign: {reason}."
        raise SignatureError(message, remedy=remedy)
    return result.stdout


def verify(data: bytes, signature: bytes, allowed_signers: str) -> Signer:
    """Return who signed, if the signature is good and the signer is trusted.

    Args:
        data: What was signed.
        signature: The armoured signature, from outside.
        allowed_signers: Whom to trust, in the format of ssh-keygen(1), ALLOWED SIGNERS.

    Raises:
        SignatureError: The signature is malformed or does not fit the data, or the signer is not trusted.
        PackageError: ssh-keygen is not installed.
    """
    _check_form(signature)
    if len(allowed_signers.encode()) > MAX_ALLOWED_SIGNERS_BYTES:
        message = f"The list of allowed signers exceeds {MAX_ALLOWED_SIGNERS_BYTES} bytes."
        raise SignatureError(
            message,
            remedy="Shorten the list.",
        )
    with tempfile.TemporaryDirectory(prefix="edgepack-") as folder:
        signature_path, signers_path = Path(folder, "signature"), Path(folder, "allowed_signers")
        signature_path.write_bytes(signature)
        signers_path.write_text(allowed_signers, encoding="utf-8")
        key_type, fingerprint = _check_cryptography(data, signature_path)
        principal = _trusted_principal(data, signature_path, signers_path)
    if principal is None:
        message = (
            f"The package is signed by {key_type} key {fingerprint}, which is not among the allowed signers."
        )
        raise SignatureError(
            message,
            remedy="If you trust its maker, add the key to the allowed signers: `edgepack keys --help`.",
        )
    return Signer(principal=principal, key_type=key_type, fingerprint=fingerprint)


def find_key(explicit: Path | None, environ: Mapping[str, str], *, project: Path | None = None) -> Path:
    """Return the private key to sign with.

    The first that is named wins: `--key`, `EDGEPACK_KEY`, the project's signing key; else the first that
    exists of `~/.config/edgepack/id_ed25519` (made by `edgepack keys --create`) and `~/.ssh/id_ed25519`.

    Raises:
        SignatureError: The named key does not exist, or there is none at all.
    """
    named = (
        ("--key", explicit),
        ("EDGEPACK_KEY", Path(environ["EDGEPACK_KEY"]) if environ.get("EDGEPACK_KEY") else None),
        ("the project's signing key", project),
    )
    for origin, path in named:
        if path is not None:
            path = path.expanduser()  # noqa: PLW2901
            if not path.is_file():
                message = f"The signing key '{path}', named by {origin}, does not exist."
                raise SignatureError(
                    message,
                    remedy="Correct the path, or make a key with `edgepack keys --create`.",
                )
            return path
    home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    for path in (default_key_path(environ), home / ".ssh" / "id_ed25519"):
        if path.is_file():
            return path
    message = (
        f"There is no key to sign with: neither --key, EDGEPACK_KEY, '{default_key_path(environ)}' nor "
        f"'{home / '.ssh' / 'id_ed25519'}'."
    )
    raise SignatureError(
        message,
        remedy="Make one with `edgepack keys --create`.",
    )


def default_key_path(environ: Mapping[str, str]) -> Path:
    """Return where `edgepack keys` puts a key: `edgepack/id_ed25519` in XDG_CONFIG_HOME or `~/.config`."""
    home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    base = Path(environ["XDG_CONFIG_HOME"]) if environ.get("XDG_CONFIG_HOME") else home / ".config"
    return base / "edgepack" / "id_ed25519"


def create_key(path: Path, *, comment: str = "edgepack") -> str:
    """Make an Ed25519 key without a passphrase, and return its public half (one line).

    Raises:
        SignatureError: There is a file already, or the key cannot be written.
        PackageError: ssh-keygen is not installed.
    """
    for existing in (path, path.with_name(f"{path.name}.pub")):
        if existing.exists() or existing.is_symlink():
            message = f"'{existing}' exists already; it is not overwritten."
            raise SignatureError(
                message,
                remedy="Use it, name another file, or move it away first.",
            )
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    result = _ssh_keygen("-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path))
    if result.returncode != 0:
        message = f"The key '{path}' cannot be made: {_reason(result)}."
        raise SignatureError(message, remedy="Name a file that you can write.")
    return path.with_name(f"{path.name}.pub").read_text(encoding="utf-8").strip()


def public_key(key: Path) -> str:
    """Return the public half of a key as one line `type base64 comment`.

    Args:
        key: A private key, or a public one (`.pub`). Beside a locked private key, `.pub` is read.

    Raises:
        SignatureError: The file is no OpenSSH key, or it is locked and there is no `.pub` beside it.
    """
    beside = key if key.suffix == ".pub" else key.with_name(f"{key.name}.pub")
    if beside.is_file() and beside.stat().st_size <= MAX_SIGNATURE_BYTES:
        line = beside.read_text(encoding="utf-8", errors="replace").strip()
    else:
        result = _ssh_keygen("-y", "-f", str(key))
        line = result.stdout.decode("utf-8", "replace").strip() if result.returncode == 0 else ""
    if not _PUBLIC_KEY.fullmatch(line):
        message = f"'{key}' is no OpenSSH key, or it is locked and has no '{beside.name}' beside it."
        raise SignatureError(
            message,
            remedy="Name an OpenSSH key; `edgepack keys --create` makes one.",
        )
    return line


def allowed_signers_line(public_key: str, principal: str) -> str:
    """Return the line that allows a key to sign packages, and only packages.

    Args:
        public_key: `type base64 [comment]`, as in a `.pub` file.
        principal: What to call its owner, such as "ann@example.com".

    Raises:
        SignatureError: The key or the name is malformed.
    """
    match = _PUBLIC_KEY.fullmatch(public_key.strip())
    if match is None:
        message = f"This is no OpenSSH public key: {public_key.strip()[:60]!r}."
        raise SignatureError(
            message,
            remedy="Give one line `ssh-ed25519 AAAA… comment`, as in a .pub file.",
        )
    if not _PRINCIPAL.fullmatch(principal):
        message = f"{principal[:128]!r} cannot name a signer."
        raise SignatureError(
            message,
            remedy="Use letters, digits, '.', '_', '@', '+' and '-'.",
        )
    return f'{principal} namespaces="{NAMESPACE}" {match[1]} {match[2]}\n'


def read_allowed_signers(path: Path) -> str:
    """Return the text of a file of allowed signers.

    Raises:
        SignatureError: The file cannot be read, or is too large.
    """
    try:
        if path.stat().st_size > MAX_ALLOWED_SIGNERS_BYTES:
            message = f"'{path}' has more than {MAX_ALLOWED_SIGNERS_BYTES} bytes."
            raise SignatureError(message, remedy="Name a file of allowed signers: see ssh-keygen(1).")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        message = f"'{path}' cannot be read: {err}."
        raise SignatureError(message, remedy="Name a file of allowed signers: see ssh-keygen(1).") from err


def _check_form(signature: bytes) -> None:
    """Refuse what is not exactly one armoured OpenSSH signature."""
    match = _ARMOUR.fullmatch(signature) if len(signature) <= MAX_SIGNATURE_BYTES else None
    blob = b""
    if match:
        try:
            blob = base64.b64decode(match[1].replace(b"\n", b""), validate=True)
        except binascii.Error:
            blob = b""
    if not blob.startswith(b"SSHSIG"):
        message = f"The signature ({len(signature)} bytes) is not one armoured OpenSSH signature."
        raise SignatureError(
            message,
            remedy="Build and sign the package again with `edgepack build`.",
        )


def _check_cryptography(data: bytes, signature: Path) -> tuple[str, str]:
    """Return type and fingerprint of the key whose signature fits the data."""
    result = _ssh_keygen("-Y", "check-novalidate", "-n", NAMESPACE, "-s", str(signature), stdin=data)
    good = _GOOD.search(result.stdout.decode("utf-8", "replace"))
    if result.returncode != 0 or good is None:
        message = f"The signature does not fit the package: {_reason(result)}."
        raise SignatureError(
            message,
            remedy="It was changed after signing, or signed for another use: get a good copy from its maker.",
        )
    return good[1], good[2]


def _trusted_principal(data: bytes, signature: Path, signers: Path) -> str | None:
    """Return the first principal under which the allowed signers accept the signature."""
    found = _ssh_keygen("-Y", "find-principals", "-s", str(signature), "-f", str(signers))
    if found.returncode != 0:
        return None
    for line in found.stdout.decode("utf-8", "replace").splitlines():
        for principal in (part.strip() for part in line.split(",")):
            if not principal or principal.startswith("!"):
                continue
            options = ("-n", NAMESPACE, "-I", principal, "-s", str(signature), "-f", str(signers))
            if _ssh_keygen("-Y", "verify", *options, stdin=data).returncode == 0:
                return principal
    return None


def _ssh_keygen(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run ssh-keygen where it cannot prompt: no terminal, no askpass."""
    environment = {
        k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "SSH_ASKPASS")
    }
    environment |= {"SSH_ASKPASS_REQUIRE": "never", "LC_ALL": "C"}
    try:
        return subprocess.run(
            ["ssh-keygen", *arguments],
            input=stdin,
            capture_output=True,
            env=environment,
            timeout=_TIMEOUT_S,
            check=False,
            start_new_session=True,  # away from the terminal, which ssh-keygen would open by itself
        )
    except FileNotFoundError as err:
        message = "`ssh-keygen` is not installed; packages are signed and verified with it."
        raise PackageError(
            message,
            remedy="Install it: `sudo apt-get install openssh-client`.",
        ) from err
    except subprocess.TimeoutExpired as err:
        message = f"`ssh-keygen` did not answer within {_TIMEOUT_S} s."
        raise SignatureError(
            message,
            remedy="Touch the hardware token when it blinks, or use a key made by `edgepack keys`.",
        ) from err


def _reason(result: subprocess.CompletedProcess[bytes]) -> str:
    text = (result.stderr + b"\n" + result.stdout).decode("utf-8", "replace")
    text = text.replace("Enter passphrase: ", "")  # the prompt that nobody could answer
    lines = [
        line.strip() for line in text.splitlines() if line.strip() and not line.startswith(("@@", "Signing "))
    ]
    return "; ".join(lines[:3])[:300].rstrip(".") or f"ssh-keygen ended with status {result.returncode}"
