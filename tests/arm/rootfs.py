"""Root file systems of other architectures: Debian 12's packages, unpacked once, kept in the user's cache.

    root = build(ARM64)

Rules:
    * Packages are unpacked, not configured: no program of the other architecture runs while a root file
      system is built, so that it takes the time of a download. What a board needs of that which maintainer
      scripts would have written is in `board.py`.
    * The folder is named by its recipe, and nobody writes into it afterwards (`board.py` lays an overlay
      over it).
    * A file lock lets one process build while others wait.
    * Only Debian's main suite: the security suite of armhf is out of step with its index at times.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import platformdirs
import pytest

_SUITE = "bookworm"
_BUILD_S = 900
_PROGRAMS = {"mmdebstrap": "mmdebstrap", "unshare": "util-linux", "setpriv": "util-linux"}
APT_PACKAGES = "mmdebstrap qemu-user-static binfmt-support"
_EXCLUDED = (
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/locale/*",
    "/usr/share/info/*",
    "/usr/lib/*/perl*",
)
_UNREACHABLE = re.compile(
    r"Could not (resolve|connect)|Temporary failure|Unable to connect|timed out|Cannot initiate"
)


@dataclass(frozen=True)
class Recipe:
    """What a root file system holds.

    Attributes:
        architecture: Debian's name of the architecture.
        machine: What `uname -m` says there.
        binfmt: The kernel's entry that starts its programs.
        packages: Debian packages; what they depend on comes with them.
    """

    architecture: str
    machine: str
    binfmt: str
    packages: tuple[str, ...]

    @property
    def command(self) -> list[str]:
        """The command that builds it, without the folder to build in and the mirror."""
        options = {"dpkgopt": [f"path-exclude={path}" for path in _EXCLUDED]}
        options["aptopt"] = [
            'APT::Install-Recommends "false"',
            'Acquire::Retries "2"',
            'Acquire::http::Timeout "30"',
        ]
        given = [f"--{name}={value}" for name, values in options.items() for value in values]
        include = f"--include={','.join(self.packages)}"
        return [
            "mmdebstrap",
            "--mode=root",
            "--variant=extract",
            f"--architectures={self.architecture}",
            include,
            *given,
        ]


_BASE = (
    "base-files",
    "bash",
    "coreutils",
    "dash",
    "libc-bin",
    "libpython3.11-stdlib",
    "libstdc++6",
    "openssh-client",
    "openssh-server",
    "python3-minimal",
)
ARM64 = Recipe("arm64", "aarch64", "qemu-aarch64", _BASE)
# No index has a wheel of NumPy for 32-bit Arm, so boards use Debian's.
ARMHF = Recipe("armhf", "armv7l", "qemu-arm", (*_BASE, "python3-numpy"))


def why_not(recipe: Recipe) -> str | None:
    """Return why this machine cannot run such a root file system; None where it can."""
    if os.geteuid() != 0:
        return "needs root: it mounts file systems and calls chroot"
    missing = [package for program, package in _PROGRAMS.items() if shutil.which(program) is None]
    if missing:
        return f"apt-get install {' '.join(missing)}"
    if not _starts_foreign_programs(recipe):
        return (
            f"the kernel does not start {recipe.architecture} programs: "
            f"mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc, then apt-get install {APT_PACKAGES}"
        )
    return None


def build(recipe: Recipe) -> Path:
    """Return the root file system of a recipe, built now if there is none yet.

    Skips the test where Debian cannot be reached.
    """
    mirror = _mirror()
    source = [_SUITE, *([f"deb {mirror} {_SUITE} main"] if mirror else [])]
    key = hashlib.sha256("\n".join([*recipe.command, _SUITE]).encode()).hexdigest()[:16]
    folder = _cache_dir() / f"{recipe.architecture}-{key}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            part = folder.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            _run([*recipe.command, source[0], str(part), *source[1:]])
            part.rename(folder)
    return folder


def _cache_dir() -> Path:
    """Return the folder of root file systems, beside edgepack's own cache."""
    named = os.environ.get("EDGEPACK_CACHE_DIR")
    return (Path(named) if named else platformdirs.user_cache_path("edgepack")) / "lab"


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=_BUILD_S)
    if done.returncode == 0:
        return
    if _UNREACHABLE.search(done.stderr):
        pytest.skip(f"Debian's packages cannot be reached: {done.stderr.strip().splitlines()[-1]}")
    pytest.fail(f"mmdebstrap failed:\n{done.stderr[-4000:]}")


def _mirror() -> str | None:
    """Return the mirror that this machine's apt uses for Debian; None where that is left to mmdebstrap."""
    wanted = ["Created-By: Packages", "Label: Debian", "Component: main"]
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", *wanted]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return next(iter(done.stdout.split()), None)


def _starts_foreign_programs(recipe: Recipe) -> bool:
    """Return whether the kernel starts them; mounts the file system that says so where it is not mounted."""
    folder = Path("/proc/sys/fs/binfmt_misc")
    if not (folder / "status").exists():
        subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", str(folder)], capture_output=True)
    if not (folder / recipe.binfmt).exists() and shutil.which("update-binfmts"):
        subprocess.run(["update-binfmts", "--enable", recipe.binfmt], capture_output=True)
    try:
        entry = (folder / recipe.binfmt).read_text()
    except OSError:
        return os.uname().machine == recipe.machine
    # With flag F the kernel keeps the emulator open, so that it works inside a chroot.
    return "enabled" in entry and bool(re.search(r"^flags: .*F", entry, re.MULTILINE))
