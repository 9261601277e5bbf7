"""Runtimes on the device: wheels, unpacked without pip, and the one that the system already has.

Rules:
    * `runtime_id` is the SHA-256 over the sorted lines `<filename> <sha256>` of the wheels: what it names cannot change.
    * A wheel is a zip from elsewhere: names, counts and sizes are checked before anything is written, and no more is
      written than was announced.
    * A runtime counts as installed only after it has run a model in a process of its own, on this device.
"""

from __future__ import annotations

import hashlib
import os
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from . import store
from .children import run_child
from .durable import CHUNK_BYTES, fsync_path, fsync_tree, read_json, remove_tree, sha256_file, write_json
from .errors import AgentError
from .lease import guard, hold
from .protocol import SHA256, bad_request

if TYPE_CHECKING:
    from collections.abc import Callable

    from .layout import WorkDir

KINDS = ("litert", "tflite-runtime")
LOAD_TIMEOUT_S = 300.0
_WHEEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,250}\.whl")
_MAX_WHEELS = 64
_MAX_ENTRIES = 50_000
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
    """

    runtime_id: str
    kind: str
    version: str | None
    numpy: str | None
    site: Path | None

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

    It is loaded when it is seen for the first time, and again when its files change.

    Raises:
        AgentError: `runtime_missing` or `runtime_broken`.
    """
    cache = work.root / "system_runtime.json"
    known = read_json(cache)
    unknown = Runtime("system", "", None, None, None)
    found = run_child(unknown, {"op": "load", "known": known}, timeout_s=LOAD_TIMEOUT_S)
    if found != known:
        with guard(work):
            write_json(cache, found)
    return Runtime("system", found["kind"], found["version"], found["numpy"], None)


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
    owner: str,
    progress: Callable[[str, int, int], None],
) -> Runtime:
    """Unpack wheels, load the result once, and keep it.

    Args:
        work: The work directory.
        runtime_id: What the host says the wheels are together.
        kind: "litert" or "tflite-runtime".
        wheels: File names and hashes; the contents are blobs.
        owner: Who asks.
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
    with hold(work, owner=owner, purpose="installing a runtime"):
        final = work.runtimes / runtime_id
        if (runtime := _read(final)) is not None:
            return runtime
        folder = work.runtimes / f"{runtime_id}.new-{os.getpid()}"
        try:
            runtime = _build(work, folder, runtime_id, kind, wheels, progress)
            remove_tree(final)  # without a readable note it is no runtime
            folder.rename(final)
            fsync_path(work.runtimes)
        finally:
            remove_tree(folder)
        for _, sha256 in wheels:
            remove_tree(work.blobs / sha256)
    installed = _read(final)
    return installed or runtime


def _build(
    work: WorkDir,
    folder: Path,
    runtime_id: str,
    kind: str,
    wheels: list[tuple[str, str]],
    progress: Callable[[str, int, int], None],
) -> Runtime:
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
    found = run_child(Runtime(runtime_id, kind, None, None, site), {"op": "load"}, timeout_s=LOAD_TIMEOUT_S)
    note = {key: found[key] for key in ("kind", "version", "numpy")}
    write_json(folder / "runtime.json", {**note, "wheels": [list(wheel) for wheel in wheels]})
    fsync_tree(folder)
    progress("load", 1, 1)
    return Runtime(runtime_id, site=site, **note)


def unpack_wheel(path: Path, site: Path, *, name: str, max_bytes: int) -> int:
    """Unpack what a wheel would put into site-packages; scripts, headers and data files are left out.

    Args:
        path: The wheel.
        site: The folder to unpack into.
        name: What to call the wheel in an error.
        max_bytes: How much may be written.

    Returns:
        The bytes written.

    Raises:
        AgentError: `bad_package`: it is not a sound wheel; `disk_full`: it would not fit.

    Source: the binary distribution format (PEP 427), "Installing a wheel"; `.data/purelib` and `.data/platlib`
        spread into site-packages.
    """
    try:
        with zipfile.ZipFile(path) as wheel:
            entries = _checked_entries(wheel, name, max_bytes)
            total = sum(entry.file_size for entry, _ in entries)
            if total > store.free_bytes(site):
                message = (
                    f"{name} needs {total} bytes unpacked; the device has {store.free_bytes(site)} free."
                )
                raise AgentError("disk_full", message, "Free space on the device, then try again.")
            for entry, target in entries:
                _unpack_entry(wheel, entry, site / target)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, zipfile.LargeZipFile) as err:
        raise _bad_wheel(name, str(err)) from err
    return total


def _checked_entries(wheel: zipfile.ZipFile, name: str, max_bytes: int) -> list[tuple[zipfile.ZipInfo, str]]:
    infos = wheel.infolist()
    if len(infos) > _MAX_ENTRIES or sum(info.file_size for info in infos) > max_bytes:
        raise _bad_wheel(name, f"it unpacks to more than {_MAX_ENTRIES} files or {max_bytes} bytes")
    entries = []
    for info in infos:
        parts = PurePosixPath(info.filename).parts
        kind = info.external_attr >> 28  # the upper 4 bits of st_mode: 10 is a link, 8 a file, 4 a folder
        safe = parts and not info.filename.startswith("/") and ".." not in parts and "\\" not in info.filename
        if not safe or "\0" in info.filename or kind not in (0, 4, 8):
            raise _bad_wheel(name, f"the entry {info.filename!r:.120} is not allowed")
        if parts[0].endswith(".data"):
            parts = parts[2:] if parts[1:2] in (("purelib",), ("platlib",)) else ()
        if parts and not info.is_dir():
            entries.append((info, "/".join(parts)))
    return entries


def _unpack_entry(wheel: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    left = entry.file_size
    with wheel.open(entry) as source, open(target, "wb") as sink:
        while chunk := source.read(min(CHUNK_BYTES, left + 1)):
            left -= len(chunk)
            if left < 0:
                message = f"{entry.filename} is longer than it says"
                raise zipfile.BadZipFile(message)
            sink.write(chunk)


def _bad_wheel(name: str, why: str) -> AgentError:
    return AgentError(
        "bad_package",
        f"{name} is not a sound wheel: {why}.",
        "Remove it from the host's cache; deploy again.",
    )


def _read(folder: Path) -> Runtime | None:
    note = read_json(folder / "runtime.json")
    if not isinstance(note, dict) or note.get("kind") not in KINDS:
        return None
    return Runtime(folder.name, note["kind"], note.get("version"), note.get("numpy"), folder / "site")
