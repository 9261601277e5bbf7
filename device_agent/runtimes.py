"""Runtimes on the device: wheels, unpacked without pip, and the one that the system already has.

Rules:
    * `runtime_id` is the SHA-256 over the sorted lines `<filename> <sha256>` of the wheels: what it names
      cannot change.
    * A runtime counts as installed only after it has run a model in a process of its own, on this device.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import store
from .children import run_child
from .durable import fsync_path, fsync_tree, read_json, remove_tree, sha256_file, write_json
from .errors import AgentError
from .lease import guard, hold
from .protocol import SHA256, bad_request
from .wheel import unpack_wheel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .layout import WorkDir
    from .lease import Claim

KINDS = ("litert", "tflite-runtime")
LOAD_TIMEOUT_S = 300.0
_WHEEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,250}\.whl")
_MAX_WHEELS = 64
_MAX_UNPACKED_BYTES = 2 << 30


@dataclass(frozen=True)
class Runtime:
    """What runs models on this device.

    Attributes:
        runtime_id: Its identity; "system" for what the interpreter's own site-packages hold.
        kind: "litert" or "tflite-runtime".
        version: Its version; None where it does not say.
        numpy: NumPy's version; None where unknown.
        site: Folder to put on `sys.path`; None for the system's runtime.
        system_site: Whether the interpreter's own site-packages count, behind `site`.
    """

    runtime_id: str
    kind: str
    version: str | None
    numpy: str | None
    site: Path | None
    system_site: bool = False

    def describe(self) -> dict[str, Any]:
        """Return what the host is told about it."""
        names = ("runtime_id", "kind", "version", "numpy")
        return {name: getattr(self, name) for name in names}


def find_runtime(work: WorkDir, runtime_id: str) -> Runtime:
    """Return an installed runtime, or the system's.

    Raises:
        AgentError: `runtime_missing`, `runtime_broken`, or `bad_request` for an odd name.
    """
    if runtime_id == "system":
        return system_runtime(work)
    if not SHA256.fullmatch(runtime_id):
        message = f"'runtime' is {runtime_id!r:.80}, neither a runtime_id nor 'system'."
        raise bad_request(message)
    runtime = _read(work.runtimes / runtime_id)
    if runtime is None:
        message = f"The runtime {runtime_id[:16]}… is not on the device."
        raise AgentError("runtime_missing", message, "Deploy again: it is provisioned anew.")
    return runtime


def system_runtime(work: WorkDir) -> Runtime:
    """Return the runtime that the interpreter's own site-packages hold.

    Raises:
        AgentError: `runtime_missing` or `runtime_broken`.
    """
    found = survey_system(work)
    if found["runtime"] is None:
        message = found["reason"] or f"{sys.executable} has neither ai-edge-litert nor tflite-runtime."
        code = "runtime_broken" if found["reason"] else "runtime_missing"
        raise AgentError(code, message, 'Deploy with a provisioned runtime: remove `runtime = "system"`.')
    return Runtime("system", site=None, system_site=True, **found["runtime"])


def survey_system(work: WorkDir) -> dict[str, Any]:
    """Return what `runners.litert.survey` finds, remembered until the runtime's files change."""
    cache = work.root / "system_runtime.json"
    known = read_json(cache)
    nothing = Runtime("system", "", None, None, None, system_site=True)
    request = {"op": "survey", "known": known if isinstance(known, dict) else None}
    found = run_child(nothing, request, timeout_s=LOAD_TIMEOUT_S)
    if found != known:
        with guard(work):
            write_json(cache, found)
    return found


def list_runtimes(work: WorkDir) -> list[Runtime]:
    """Return the unpacked runtimes."""
    found = (_read(path) for path in sorted(work.runtimes.iterdir()) if SHA256.fullmatch(path.name))
    return [runtime for runtime in found if runtime]


