"""Adding and removing a device in the user's `lab.toml`, as text.

Rules:
    * The user's own lines, comments and order stay as they are.
    * What is about to be written is read back first. Were it anything but the old inventory with this one
      device more or less, nothing is written.
    * The file is replaced by one rename, so that a power cut leaves the old one or the new one.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path

from edgepack.toolchain.deploy.inventory import LOCAL_NAME, Device, Lab, parse_lab
from edgepack.toolchain.errors import ProjectError


def add_device(path: Path, device: Device) -> Lab:
    """Append a device to a `lab.toml`, which is made where there is none, and return the new inventory.

    Raises:
        ProjectError: The file has this device already, or cannot be changed.
    """
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    before = parse_lab(old.encode(), path)
    if device.name in _written(before, old):
        message = f"{path} already has a device '{device.name}'."
        raise ProjectError(message, remedy=f"Remove it first: `edgepack devices remove {device.name}`.")
    gap = "" if not old or old.endswith("\n\n") else "\n" if old.endswith("\n") else "\n\n"
    return _write(path, old + gap + _table_of(device), before, added=device)


def remove_device(path: Path, name: str) -> Lab:
    """Take a device out of a `lab.toml` and return the new inventory.

    Raises:
        ProjectError: The file has no such device, or it is not written as a table of its own.
    """
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    before = parse_lab(old.encode(), path)
    before.device(name)
    lines = old.splitlines(keepends=True)
    start = next((index for index, line in enumerate(lines) if _header(name).match(line)), None)
    if start is None:
        message = f"{path}: device '{name}' is not written as a table [devices.{name}]."
        raise ProjectError(message, remedy=f"Remove '{name}' from {path} by hand.")
    end = next(
        (index for index in range(start + 1, len(lines)) if _begins_another(lines[index], name)), len(lines)
    )
    end = _without_leading_comment(lines, start, end)
    return _write(path, "".join(lines[:start] + lines[end:]), before, removed=name)


def _written(lab: Lab, text: str) -> set[str]:
    """Return the devices that the file itself names: the built-in `local` is none of them."""
    return {
        device.name for device in lab.devices if device.name != LOCAL_NAME or _header(LOCAL_NAME).search(text)
    }


def _header(name: str) -> re.Pattern[str]:
    return re.compile(
        rf"""^\s*\[\s*devices\s*\.\s*["']?{re.escape(name)}["']?\s*\]\s*(#.*)?$""", re.MULTILINE
    )


def _begins_another(line: str, name: str) -> bool:
    """Return whether a line is the header of a table that is no part of the device's own."""
    own = rf"""^\s*\[\s*devices\s*\.\s*["']?{re.escape(name)}["']?\s*\."""
    return line.lstrip().startswith("[") and re.match(own, line) is None


def _without_leading_comment(lines: list[str], start: int, end: int) -> int:
    """Return where a table ends, leaving the comment right above the next header to that header."""
    if end == len(lines):
        return end
    above = end
    while above - 1 > start and lines[above - 1].lstrip().startswith("#"):
        above -= 1
    return above


def _table_of(device: Device) -> str:
    """Return the table of a device; only what differs from the defaults."""
    values = device.model_dump(mode="json", exclude_defaults=True, exclude={"name", "power"})
    if device.kind == "local":
        defaults = Device(name=device.name, kind="local").model_dump(mode="json")
        values = {"kind": "local"} | {key: value for key, value in values.items() if value != defaults[key]}
    # A JSON string, number or list of strings is the same in TOML.
    rows = [f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in values.items()]
    return f"[devices.{device.name}]\n{''.join(rows)}"


def _write(
    path: Path, text: str, before: Lab, *, added: Device | None = None, removed: str | None = None
) -> Lab:
    """Check that a text is the old inventory with this one change, then put it in place."""
    after = parse_lab(text.encode(), path)
    named = {added.name if added else None, removed, LOCAL_NAME}
    unchanged = [device for device in before.devices if device.name not in named]
    is_as_meant = (added is None or added.name in _written(after, text)) and removed not in _written(
        after, text
    )
    if not is_as_meant or unchanged != [device for device in after.devices if device.name not in named]:
        message = f"{path}: the change would alter other devices than the one named; nothing was written."
        raise ProjectError(message, remedy=f"Edit {path} by hand.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, prefix=".lab-", delete=False
        ) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary = Path(file.name)
        temporary.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o644)
        temporary.replace(path)
    except OSError as err:
        message = f"{path}: cannot be written ({err.strerror})."
        raise ProjectError(
            message, remedy="Check the rights of the folder, or name another file with `--lab PATH`."
        ) from err
    return after
