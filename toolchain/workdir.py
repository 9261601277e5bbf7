"""Where artifacts lie, and how a stage is skipped when nothing that it reads has changed.

`.edgepack/<stage>/<key>/` holds what a stage made, with its result as JSON in `result.json`. The key is
the SHA-256 of everything that the stage reads: hashes of its inputs, its options, the versions of its
tools. A stage writes into a temporary folder that is renamed when it is complete, so an interrupted stage
leaves nothing behind that counts; what a killed one left is removed by the next.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import os
import shutil
import tempfile
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_RESULT = "result.json"
_TEMPORARY = ".new-"
_KEY_DIGITS = 24
_PACKAGE = Path(__file__).parent.parent
_MAKERS = (
    "converters/**/*.py",
    "converters/mcu/kernels/*/*",
    "device_agent/firmware/**/*",
    "toolchain/packaging/*.py",
    "toolchain/build.py",
    "toolchain/stages.py",
)


def tool_versions(*distributions: str) -> dict[str, str]:
    """Return what tells one state of the tools from another: versions, and edgepack's own code.

    An editable installation changes its code without its version, so the code counts too.
    """
    versions = {name: _version(name) for name in distributions}
    return {name: found for name, found in versions.items() if found is not None} | {"code": _code()}


@functools.cache
def _code() -> str:
    """Return a hash over name, size and time of the source files that make artifacts; reads none of them."""
    files = sorted(file for pattern in _MAKERS for file in _PACKAGE.glob(pattern))
    stats = "".join(
        f"{file.name} {stat.st_size} {stat.st_mtime_ns}\n" for file in files for stat in [file.stat()]
    )
    return hashlib.sha256(stats.encode()).hexdigest()[:_KEY_DIGITS]


@functools.cache  # a build asks for the same ten for every package that it makes
def _version(distribution: str) -> str | None:
    with suppress(PackageNotFoundError):
        return version(distribution)
    return None


class Workdir:
    """The folder of artifacts of one project.

    Args:
        root: `.edgepack` inside the project's folder; made when it is first needed.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def key(self, reads: Mapping[str, Any]) -> str:
        """Return the key of a stage from everything that it reads, as JSON values."""
        canonical = json.dumps(reads, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:_KEY_DIGITS]

    def peek(self, stage: str, reads: Mapping[str, Any]) -> tuple[Path, dict[str, Any]] | None:
        """Return the folder and result of a stage that has run with these inputs, or None."""
        folder = self.root / stage / self.key(reads)
        try:
            return folder, json.loads((folder / _RESULT).read_bytes())
        except (OSError, ValueError):
            return None

    def stage(
        self, stage: str, reads: Mapping[str, Any], make: Callable[[Path], Mapping[str, Any]]
    ) -> tuple[Path, dict[str, Any]]:
        """Return what a stage made, running it only when it has not run with these inputs before.

        Args:
            stage: The stage's name, such as "import".
            reads: Everything that the stage reads, as JSON values.
            make: Runs the stage into the folder that it is given and returns its result as JSON values.
                Paths in the result must be relative to that folder.

        Returns:
            The stage's folder and its result.
        """
        if found := self.peek(stage, reads):
            return found
        folder = self.root / stage / self.key(reads)
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(folder.parent)
        temporary, lock = _locked_folder(folder.parent)
        try:
            result = dict(make(temporary))
            (temporary / _RESULT).write_text(json.dumps(result, indent=1, sort_keys=True), encoding="utf-8")
            try:
                os.replace(temporary, folder)  # noqa: PTH105 - the atomic call by its own name
            except OSError:  # the folder exists: another process was faster, or its result is damaged
                if self.peek(stage, reads) is None:
                    shutil.rmtree(folder)
                    os.replace(temporary, folder)  # noqa: PTH105
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
            os.close(lock)
        return folder, json.loads((folder / _RESULT).read_bytes())


def _locked_folder(parent: Path) -> tuple[Path, int]:
    """Make a temporary folder and lock it; returns it with the descriptor that holds the lock.

    The kernel gives the lock back when this process ends, however it ends.
    """
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=parent))
        lock = os.open(folder, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.is_dir():
            return folder, lock
        os.close(lock)  # another process took it for abandoned before it was locked


def _remove_abandoned(parent: Path) -> None:
    """Remove the temporary folders of processes that have ended."""
    for folder in parent.glob(f"{_TEMPORARY}*"):
        with suppress(OSError):  # locked, so in use; or removed by another process
            lock = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(lock)