def wheels_of(value: Any) -> list[tuple[str, str]]:
    """Check the `wheels` of a request; return file names and hashes.

    Raises:
        AgentError: `bad_request`.
    """
    if not isinstance(value, list) or not 0 < len(value) <= _MAX_WHEELS:
        message = f"runtime.install: 'wheels' is not a list of 1 to {_MAX_WHEELS} entries."
        raise bad_request(message)
    wheels = []
    for entry in value:
        name, sha256 = (
            (entry.get("filename"), entry.get("sha256")) if isinstance(entry, dict) else (None, None)
        )
        named = isinstance(name, str) and _WHEEL.fullmatch(name)
        if not named or not isinstance(sha256, str) or not SHA256.fullmatch(sha256):
            message = f"runtime.install: a wheel is {entry!r:.160}."
            raise bad_request(message)
        wheels.append((str(name), sha256))
    return wheels


def runtime_id_of(wheels: list[tuple[str, str]]) -> str:
    """Return the identity of a set of wheels, each a file name and a hash."""
    lines = sorted(f"{name} {sha256}\n" for name, sha256 in wheels)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def install_runtime(
    work: WorkDir,
    *,
    runtime_id: str,
    kind: str,
    wheels: list[tuple[str, str]],
    claim: Claim,
    progress: Callable[[str, int, int], None],
) -> Runtime:
    """Unpack wheels, load the result once, and keep it.

    Args:
        work: The work directory.
        runtime_id: What the host says the wheels are together.
        kind: "litert" or "tflite-runtime".
        wheels: File names and hashes; the contents are blobs.
        claim: Who asks.
        progress: Told the stage, and how far it is.

    Raises:
        AgentError: `bad_request`, `busy`, `missing_blob`, `hash_mismatch`, `bad_package` (not a sound wheel),
            `disk_full`, or what loading it says. Nothing is left behind then.
    """
    if kind not in KINDS or runtime_id_of(wheels) != runtime_id:
        message = (
            f"runtime.install: the kind {kind!r:.40} is unknown, or 'runtime_id' is not that of the wheels."
        )
        raise bad_request(message)
    with hold(work, claim, "installing a runtime"):
        final = work.runtimes / runtime_id
        if (runtime := _read(final)) is not None:
            return runtime
        folder = work.runtimes / f"{runtime_id}.new-{os.getpid()}"
        try:
            _build(work, folder, runtime_id, kind, wheels, progress)
            remove_tree(final)  # without a readable note it is no runtime
            folder.rename(final)
            fsync_path(work.runtimes)
        finally:
            remove_tree(folder)
        for _, sha256 in wheels:
            remove_tree(work.blobs / sha256)
    return find_runtime(work, runtime_id)


def _build(
    work: WorkDir,
    folder: Path,
    runtime_id: str,
    kind: str,
    wheels: list[tuple[str, str]],
    progress: Callable[[str, int, int], None],
) -> None:
    """Make a complete runtime under a temporary name."""
    site = folder / "site"
    site.mkdir(parents=True)
    left = _MAX_UNPACKED_BYTES
    for index, (name, sha256) in enumerate(wheels):
        progress("unpack", index, len(wheels))
        path = store.blob_path(work, sha256)
        if sha256_file(path) != sha256:
            raise store.damaged(work, sha256)
        left -= unpack_wheel(path, site, name=name, max_bytes=left)
    progress("load", 0, 1)
    system_site = not any(name.lower().startswith("numpy-") for name, _ in wheels)
    runtime = Runtime(runtime_id, kind, None, None, site, system_site)
    note = run_child(runtime, {"op": "load"}, timeout_s=LOAD_TIMEOUT_S)
    note = {**note, "system_site": system_site, "wheels": [list(wheel) for wheel in wheels]}
    write_json(folder / "runtime.json", note)
    progress("store", 0, 1)
    fsync_tree(folder)


def _read(folder: Path) -> Runtime | None:
    note = read_json(folder / "runtime.json")
    if not isinstance(note, dict) or note.get("kind") not in KINDS:
        return None
    versions = note.get("version"), note.get("numpy")
    return Runtime(folder.name, note["kind"], *versions, folder / "site", note.get("system_site") is True)
