"""Install, roll back and remove packages: each leaves the device as it was when it fails.

Install, step by step:
    1. take the lease                      5. run the golden inputs and compare
    2. verify the signature                6. fsync, rename to `store/<package_id>`
    3. check the manifest                  7. move `current`
    4. place every file, check its hash    8. remove versions that nothing can go back to
A kill at any point leaves the old version current: a folder under construction is removed by the next holder
of the lease, a complete one that nothing uses by the next install.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from . import apps, store
from .children import run_child
from .durable import fsync_path, fsync_tree, remove_tree, sha256_file
from .errors import AgentError
from .job_folder import measured_ids
from .lease import hold
from .package import (
    MANIFEST_NAME,
    MAX_MANIFEST_BYTES,
    MAX_SIGNATURE_BYTES,
    SIGNATURE_NAME,
    Package,
    bad_package,
    parse_manifest,
)
from .runtimes import Runtime, find_runtime
from .trust import verify_signature

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .layout import WorkDir
    from .lease import Claim

    Progress = Callable[[str, int, int], None]

GOLDEN_TIMEOUT_S = 600.0


def install(
    work: WorkDir, *, manifest: str, signature: str, runtime: str, claim: Claim, progress: Progress
) -> dict[str, Any]:
    """Install the package whose manifest and signature are the given contents.

    Args:
        work: The work directory.
        manifest: SHA-256 of the manifest: the package's identity.
        signature: SHA-256 of the signature.
        runtime: A runtime's identity, or "system".
        claim: Who asks.
        progress: Told the stage, and how far it is.

    Returns:
        The fields of the answer to `install` in PROTOCOL.md.

    Raises:
        AgentError: Every code that PROTOCOL.md names, but for those of jobs.
    """
    with hold(work, claim, "installing a package") as lease:
        package = _verify(work, manifest, signature)
        progress("verify", 1, 1)
        engine = find_runtime(work, runtime)
        _check_runtime(package, engine)
        final = work.store / package.package_id
        contents = [*package.files, *_own_files(work, manifest, signature)]
        if final.is_dir():
            _repair(work, final, contents)
            golden = _golden(final, engine, package, progress)
        else:
            golden = _build(work, package, contents, engine, progress)
        previous = apps.current_id(work, package.name)
        already = previous == package.package_id
        if already:
            previous = apps.version_note(work, package.name, package.package_id)["previous"]
        lease.check()
        apps.activate(work, package.name, package.package_id, runtime=runtime, previous=previous)
        _collect(work)
    return {
        "package_id": package.package_id,
        "name": package.name,
        "previous": previous,
        "already_installed": already,
        "golden": golden,
    }


def rollback(work: WorkDir, *, name: str, claim: Claim) -> dict[str, Any]:
    """Go back to the version before the one in use; the one in use becomes the one to go back to.

    Raises:
        AgentError: `busy`, `not_installed`, `no_previous`, or `bad_package`: the previous version is damaged.
    """
    with hold(work, claim, f"rolling {name} back") as lease:
        current = apps.require_current(work, name)
        previous = apps.version_note(work, name, current)["previous"]
        if not previous or not (work.store / previous / MANIFEST_NAME).is_file():
            message = f"There is no version of {name!r} before the one in use."
            raise AgentError(
                "no_previous", message, "Deploy the version that you want with `edgepack deploy`."
            )
        _check_stored(work.store / previous)
        runtime = apps.version_note(work, name, previous)["runtime"]
        lease.check()
        apps.activate(work, name, previous, runtime=runtime, previous=current)
    return {"name": name, "package_id": previous, "previous": current}


def remove(work: WorkDir, *, name: str, claim: Claim) -> dict[str, Any]:
    """Remove a package in all its versions, with the contents that nothing else uses.

    Raises:
        AgentError: `busy` or `not_installed`.
    """
    with hold(work, claim, f"removing {name}"):
        apps.require_current(work, name)
        gone = work.apps / f".gone-{os.getpid()}"
        (work.apps / name).rename(gone)
        fsync_path(work.apps)
        remove_tree(gone)
        freed = _collect(work)
    return {"name": name, "freed_bytes": freed}


def _verify(work: WorkDir, manifest: str, signature: str) -> Package:
    """Read manifest and signature once; what is verified is what is used."""
    data = store.read_blob(work, manifest, max_bytes=MAX_MANIFEST_BYTES)
    verify_signature(work, data, store.read_blob(work, signature, max_bytes=MAX_SIGNATURE_BYTES))
    return parse_manifest(data)


def _own_files(work: WorkDir, manifest: str, signature: str) -> list[dict[str, Any]]:
    names = ((MANIFEST_NAME, manifest), (SIGNATURE_NAME, signature))
    return [
        {"path": path, "sha256": sha256, "size_bytes": store.blob_path(work, sha256).stat().st_size}
        for path, sha256 in names
    ]


def _check_runtime(package: Package, runtime: Runtime) -> None:
    needs = package.manifest["runtime"]
    if runtime.kind == needs["kind"] and _version(runtime.version) >= _version(needs["min_version"]):
        return
    if (needs["kind"], runtime.kind) == ("litert", "tflite-runtime"):
        return  # it reads the same models; the golden outputs decide
    message = f"The package needs {needs['kind']} {needs['min_version']} or newer; "
    message += f"the runtime {runtime.runtime_id[:16]} is {runtime.kind} {runtime.version}."
    raise AgentError(
        "runtime_missing", message, "Deploy with a provisioned runtime, or build for the runtime there."
    )


def _version(text: str | None) -> tuple[int, ...]:
    """Return the leading numbers of a version: "2.4.0.dev3" gives (2, 4, 0, 0)."""
    numbers = []
    for part in (text or "").split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple((numbers + [0] * 4)[:4])


def _build(
    work: WorkDir, package: Package, contents: list[dict[str, Any]], runtime: Runtime, progress: Progress
) -> dict[str, Any]:
    """Make `store/<package_id>` by one rename, after everything was checked."""
    folder = work.store / f"{package.package_id}.new-{os.getpid()}"
    try:
        folder.mkdir(mode=0o755)
        for index, entry in enumerate(contents):
            progress("place", index, len(contents))
            target = folder / entry["path"]
            store.place(work, entry["sha256"], target)
            _check_file(work, target, entry)
        golden = _golden(folder, runtime, package, progress)
        progress("store", 0, 1)
        fsync_tree(folder)
        folder.rename(work.store / package.package_id)
        fsync_path(work.store)
    finally:
        remove_tree(folder)
    return golden


def _golden(folder: Path, runtime: Runtime, package: Package, progress: Progress) -> dict[str, Any]:
    cases = len(package.manifest["golden"])
    progress("golden", 0, cases)
    result = run_child(runtime, {"op": "golden", "package": str(folder)}, timeout_s=GOLDEN_TIMEOUT_S)
    progress("golden", cases, cases)
    return result


def _check_file(work: WorkDir, path: Path, entry: dict[str, Any]) -> None:
    size = path.stat().st_size
    if size != entry["size_bytes"]:
        raise bad_package(f"{entry['path']} has {size} bytes; the manifest says {entry['size_bytes']}.")
    if sha256_file(path) != entry["sha256"]:
        raise store.damaged(work, entry["sha256"])


def _repair(work: WorkDir, folder: Path, contents: list[dict[str, Any]]) -> None:
    """Check a package that is in the store already; replace what the disk has damaged, file by file."""
    for entry in contents:
        path = folder / entry["path"]
        if (
            path.is_file()
            and path.stat().st_size == entry["size_bytes"]
            and sha256_file(path) == entry["sha256"]
        ):
            continue
        fresh = work.tmp / f"repair-{os.getpid()}"
        try:
            store.place(work, entry["sha256"], fresh)
            _check_file(work, fresh, entry)
            fsync_path(fresh)
            path.parent.mkdir(parents=True, exist_ok=True)
            os.replace(fresh, path)
            fsync_path(path.parent)
        finally:
            remove_tree(fresh)


def _check_stored(folder: Path) -> None:
    package = parse_manifest((folder / MANIFEST_NAME).read_bytes())
    for entry in package.files:
        path = folder / entry["path"]
        if not path.is_file() or sha256_file(path) != entry["sha256"]:
            raise bad_package(f"The stored file {entry['path']} is damaged.")


def _collect(work: WorkDir) -> int:
    """Remove packages that no name uses or can go back to, and no record refers to, then their contents.

    Returns:
        The bytes freed.
    """
    used = apps.used_ids(work) | measured_ids(work)
    freed = 0
    for folder in list(work.store.iterdir()):
        if folder.name in used:
            continue
        shared = {path.stat().st_ino for path in folder.rglob("*") if path.is_file()}
        freed += remove_tree(folder)
        store.forget(work, shared)
    store.forget_unused(work)
    return freed
