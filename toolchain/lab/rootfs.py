"""Root file systems of other architectures: Debian 12's packages, unpacked once, kept in the user's cache.

    root = build_rootfs(ARM64)

Rules:
    * What a device needs of that which maintainer scripts would have written stands in this file.
    * The folder serves whole machines (`disk.py` makes a disk of it) and programs under an emulator in a
      chroot alike; what differs is laid over it.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.toolchain.lab.cache import cached, cached_folder
from edgepack.toolchain.lab.commands import find_program, run
from edgepack.toolchain.lab.debian import SUITE, Archive, unpack
from edgepack.toolchain.progress import silent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgepack.toolchain.progress import Report

_PYTHON = (3, 11)
_GUEST = Path(__file__).parent / "guest"
_VERSION = "2"  # raise it when the same recipe gives another result


@dataclass(frozen=True)
class Recipe:
    """What a root file system holds.

    Attributes:
        architecture: Debian's name of the architecture.
        machine: What `uname -m` says on a kernel of this architecture.
        packages: Debian packages; what they depend on comes with them.
    """

    architecture: str
    machine: str
    packages: tuple[str, ...]

    @property
    def reads(self) -> list[str]:
        """Everything that the root file system depends on."""
        return [_VERSION, SUITE, self.architecture, *self.packages, *_texts().values()]

    @property
    def is_built(self) -> bool:
        """Whether the user's cache has it."""
        return cached_folder(f"rootfs-{self.architecture}", self.reads).is_dir()


_BASE = (
    "base-files",
    "bash",
    "busybox-static",
    "coreutils",
    "dash",
    "libc-bin",
    "libpython3.11-stdlib",
    "libstdc++6",
    "openssh-client",
    "openssh-server",
    "python3-minimal",
    "usr-is-merged",  # else a chain of dependencies brings all of Perl
)
ARM64 = Recipe("arm64", "aarch64", _BASE)
# No index has a wheel of NumPy for 32-bit Arm, so devices use Debian's.
ARMHF = Recipe("armhf", "armv7l", (*_BASE, "python3-numpy"))

_PASSWD = """root:x:0:0:root:/root:/bin/bash
sshd:x:101:65534::/run/sshd:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
"""
# A login over SSH runs in the home folder of root, and nothing else happens there.
_SSHD = """HostKey /etc/ssh/lab_host_key
PidFile none
UsePAM no
UseDNS no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
MaxStartups 100
Subsystem sftp /usr/lib/openssh/sftp-server
"""


def build_rootfs(recipe: Recipe, report: Report = silent) -> Path:
    """Return the root file system of a recipe, built now if there is none yet.

    Raises:
        MirrorError: Debian's packages cannot be reached.
        LabError: It cannot be built.
    """

    def make(folder: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="edgepack-apt-", dir=folder.parent) as temporary:
            report("fetching Debian's index", 0, 0)
            archive = Archive(Path(temporary), recipe.architecture)
            archive.update()
            report(f"fetching {recipe.architecture} packages", 0, 0)
            packages = archive.fetch_with_dependencies(recipe.packages)
            _unpack_all(packages, folder, report)
        _configure(folder)
        report("compiling Python's modules", 0, 0)
        _compile_modules(folder)

    return cached(f"rootfs-{recipe.architecture}", recipe.reads, make)


def _unpack_all(packages: Sequence[Path], folder: Path, report: Report) -> None:
    for name in ("bin", "sbin", "lib"):
        (folder / "usr" / name).mkdir(parents=True)
        (folder / name).symlink_to(f"usr/{name}")
    for number, package in enumerate(packages):
        report("unpacking packages", number, len(packages))
        unpack(package, folder)


def _configure(folder: Path) -> None:
    """Write what the packages' scripts would have written, and what makes a device of it."""
    for name, text in _texts().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755 if text.startswith("#!") else 0o644)
    for name in ("dev", "proc", "sys", "run", "tmp", "root/.ssh"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "root").chmod(0o700)
    (folder / "root/.ssh").chmod(0o700)
    (folder / "tmp").chmod(0o1777)
    init = folder / "usr/sbin/init"
    init.unlink(missing_ok=True)
    init.symlink_to("../bin/busybox")
    # update-alternatives would make these two.
    for library in (folder / "usr/lib").glob("*/*/lib[bl]*.so.3"):
        if library.stem.split(".")[0].removeprefix("lib") == library.parent.name:
            link = library.parent.parent / library.name
            link.unlink(missing_ok=True)
            link.symlink_to(f"{library.parent.name}/{library.name}")


def _compile_modules(folder: Path) -> None:
    """Compile Python's own modules: emulated, that costs half a minute at every first import.

    Compiled modules are the same for all architectures. Without this very version of Python here, the device
    compiles them itself.
    """
    mine = sys.executable if sys.version_info[:2] == _PYTHON else None
    python = mine or find_program("python3.11")
    if python is None:
        return
    library = folder / "usr/lib/python3.11"
    names = ["-s", folder, "-p", "/", "--invalidation-mode", "unchecked-hash"]
    run([python, "-m", "compileall", "-q", "-j", "2", *names, library], what="Compiling Python's modules")


def _texts() -> dict[str, str]:
    """Return the text files that are added, by their path."""
    return {
        "etc/passwd": _PASSWD,
        "etc/group": "root:x:0:\nnogroup:x:65534:\n",
        "etc/resolv.conf": "",  # a device knows no name of the world outside
        "etc/hosts": "127.0.0.1 localhost\n",
        "etc/ssh/sshd_config": _SSHD,
        "etc/inittab": (_GUEST / "inittab").read_text(encoding="utf-8"),
        "usr/local/sbin/lab-start": (_GUEST / "start.sh").read_text(encoding="utf-8"),
        "usr/local/bin/lab-power": (_GUEST / "lab_power.py").read_text(encoding="utf-8"),
    }
