"""Programs of this machine: which ones are needed, and running one."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.toolchain.errors import LabError
from edgepack.toolchain.lab.errors import MissingProgramError

if TYPE_CHECKING:
    from collections.abc import Sequence

# Debian's package of each program. The kernel's build files name the version of the compiler.
_PACKAGES = {
    "aarch64-linux-gnu-gcc-12": "gcc-12-aarch64-linux-gnu",
    "apt-get": "apt",
    "dpkg-deb": "dpkg",
    "fdtput": "device-tree-compiler",
    "ip": "iproute2",
    "make": "make",
    "mke2fs": "e2fsprogs",
    "qemu-img": "qemu-utils",
    "qemu-system-aarch64": "qemu-system-arm",
    "ssh-keygen": "openssh-client",
    "sshd": "openssh-server",
    "tar": "tar",
    "unshare": "util-linux",
    "xz": "xz-utils",
}
BUILD_PROGRAMS = (
    "aarch64-linux-gnu-gcc-12", "apt-get", "dpkg-deb", "fdtput", "make", "mke2fs", "tar", "xz",
)  # fmt: skip
MACHINE_PROGRAMS = ("qemu-img", "qemu-system-aarch64", "ssh-keygen")
FLEET_PROGRAMS = ("ip", "ssh-keygen", "sshd", "unshare")
# Where distributions keep programs for root, which a user's PATH may not name.
_SYSTEM_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin"


def find_program(name: str) -> str | None:
    """Return the path of a program; None where it is not installed."""
    return shutil.which(name) or shutil.which(name, path=_SYSTEM_FOLDERS)


def require_programs(what: str, names: Sequence[str]) -> None:
    """Check that programs are installed.

    Args:
        what: What needs them, as the start of a sentence.
        names: The programs.

    Raises:
        MissingProgramError: One is not; the remedy is the command that installs all that are missing.
    """
    missing = [name for name in names if find_program(name) is None]
    if not missing:
        return
    packages = sorted({_PACKAGES[name] for name in missing})
    message = f"{what} needs {', '.join(missing)}, which this machine does not have."
    remedy = f"Install on Debian or Ubuntu: apt-get install --no-install-recommends {' '.join(packages)}"
    raise MissingProgramError(message, remedy=remedy)


def require_root(what: str) -> None:
    """Check that this process may do everything.

    Raises:
        MissingProgramError: It is not root's.
    """
    if os.geteuid() != 0:
        message = f"{what} needs root, and this is user {os.geteuid()}."
        raise MissingProgramError(
            message, remedy='Run the same command with: sudo "$(command -v edgepack)" …'
        )


def run(
    argv: Sequence[object],
    *,
    what: str,
    timeout_s: float = 600,
    environment: dict[str, str] | None = None,
) -> str:
    """Run a program to its end and return what it printed.

    Args:
        argv: The program and its arguments, texts and paths.
        what: What it does, for the message when it fails.
        timeout_s: Seconds after which it is ended.
        environment: Variables to set beside those of this process.

    Raises:
        LabError: It failed, or did not end.
    """
    command = [find_program(str(argv[0])) or str(argv[0]), *(str(part) for part in argv[1:])]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            env={**os.environ, "LC_ALL": "C", **(environment or {})},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as err:
        message = f"{what}: `{Path(command[0]).name}` failed: {err}"
        raise LabError(message, remedy=f"Try it by hand: {_shown(command)}") from err
    if done.returncode:
        told = (done.stderr.strip() or done.stdout.strip()).splitlines()
        message = f"{what}: `{Path(command[0]).name}` failed: {' '.join(told[-3:]) or done.returncode}"
        raise LabError(message, remedy=f"Try it by hand: {_shown(command)}")
    return done.stdout


def _shown(command: list[str]) -> str:
    import shlex

    return shlex.join(command)
