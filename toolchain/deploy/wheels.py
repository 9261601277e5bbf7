"""Wheels for a device that has no internet: found and downloaded on the host by pip, and cached.

Rules:
    * Wheels only, without what they depend on: nothing is built, no code of a package runs on the host.
    * What pip answered is kept for a week, so that the next deploy needs no network; after that it is asked
      again, and the old answer still stands where the network is away.
    * A cached wheel whose bytes have changed is not used.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import platformdirs

from edgepack.converters.artifacts import sha256_of
from edgepack.toolchain.deploy.wheel_needs import Need, needs_of
from edgepack.toolchain.errors import DeployError

_MAX_AGE_S = 7 * 24 * 3600.0
_PIP_TIMEOUT_S = 600.0
_NOTE = "wheel.json"
_LOCK = threading.Lock()  # sixteen devices of one kind ask for one wheel: it is downloaded once
_ABSENT: set[Path] = set()  # answers "there is none" hold for this process only


@dataclass(frozen=True)
class Wheel:
    """A wheel on the host.

    Attributes:
        filename: Its file name.
        version: Its version.
        sha256: SHA-256 of its bytes.
        size_bytes: Its size.
        path: Where it lies.
        needs: What its libraries need from the device's system.
    """

    filename: str
    version: str
    sha256: str
    size_bytes: int
    path: Path
    needs: tuple[Need, ...]


@dataclass(frozen=True)
class WheelPlatform:
    """What wheels are wanted for.

    Attributes:
        python: Such as "3.11".
        abi: Such as "cp311".
        tags: Platform tags, such as "manylinux_2_17_aarch64".
    """

    python: str
    abi: str
    tags: tuple[str, ...]


class NoSuchWheelError(Exception):
    """The package index has no wheel for this platform; not a failure of the network."""


def cache_dir() -> Path:
    """Return the folder of downloaded wheels, which `EDGEPACK_CACHE_DIR` moves."""
    named = os.environ.get("EDGEPACK_CACHE_DIR")
    root = Path(named).expanduser() if named else platformdirs.user_cache_path("edgepack")
    return root / "wheels"


def fetch_wheel(requirement: str, platform: WheelPlatform) -> Wheel:
    """Return the newest wheel that meets a requirement on a platform.

    Args:
        requirement: As pip reads it, such as "ai-edge-litert<2.3".
        platform: What the wheel is for.

    Raises:
        NoSuchWheelError: There is none.
        DeployError: pip cannot reach its package index, and nothing is cached.
    """
    key = hashlib.sha256(json.dumps([requirement, asdict(platform)]).encode()).hexdigest()[:32]
    folder = cache_dir() / key
    with _LOCK:
        if folder in _ABSENT:
            raise NoSuchWheelError(requirement)
        cached = _read_cached(folder)
        if cached and time.time() - (folder / _NOTE).stat().st_mtime < _MAX_AGE_S:
            return cached
        try:
            return _download(requirement, platform, folder)
        except NoSuchWheelError:
            _ABSENT.add(folder)
            raise
        except DeployError:
            if cached:
                return cached
            raise


def _read_cached(folder: Path) -> Wheel | None:
    try:
        note = json.loads((folder / _NOTE).read_text())
        needs = tuple(Need(**need) for need in note.pop("needs"))
        wheel = Wheel(path=folder / note["filename"], needs=needs, **note)
        is_whole = sha256_of(wheel.path) == wheel.sha256
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return wheel if is_whole else None


def _download(requirement: str, platform: WheelPlatform, folder: Path) -> Wheel:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        new = Path(temporary) / "new"
        _run_pip(requirement, platform, new)
        path = next(iter(new.glob("*.whl")))
        note = {
            "filename": path.name,
            "version": path.name.split("-")[1],
            "sha256": sha256_of(path),
            "size_bytes": path.stat().st_size,
        }
        needs = needs_of(path)
        (new / _NOTE).write_text(json.dumps({**note, "needs": [asdict(need) for need in needs]}))
        if folder.exists():
            shutil.rmtree(folder)
        new.rename(folder)
    wheel = _read_cached(folder)
    assert wheel is not None
    return wheel


def _run_pip(requirement: str, platform: WheelPlatform, folder: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        # At least one: what pip says of it tells an index out of reach from one without the wheel.
        "--retries=2",
    ]
    command += ["--no-deps", "--only-binary=:all:", "--dest", str(folder), "--implementation", "cp"]
    command += ["--python-version", platform.python, "--abi", platform.abi, "--abi", "abi3", "--abi", "none"]
    command += [argument for tag in platform.tags for argument in ("--platform", tag)]
    try:
        done = subprocess.run(
            [*command, "--", requirement], capture_output=True, text=True, timeout=_PIP_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as err:
        message = f"pip could not download '{requirement}' ({err})."
        raise DeployError(message, remedy=_OFFLINE) from err
    if done.returncode == 0:
        return
    errors = [
        line for line in done.stderr.splitlines() if line.startswith("ERROR")
    ] or done.stderr.splitlines()
    is_reachable = not re.search(r"Retrying|Connection|Temporary failure|timed out", done.stderr)
    if is_reachable and "No matching distribution" in done.stderr:
        raise NoSuchWheelError(requirement)
    message = f"pip could not download '{requirement}': {errors[-1] if errors else 'no reason given'}"
    raise DeployError(message, remedy=_OFFLINE)


_OFFLINE = (
    "Deploy once from a machine that reaches the package index (its wheels are cached), "
    'or set runtime = "system" for a device that has a runtime.'
)
