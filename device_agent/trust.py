"""Whose packages this device accepts, checked by OpenSSH's own `ssh-keygen -Y`.

Three questions in this order, so that the answer names what is wrong: is the signature right for these bytes
(`check-novalidate`), who made it (`find-principals`), may that signer sign packages now (`verify`).
"""

from __future__ import annotations

import binascii
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from .durable import write_atomic
from .errors import AgentError
from .lease import guard

if TYPE_CHECKING:
    from .layout import WorkDir

NAMESPACE = "edgepack"
_TIMEOUT_S = 60


def set_allowed_signers(work: WorkDir, text: str) -> int:
    """Replace the keys that this device trusts.

    Args:
        work: The work directory.
        text: The format of ssh-keygen(1), ALLOWED SIGNERS. Empty: nobody is trusted.

    Returns:
        The number of keys.

    Raises:
        AgentError: `bad_request`: a line holds no OpenSSH public key.
    """
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for line in lines:
        if not _holds_key(line):
            message = f"trust.set: a line of 'allowed_signers' holds no OpenSSH public key: {line!r:.100}."
            raise AgentError("bad_request", message, "Use lines such as `name ssh-ed25519 AAAA…`.")
    with guard(work):
        write_atomic(work.allowed_signers, text.encode())
    return len(lines)


def get_allowed_signers(work: WorkDir) -> str:
    """Return the keys that this device trusts; an empty string where nobody has set any."""
    try:
        return work.allowed_signers.read_text("utf-8")
    except FileNotFoundError:
        return ""


def verify_signature(work: WorkDir, manifest: bytes, signature: bytes) -> str:
    """Check that a trusted signer has signed a manifest.

    Returns:
        The signer's principal, as the allowed signers name it.

    Raises:
        AgentError: `missing_tool`, `bad_signature` or `untrusted_signer`.
    """
    tool = find_ssh_keygen()
    if tool is None:
        message = "The device has no ssh-keygen, so no signature can be checked."
        raise AgentError(
            "missing_tool", message, "Install it on the device: `apt-get install openssh-client`."
        )
    with tempfile.TemporaryDirectory(dir=work.tmp) as folder:
        sig, allowed = Path(folder, "sig"), Path(folder, "allowed_signers")
        sig.write_bytes(signature)
        allowed.write_text(get_allowed_signers(work), "utf-8")
        _check_bytes(tool, sig, manifest)
        reason = ""
        for principal in _find_principals(tool, sig, allowed):
            options = ("-f", allowed, "-I", principal, "-n", NAMESPACE, "-s", sig)
            done = _run(tool, "verify", *options, data=manifest)
            if done.returncode == 0:
                return principal
            reason = f"{principal!r} may not sign edgepack packages now: {_reason(done)}"
    message = f"The signer is known, but {reason}."
    raise _untrusted(message)


def find_ssh_keygen() -> str | None:
    """Return the path of ssh-keygen, also where a bare SSH session's PATH does not lead to it."""
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/bin", "/usr/local/bin", "/bin"))
    return shutil.which("ssh-keygen", path=path)


def _holds_key(line: str) -> bool:
    """Return whether two neighbouring words are a key type and the base64 that names the same type."""
    words = line.split()
    for kind, body in zip(words[1:], words[2:]):
        try:
            data = binascii.a2b_base64(body.encode("ascii"))
        except (ValueError, UnicodeEncodeError):
            continue
        if data[4 : 4 + int.from_bytes(data[:4], "big")] == kind.encode() and len(data) > 4:
            return True
    return False


def _check_bytes(tool: str, sig: Path, manifest: bytes) -> None:
    done = _run(tool, "check-novalidate", "-n", NAMESPACE, "-s", sig, data=manifest)
    if done.returncode == 0:
        return
    if b"unknown option" in done.stderr or b"illegal option" in done.stderr:
        message = "The device's ssh-keygen is too old to check signatures (OpenSSH 8.2 or newer is needed)."
        raise AgentError("missing_tool", message, "Upgrade OpenSSH on the device.")
    message = f"The signature does not belong to this manifest: {_reason(done)}."
    raise AgentError(
        "bad_signature", message, "Sign the package again with `edgepack build`, or fetch a good copy."
    )


def _find_principals(tool: str, sig: Path, allowed: Path) -> list[str]:
    """Return the principals that the first line with the signature's key names, at least one."""
    if allowed.stat().st_size == 0:
        message = "The device has no allowed signers, so it accepts no package."
        raise _untrusted(message)
    done = _run(tool, "find-principals", "-s", sig, "-f", allowed, data=b"")
    found = [line for line in done.stdout.decode("utf-8", "replace").splitlines() if not line.startswith("!")]
    if done.returncode != 0 or not found:
        message = (
            f"The key that signed this package is not among the device's allowed signers ({_reason(done)})."
        )
        raise _untrusted(message)
    return found


def _untrusted(message: str) -> AgentError:
    return AgentError("untrusted_signer", message, "Trust the key with `edgepack devices trust`.")


def _reason(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip().rstrip(".") if lines else f"ssh-keygen ended with {done.returncode}"


def _run(tool: str, verb: str, *options: str | Path, data: bytes) -> subprocess.CompletedProcess[bytes]:
    command = [tool, "-Y", verb, *map(str, options)]
    return subprocess.run(command, input=data, capture_output=True, timeout=_TIMEOUT_S, check=False)
