"""The names under which packages are installed: which version is in use, which came before it.

Rules:
    * `apps/<name>/current` is a link to the package in the store, and the only statement about which version
      is in use. It is moved by one rename.
    * `apps/<name>/versions.json` tells for each version with which runtime it runs and which version came
      before it. It is written before the link moves; until then, what it says about the new version is not
      looked at.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from .durable import fsync_path, read_json, remove_tree, write_json
from .errors import AgentError
from .package import MANIFEST_NAME
from .protocol import NAME, SHA256

if TYPE_CHECKING:
    from pathlib import Path

    from .layout import WorkDir


def current_id(work: WorkDir, name: str) -> str | None:
    """Return the package in use under a name; None where there is none."""
    try:
        package_id = os.path.basename(os.readlink(work.apps / name / "current"))
    except OSError:
        return None
    return package_id if SHA256.fullmatch(package_id) else None


def require_current(work: WorkDir, name: str) -> str:
    """Return the package in use under a name.

    Raises:
        AgentError: `not_installed`.
    """
    if found := current_id(work, name):
        return found
    names = _names(work)
    there = f" Installed: {', '.join(names)}." if names else " Nothing is installed."
    message = f"No package {name!r} is installed on the device.{there}"
    raise AgentError("not_installed", message, "Install it with `edgepack deploy`.")


def version_note(work: WorkDir, name: str, package_id: str) -> dict[str, Any]:
    """Return the `runtime` and the `previous` version of a version; both None where nothing is known."""
    notes = read_json(work.apps / name / "versions.json")
    note = notes.get(package_id) if isinstance(notes, dict) else None
    return note if isinstance(note, dict) else {"runtime": None, "previous": None}


def activate(work: WorkDir, name: str, package_id: str, *, runtime: str | None, previous: str | None) -> None:
    """Make a package of the store the one in use under a name.

    Args:
        work: The work directory.
        name: The package's name.
        package_id: A complete package in the store.
        runtime: The runtime that it was checked with.
        previous: The version to go back to; None if there is none.
    """
    folder = work.apps / name
    folder.mkdir(mode=0o755, exist_ok=True)
    fsync_path(work.apps)
    notes = read_json(folder / "versions.json")
    keep = (package_id, previous, current_id(work, name))
    kept = {key: note for key, note in notes.items() if key in keep} if isinstance(notes, dict) else {}
    kept[package_id] = {"runtime": runtime, "previous": previous}
    write_json(folder / "versions.json", kept)
    _point(folder, package_id)


def _point(folder: Path, package_id: str) -> None:
    link = folder / f".new-{os.getpid()}-current"
    remove_tree(link)
    try:
        os.symlink(f"../../store/{package_id}", link)
        os.replace(link, folder / "current")
    finally:
        remove_tree(link)
    fsync_path(folder)


def used_ids(work: WorkDir) -> set[str]:
    """Return every package of the store that a name uses, or can go back to."""
    used: set[str] = set()
    for name in _names(work):
        if package_id := current_id(work, name):
            used.add(package_id)
            previous = version_note(work, name, package_id)["previous"]
            used.update([previous] if previous else [])
    return used


def installed(work: WorkDir) -> list[dict[str, Any]]:
    """Return what is installed; `target` and `precision` are None where the store has been damaged."""
    packages = []
    for name in _names(work):
        package_id = current_id(work, name)
        if package_id is None:
            continue
        note = version_note(work, name, package_id)
        manifest = _manifest(work, package_id)
        packages.append(
            {
                "name": name,
                "package_id": package_id,
                "previous": note["previous"],
                "runtime": note["runtime"],
                "target": manifest.get("target"),
                "precision": manifest.get("precision"),
            }
        )
    return packages


def _names(work: WorkDir) -> list[str]:
    return sorted(path.name for path in work.apps.iterdir() if NAME.fullmatch(path.name))


def _manifest(work: WorkDir, package_id: str) -> dict[str, Any]:
    try:
        value = json.loads((work.store / package_id / MANIFEST_NAME).read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
