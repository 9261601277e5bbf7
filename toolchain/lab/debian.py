"""Debian's packages of any architecture, fetched by apt with a configuration of its own.

    archive = Archive(folder, "arm64")
    archive.update()
    packages = archive.fetch_with_dependencies(["openssh-server"])

Rules:
    * The apt of this machine is asked where its mirror is and how to reach it (proxies, certificates). Its
      own lists, sources and packages are neither read nor changed.
    * The index is signed by Debian's key, and every package is checked against the index (apt does both).
    * Only Debian's main suite: kernel, headers and sources of one version stand there together, and the
      security suite of armhf is out of step with its index at times.
    * Packages are unpacked, not configured: no program of another architecture runs while they are, and
      none of their scripts.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.toolchain.errors import LabError
from edgepack.toolchain.lab.commands import run
from edgepack.toolchain.lab.errors import MirrorError, MissingProgramError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SUITE = "bookworm"
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_TIMEOUT_S = 900
_UNREACHABLE = re.compile(
    r"Could not (resolve|connect)|Temporary failure|Unable to connect|timed out|Cannot initiate|"
    r"Failed to fetch"
)
_LEFT_OUT = ("doc", "man", "locale", "info", "lintian", "bash-completion")


class Archive:
    """The packages of one architecture, with an index and a download folder of their own.

    Args:
        folder: A folder for apt's files; the caller removes it.
        architecture: Debian's name of the architecture.
        also: Further architectures whose packages can be fetched, as `NAME:ARCHITECTURE`.
    """

    def __init__(self, folder: Path, architecture: str, *, also: Iterable[str] = ()) -> None:
        self.folder = folder
        self._architectures = list(dict.fromkeys([architecture, *also]))
        self._environment = {"APT_CONFIG": str(folder / "apt.conf"), "DEBIAN_FRONTEND": "noninteractive"}
        for name in ("lists/partial", "cache/archives/partial", "etc/apt.conf.d", "etc/preferences.d"):
            (folder / name).mkdir(parents=True)
        (folder / "status").touch()
        (folder / "apt.conf").write_text(self._configuration(), encoding="utf-8")
        source = f"deb [signed-by={_keyring()}] {_mirror()} {SUITE} main\n"
        (folder / "etc/sources.list").write_text(source, encoding="utf-8")

    def update(self) -> None:
        """Fetch the index.

        Raises:
            MirrorError: The mirror does not answer.
        """
        self._apt("update")

    def depends(self, package: str) -> list[str]:
        """Return the packages that a package names as its dependencies."""
        lines = self._apt("depends", package, program="apt-cache").splitlines()
        return [line.split()[1] for line in lines if line.split()[:1] == ["Depends:"]]

    def fetch(self, packages: Iterable[str]) -> list[Path]:
        """Download packages alone and return their files.

        Raises:
            MirrorError: The mirror does not answer, or has no such package.
        """
        folder = self.folder / "cache"
        before = set(folder.glob("*.deb"))
        self._apt("download", *packages, cwd=folder)
        return sorted(set(folder.glob("*.deb")) - before)

    def fetch_with_dependencies(self, packages: Sequence[str]) -> list[Path]:
        """Download packages with all that they depend on and return the files.

        Raises:
            MirrorError: The mirror does not answer, or has no such package.
        """
        self._apt("install", "--yes", "--download-only", *packages)
        return sorted((self.folder / "cache/archives").glob("*.deb"))

    def _apt(self, *arguments: str, program: str = "apt-get", cwd: Path | None = None) -> str:
        command = [program, "--quiet=2", *arguments]
        where = ["env", f"--chdir={cwd}"] if cwd else []
        try:
            return run(
                [*where, *command],
                what="Debian's packages",
                timeout_s=_TIMEOUT_S,
                environment=self._environment,
            )
        except LabError as err:
            if not _UNREACHABLE.search(err.message):
                raise
            remedy = "Check the network, or name another mirror: EDGEPACK_LAB_MIRROR=http://…/debian"
            raise MirrorError(err.message, remedy=remedy) from err

    def _configuration(self) -> str:
        folder = self.folder
        own = {
            "Dir::State": folder,
            "Dir::State::Lists": folder / "lists",
            "Dir::State::status": folder / "status",
            "Dir::Cache": folder / "cache",
            "Dir::Etc": folder / "etc",
            "APT::Architecture": self._architectures[0],
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "Acquire::Retries": "2",
            "Acquire::http::Timeout": "30",
            "Debug::NoLocking": "true",
        }
        lines = [*_network_settings(), *(f'{key} "{value}";' for key, value in own.items())]
        lines.append("APT::Architectures { " + "".join(f'"{name}"; ' for name in self._architectures) + "};")
        return "\n".join(lines) + "\n"


def unpack(package: Path, folder: Path) -> None:
    """Unpack a package into a folder, without what only people read.

    Raises:
        LabError: It cannot be unpacked.
    """
    left_out = [f"--exclude=./usr/share/{name}/*" for name in _LEFT_OUT]
    # Folders such as /lib are links in the root file system, and stay so.
    take = ["tar", "-x", "-C", str(folder), "--keep-directory-symlink", "--no-same-owner", *left_out]
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE) as source:
        done = subprocess.run(take, stdin=source.stdout, capture_output=True, text=True, check=False)
    if done.returncode or source.returncode:
        message = f"{package.name} cannot be unpacked: {done.stderr.strip()[-300:] or source.returncode}"
        raise LabError(message, remedy=f"Check the disk space at {folder}.")


def host_architecture() -> str:
    """Return Debian's name of this machine's architecture."""
    return run(["dpkg", "--print-architecture"], what="Asking dpkg what this machine is").strip()


def fields(package: Path) -> dict[str, str]:
    """Return what a package file says of itself."""
    text = run(["dpkg-deb", "-f", package, "Package", "Version", "Architecture"], what=package.name)
    return dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)


def _mirror() -> str:
    """Return the mirror to use: the one that the user names, else the one that this machine's apt uses."""
    named = os.environ.get("EDGEPACK_LAB_MIRROR")
    found = named or _ask_apt("$(REPO_URI)")
    if found is None:
        message = "This machine's apt names no mirror of Debian."
        raise MirrorError(message, remedy="Name one: EDGEPACK_LAB_MIRROR=http://…/debian edgepack lab up …")
    return found


def _keyring() -> Path:
    found = _ask_apt("$(SIGNED_BY)")
    path = Path(found) if found and found.startswith("/") else _KEYRING
    if path.is_file():
        return path
    message = f"There is no keyring to check Debian's packages with at {path}."
    raise MissingProgramError(message, remedy="apt-get install debian-archive-keyring")


def _ask_apt(value: str) -> str | None:
    """Return a value of this machine's own source of Debian's main packages; None where it has none."""
    wanted = ["Created-By: Packages", "Label: Debian", "Component: main"]
    command = ["apt-get", "indextargets", "--format", value, *wanted]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return next(iter(done.stdout.split()), None)


def _network_settings() -> list[str]:
    """Return how this machine's apt reaches a mirror: proxies, certificates, user names."""
    lines = run(["apt-config", "dump"], what="Asking apt for its proxy").splitlines()
    return [line for line in lines if re.match(r"(?i)acquire::(https?|ftp)::", line)]
